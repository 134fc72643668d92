package gitlabtest

import (
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

type projectsArguments struct {
	IDs          *[]graphql.ID
	Membership   *bool
	Search, Sort *string
	pageArguments
}

// Projects resolves Query.projects.
func (graphqlRoot) Projects(ctx context.Context, args projectsArguments) (*connection[*projectNode], error) {
	o := operationIn(ctx)
	rows, err := o.projects(args.IDs)
	if err != nil {
		return nil, err
	}
	l := listProjects(rows)
	l.keep = func(p *project) bool {
		return (args.Membership == nil || !*args.Membership || !p.notMember) &&
			(args.Search == nil || strings.Contains(p.base(), strings.ToLower(*args.Search)))
	}
	if err := orderProjects(o, l, args.Sort); err != nil {
		return nil, err
	}
	return connectProjects(o, l, args.pageArguments)
}

// projects returns those that are asked for, by id. Ids that nobody has, or that
// nobody may see, are passed over.
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
	slices.SortFunc(rows, byProjectID)
	return slices.Compact(rows), nil
}

// Project resolves Query.project.
func (graphqlRoot) Project(ctx context.Context, args struct{ FullPath graphql.ID }) *projectNode {
	o := operationIn(ctx)
	p := o.call.server.state.byPath[string(args.FullPath)]
	if o.measuring {
		p = sample.project
	}
	if p == nil {
		return nil
	}
	return &projectNode{o: o, project: p}
}

// Group resolves Query.group.
func (graphqlRoot) Group(ctx context.Context, args struct{ FullPath graphql.ID }) *groupNode {
	o := operationIn(ctx)
	if o.measuring {
		return &groupNode{o, sample.project.group}
	}
	g := o.call.server.below().groups[string(args.FullPath)]
	if g == nil {
		return nil
	}
	return &groupNode{o, g}
}

// ContainerRepository resolves Query.containerRepository: null without a word
// for one that may not be read.
func (graphqlRoot) ContainerRepository(ctx context.Context, args struct{ ID repositoryID }) (*repositoryDetails, error) {
	o := operationIn(ctx)
	r, err := o.repository(args.ID)
	if err != nil || r == nil || r.project.unreadable() {
		return nil, err
	}
	return &repositoryDetails{repositoryNode{o, r}}, nil
}

// repository returns the repository of an id, nil if there is none.
func (o *operation) repository(id repositoryID) (*repository, error) {
	if o.measuring {
		return sample, nil
	}
	number, err := o.idOf(string(id), "ContainerRepository")
	if err != nil {
		return nil, err
	}
	return o.call.server.below().repositories[number], nil
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
