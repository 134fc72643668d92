package gitlabapi

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// A Repository is a container repository.
type Repository struct {
	ID        int64
	ProjectID int64
	Name      string // below the project; "" for the project's root repository
	Path      string // full, "group/project/name"
	Host      string // of the registry, by the repository's location; "" when not said
	// Deleting is true while GitLab is deleting the whole repository. One that it
	// failed to delete is an ordinary repository again.
	Deleting bool
}

func repositoryOf(r *gitlab.RegistryRepository) Repository {
	return Repository{
		ID:        r.ID,
		ProjectID: r.ProjectID,
		Name:      r.Name,
		Path:      r.Path,
		Host:      hostOf(r),
		Deleting:  r.Status != nil && isDeleting(*r.Status),
	}
}

// hostOf returns what stands before the path in a repository's location.
func hostOf(r *gitlab.RegistryRepository) string {
	host, found := strings.CutSuffix(r.Location, "/"+r.Path)
	if !found || strings.Contains(host, "/") {
		return ""
	}
	return host
}

func isDeleting(status gitlab.ContainerRegistryStatus) bool {
	return status == gitlab.ContainerRegistryStatusDeleteScheduled || status == gitlab.ContainerRegistryStatusDeleteOngoing
}

// ProjectRepositories lists the repositories of a project. A listing that fails
// half-way returns none.
func (c *Client) ProjectRepositories(ctx context.Context, project int64) ([]Repository, error) {
	options := &gitlab.ListProjectRegistryRepositoriesOptions{
		ListOptions: gitlab.ListOptions{PerPage: pageSize},
	}
	return c.repositories(ctx, listing[*gitlab.RegistryRepository]{
		path: fmt.Sprintf("/projects/%d/registry/repositories", project),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.RegistryRepository, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistry.ListProjectRegistryRepositories(project, options, page...)
		},
	})
}

// GroupRepositories lists the repositories of all projects of a group, by id or full
// path, and of the groups below it. A listing that fails half-way returns none.
func (c *Client) GroupRepositories(ctx context.Context, group string) ([]Repository, error) {
	options := &gitlab.ListGroupRegistryRepositoriesOptions{
		ListOptions: gitlab.ListOptions{PerPage: pageSize},
	}
	return c.repositories(ctx, listing[*gitlab.RegistryRepository]{
		path: "/groups/" + url.PathEscape(group) + "/registry/repositories",
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.RegistryRepository, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistry.ListGroupRegistryRepositories(group, options, page...)
		},
	})
}

func (c *Client) repositories(ctx context.Context, list listing[*gitlab.RegistryRepository]) ([]Repository, error) {
	list.client = c
	list.key = func(r *gitlab.RegistryRepository) string { return strconv.FormatInt(r.ID, 10) }
	repositories, err := collect(ctx, list, repositoryOf, func(r Repository) int64 { return r.ID })
	if err != nil {
		return nil, err
	}
	return repositories, nil
}

// collect reads a listing to its end, each item once, and compares what came with the
// number that the server stated. Items come twice, or not at all, when a list changes
// between two of its pages; then it is read once more from the start. What could be
// read is returned beside an error.
func collect[S comparable, T any, K comparable](ctx context.Context, list listing[S], convert func(S) T, key func(T) K) ([]T, error) {
	items, stated, err := readAll(ctx, list, convert, key)
	if err == nil && stated >= 0 && stated != int64(len(items)) {
		items, stated, err = readAll(ctx, list, convert, key)
	}
	if err == nil && stated >= 0 && stated != int64(len(items)) {
		err = list.problem("the listing has %d entries where it states %d", len(items), stated)
	}
	return items, err
}

// readAll reads a listing once. stated is the largest number of entries that one of
// its pages stated, or -1: when entries go while the list is read, others move to pages
// that have been read already, and only the number of the first page shows the loss.
func readAll[S comparable, T any, K comparable](ctx context.Context, list listing[S], convert func(S) T, key func(T) K) (items []T, stated int64, err error) {
	seen := make(map[K]struct{})
	stated = -1
	for page, err := range list.pages(ctx) {
		if err != nil {
			return items, stated, err
		}
		stated = max(stated, page.total)
		for _, source := range page.items {
			item := convert(source)
			if _, again := seen[key(item)]; !again {
				seen[key(item)] = struct{}{}
				items = append(items, item)
			}
		}
	}
	return items, stated, nil
}

// withQuery sets a query parameter of a request.
func withQuery(name, value string) gitlab.RequestOptionFunc {
	return gitlab.WithKeysetPaginationParameters("?" + url.Values{name: {value}}.Encode())
}
