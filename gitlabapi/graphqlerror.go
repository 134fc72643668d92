package gitlabapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

var (
	// ErrNoGraphQL: the instance has no GraphQL, or none that knows what is asked for,
	// or does not let the token use it. It did nothing.
	ErrNoGraphQL = errors.New("GraphQL is not to be had")
	// ErrTooComplex: GitLab finds that a query asks for too much at once. It did
	// nothing.
	ErrTooComplex = errors.New("the query is too complex")
)

// A GraphQLError is what GitLab says of a query that it answered with status 200, but
// not, or not wholly, with what was asked for.
type GraphQLError struct {
	Message string // of all entries, at most a kilobyte, printable, on one line

	tooComplex, timeout bool
	// schema is set when the version does not know what the query speaks of: nothing was
	// done then. lacking are the optional fields among that, and essential is set when
	// there is more.
	schema, essential bool
	lacking           []string
	// nodes are those of the projects that entries are about; whole is set when an entry
	// is about no single one.
	nodes []int
	whole bool
}

// Error implements error.
func (e *GraphQLError) Error() string { return "GitLab answers: " + e.Message }

// Is sorts the error into its class.
func (e *GraphQLError) Is(class error) bool { return class == ErrTooComplex && e.tooComplex }

// concerns reports whether an entry may be about a node of the projects.
func (e *GraphQLError) concerns(node int) bool {
	return e != nil && (e.whole || slices.Contains(e.nodes, node))
}

// noGraphQLError gives an error the class [ErrNoGraphQL].
type noGraphQLError struct{ error }

// Is implements the class.
func (e *noGraphQLError) Is(class error) bool { return class == ErrNoGraphQL }

// Unwrap returns how it was found out.
func (e *noGraphQLError) Unwrap() error { return e.error }

// graphQLProblem is an entry in the errors of an answer.
type graphQLProblem struct {
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code any `json:"code"`
	} `json:"extensions"`
}

// GitLab has codes for what its schema does not know. For the rest there are only
// its words.
var (
	schemaCodes = []any{
		"undefinedField", "undefinedType", "argumentNotAccepted", "variableMismatch", "variableRequiresValidType",
		"missingRequiredArguments", "argumentLiteralsIncompatible",
	}
	schemaWords     = regexp.MustCompile(`doesn't exist on type|doesn't accept argument|isn't a defined input type`)
	complexityWords = regexp.MustCompile(`(?i)\bcomplexity of \d+`)
	timeoutWords    = regexp.MustCompile(`(?i)^timeout on |\btimed out\b`)
)

// maxProblems bounds the entries whose messages are kept. A page that times out has one
// for each of its nodes.
const maxProblems = 3

// graphQLError sums up the errors of an answer. What is wrong with the query as a
// whole is said without any data.
func (c *Client) graphQLError(problems []graphQLProblem, alone bool) *GraphQLError {
	e := new(GraphQLError)
	var messages []string
	for _, p := range problems {
		if len(messages) < maxProblems && !slices.Contains(messages, p.Message) {
			messages = append(messages, p.Message)
		}
		e.timeout = e.timeout || timeoutWords.MatchString(p.Message)
		if node, ok := p.node(); ok {
			e.nodes = append(e.nodes, node)
		} else {
			e.whole = true
		}
		if alone {
			e.tooComplex = e.tooComplex || complexityWords.MatchString(p.Message)
			e.addSchema(p)
		}
	}
	e.Message = c.throttle.Scrub(strings.Join(messages, "; "))
	return e
}

// addSchema notes what the schema lacks by the word of one entry.
func (e *GraphQLError) addSchema(p graphQLProblem) {
	e.schema = e.schema || slices.Contains(schemaCodes, p.Extensions.Code) || schemaWords.MatchString(p.Message)
	i := slices.IndexFunc(optionalFields[:], func(field string) bool { return strings.Contains(p.Message, "'"+field+"'") })
	if i < 0 {
		e.essential = true
		return
	}
	e.lacking = append(e.lacking, optionalFields[i])
}

// node returns which of the projects an entry is about.
func (p graphQLProblem) node() (int, bool) {
	if len(p.Path) < 3 || p.Path[0] != "projects" || p.Path[1] != "nodes" {
		return 0, false
	}
	node, ok := p.Path[2].(float64)
	return int(node), ok
}

// tooMuch reports whether an error may pass when less is asked for at once.
func tooMuch(err error) bool {
	if e, ok := errors.AsType[*GraphQLError](err); ok {
		return e.tooComplex || e.timeout
	}
	if e, ok := errors.AsType[*throttle.StatusError](err); ok {
		return e.Status >= http.StatusInternalServerError || e.Status == http.StatusRequestTimeout
	}
	_, timeout := errors.AsType[*throttle.TimeoutError](err)
	return timeout
}

// hopeless reports whether an error stays what it is however the same is asked.
func hopeless(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, throttle.ErrNotSent)
}
