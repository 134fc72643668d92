package gitlabtest

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/errors"
	"github.com/graph-gophers/graphql-go/introspection"
)

// graphqlPath is where GraphQL is asked, below the instance's base path.
const graphqlPath = "/api/graphql"

// graphqlRoute is the only endpoint of GraphQL. GitLab serves GET there as well,
// which a client can do without.
var graphqlRoute = &route{
	method: http.MethodPost, template: graphqlPath, parts: strings.Split(graphqlPath, "/"),
	guard: (*Server).authorizeGraphQL, handle: (*Server).answerGraphQL,
}

//go:embed schema.graphql
var graphqlSDL string

// The schemas are parsed once for all servers: which one is asked stands in the
// context.
var (
	graphqlSchema = sync.OnceValue(func() *graphql.Schema { return parseSchema(graphqlSDL) })
	oldSchemas    sync.Map // by the fields that they lack
)

// oldSchema is the schema of before some fields, each with its type.
func oldSchema(without []string) *graphql.Schema {
	key := strings.Join(without, " ")
	if schema, parsed := oldSchemas.Load(key); parsed {
		return schema.(*graphql.Schema)
	}
	sdl := graphqlSDL
	for _, name := range without {
		typeName, field, _ := strings.Cut(name, ".")
		form := regexp.MustCompile(`(?m)^(type ` + typeName + ` \{\n(?:  .*\n)*?)  ` + field + `[(:].*\n`)
		mustBe(form.MatchString(sdl), "the schema has no field %q", name)
		sdl = form.ReplaceAllString(sdl, "$1")
	}
	schema, _ := oldSchemas.LoadOrStore(key, parseSchema(sdl))
	return schema.(*graphql.Schema)
}

func parseSchema(sdl string) *graphql.Schema {
	return graphql.MustParseSchema(sdl, &graphqlRoot{}, graphql.Tracer(meter{}), graphql.UseFieldResolvers())
}

// graphqlAnswer is what GraphQL answers. Data is left out when nothing was
// executed.
type graphqlAnswer struct {
	Errors []*errors.QueryError `json:"errors,omitempty"`
	Data   any                  `json:"data,omitempty"`
}

// graphqlFailure is an answer without data.
func graphqlFailure(status int, messages ...string) *answer {
	var problems []*errors.QueryError
	for _, text := range messages {
		problems = append(problems, &errors.QueryError{Message: text})
	}
	return &answer{status: status, body: graphqlAnswer{Errors: problems}}
}

// graphqlError is an error in GitLab's own words.
type graphqlError string

func (e graphqlError) Error() string { return string(e) }

// authorizeGraphQL refuses a token that may not even read. Whether it may
// change anything is checked by the mutation. GitLab answers without a token about what
// is public; here that is refused.
func (s *Server) authorizeGraphQL(c *call) *answer {
	scopes := s.options.tokens[c.token]
	switch {
	case s.options.noGraphQL:
		return failure(http.StatusNotFound, "Not Found")
	case !slices.Contains(scopes, "api") && !slices.Contains(scopes, granular) && !slices.Contains(scopes, "read_api"):
		return graphqlFailure(http.StatusUnauthorized, "Invalid token")
	default:
		return nil
	}
}

// The kinds of operations, as [Request] and [Fault] name them.
const (
	kindQuery    = "query"
	kindMutation = "mutation"
)

// operation is what a request asks of GraphQL.
type operation struct {
	call      *call // the sample's while the operation is measured
	query     string
	name      string
	variables map[string]any

	refused   *answer    // what is no request, or does not fit the schema
	mu        sync.Mutex // fields are resolved by several goroutines
	kind      string     // "" when it cannot be told
	score     int
	declared  map[string]bool // its variables; nil before it was found valid
	mutations int             // begun so far
	violation string
}

// operationKey is under what the operation stands in the context.
type operationKey struct{}

func operationIn(ctx context.Context) *operation {
	return ctx.Value(operationKey{}).(*operation)
}

// readOperation reads a request's body and measures what it asks for, before anything else
// becomes of it: faults, hooks and records ask what kind it is. What is measured is a run
// against a sample of everything, and always of the whole schema: to find out that an old
// GitLab lacks a field is no mistake of a client's.
func readOperation(c *call) *operation {
	o := &operation{call: c}
	if why := o.read(); why != "" {
		o.violation, o.refused = why, graphqlFailure(http.StatusBadRequest, why)
		return o
	}
	o.call = sample()
	response := o.execute(graphqlSchema(), context.Background())
	o.call, o.violation, o.mutations = c, "", 0
	var problems []*errors.QueryError
	for _, name := range slices.Sorted(maps.Keys(o.variables)) {
		if !o.declared[name] {
			problems = append(problems, errors.Errorf("Variable $%s is not declared by the operation", name))
		}
	}
	if o.kind == "" && len(response.Errors) > 0 {
		problems = response.Errors
	}
	if problems != nil {
		o.refused = ok(graphqlAnswer{Errors: inGitLabsWords(problems)})
		o.violation = problems[0].Message
	}
	return o
}

// maxQuery is how many characters a query may have; variables do not count.
const maxQuery = 10_000

