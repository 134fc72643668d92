package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// rulesField is which rules a project has for protected tags (GitLab 17.8).
const rulesField = "containerProtectionTagRules"

// Why a [Protection] is not known although nothing went wrong.
var (
	// ErrNoProtection: the instance has no rules for protected tags (before 17.8), or none that
	// it shows to the API that can be asked (over REST before 18.7).
	ErrNoProtection = errors.New("the instance does not say which tags are protected")
	// ErrProtectionHidden: the token may not see the rules of a project. GitLab itself holds users
	// below Maintainer to them, to whom it does not show them either.
	ErrProtectionHidden = errors.New("the token may not see which tags are protected")
)

// errProtectionUnread is why the zero Protection is not known.
var errProtectionUnread = errors.New("GitLab was not asked which tags are protected")

// A Protection is which tags a project protects by its rules. GitLab holds nobody to them who
// may administer the instance; here every rule counts, whoever the token is.
//
// The zero Protection was not read, and protects everything.
type Protection struct {
	rules   []TagRule
	isKnown bool
	unknown error
}

// A TagRule protects the tags whose names match a pattern.
type TagRule struct {
	Pattern string
	matches *regexp.Regexp // nil when the pattern is none
}

// NewProtection returns the protection by rules with these patterns.
func NewProtection(patterns ...string) Protection {
	p := Protection{isKnown: true}
	for _, pattern := range patterns {
		matches, err := regexp.Compile(pattern)
		if err != nil {
			matches = nil
		}
		p.rules = append(p.rules, TagRule{pattern, matches})
	}
	return p
}

func unknownProtection(why error) Protection { return Protection{unknown: why} }

// Rules returns the rules.
func (p Protection) Rules() []TagRule { return slices.Clone(p.rules) }

// Unknown returns why the rules are not known, nil when they are. That is [ErrNoProtection] or
// [ErrProtectionHidden], or an error for which nothing can be said to be unprotected.
func (p Protection) Unknown() error {
	if p.unknown == nil && !p.isKnown {
		return errProtectionUnread
	}
	return p.unknown
}

// Protects reports whether a tag is protected. When the rules could not be read it may be; when
// there are none to be seen it is not.
func (p Protection) Protects(tag string) bool {
	switch why := p.Unknown(); {
	case why == nil:
		return slices.ContainsFunc(p.rules, func(r TagRule) bool { return r.Protects(tag) })
	default:
		return !errors.Is(why, ErrNoProtection) && !errors.Is(why, ErrProtectionHidden)
	}
}

// Protects reports whether the pattern matches anywhere in a name, as GitLab does, whose patterns
// are RE2's like Go's. What a pattern means that does not compile is not known: it may mean
// any tag.
func (r TagRule) Protects(tag string) bool { return r.matches == nil || r.matches.MatchString(tag) }

type ruleNode struct {
	Pattern *string `json:"tagNamePattern"`
}

// decodeRules returns the protection by the rules of a project, if they are all there.
func decodeRules(list *connection[ruleNode]) (Protection, bool) {
	if !list.isWhole() || *list.PageInfo.HasNextPage {
		return Protection{}, false
	}
	patterns := make([]string, 0, len(list.Nodes))
	for _, node := range list.Nodes {
		if node == nil || node.Pattern == nil {
			return Protection{}, false
		}
		patterns = append(patterns, *node.Pattern)
	}
	return NewProtection(patterns...), true
}

// ProtectionsOf returns the protections of any number of projects, in the same order, for those
// whose repositories were not listed by [Client.RepositoriesOf]: by GraphQL in pages, and over
// REST where that does not say them.
func (c *Client) ProtectionsOf(ctx context.Context, projects []Project) []Protection {
	protections := make([]Protection, 0, len(projects))
	for page := range slices.Chunk(projects, pageSize) {
		var listed map[int64]listedProject
		var err error
		if c.graphQL.knows(rulesField) {
			var data *repositoriesData
			if data, err = c.askByID(ctx, page, false, true); data != nil {
				says, _ := errors.AsType[*graphQLError](err)
				listed = data.byProject(page, says)
			}
		}
		for _, project := range page {
			switch l := listed[project.ID]; {
			case l.hasRules:
				protections = append(protections, l.protection)
			case err != nil && isFinal(ctx, err):
				protections = append(protections, unknownProtection(err))
			default:
				protections = append(protections, c.protectionOverREST(ctx, project.ID))
			}
		}
	}
	return protections
}

// protectionOverREST asks for the rules of one project. A version whose GraphQL does not know
// them has none.
func (c *Client) protectionOverREST(ctx context.Context, project int64) Protection {
	if c.lacks.tagRules.Load() || !c.graphQL.knows(rulesField) {
		return unknownProtection(ErrNoProtection)
	}
	patterns, err := collect(ctx, listing[*gitlab.ContainerRegistryTagProtectionRule]{
		client: c,
		path:   fmt.Sprintf("/projects/%d/registry/protection/tag/rules", project),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.ContainerRegistryTagProtectionRule, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistryTagProtectionRules.ListContainerRegistryTagProtectionRules(project, page...)
		},
		key: func(r *gitlab.ContainerRegistryTagProtectionRule) string { return strconv.FormatInt(r.ID, 10) },
	}, func(r *gitlab.ContainerRegistryTagProtectionRule) string { return r.TagNamePattern })
	status, answered := errors.AsType[*throttle.StatusError](err)
	switch {
	case err == nil:
		return NewProtection(patterns...)
	// A proxy, and a project that is not there, have other words for it than an API that does not
	// know the path.
	case answered && status.Status == http.StatusNotFound && status.Message == "404 Not Found":
		c.lacks.tagRules.Store(true)
		err = fmt.Errorf("%w: %w", ErrNoProtection, err)
	// So has a 403 for maintenance, which passes.
	case answered && status.Status == http.StatusForbidden && status.Message == "403 Forbidden", errors.Is(err, throttle.ErrInsufficientScope):
		err = fmt.Errorf("%w: %w", ErrProtectionHidden, err)
	}
	return unknownProtection(fmt.Errorf("reading which tags project %d protects: %w", project, err))
}
