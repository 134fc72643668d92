package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// Regime finds out the instance's regime by asking for one tag of a repository the
// way only the metadata database can answer. Without it GitLab refuses with 405;
// versions before 16.10 overlook the question and answer with a numbered page, and
// count as legacy. That a page without a number is the database's, and not a numbered
// one whose headers a proxy took away, shows by its link to the next, or by a page
// asked for by number that comes with its headers.
func (c *Client) Regime(ctx context.Context, repository Repository) (registry.Sign, error) {
	resp, err := c.onePage(ctx, repository, gitlab.ListOptions{Pagination: "keyset", PerPage: 1})
	status, answered := errors.AsType[*throttle.StatusError](err)
	// A proxy that forbids something says so in HTML; GitLab has its message.
	if answered && status.Status == http.StatusMethodNotAllowed && status.Message != "" {
		return registry.SignLegacy, nil
	}
	if err != nil {
		return registry.SignUnknown, fmt.Errorf("finding out the regime: %w", err)
	}
	if resp.Header.Get("X-Page") != "" {
		return registry.SignLegacy, nil
	}
	if link, _, err := c.throttle.NextPage(resp.Response); err == nil && link != nil && link.Query().Has("last") {
		return registry.SignDatabase, nil
	}
	resp, err = c.onePage(ctx, repository, gitlab.ListOptions{PerPage: 1})
	if err != nil {
		return registry.SignUnknown, fmt.Errorf("finding out the regime: %w", err)
	}
	if resp.Header.Get("X-Page") != "" {
		return registry.SignDatabase, nil
	}
	return registry.SignUnknown, nil
}

func (c *Client) onePage(ctx context.Context, repository Repository, page gitlab.ListOptions) (*gitlab.Response, error) {
	options := &gitlab.ListRegistryRepositoryTagsOptions{ListOptions: page}
	_, resp, err := c.gitlab.ContainerRegistry.ListRegistryRepositoryTags(
		repository.ProjectID, repository.ID, options, c.reading(ctx))
	if err != nil {
		return nil, c.failure(http.MethodGet, tagsPath(repository), resp, err)
	}
	return resp, nil
}
