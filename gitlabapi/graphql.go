package gitlabapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// An operation is something that GraphQL is used for. A version may know one and not
// another.
type operation int

const (
	listingProjects     operation = iota // pages of projects
	listingRepositories                  // the repositories of several projects
	deletingTags                         // tags of several repositories
	listingDeployments                   // what is deployed from a project
	operations
)

// graphQL is what a client has found out about the GraphQL of its instance. What is not
// available is asked for once.
type graphQL struct {
	off      [operations]atomic.Bool
	doubted  [operations]atomic.Bool // the last answer was none of GraphQL's
	lacking  sync.Map                // those of the optional fields that the version does not know
	projects requestSize             // how many projects are listed by one request
	names    requestSize             // how many names of tags stand in one request, in all its mutations
	// rulesApart is set where repositories and rules together are too complex for a query.
	rulesApart atomic.Bool
}

// optionalFields are those without which a query is still of use.
var optionalFields = []string{countField, userField, topicsField, deletionField, rulesField}

func newGraphQL() *graphQL {
	return &graphQL{
		projects: requestSize{now: maxProjects, step: 2, most: maxProjects},
		names:    requestSize{now: maxNames, step: 5, most: maxNames},
	}
}

// queryGraphQL asks, for some operation, with a text that may depend on what the version
// is known to lack. Data may be returned beside an error, which is then a
// graphQLError: it is not all that was asked for.
func queryGraphQL[D any](c *Client, option gitlab.RequestOptionFunc, by operation, text func() string, variables map[string]any) (*D, error) {
	if c.graphQL.off[by].Load() {
		return nil, errNoGraphQL
	}
	for {
		asked, doubted := text(), c.graphQL.doubted[by].Load()
		data, err := postGraphQL[D](c, option, asked, variables)
		if c.graphQL.rememberLacking(err) && text() != asked {
			continue
		}
		return data, c.graphQL.rememberMissing(by, err, doubted)
	}
}

// postGraphQL sends one query. Data may come beside errors in an answer.
func postGraphQL[D any](c *Client, option gitlab.RequestOptionFunc, text string, variables map[string]any) (*D, error) {
	var answer struct {
		Data   *D             `json:"data"`
		Errors []graphQLEntry `json:"errors"`
	}
	resp, err := c.gitlab.GraphQL.Do(gitlab.GraphQLQuery{Query: text, Variables: variables}, &answer, option)
	switch {
	case err != nil:
		answer.Data = nil
	case len(answer.Errors) > 0:
		err, resp = c.graphQLError(answer.Errors, answer.Data == nil), nil
	case answer.Data == nil:
		err = &throttle.FormatError{Problem: "the answer has neither data nor errors"}
	}
	if err != nil {
		err = c.failure(http.MethodPost, gitlab.GraphQLAPIEndpoint, resp, err)
	}
	return answer.Data, err
}

// rememberLacking remembers fields that the version does not know. It reports whether all that
// is wrong is that it does not know optional ones.
func (g *graphQL) rememberLacking(err error) bool {
	e, ok := errors.AsType[*graphQLError](err)
	if !ok || !e.schema || e.essential {
		return false
	}
	for _, field := range e.lacking {
		g.lacking.Store(field, true)
	}
	return true
}

// knows reports whether an optional field can be asked for.
func (g *graphQL) knows(field string) bool {
	_, lacking := g.lacking.Load(field)
	return !lacking
}

// rememberMissing remembers from an error what is not available, and gives it its class.
//
// A page in place of JSON tells that, too, when it comes twice in a row: once may be a passing
// fault of a proxy. The second must have been asked for when GraphQL was doubted already, as one
// fault meets all requests of the time. A page does not tell whether anything was done, so its
// error gets no class.
//
// A status tells it that says that there is no GraphQL, that something before it lets no such
// request through, or that the token may not use it. An unknown token, and a rate limit, are
// other matters.
func (g *graphQL) rememberMissing(by operation, err error, doubted bool) error {
	says, isSaid := errors.AsType[*graphQLError](err)
	if err == nil || isSaid {
		g.doubted[by].Store(false)
	}
	status := 0
	if e, ok := errors.AsType[*throttle.StatusError](err); ok {
		status = e.Status
	}
	switch {
	case errors.Is(err, throttle.ErrReadOnly):
		return err // it passes
	case isNotGraphQL(err):
		if g.doubted[by].Swap(true) && doubted {
			g.switchOff()
		}
		return err
	case isSaid && says.schema,
		status == http.StatusForbidden && by == deletingTags: // it may read all the same
		g.off[by].Store(true)
	case status == http.StatusUnauthorized, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status/100 != 4:
		return err
	default:
		g.switchOff()
	}
	return fmt.Errorf("%w: %w", errNoGraphQL, err)
}

// isNotGraphQL reports whether an answer was none that GraphQL gives.
func isNotGraphQL(err error) bool {
	_, mistaken := errors.AsType[*throttle.FormatError](err)
	_, redirected := errors.AsType[*throttle.RedirectError](err)
	return mistaken || redirected
}

// switchOff remembers that there is no GraphQL for any operation.
func (g *graphQL) switchOff() {
	for by := range g.off {
		g.off[by].Store(true)
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

// A connection is a page of a list in an answer.
type connection[N any] struct {
	Nodes    []*N `json:"nodes"`
	PageInfo *struct {
		HasNextPage *bool  `json:"hasNextPage"`
		EndCursor   string `json:"endCursor"`
	} `json:"pageInfo"`
}

// isWhole reports whether the page has all of its parts.
func (c *connection[N]) isWhole() bool {
	return c != nil && c.Nodes != nil && c.PageInfo != nil && c.PageInfo.HasNextPage != nil
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
