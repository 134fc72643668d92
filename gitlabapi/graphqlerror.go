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

// Classes of errors of GraphQL. After both, nothing was done.
var (
	// errNoGraphQL: the instance has no GraphQL, or none that knows what is asked for, or does
	// not let the token use it.
	errNoGraphQL = errors.New("GraphQL is not available")
	// errTooComplex: GitLab finds that a query asks for too much at once.
	errTooComplex = errors.New("the query is too complex")
)

// A graphQLError is what GitLab says of a query that it answered with status 200, but
// not, or not wholly, with what was asked for.
type graphQLError struct {
	message string // of all entries, at most a kilobyte, printable, on one line

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
func (e *graphQLError) Error() string { return e.Words() }

// Words are what was answered, as those of a [throttle.StatusError] are.
func (e *graphQLError) Words() string { return "GitLab answers: " + e.message }

// Is sorts the error into its class.
func (e *graphQLError) Is(class error) bool {
	return class == errTooComplex && e.tooComplex || class == throttle.ErrReadOnly && throttle.SaysReadOnly(e.message)
}

// concerns reports whether an entry may be about a node of the projects.
func (e *graphQLError) concerns(node int) bool {
	return e != nil && (e.whole || slices.Contains(e.nodes, node))
}

// graphQLEntry is an entry in the errors of an answer.
type graphQLEntry struct {
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

// maxMessages bounds the entries whose messages are kept. A page that times out has one
// for each of its nodes.
const maxMessages = 3

// graphQLError sums up the errors of an answer. What is wrong with the query as a whole is
// said without any data.
func (c *Client) graphQLError(entries []graphQLEntry, withoutData bool) *graphQLError {
	e := new(graphQLError)
	var messages []string
	for _, entry := range entries {
		if len(messages) < maxMessages && !slices.Contains(messages, entry.Message) {
			messages = append(messages, entry.Message)
		}
		e.timeout = e.timeout || timeoutWords.MatchString(entry.Message)
		if node, ok := entry.node(); ok {
			e.nodes = append(e.nodes, node)
		} else {
			e.whole = true
		}
		if !withoutData {
			continue
		}
		e.tooComplex = e.tooComplex || complexityWords.MatchString(entry.Message)
		e.schema = e.schema || slices.Contains(schemaCodes, entry.Extensions.Code) || schemaWords.MatchString(entry.Message)
		i := slices.IndexFunc(optionalFields, func(field string) bool { return strings.Contains(entry.Message, "'"+field+"'") })
		if i >= 0 {
			e.lacking = append(e.lacking, optionalFields[i])
		} else {
			e.essential = true
		}
	}
	e.message = c.throttle.Scrub(strings.Join(messages, "; "))
	return e
}

// node returns which of the projects an entry is about.
func (e graphQLEntry) node() (int, bool) {
	if len(e.Path) < 3 || e.Path[0] != "projects" || e.Path[1] != "nodes" {
		return 0, false
	}
	node, ok := e.Path[2].(float64)
	return int(node), ok
}

// isTooMuch reports whether an error may pass when less is asked for at once.
func isTooMuch(err error) bool {
	if e, ok := errors.AsType[*graphQLError](err); ok {
		return e.tooComplex || e.timeout
	}
	if e, ok := errors.AsType[*throttle.StatusError](err); ok {
		return e.Status >= http.StatusInternalServerError || e.Status == http.StatusRequestTimeout
	}
	_, timeout := errors.AsType[*throttle.TimeoutError](err)
	return timeout
}

// isFinal reports whether an error stays what it is however the same is asked.
func isFinal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, throttle.ErrNotSent)
}
