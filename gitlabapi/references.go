package gitlabapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// ErrNoReferences: a listing of a project's branches and Git tags has none. A project that pushes
// images has a branch, so this does not say that any is missing.
var ErrNoReferences = errors.New("no branches or tags are listed")

// maxReferences bounds the listing of a project's references, in bytes.
const maxReferences = 64 << 20

// References are the names of a project's branches and Git tags. The zero References are not
// known, and lack nothing.
type References struct {
	names, slugs map[string]bool
}

// NewReferences returns the references of these names.
func NewReferences(names ...string) References {
	r := References{make(map[string]bool, len(names)), make(map[string]bool, len(names))}
	for _, name := range names {
		r.names[name], r.slugs[Slug(name)] = true, true
	}
	return r
}

// Len returns how many names there are. A branch and a Git tag may have the same.
func (r References) Len() int { return len(r.names) }

// Has reports whether a branch or Git tag has a name.
func (r References) Has(name string) bool { return len(r.names) == 0 || r.names[name] }

// HasSlug reports whether the name of a branch or Git tag has a slug, see [Slug].
func (r References) HasSlug(slug string) bool { return len(r.names) == 0 || r.slugs[slug] }

// Named reports whether a tag of an image is named after a branch or Git tag: it has its name or its
// slug, whatever stands for a slug's dashes and in whatever case, or begins with that and goes on behind
// a dash, a dot or an underscore, such as feature-1-cache, main-amd64 and main-1a2b3c4d.
func (r References) Named(tag string) bool {
	for end, letter := range tag {
		if end > 0 && strings.ContainsRune("-._", letter) && r.stands(tag[:end]) {
			return true
		}
	}
	return r.stands(tag)
}

// stands reports whether a name stands for a branch or Git tag.
func (r References) stands(name string) bool {
	return r.Has(name) || r.HasSlug(name) || r.HasSlug(Slug(name))
}

// References lists the branches and Git tags of a project: as Git does, which takes one request,
// and over REST, in pages, where Git over HTTP is refused. A listing without any is an error of
// class [ErrNoReferences]; no error says that a reference is missing.
func (c *Client) References(ctx context.Context, project Project) (References, error) {
	names, err := throttle.GetLarge(ctx, c.throttle, maxReferences, func(maxBody int64) ([]string, error) {
		return c.advertised(ctx, project, maxBody)
	})
	if isRefused(err) {
		names, err = c.referencesOverREST(ctx, project)
	}
	if err == nil && len(names) == 0 {
		err = ErrNoReferences
	}
	if err != nil {
		return References{}, fmt.Errorf("listing the branches and Git tags of %s: %w", project.Path, err)
	}
	return NewReferences(names...), nil
}

// errNoGit: Git over HTTP cannot be asked.
var errNoGit = errors.New("no Git over HTTP")

// isRefused reports whether Git over HTTP is not there for a project, or not for the token.
func isRefused(err error) bool {
	status, answered := errors.AsType[*throttle.StatusError](err)
	return errors.Is(err, errNoGit) || answered &&
		slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, status.Status)
}

// advertised asks for what Git asks first when it fetches.
//
// GitLab bans an address for an hour that shows it passwords which it does not take, so a token
// that is refused once is not shown again.
func (c *Client) advertised(ctx context.Context, project Project, maxBody int64) ([]string, error) {
	if c.lacks.git.Load() || !isPath(project.Path) {
		return nil, errNoGit
	}
	at := c.throttle.URL().JoinPath(project.Path+".git", "info", "refs")
	at.RawQuery = url.Values{"service": {uploadPack}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoGit, err)
	}
	req.SetBasicAuth("oauth2", c.throttle.Token().Reveal())
	resp, err := c.throttle.Do(req, throttle.Request{Priority: c.priority, MaxBody: maxBody, Accepts: throttle.AnyApplication})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode == http.StatusUnauthorized {
			c.lacks.git.Store(true)
		}
		return nil, c.throttle.StatusError(resp)
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != advertisementType {
		err = &throttle.FormatError{Problem: "the answer is not one of Git's"}
	} else {
		var names []string
		if names, err = readAdvertisement(bytes.NewReader(throttle.Body(resp))); err == nil {
			return names, nil
		}
	}
	return nil, &throttle.RequestError{Method: http.MethodGet, Path: c.throttle.Scrub(at.EscapedPath()), Err: err}
}

// isPath reports whether a text can be the path of a project, none of whose elements leads
// elsewhere in an address.
func isPath(path string) bool {
	return strings.Contains(path, "/") && !slices.ContainsFunc(strings.Split(path, "/"), func(element string) bool {
		return element == "" || strings.Trim(element, ".") == "" || strings.Trim(element, pathLetters) != ""
	})
}

// pathLetters are those of a path's elements.
const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// referencesOverREST lists the branches and then the Git tags.
func (c *Client) referencesOverREST(ctx context.Context, project Project) ([]string, error) {
	pages := gitlab.ListOptions{PerPage: pageSize}
	branches, err := collect(ctx, listing[*gitlab.Branch]{
		client: c,
		path:   fmt.Sprintf("/projects/%d/repository/branches", project.ID),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.Branch, *gitlab.Response, error) {
			return c.gitlab.Branches.ListBranches(project.ID, &gitlab.ListBranchesOptions{ListOptions: pages}, page...)
		},
		key: func(b *gitlab.Branch) string { return b.Name },
	}, func(b *gitlab.Branch) string { return b.Name })
	if err != nil {
		return nil, err
	}
	tags, err := collect(ctx, listing[*gitlab.Tag]{
		client: c,
		path:   fmt.Sprintf("/projects/%d/repository/tags", project.ID),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.Tag, *gitlab.Response, error) {
			return c.gitlab.Tags.ListTags(project.ID, &gitlab.ListTagsOptions{ListOptions: pages}, page...)
		},
		key: func(t *gitlab.Tag) string { return t.Name },
	}, func(t *gitlab.Tag) string { return t.Name })
	if err != nil {
		return nil, err
	}
	return append(branches, tags...), nil
}
