package gitlabtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graph-gophers/graphql-go"
)

// graphqlRoot resolves the fields of queries and mutations. The exported methods
// of this and of the types below are what the schema's fields are resolved by.
type graphqlRoot struct{}

// sample is one of everything, for the meter.
var sample = func() *repository {
	p := &project{id: 1, path: "group/app", group: &Group{ID: 1, Path: "group"}}
	r := &repository{id: 1, path: p.path, project: p, stored: &storedRepository{}}
	p.repositories = []*repository{r}
	return r
}()

// CurrentUser resolves Query.currentUser: the owner of the token.
func (graphqlRoot) CurrentUser() *currentUser { return &currentUser{} }

// currentUser is a CurrentUser.
type currentUser struct{}

// ID resolves id.
func (*currentUser) ID() graphql.ID { return graphql.ID(globalID("User", 1)) }

type projectsArguments struct {
	IDs        *[]graphql.ID
	Membership *bool
	Sort       *string
	pageArguments
}

// Projects resolves Query.projects. Of the orders that GitLab has, it has those by id and
// by the dates, which are in the order of the ids here.
func (graphqlRoot) Projects(ctx context.Context, args projectsArguments) (*connection[*projectNode], error) {
	o := operationIn(ctx)
	rows, err := o.projects(args.IDs)
	if err != nil {
		return nil, err
	}
	l := &listing[*project]{rows: rows, id: func(p *project) int64 { return p.id }, descending: true}
	if args.Membership != nil && *args.Membership {
		l.keep = func(p *project) bool { return !p.notMember }
	}
	if args.Sort != nil {
		by, ascending := strings.CutSuffix(*args.Sort, "_asc")
		by = strings.TrimSuffix(by, "_desc")
		if by == *args.Sort || !slices.Contains([]string{"id", "created_at", "updated_at", "last_activity_at"}, by) {
			return nil, o.violate("%q is no order of projects", *args.Sort)
		}
		l.descending = !ascending
	}
	return connect(l, o, args.pageArguments, func(i int, p *project) *projectNode {
		if !o.measuring && isNth(o.call.graphql.nullProjects, i) {
			return nil
		}
		return &projectNode{o, p, i}
	})
}

// projects returns the projects that are asked for, by id. Ids of none are ignored.
func (o *operation) projects(ids *[]graphql.ID) ([]*project, error) {
	switch {
	case o.measuring:
		return []*project{sample.project}, nil
	case ids == nil:
		return o.call.server.state.projects, nil
	}
	var rows []*project
	for _, text := range *ids {
		id, err := o.idOf(string(text), "Project")
		if err != nil {
			return nil, err
		}
		if p := o.call.server.state.byID[id]; p != nil {
			rows = append(rows, p)
		}
	}
	slices.SortFunc(rows, func(a, b *project) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(rows), nil
}

// Project resolves Query.project.
func (graphqlRoot) Project(ctx context.Context, args struct{ FullPath graphql.ID }) *projectNode {
	o := operationIn(ctx)
	if o.measuring {
		return &projectNode{o: o, project: sample.project}
	}
	if p := o.call.server.state.byPath[string(args.FullPath)]; p != nil {
		return &projectNode{o: o, project: p}
	}
	return nil
}

// projectNode is a Project. What may be seen at all shows all of these fields,
// but for its repositories.
type projectNode struct {
	o       *operation
	project *project
	index   int // on its page
}

// ID resolves id.
func (n *projectNode) ID() graphql.ID { return graphql.ID(globalID("Project", n.project.id)) }

// FullPath resolves fullPath.
func (n *projectNode) FullPath() graphql.ID { return graphql.ID(n.project.path) }

// Archived resolves archived.
func (n *projectNode) Archived() *bool { return &n.project.archived }

// ContainerRegistryEnabled resolves containerRegistryEnabled.
func (n *projectNode) ContainerRegistryEnabled() *bool { return new(!n.project.disabled) }

// ContainerRepositoriesCount resolves containerRepositoriesCount. Rails counts
// rows of its own and checks no permission, so that the repositories of a
// project whose registry cannot be read are counted as well.
func (n *projectNode) ContainerRepositoriesCount() (int32, error) {
	if f := &n.o.call.graphql; !n.o.measuring && f.countsTimeOut && n.index >= f.countsThatWork {
		return 0, graphqlError("Timeout on Project.containerRepositoriesCount")
	}
	return int32(len(n.project.repositories)), nil
}

// ContainerRepositories resolves containerRepositories, newest first: null where REST says
// 403, since GraphQL hides what may not be read.
func (n *projectNode) ContainerRepositories(args pageArguments) (*connection[*repositoryNode], error) {
	if n.project.unreadable() || !n.o.measuring && isNth(n.o.call.graphql.nullRepositories, n.index) {
		return nil, nil
	}
	l := &listing[*repository]{
		rows: n.project.repositories, id: func(r *repository) int64 { return r.id }, descending: true,
	}
	return connect(l, n.o, args, func(_ int, r *repository) *repositoryNode { return &repositoryNode{n.o, r} })
}

// repositoryNode is a ContainerRepository.
type repositoryNode struct {
	o          *operation
	repository *repository
}

// ID resolves id.
func (n repositoryNode) ID() repositoryID {
	return repositoryID(globalID("ContainerRepository", n.repository.id))
}

// Name resolves name.
func (n repositoryNode) Name() string { return n.repository.name }

// Path resolves path.
func (n repositoryNode) Path() string { return n.repository.path }

// Location resolves location.
func (n repositoryNode) Location() string {
	return n.o.call.registryHost() + "/" + n.repository.path
}

// Status resolves status.
func (n repositoryNode) Status() *string {
	if n.repository.status == "" {
		return nil
	}
	return new(strings.ToUpper(n.repository.status))
}

// QueryComplexity resolves Query.queryComplexity.
func (graphqlRoot) QueryComplexity(ctx context.Context) *complexity {
	return &complexity{operationIn(ctx)}
}

type complexity struct{ o *operation }

// Score resolves score, while other fields of the query may be counted still.
func (c *complexity) Score() *int32 {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	return new(int32(c.o.score))
}

// Limit resolves limit.
func (c *complexity) Limit() *int32 { return new(int32(c.o.call.server.complexityLimit())) }

const globalPrefix = "gid://gitlab/"

// globalID is what GraphQL calls a row of Rails' database.
func globalID(model string, id int64) string {
	return globalPrefix + model + "/" + strconv.FormatInt(id, 10)
}

// idOf reads the global id of a row of one kind.
func (o *operation) idOf(text, model string) (int64, error) {
	number, found := strings.CutPrefix(text, globalPrefix+model+"/")
	id, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return 0, o.violate("%q does not represent an instance of %s", text, model)
	}
	return id, nil
}

// repositoryID is GitLab's own scalar for ids of repositories.
type repositoryID string

// ImplementsGraphQLType says which scalar it is.
func (repositoryID) ImplementsGraphQLType(name string) bool { return name == "ContainerRepositoryID" }

// UnmarshalGraphQL reads a value.
func (id *repositoryID) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if !ok {
		return fmt.Errorf("%v is no id", input)
	}
	*id = repositoryID(text)
	return nil
}
