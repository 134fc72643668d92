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

// Regime finds out the instance's regime by asking for one tag of a repository the
// way only the metadata database can answer: it refuses with 405 without it. Versions
// before 16.10 overlook the question and answer with a numbered page; they count as
// legacy. Only a page that points on by the name of its last tag is a sign of the
// database, so that the answer is unknown for a repository with fewer than two tags.
func (c *Client) Regime(ctx context.Context, repository Repository) (Regime, error) {
	options := &gitlab.ListRegistryRepositoryTagsOptions{
		ListOptions: gitlab.ListOptions{Pagination: "keyset", PerPage: 1},
	}
	_, resp, err := c.gitlab.ContainerRegistry.ListRegistryRepositoryTags(
		repository.ProjectID, repository.ID, options, gitlab.WithContext(ctx))
	if err != nil {
		err = c.failure(http.MethodGet, tagsPath(repository), resp, err)
		status, answered := errors.AsType[*StatusError](err)
		// A proxy that forbids something says so in HTML; GitLab has its message.
		if answered && status.Status == http.StatusMethodNotAllowed && status.Message != "" {
			return RegimeLegacy, nil
		}
		return RegimeUnknown, fmt.Errorf("finding out the regime: %w", err)
	}
	if resp.Header.Get("X-Page") != "" {
		return RegimeLegacy, nil
	}
	if link, ok := nextLink(linksOf(resp)); ok && strings.Contains(link, "last=") {
		return RegimeDatabase, nil
	}
	return RegimeUnknown, nil
}
