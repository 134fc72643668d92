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
	host, found := strings.CutSuffix(r.Location, "/"+r.Path)
	if !found || strings.Contains(host, "/") {
		host = ""
	}
	return Repository{
		ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, Path: r.Path, Host: host,
		Deleting: r.Status != nil && isDeleting(*r.Status),
	}
}

func isDeleting(status gitlab.ContainerRegistryStatus) bool {
	return status == gitlab.ContainerRegistryStatusDeleteScheduled || status == gitlab.ContainerRegistryStatusDeleteOngoing
}

// ProjectRepositories lists the repositories of a project. A listing that fails
// half-way returns none.
func (c *Client) ProjectRepositories(ctx context.Context, project int64) ([]Repository, error) {
	return c.repositories(ctx, c.projectRepositories(project))
}

func (c *Client) projectRepositories(project int64) listing[*gitlab.RegistryRepository] {
	options := &gitlab.ListProjectRegistryRepositoriesOptions{ListOptions: gitlab.ListOptions{PerPage: pageSize}}
	return listing[*gitlab.RegistryRepository]{
		client: c, key: repositoryKey,
		path: fmt.Sprintf("/projects/%d/registry/repositories", project),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.RegistryRepository, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistry.ListProjectRegistryRepositories(project, options, page...)
		},
	}
}

// repositoryKey identifies a repository in a list.
func repositoryKey(r *gitlab.RegistryRepository) string { return strconv.FormatInt(r.ID, 10) }

// RegistryHost asks by a project's repositories where the registry is; "" where it has none, or GitLab does
// not say it.
func (c *Client) RegistryHost(ctx context.Context, project int64) (string, error) {
	for page, err := range c.projectRepositories(project).pages(ctx) {
		if err != nil {
			return "", err
		}
		for _, r := range page.items {
			if host := repositoryOf(r).Host; host != "" {
				return host, nil
			}
		}
	}
	return "", nil
}

// GroupRepositories lists the repositories of all projects of a group, by id or full
// path, and of the groups below it. A listing that fails half-way returns none.
func (c *Client) GroupRepositories(ctx context.Context, group string) ([]Repository, error) {
	options := &gitlab.ListGroupRegistryRepositoriesOptions{ListOptions: gitlab.ListOptions{PerPage: pageSize}}
	return c.repositories(ctx, listing[*gitlab.RegistryRepository]{
		client: c, key: repositoryKey,
		path: "/groups/" + url.PathEscape(group) + "/registry/repositories",
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.RegistryRepository, *gitlab.Response, error) {
			return c.gitlab.ContainerRegistry.ListGroupRegistryRepositories(group, options, page...)
		},
	})
}

func (c *Client) repositories(ctx context.Context, list listing[*gitlab.RegistryRepository]) ([]Repository, error) {
	repositories, err := collect(ctx, list, repositoryOf)
	if err != nil {
		return nil, err
	}
	return repositories, nil
}
