package gitlabtest

import (
	"cmp"
	"context"
	"strings"

	"github.com/graph-gophers/graphql-go/errors"
	"github.com/graph-gophers/graphql-go/introspection"
)

// What an operation may cost. The first is what GitLab lets a signed-in user
// have, and can be set otherwise; the second is the same for everybody.
const (
	defaultComplexity = 250
	maxDepth          = 20
)

// connections hold lists. Whatever stands in one counts twice, once more for each
// connection around that: GitLab multiplies by the page size, but so that it
// hardly ever shows, and here it does not matter at all.
var connections = map[string]bool{
	"Query.projects":                  true,
	"Group.projects":                  true,
	"Group.containerRepositories":     true,
	"Project.containerRepositories":   true,
	"ContainerRepositoryDetails.tags": true,
}

// costs are those of fields that do not cost 1. Connections cost 8, so that one
// with nodes { id } and nothing else comes to the 12 that were measured; what is
// counted, or read from the registry, comes to the 4 to 10 that some fields cost
// in a connection. A mutation is dear by guess: ten of them must fit a request, as
// they do in GitLab, and twenty must not.
var costs = map[string]int{
	"Query.projects":                          8,
	"Group.projects":                          8,
	"Group.containerRepositories":             8,
	"Project.containerRepositories":           8,
	"ContainerRepositoryDetails.tags":         8,
	"Project.containerRepositoriesCount":      4,
	"ContainerRepository.tagsCount":           5,
	"ContainerRepositoryDetails.tagsCount":    5,
	"ContainerRepository.project":             2,
	"ContainerRepositoryDetails.project":      2,
	"Mutation.destroyContainerRepositoryTags": 10,
}

// meter adds up what an operation costs while it runs against one of everything.
// The library shows a parsed query to nobody, but it tells of every field that
// it resolves: aliases one by one, fragments in their places.
type meter struct{}

// placeKey is under what a field's place stands in the context of those below.
type placeKey struct{}

// place is where in an operation a field stands.
type place struct{ depth, weight int }

// TraceQuery notes which variables there are. It is asked only once the
// operation was found to fit the schema.
func (meter) TraceQuery(ctx context.Context, _, _ string, _ map[string]any, types map[string]*introspection.Type) (context.Context, func([]*errors.QueryError)) {
	if o := operationIn(ctx); o.measuring {
		o.declared = make(map[string]bool, len(types))
		for name := range types {
			o.declared[name] = true
		}
	}
	return ctx, func([]*errors.QueryError) {}
}

// TraceField counts a field. What is asked about the schema itself is free.
func (meter) TraceField(ctx context.Context, _, typeName, field string, _ bool, _ map[string]any) (context.Context, func(*errors.QueryError)) {
	o := operationIn(ctx)
	if o.measuring {
		ctx = context.WithValue(ctx, placeKey{}, o.count(ctx, typeName, field))
	}
	return ctx, func(*errors.QueryError) {}
}

func (o *operation) count(ctx context.Context, typeName, field string) place {
	at, below := ctx.Value(placeKey{}).(place)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !below {
		at, o.kind = place{weight: 1}, kindQuery
		if typeName == "Mutation" {
			o.kind = kindMutation
		}
	}
	if strings.HasPrefix(typeName, "__") || strings.HasPrefix(field, "__") {
		return at
	}
	name := typeName + "." + field
	at.depth++
	o.depth = max(o.depth, at.depth)
	o.score += at.weight * cmp.Or(costs[name], 1)
	if connections[name] {
		at.weight *= 2
	}
	return at
}

func (s *Server) complexityLimit() int {
	return cmp.Or(s.options.complexityLimit, defaultComplexity)
}
