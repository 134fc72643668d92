package gitlabapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

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

// An operation is something that GraphQL is used for. A version may know one and not
// another.
type operation int

const (
	listingProjects     operation = iota // pages of projects
	listingRepositories                  // the repositories of several projects
	deletingTags                         // tags of several repositories
	operations
)

// graphQL is what a client has found out about the GraphQL of its instance. What is not
// to be had is asked for once.
type graphQL struct {
	off [operations]atomic.Bool
	// doubted are those whose last answer was none of GraphQL's.
	doubted [operations]atomic.Bool
	// lacking are those of the optional fields that the version does not know.
	lacking  [len(optionalFields)]atomic.Bool
	projects requestSize // how many projects are listed by one request
	names    requestSize // how many names of tags stand in one request, in all its mutations
}

// optionalFields are those that can be done without.
var optionalFields = [...]string{countField, userField}

func newGraphQL() *graphQL {
	return &graphQL{
		projects: requestSize{now: maxProjects, step: 2, most: maxProjects},
		names:    requestSize{now: maxNames, step: 5, most: maxNames},
	}
}

// A requestSize is how many things go into one request: half as many after GitLab found them
// too many or failed, which a smaller request may cure, and a step more after each success.
type requestSize struct {
	mu              sync.Mutex
	now, step, most int
}

func (s *requestSize) get() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// observe is told what became of a request for so many. Several that were sent at the same size
// and fail halve it once.
func (s *requestSize) observe(asked int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.now = min(s.now+s.step, s.most)
	case isTooMuch(err):
		s.now = min(s.now, max(asked/2, 1))
	}
}

// graphQLAnswer is the form of every answer. Data may come beside errors.
type graphQLAnswer[D any] struct {
	Data   *D               `json:"data"`
	Errors []graphQLProblem `json:"errors"`
}

// queryGraphQL asks, for some operation, with a text that may depend on what the version
// is known to lack. Data may be returned beside an error, which is then a
// [GraphQLError]: it is not all that was asked for.
func queryGraphQL[D any](c *Client, option gitlab.RequestOptionFunc, by operation, text func() string, variables map[string]any) (*D, error) {
	if c.graphQL.off[by].Load() {
		return nil, ErrNoGraphQL
	}
	for {
		asked, doubted := text(), c.graphQL.doubted[by].Load()
		data, err := postGraphQL[D](c, option, asked, variables)
		if err != nil && c.graphQL.rememberLacking(err) && text() != asked {
			continue
		}
		return data, c.graphQL.rememberMissing(by, err, doubted)
	}
}

// postGraphQL sends one query.
func postGraphQL[D any](c *Client, option gitlab.RequestOptionFunc, text string, variables map[string]any) (*D, error) {
	var answer graphQLAnswer[D]
	resp, err := c.gitlab.GraphQL.Do(gitlab.GraphQLQuery{Query: text, Variables: variables}, &answer, option)
	if err == nil && answer.Data == nil && len(answer.Errors) == 0 {
		err, resp = &throttle.FormatError{Problem: "the answer has neither data nor errors"}, nil
	}
	if err != nil {
		return nil, c.failure(http.MethodPost, gitlab.GraphQLAPIEndpoint, resp, err)
	}
	if len(answer.Errors) > 0 {
		err = &throttle.RequestError{Method: http.MethodPost, Path: gitlab.GraphQLAPIEndpoint, Err: c.graphQLError(answer.Errors, answer.Data == nil)}
	}
	return answer.Data, err
}

// rememberLacking remembers fields that the version does not know, if all that is wrong is that
// it does not know some which can be done without.
func (g *graphQL) rememberLacking(err error) bool {
	e, ok := errors.AsType[*GraphQLError](err)
	if !ok || !e.schema || e.essential {
		return false
	}
	for i, field := range optionalFields {
		if slices.Contains(e.lacking, field) {
			g.lacking[i].Store(true)
		}
	}
	return true
}

// knows reports whether an optional field can be asked for.
func (g *graphQL) knows(field string) bool {
	return !g.lacking[slices.Index(optionalFields[:], field)].Load()
}

// rememberMissing remembers from an error what is not to be had, and gives it its class.
//
// A page in place of JSON tells that, too, when it comes twice in a row: once may be a
// hiccup of a proxy. The second must have been asked for when GraphQL was doubted
// already, as one hiccup meets all requests of the time. It does not tell whether anything
// was done, and is left as it is.
func (g *graphQL) rememberMissing(by operation, err error, doubted bool) error {
	status, answered := errors.AsType[*throttle.StatusError](err)
	says, _ := errors.AsType[*GraphQLError](err)
	switch {
	case err == nil:
		g.doubted[by].Store(false)
		return nil
	case isNotGraphQL(err):
		if g.doubted[by].Swap(true) && doubted {
			g.switchOff(by, false)
		}
		return err
	case says != nil:
		g.doubted[by].Store(false)
		if !says.schema {
			return err
		}
		g.off[by].Store(true)
	case answered && refusesGraphQL(status):
		g.switchOff(by, status.Status == http.StatusForbidden)
	default:
		return err
	}
	return &noGraphQLError{err}
}

// isNotGraphQL reports whether an answer was none that GraphQL gives.
func isNotGraphQL(err error) bool {
	_, mistaken := errors.AsType[*throttle.FormatError](err)
	_, redirected := errors.AsType[*throttle.RedirectError](err)
	return mistaken || redirected
}

// switchOff remembers that there is no GraphQL for an operation or, as a rule, for
// any. That the token may not change anything does not say that it may not read.
func (g *graphQL) switchOff(by operation, forbidden bool) {
	if forbidden && by == deletingTags {
		g.off[by].Store(true)
		return
	}
	for i := range g.off {
		g.off[i].Store(true)
	}
}

// refusesGraphQL reports whether a status says that GraphQL is not for us: that there
// is none, that something before it lets no such request through, or that the token may
// not use it. A token that is not known, and haste, are other matters.
func refusesGraphQL(e *throttle.StatusError) bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status < 500
}

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

// isTooMuch reports whether an error may pass when less is asked for at once.
func isTooMuch(err error) bool {
	if e, ok := errors.AsType[*GraphQLError](err); ok {
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

// GraphQL names things by global ids: gid://gitlab/Project/7.
const (
	projectIDs    = "gid://gitlab/Project/"
	repositoryIDs = "gid://gitlab/ContainerRepository/"
)

func globalID(kind string, id int64) string { return kind + strconv.FormatInt(id, 10) }

// parseGlobalID returns the number in the global id of a thing of that kind, or 0 for
// anything that GitLab would not write so.
func parseGlobalID(kind, text string) int64 {
	digits, ok := strings.CutPrefix(text, kind)
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || id <= 0 || globalID(kind, id) != text {
		return 0
	}
	return id
}
