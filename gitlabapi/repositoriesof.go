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
		if isTooMuch(err) && len(asked) > 1 {
			most = len(asked) / 2 // whatever other calls make of the size meanwhile
			continue
		}
		most = len(projects)
		for _, project := range asked {
			repositories, ok := listed[project.ID]
			result := RepositoriesResult{Repositories: repositories}
			switch {
			case ok && len(repositories) >= project.Repositories:
			case err != nil && isFinal(ctx, err):
				result = RepositoriesResult{Err: err}
			default:
				result.Repositories, result.Err = c.ProjectRepositories(ctx, project.ID)
			}
			results = append(results, result)
		}
	}
	return results
}

const repositoriesQuery = `query($ids: [ID!], $first: Int) { projects(ids: $ids, first: $first) { nodes { id containerRepositories(first: 100) ` +
	`{ nodes { id name path location status } pageInfo { hasNextPage } } } } }`

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
	says, _ := errors.AsType[*graphQLError](err)
	return data.byProject(projects, says), nil
}

// repositoriesData is the answer to a query for the repositories of projects.
type repositoriesData struct {
	Projects struct {
		Nodes []*struct {
			ID                    string                      `json:"id"`
			ContainerRepositories *connection[repositoryNode] `json:"containerRepositories"`
		} `json:"nodes"`
	} `json:"projects"`
}

type repositoryNode struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Location string `json:"location"`
	Status   string `json:"status"`
}

// byProject returns the repositories of those projects that were asked for, whose
// listing is whole, and that no error concerns.
func (d *repositoriesData) byProject(projects []Project, says *graphQLError) map[int64][]Repository {
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
		repositories, whole := decodeRepositories(node.ContainerRepositories, project)
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

// decodeRepositories returns the repositories of a project, if they are all there and nothing is odd
// about them, in the order that REST gives them.
func decodeRepositories(list *connection[repositoryNode], project Project) ([]Repository, bool) {
	if !list.isWhole() || *list.PageInfo.HasNextPage {
		return nil, false
	}
	repositories := make([]Repository, 0, len(list.Nodes))
	for _, node := range list.Nodes {
		repository, ok := node.repository(project)
		if !ok {
			return nil, false
		}
		repositories = append(repositories, repository)
	}
	slices.SortFunc(repositories, func(a, b Repository) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(repositories); i++ {
		if repositories[i].ID == repositories[i-1].ID {
			return nil, false
		}
	}
	return repositories, true
}

// repository converts a node, if it is a repository of the project: its path is that of the
// project and its name below it (registries know lower case only), and it is understood what its
// status says.
func (n *repositoryNode) repository(project Project) (Repository, bool) {
	if n == nil {
		return Repository{}, false
	}
	path := project.Path
	if n.Name != "" {
		path += "/" + n.Name
	}
	status := gitlab.ContainerRegistryStatus(strings.ToLower(n.Status))
	repository := repositoryOf(&gitlab.RegistryRepository{
		ID: parseGlobalID(repositoryIDs, n.ID), ProjectID: project.ID,
		Name: n.Name, Path: n.Path, Location: n.Location, Status: &status,
	})
	return repository, repository.ID != 0 && n.Path != "" && strings.EqualFold(n.Path, path) &&
		(n.Location == "" || repository.Host != "") &&
		(status == "" || isDeleting(status) || status == gitlab.ContainerRegistryStatusDeleteFailed)
}
