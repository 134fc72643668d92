package gitlabtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/graph-gophers/graphql-go/errors"
	"github.com/graph-gophers/graphql-go/introspection"
)

// The kinds of operations, as [Request] and [Fault] name them.
const (
	kindQuery    = "query"
	kindMutation = "mutation"
)

// operation is what a request asks of GraphQL.
type operation struct {
	call      *call
	query     string
	name      string
	variables map[string]any

	malformed string               // why the body is no request
	problems  []*errors.QueryError // why the schema refuses it

	mu        sync.Mutex // fields are resolved by several goroutines
	measuring bool
	kind      string // "" when it cannot be told
	score     int
	depth     int
	declared  map[string]bool // its variables; nil before it was found valid
	mutations int             // begun so far
	violation string
}

// operationKey is under what the operation stands in the context.
type operationKey struct{}

func operationIn(ctx context.Context) *operation {
	return ctx.Value(operationKey{}).(*operation)
}

// readOperation reads a request's body and measures what it asks for, before
// anything else becomes of it: faults, hooks and records ask what kind it is.
func readOperation(c *call) *operation {
	o := &operation{call: c}
	if o.malformed = o.read(); o.malformed == "" {
		o.measure()
	}
	return o
}

// read takes the members of a request from the body, and returns what is wrong with it.
// It is exact about their names, where Go would ignore capitals and GitLab unknown ones.
func (o *operation) read() string {
	mediaType, _, err := mime.ParseMediaType(o.call.request.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return "the body is not said to be JSON"
	}
	var body []byte
	if r := o.call.request; r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			panic(http.ErrAbortHandler) // the client has gone away
		}
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(body, &sent); err != nil {
		return "the body is no request: " + err.Error()
	}
	members := map[string]any{"query": &o.query, "variables": &o.variables, "operationName": &o.name}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if members[name] == nil {
			return name + " is no member of a request"
		}
		if err := json.Unmarshal(sent[name], members[name]); err != nil {
			return "the body is no request: " + err.Error()
		}
	}
	if len(o.query) > maxQuery {
		return fmt.Sprintf("the query is longer than %d characters", maxQuery)
	}
	return ""
}

// What an operation may be. The first is what GitLab lets a signed-in user
// have, and can be set otherwise.
const (
	defaultComplexity = 250
	maxDepth          = 20
	maxQuery          = 10_000 // characters; variables do not count
)

func (s *Server) complexityLimit() int {
	return cmp.Or(s.options.complexityLimit, defaultComplexity)
}

// measure runs the operation against a sample of everything, while the meter counts.
// It always asks the whole schema: to find out that an old GitLab lacks a field
// is no mistake of a client's.
func (o *operation) measure() {
	o.measuring = true
	response := o.execute(graphqlSchema(), context.Background())
	o.measuring = false
	if o.kind == "" && len(response.Errors) > 0 {
		o.problems = response.Errors
		return
	}
	for _, name := range slices.Sorted(maps.Keys(o.variables)) {
		if !o.declared[name] {
			o.problems = append(o.problems, errors.Errorf("Variable $%s is not declared by the operation", name))
		}
	}
}

// violate refuses the value of an argument, and has it recorded.
func (o *operation) violate(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.measuring && o.violation == "" {
		o.violation = text
	}
	return graphqlError(text)
}

// connections hold lists. Whatever stands in one counts twice, once more for each
// connection around that: GitLab multiplies by the page size, but so that it
// hardly ever shows, and here it does not matter at all.
var connections = map[string]bool{
	"Query.projects":                true,
	"Project.containerRepositories": true,
}

// costs are those of fields that do not cost 1. Connections cost 8, so that one
// with nodes { id } and nothing else comes to the 12 that were measured; a count comes to
// the 4 to 10 that some fields cost in a connection. What a mutation costs is a guess: ten
// of them must fit a request, as they do in GitLab, and twenty must not.
var costs = map[string]int{
	"Query.projects":                          8,
	"Project.containerRepositories":           8,
	"Project.containerRepositoriesCount":      4,
	"Mutation.destroyContainerRepositoryTags": 10,
}

// meter adds up what an operation costs while it runs against a sample of everything.
// The library does not show a parsed query, but it tells of every field that
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
