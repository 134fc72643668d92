package gitlabapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// maxProjects is how many projects are listed by one request. What it costs does not depend on
// their number, and as much as 100 repositories of each come back.
const maxProjects = 50

// A RepositoriesResult is what the listing of one project's repositories gave.
type RepositoriesResult struct {
	Repositories []Repository
	// Protection is that of the project's tags. Where there are no repositories it may not have
	// been asked for.
	Protection Protection
	Err        error
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
//
// The rules for protected tags come in the same query. Those of a project that it does not
// give come over REST, in a request of their own.
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
		var unprotected []Project
		for _, project := range asked {
			l := listed[project.ID]
			result := RepositoriesResult{Repositories: l.repositories, Protection: l.protection}
			switch {
			case l.isWhole && len(l.repositories) >= project.Repositories:
			case err != nil && isFinal(ctx, err):
				result = RepositoriesResult{Err: err}
			default:
				result.Repositories, result.Err = c.ProjectRepositories(ctx, project.ID)
				if errors.Is(result.Err, throttle.ErrNotFound) {
					result.Err = c.explainNotFound(ctx, project, result.Err)
				}
			}
			if result.Err == nil && !l.hasRules && len(result.Repositories) > 0 {
				unprotected = append(unprotected, project)
			}
			results = append(results, result)
		}
		c.addProtections(ctx, asked, unprotected, results[len(results)-len(asked):])
	}
	return results
}

// RepositoriesNamed lists the repositories of a project whose names have a text in them, by one request
// however many the project has. It is an error where they are more than a hundred, and where GraphQL does
// not show them.
func (c *Client) RepositoriesNamed(ctx context.Context, project Project, text string) ([]Repository, error) {
	type answer struct {
		Project *struct {
			ContainerRepositories *connection[repositoryNode] `json:"containerRepositories"`
		} `json:"project"`
	}
	query := func() string {
		return `query($path: ID!, $name: String) { project(fullPath: $path) { containerRepositories(name: $name, first: 100) { nodes { id name path location status } pageInfo { hasNextPage } } } }`
	}
	data, err := queryGraphQL[answer](c, c.reading(ctx), listingRepositories, query, map[string]any{"path": project.Path, "name": text})
	if err == nil {
		var list *connection[repositoryNode]
		if data.Project != nil {
			list = data.Project.ContainerRepositories
		}
		if repositories, isWhole := decodeRepositories(list, project); isWhole {
			return repositories, nil
		}
		err = &throttle.ListingError{Problem: "the list is not whole"}
	}
	return nil, fmt.Errorf("listing the repositories of %s with %q in their names: %w", project.Path, text, err)
}

// A RegistryHiddenError says that the token may see a project and not its container registry.
type RegistryHiddenError struct {
	Project string // full path
	Err     error
}

// Error implements error.
func (e *RegistryHiddenError) Error() string {
	return "the token may see the project, but not its container registry: its user needs the role Reporter there, at least: " + e.Err.Error()
}

// Unwrap returns what the instance answered.
func (e *RegistryHiddenError) Unwrap() error { return e.Err }

// explainNotFound says what it means that a project's repositories are not found: GitLab hides in the
// same words what is not there and what the token may not see.
func (c *Client) explainNotFound(ctx context.Context, project Project, err error) error {
	if _, failed := c.Project(ctx, strconv.FormatInt(project.ID, 10)); failed != nil {
		return err
	}
	return &RegistryHiddenError{project.Path, err}
}

// addProtections completes the results of the projects that were asked for, some of which have
// no protection yet.
func (c *Client) addProtections(ctx context.Context, asked, some []Project, results []RepositoriesResult) {
	protections := make(map[int64]Protection, len(some))
	if c.graphQL.rulesApart.Load() {
		for i, protection := range c.ProtectionsOf(ctx, some) {
			protections[some[i].ID] = protection
		}
	} else {
		for _, project := range some {
			protections[project.ID] = c.protectionOverREST(ctx, project.ID)
		}
	}
	for i, project := range asked {
		protection, ok := protections[project.ID]
		if !ok {
			continue
		}
		results[i].Protection = protection
		if why := protection.Unknown(); why != nil && isFinal(ctx, why) {
			results[i] = RepositoriesResult{Err: why}
		}
	}
}

