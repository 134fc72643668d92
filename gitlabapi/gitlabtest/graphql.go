package gitlabtest

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/errors"
)

// graphqlPath is where GraphQL is asked, below the instance's base path.
const graphqlPath = "/api/graphql"

// graphqlRoute is the only endpoint of GraphQL. GitLab serves GET there as well,
// which nobody needs.
var graphqlRoute = &route{
	method: http.MethodPost, template: graphqlPath, parts: strings.Split(graphqlPath, "/"),
	guard: (*Server).authorizeGraphQL, handle: (*Server).answerGraphQL,
}

//go:embed schema.graphql
var graphqlSDL string

// The schemas are parsed once for all servers: who asks what stands in the
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

// authorizeGraphQL refuses a token that may not even read. Whether it may
// change anything is the mutation's affair. GitLab lets everybody ask about what
// is public; here nobody asks without a token.
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

// answerGraphQL answers an operation, which has been measured already.
func (s *Server) answerGraphQL(c *call) *answer {
	o := c.operation
	if a := s.refuseOperation(c); a != nil {
		return a
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

// refuseOperation answers what is not executed at all. What costs too much is no
// violation: how much something costs, a client has to find out.
func (s *Server) refuseOperation(c *call) *answer {
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
	default:
		return nil
	}
}

// execute runs the operation, for the meter or in earnest.
func (o *operation) execute(schema *graphql.Schema, ctx context.Context) *graphql.Response {
	ctx = context.WithValue(ctx, operationKey{}, o)
	// The library adds defaults to the variables that it is given.
	return schema.Exec(ctx, o.query, o.name, maps.Clone(o.variables))
}