// read takes the members of a request from the body, and returns what is wrong with it.
// It is exact about their names, where Go would ignore capitals and GitLab unknown ones.
func (o *operation) read() string {
	r := o.call.request
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return "the body is not said to be JSON"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone away
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

// execute runs the operation, to measure it or to answer it.
func (o *operation) execute(schema *graphql.Schema, ctx context.Context) *graphql.Response {
	// The library adds defaults to the variables that it is given.
	return schema.Exec(context.WithValue(ctx, operationKey{}, o), o.query, o.name, maps.Clone(o.variables))
}

// answerGraphQL answers an operation, which has been measured already. One that costs too
// much is no violation: what something costs, a client has to find out.
func (s *Server) answerGraphQL(c *call) *answer {
	o := c.operation
	if limit := s.complexityLimit(); o.refused == nil && o.score > limit {
		o.refused = graphqlFailure(http.StatusOK, fmt.Sprintf(
			"Query has complexity of %d, which exceeds max complexity of %d", o.score, limit))
	}
	if o.refused != nil {
		c.violation = o.violated()
		return o.refused
	}
	schema := graphqlSchema()
	if len(s.options.withoutFields) > 0 {
		schema = oldSchema(s.options.withoutFields)
	}
	response := o.execute(schema, c.request.Context())
	c.violation = cmp.Or(c.violation, o.violated())
	result := graphqlAnswer{Errors: inGitLabsWords(response.Errors)}
	if response.Data != nil {
		result.Data = response.Data
	}
	return ok(result)
}

// wordings are how GitLab puts the errors that say that an instance is older than the
// query, which a client may have to tell apart.
var wordings = []struct {
	said *regexp.Regexp
	form string // of what was found in said
	code string
}{
	{regexp.MustCompile(`^Cannot query field "(\w+)" on type "(\w+)"`), "Field '%s' doesn't exist on type '%s'", "undefinedField"},
	{regexp.MustCompile(`^Unknown argument "(\w+)" on field "\w+\.(\w+)"`), "Field '%[2]s' doesn't accept argument '%[1]s'", "argumentNotAccepted"},
}

// inGitLabsWords rewrites what the library says.
func inGitLabsWords(problems []*errors.QueryError) []*errors.QueryError {
	for _, problem := range problems {
		for _, w := range wordings {
			if found := w.said.FindStringSubmatch(problem.Message); found != nil {
				problem.Message = fmt.Sprintf(w.form, found[1], found[2])
				problem.Extensions = map[string]any{"code": w.code}
			}
		}
	}
	return problems
}

// violate refuses the value of an argument, and has it recorded.
func (o *operation) violate(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.violation = cmp.Or(o.violation, text)
	return graphqlError(text)
}

// violated says what no client should have sent, "" if there is nothing.
func (o *operation) violated() string {
	if o.violation == "" {
		return ""
	}
	return o.call.endpoint() + ": " + o.violation
}

// complexityLimit is by default what GitLab lets a signed-in user have.
func (s *Server) complexityLimit() int {
	limit := 250
	if s.options.role == Administrator {
		limit = 300
	}
	return cmp.Or(s.options.complexityLimit, limit)
}

// connections hold lists. Whatever stands in one counts twice, once more for each
// connection around that: GitLab multiplies by the page size, but so that it
// hardly ever shows, and here it does not matter at all.
var connections = map[string]bool{
	"Query.projects": true, "Project.containerRepositories": true,
	"Project.containerProtectionTagRules": true, "Project.environments": true,
}

// costs are those of fields that do not cost 1. Connections cost 8, so that one
// with nodes { id } and nothing else comes to the 12 that were measured; a count comes to
// the 4 to 10 that some fields cost in a connection. What a mutation costs is a guess: ten
// of them must fit a request, as they do in GitLab, and twenty must not.
var costs = map[string]int{
	"Query.projects":                          8,
	"Project.containerRepositories":           8,
	"Project.containerProtectionTagRules":     8,
	"Project.environments":                    8,
	"Project.containerRepositoriesCount":      4,
	"Mutation.destroyContainerRepositoryTags": 10,
}

// meter adds up what an operation costs while it runs against the sample. The library does
// not show a parsed query, but it tells of every field that it resolves: aliases one by
// one, fragments in their places.
type meter struct{}

// weightKey is under what the weight of the fields below stands in the context.
type weightKey struct{}

// TraceQuery notes which variables there are. It is asked only once the
// operation was found to fit the schema.
func (meter) TraceQuery(ctx context.Context, _, _ string, _ map[string]any, types map[string]*introspection.Type) (context.Context, func([]*errors.QueryError)) {
	if o := operationIn(ctx); o.measuring() {
		o.declared = make(map[string]bool, len(types))
		for name := range types {
			o.declared[name] = true
		}
	}
	return ctx, func([]*errors.QueryError) {}
}

// TraceField counts a field. What is asked about the schema itself is free.
func (meter) TraceField(ctx context.Context, _, typeName, field string, _ bool, _ map[string]any) (context.Context, func(*errors.QueryError)) {
	done := func(*errors.QueryError) {}
	o := operationIn(ctx)
	if !o.measuring() {
		return ctx, done
	}
	weight, below := ctx.Value(weightKey{}).(int)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !below {
		weight, o.kind = 1, kindQuery
		if typeName == "Mutation" {
			o.kind = kindMutation
		}
	}
	if name := typeName + "." + field; !strings.HasPrefix(typeName, "__") && !strings.HasPrefix(field, "__") {
		o.score += weight * cmp.Or(costs[name], 1)
		if connections[name] {
			weight *= 2
		}
	}
	return context.WithValue(ctx, weightKey{}, weight), done
}

// sample has one of everything, for the meter.
var sample = sync.OnceValue(func() *call {
	w := NewWorld(Database)
	p := w.AddProject("group/app")
	p.AddRepository("")
	p.ProtectionRules = []ProtectionRule{{Pattern: "x"}}
	p.Environments = []Environment{{Name: "production", Ref: "main"}}
	return &call{server: New(w), request: &http.Request{Host: "sample"}}
})

func (o *operation) measuring() bool { return o.call == sample() }
