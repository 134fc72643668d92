package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// A Regime is how an instance stores the metadata of its tags.
type Regime int

// What [Client.Regime] finds.
const (
	RegimeUnknown Regime = iota
	RegimeLegacy
	RegimeDatabase
)

// String returns the name of the regime as reports show it.
func (r Regime) String() string {
	switch r {
	case RegimeLegacy:
		return "legacy"
	case RegimeDatabase:
		return "database"
	default:
		return "unknown"
	}
}

// Regime finds out the instance's regime by asking for one tag of a repository the
// way only the metadata database can answer. Without it GitLab refuses with 405;
// versions before 16.10 overlook the question and answer with a numbered page, and
// count as legacy. That a page without a number is the database's, and not a numbered
// one whose headers a proxy took away, shows by its link to the next, or by a page
// asked for by number that comes with its headers.
func (c *Client) Regime(ctx context.Context, repository Repository) (Regime, error) {
	resp, err := c.onePage(ctx, repository, gitlab.ListOptions{Pagination: "keyset", PerPage: 1})
	status, answered := errors.AsType[*StatusError](err)
	// A proxy that forbids something says so in HTML; GitLab has its message.
	if answered && status.Status == http.StatusMethodNotAllowed && status.Message != "" {
		return RegimeLegacy, nil
	}
	if err != nil {
		return RegimeUnknown, fmt.Errorf("finding out the regime: %w", err)
	}
	if resp.Header.Get("X-Page") != "" {
		return RegimeLegacy, nil
	}
	if link, ok := nextLink(linksOf(resp)); ok && strings.Contains(link, "last=") {
		return RegimeDatabase, nil
	}
	resp, err = c.onePage(ctx, repository, gitlab.ListOptions{PerPage: 1})
	if err != nil {
		return RegimeUnknown, fmt.Errorf("finding out the regime: %w", err)
	}
	if resp.Header.Get("X-Page") != "" {
		return RegimeDatabase, nil
	}
	return RegimeUnknown, nil
}

func (c *Client) onePage(ctx context.Context, repository Repository, page gitlab.ListOptions) (*gitlab.Response, error) {
	options := &gitlab.ListRegistryRepositoryTagsOptions{ListOptions: page}
	_, resp, err := c.gitlab.ContainerRegistry.ListRegistryRepositoryTags(
		repository.ProjectID, repository.ID, options, gitlab.WithContext(ctx))
	if err != nil {
		return nil, c.failure(http.MethodGet, tagsPath(repository), resp, err)
	}
	return resp, nil
}
