package gitlabapi

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// maxProjects is how many projects are listed by one request. What it costs does not depend on
// their number, and as much as 100 repositories of each come back.
const maxProjects = 50

// A RepositoriesResult is what the listing of one project's repositories gave.
type RepositoriesResult struct {
	Repositories []Repository
	Err          error
}

// ProjectsAtOnce is how many projects [Client.RepositoriesOf] lists in one request just now; 1
// without GraphQL, and where that has not even managed two: the rest then comes over REST.
func (c *Client) ProjectsAtOnce() int {
	if c.graphQL.off[listingRepositories].Load() {
		return 1
	}
	return c.graphQL.projects.get()
}

// RepositoriesOf lists the repositories of any number of projects, one result for each
// in the same order. Several go into one query, as many as GitLab finds not too complex.
// A project whose part of the answer is missing, not whole or contradicts its count is
// listed over REST, and that stands.
func (c *Client) RepositoriesOf(ctx context.Context, projects []Project) []RepositoriesResult {
	results := make([]RepositoriesResult, 0, len(projects))
	most := len(projects)
	for len(results) < len(projects) {
		rest := projects[len(results):]
		asked := rest[:min(c.ProjectsAtOnce(), most, len(rest))]
		listed, err := c.repositoriesTogether(ctx, asked)
		if err != nil && isTooMuch(err) && len(asked) > 1 {
			most = len(asked) / 2 // whatever other calls make of the size meanwhile
			continue
		}
		most = len(projects)
		for _, project := range asked {
			results = append(results, c.repositoriesResult(ctx, project, listed, err))
		}
	}
	return results
}

// repositoriesResult takes a project's repositories from the answer to a query, or asks
// over REST.
func (c *Client) repositoriesResult(ctx context.Context, project Project, listed map[int64][]Repository, err error) RepositoriesResult {
	repositories, ok := listed[project.ID]
	if ok && len(repositories) >= project.Repositories {
		return RepositoriesResult{Repositories: repositories}
	}
	if err != nil && isFinal(ctx, err) {
		return RepositoriesResult{Err: err}
	}
	repositories, err = c.ProjectRepositories(ctx, project.ID)
	return RepositoriesResult{repositories, err}
}

// repositoriesTogether lists the repositories of several projects by one query, as far
// as the answer can be relied upon. A single project is cheaper over REST, which
// does not end after a hundred.
func (c *Client) repositoriesTogether(ctx context.Context, projects []Project) (map[int64][]Repository, error) {
	if len(projects) < 2 {
		return nil, nil
	}
	ids := make([]string, len(projects))
	for i, project := range projects {
		ids[i] = globalID(projectIDs, project.ID)
	}
	data, err := queryGraphQL[repositoriesData](c, c.reading(ctx), listingRepositories, func() string { return repositoriesQuery },
		map[string]any{"ids": ids, "first": len(ids)})
	c.graphQL.projects.observe(len(projects), err)
	if data == nil {
		return nil, err
	}
	says, _ := errors.AsType[*GraphQLError](err)
	return data.repositories(projects, says), nil
}

const repositoriesQuery = `query($ids: [ID!], $first: Int) { projects(ids: $ids, first: $first) { nodes { id containerRepositories(first: 100) ` +
	`{ nodes { id name path location status } pageInfo { hasNextPage } } } } }`

// repositoriesData is the answer to a query for the repositories of projects.
type repositoriesData struct {
	Projects struct {
		Nodes []*projectRepositories `json:"nodes"`
	} `json:"projects"`
}

type projectRepositories struct {
	ID                    string `json:"id"`
	ContainerRepositories *struct {
		Nodes    []*repositoryNode `json:"nodes"`
		PageInfo *struct {
			HasNextPage *bool `json:"hasNextPage"`
		} `json:"pageInfo"`
	} `json:"containerRepositories"`
}

type repositoryNode struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Location string `json:"location"`
	Status   string `json:"status"`
}

// repositories returns the repositories of those projects that were asked for, whose
// listing is whole, and that no error concerns.
func (d *repositoriesData) repositories(projects []Project, says *GraphQLError) map[int64][]Repository {
	asked := make(map[int64]Project, len(projects))
	for _, project := range projects {
		asked[project.ID] = project
	}
	listed := make(map[int64][]Repository, len(projects))
	seen := make(map[int64]bool, len(projects))
	for i, node := range d.Projects.Nodes {
		if node == nil {
			continue
		}
		project, wanted := asked[parseGlobalID(projectIDs, node.ID)]
		repositories, whole := node.of(project)
		switch {
		case seen[project.ID]: // twice, it contradicts itself
			delete(listed, project.ID)
		case wanted && whole && !says.concerns(i):
			listed[project.ID] = repositories
		}
		seen[project.ID] = true
	}
	return listed
}

// of returns the repositories of a project, if they are all there and nothing is odd
// about them, in the order that REST gives them.
func (n *projectRepositories) of(project Project) ([]Repository, bool) {
	list := n.ContainerRepositories
	if list == nil || list.Nodes == nil || list.PageInfo == nil || list.PageInfo.HasNextPage == nil || *list.PageInfo.HasNextPage {
		return nil, false
	}
	repositories := make([]Repository, 0, len(list.Nodes))
	seen := make(map[int64]bool, len(list.Nodes))
	for _, node := range list.Nodes {
		repository, ok := node.of(project)
		if !ok || seen[repository.ID] {
			return nil, false
		}
		seen[repository.ID] = true
		repositories = append(repositories, repository)
	}
	slices.SortFunc(repositories, func(a, b Repository) int { return cmp.Compare(a.ID, b.ID) })
	return repositories, true
}

// of returns a repository, if it is one of the project's.
func (n *repositoryNode) of(project Project) (Repository, bool) {
	if n == nil {
		return Repository{}, false
	}
	status := gitlab.ContainerRegistryStatus(strings.ToLower(n.Status))
	repository := repositoryOf(&gitlab.RegistryRepository{
		ID: parseGlobalID(repositoryIDs, n.ID), ProjectID: project.ID,
		Name: n.Name, Path: n.Path, Location: n.Location, Status: &status,
	})
	return repository, repository.ID != 0 && isWithin(n, project) &&
		(n.Location == "" || repository.Host != "") && isKnown(status)
}

// isWithin reports whether a repository's path is that of its project and its name
// below it. Registries know lower case only.
func isWithin(n *repositoryNode, project Project) bool {
	path := project.Path
	if n.Name != "" {
		path += "/" + n.Name
	}
	return n.Path != "" && strings.EqualFold(n.Path, path)
}

// isKnown reports whether it is understood what a status says of a repository.
func isKnown(status gitlab.ContainerRegistryStatus) bool {
	return status == "" || isDeleting(status) || status == gitlab.ContainerRegistryStatusDeleteFailed
}