// What a query asks of projects that are named by their ids.
const (
	repositoriesPart = `containerRepositories(first: 100) { nodes { id name path location status } pageInfo { hasNextPage } } `
	rulesPart        = rulesField + `(first: 100) { nodes { tagNamePattern } pageInfo { hasNextPage } } `
)

// repositoriesTogether lists the repositories of several projects by one query, as far
// as the answer can be relied upon. A single project is listed over REST, which does not end
// after a hundred.
func (c *Client) repositoriesTogether(ctx context.Context, projects []Project) (map[int64]listedProject, error) {
	if len(projects) < 2 {
		return nil, nil
	}
	together := !c.graphQL.rulesApart.Load()
	data, err := c.askByID(ctx, projects, true, together)
	if errors.Is(err, errTooComplex) && together && c.graphQL.knows(rulesField) {
		c.graphQL.rulesApart.Store(true)
		data, err = c.askByID(ctx, projects, true, false)
	}
	c.graphQL.projects.observe(len(projects), err)
	if data == nil {
		return nil, err
	}
	says, _ := errors.AsType[*graphQLError](err)
	return data.byProject(projects, says), nil
}

// askByID asks for the repositories of projects, for their rules where the version knows them, or
// for both.
func (c *Client) askByID(ctx context.Context, projects []Project, repositories, rules bool) (*repositoriesData, error) {
	ids := make([]string, len(projects))
	for i, project := range projects {
		ids[i] = globalID(projectIDs, project.ID)
	}
	text := func() string {
		fields := ""
		if repositories {
			fields += repositoriesPart
		}
		if rules && c.graphQL.knows(rulesField) {
			fields += rulesPart
		}
		return "query($ids: [ID!], $first: Int) { projects(ids: $ids, first: $first) { nodes { id " + fields + "} } }"
	}
	return queryGraphQL[repositoriesData](c, c.reading(ctx), listingRepositories, text, map[string]any{"ids": ids, "first": len(ids)})
}

// repositoriesData is the answer to a query for the repositories of projects.
type repositoriesData struct {
	Projects struct {
		Nodes []*struct {
			ID                    string                      `json:"id"`
			ContainerRepositories *connection[repositoryNode] `json:"containerRepositories"`
			Rules                 *connection[ruleNode]       `json:"containerProtectionTagRules"`
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

// A listedProject is what an answer says of a project, as far as it can be relied upon.
type listedProject struct {
	repositories []Repository
	isWhole      bool // repositories are all that it has
	protection   Protection
	hasRules     bool // protection need not be asked for again
}

// byProject returns what an answer says of those projects that were asked for and that no error
// concerns.
func (d *repositoriesData) byProject(projects []Project, says *graphQLError) map[int64]listedProject {
	asked := make(map[int64]Project, len(projects))
	for _, project := range projects {
		asked[project.ID] = project
	}
	listed := make(map[int64]listedProject, len(projects))
	seen := make(map[int64]bool, len(projects))
	for i, node := range d.Projects.Nodes {
		if node == nil {
			continue
		}
		project, wanted := asked[parseGlobalID(projectIDs, node.ID)]
		switch {
		case seen[project.ID]: // twice, it contradicts itself
			delete(listed, project.ID)
		case wanted && !says.concerns(i):
			var l listedProject
			l.repositories, l.isWhole = decodeRepositories(node.ContainerRepositories, project)
			l.protection, l.hasRules = decodeRules(node.Rules)
			listed[project.ID] = l
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
