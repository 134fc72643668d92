package gitlabtest

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/errors"
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
// context. The old one is of before projects knew how many repositories they have.
var (
	graphqlSchema = sync.OnceValue(func() *graphql.Schema { return parseSchema(graphqlSDL) })
	oldSchema     = sync.OnceValue(func() *graphql.Schema {
		older := strings.Replace(graphqlSDL, "  containerRepositoriesCount: Int!\n", "", 1)
		mustBe(older != graphqlSDL, "the schema has no containerRepositoriesCount")
		return parseSchema(older)
	})
)

func parseSchema(sdl string) *graphql.Schema {
	return graphql.MustParseSchema(sdl, &graphqlRoot{}, graphql.Tracer(meter{}))
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
	case !slices.Contains(scopes, "api") && !slices.Contains(scopes, "read_api"):
		return graphqlFailure(http.StatusUnauthorized, "Invalid token")
	default:
		return nil
	}
}

// answerGraphQL answers an operation, which has been measured already. One that costs too
// much is no violation: what something costs, a client has to find out.
func (s *Server) answerGraphQL(c *call) *answer {
	o := c.operation
	limit := s.complexityLimit()
	switch {
	case o.malformed != "":
		c.violation = c.endpoint() + ": " + o.malformed
		return graphqlFailure(http.StatusBadRequest, o.malformed)
	case len(o.problems) > 0:
		problems := inGitLabsWords(o.problems)
		c.violation = c.endpoint() + ": " + problems[0].Message
		return &answer{status: http.StatusOK, body: graphqlAnswer{Errors: problems}}
	case o.depth > maxDepth:
		return graphqlFailure(http.StatusOK, fmt.Sprintf(
			"Query has depth of %d, which exceeds max depth of %d", o.depth, maxDepth))
	case o.score > limit:
		return graphqlFailure(http.StatusOK, fmt.Sprintf(
			"Query has complexity of %d, which exceeds max complexity of %d", o.score, limit))
	}
	schema := graphqlSchema()
	if s.options.noRepositoriesCount {
		schema = oldSchema()
	}
	response := o.execute(schema, c.request.Context())
	if o.violation != "" {
		c.violation = c.endpoint() + ": " + o.violation
	}
	result := graphqlAnswer{Errors: inGitLabsWords(response.Errors)}
	if response.Data != nil {
		result.Data = response.Data
	}
	return &answer{status: http.StatusOK, body: result}
}

// execute runs the operation, to measure it or to answer it.
func (o *operation) execute(schema *graphql.Schema, ctx context.Context) *graphql.Response {
	ctx = context.WithValue(ctx, operationKey{}, o)
	// The library adds defaults to the variables that it is given.
	return schema.Exec(ctx, o.query, o.name, maps.Clone(o.variables))
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
