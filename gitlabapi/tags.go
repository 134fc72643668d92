package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A Tag is what a listing says about a tag.
type Tag struct {
	Name string
	// Dated is true when the listing gave the tag a date. No version of GitLab is
	// known to, but a date is a date wherever it stands.
	Dated bool
}

// TagDetails is what GitLab says about a tag when it is asked for it by name.
type TagDetails struct {
	Digest string // of its manifest, "sha256:…"; "" when not said
	// Revision is the digest of its config, without "sha256:"; "" when not said. GitLab 19.2
	// says the digest of an index, and neither revision nor date nor size.
	Revision string
	// Dated is true when GitLab can date the tag: CreatedAt may be the zero time and a date all
	// the same, that of images which are built to be reproducible.
	Dated     bool
	CreatedAt time.Time
	Bytes     int64 // of config and layers; 0 when not said
}

// IsIndex reports whether GitLab shows of a tag what 19.2 shows of an index: a digest, and
// neither revision nor date nor size.
func (d TagDetails) IsIndex() bool {
	return d.Digest != "" && d.Revision == "" && !d.Dated && d.Bytes == 0
}

// Tags lists the tags of a repository, in the server's order, each name once. What
// could be read of a listing that failed is returned beside the error; such a
// listing proves of no tag that it is not there.
func (c *Client) Tags(ctx context.Context, repository Repository) ([]Tag, error) {
	return c.tags(ctx, repository, gitlab.ListOptions{PerPage: pageSize})
}

// TagsByKeyset is Tags for an instance with the metadata database: each page goes on
// after the last name of the one before, so that tags which come or go meanwhile shift
// nothing. Instances without refuse it (405).
func (c *Client) TagsByKeyset(ctx context.Context, repository Repository) ([]Tag, error) {
	return c.tags(ctx, repository, gitlab.ListOptions{Pagination: "keyset", PerPage: pageSize, Sort: "asc"})
}

func (c *Client) tags(ctx context.Context, repository Repository, pages gitlab.ListOptions) ([]Tag, error) {
	options := &gitlab.ListRegistryRepositoryTagsOptions{ListOptions: pages}
	list := listing[*gitlab.RegistryRepositoryTag]{
		client: c,
		path:   tagsPath(repository),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.RegistryRepositoryTag, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistry.ListRegistryRepositoryTags(repository.ProjectID, repository.ID, options, page...)
		},
		key: func(t *gitlab.RegistryRepositoryTag) string { return t.Name },
	}
	if pages.Pagination == "keyset" {
		list.after = func(last *gitlab.RegistryRepositoryTag) gitlab.RequestOptionFunc { return withQuery("last", last.Name) }
	}
	tags, err := collect(ctx, list, func(t *gitlab.RegistryRepositoryTag) Tag { return Tag{Name: t.Name, Dated: t.CreatedAt != nil} })
	if err != nil {
		return tags, fmt.Errorf("listing the tags of %s: %w", repository.Path, err)
	}
	return tags, nil
}

// HasTags reports whether a repository lists any tag at all now, in one request.
func (c *Client) HasTags(ctx context.Context, repository Repository) (bool, error) {
	tags, _, err := c.onePage(ctx, repository, gitlab.ListOptions{PerPage: 1})
	if err != nil {
		return false, fmt.Errorf("listing a tag of %s: %w", repository.Path, err)
	}
	return len(tags) > 0, nil
}

// TagDetails asks for one tag. The error is [ErrTagNotFound] when GitLab itself says
// that it has no such tag; what that proves depends on the regime.
func (c *Client) TagDetails(ctx context.Context, repository Repository, tag string) (TagDetails, error) {
	if err := registry.CheckTag(tag); err != nil {
		return TagDetails{}, fmt.Errorf("reading the details of %s:%q: %w", repository.Path, tag, err)
	}
	answer, resp, err := c.gitlab.ContainerRegistry.GetRegistryRepositoryTagDetail(
		repository.ProjectID, repository.ID, tag, c.reading(ctx))
	if err == nil && (answer == nil || answer.Name != tag) {
		err = &throttle.FormatError{Problem: "the answer is not about the tag that was asked for"}
	}
	if err != nil {
		err = c.failure(http.MethodGet, tagPath(repository, tag), resp, err)
		return TagDetails{}, fmt.Errorf("reading the details of %s:%s: %w", repository.Path, tag, err)
	}
	details := TagDetails{Digest: answer.Digest, Revision: answer.Revision, Bytes: max(answer.TotalSize, 0)}
	if answer.CreatedAt != nil {
		details.Dated, details.CreatedAt = true, *answer.CreatedAt
	}
	return details, nil
}

func tagsPath(repository Repository) string {
	return fmt.Sprintf("/projects/%d/registry/repositories/%d/tags", repository.ProjectID, repository.ID)
}

func tagPath(repository Repository, tag string) string {
	return tagsPath(repository) + "/" + url.PathEscape(tag)
}

// Regime finds out the instance's regime by asking for one tag of a repository the
// way only the metadata database can answer. Without it GitLab refuses with 405;
// versions before 16.10 overlook the question and answer with a numbered page, and
// count as legacy. That a page without a number is the database's, and not a numbered
// one whose headers a proxy took away, shows by its link to the next, or by a page
// asked for by number that comes with its headers.
func (c *Client) Regime(ctx context.Context, repository Repository) (registry.Regime, error) {
	_, resp, err := c.onePage(ctx, repository, gitlab.ListOptions{Pagination: "keyset", PerPage: 1})
	status, answered := errors.AsType[*throttle.StatusError](err)
	// What forbids something may be a proxy; GitLab has its message.
	if answered && status.Status == http.StatusMethodNotAllowed && status.Message != "" && !errors.Is(err, throttle.ErrPage) {
		return registry.Legacy, nil
	}
	if err == nil {
		if resp.Header.Get("X-Page") != "" {
			return registry.Legacy, nil
		}
		if link, _, err := c.throttle.NextPage(resp.Response); err == nil && link != nil && link.Query().Has("last") {
			return registry.Database, nil
		}
		_, resp, err = c.onePage(ctx, repository, gitlab.ListOptions{PerPage: 1})
	}
	switch {
	case err != nil:
		return registry.RegimeUnknown, fmt.Errorf("asking GitLab whether the registry has a metadata database: %w", err)
	case resp.Header.Get("X-Page") != "":
		return registry.Database, nil
	default:
		return registry.RegimeUnknown, nil
	}
}

// onePage asks for one page of a repository's tags.
func (c *Client) onePage(ctx context.Context, repository Repository, page gitlab.ListOptions) ([]*gitlab.RegistryRepositoryTag, *gitlab.Response, error) {
	options := &gitlab.ListRegistryRepositoryTagsOptions{ListOptions: page}
	tags, resp, err := c.gitlab.ContainerRegistry.ListRegistryRepositoryTags(
		repository.ProjectID, repository.ID, options, c.reading(ctx))
	if err == nil && len(tags) > 0 && (tags[0] == nil || tags[0].Name == "") {
		err = errBlankEntry
	}
	if err != nil {
		return nil, nil, c.failure(http.MethodGet, tagsPath(repository), resp, err)
	}
	return tags, resp, nil
}
