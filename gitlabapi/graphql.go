package gitlabapi

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// An operation is something that GraphQL is used for. A version may know one and not
// another.
type operation int

const (
	discovery operation = iota // pages of projects
	listings                   // the repositories of several projects
	deletions                  // tags of several repositories
	operations
)

// graphQL is what a client has found out about the GraphQL of its instance. What is not
// to be had is asked for once.
type graphQL struct {
	off [operations]atomic.Bool
	// doubted are those whose last answer was none of GraphQL's.
	doubted [operations]atomic.Bool
	// lacking are those of the optional fields that the version does not know.
	lacking [len(optionalFields)]atomic.Bool
	// How much goes into one request: projects, deletions, and tags in each of these.
	projects, deletions, names batch
}

// optionalFields are those that can be done without.
var optionalFields = [...]string{countField, scoreField, userField}

func newGraphQL() *graphQL {
	return &graphQL{
		projects:  newBatch(firstProjects, pageSize),
		deletions: newBatch(maxDeletions, maxDeletions),
		names:     newBatch(MaxDeletion, MaxDeletion),
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
		if err != nil && c.graphQL.lacks(err) && text() != asked {
			continue
		}
		return data, c.graphQL.learn(by, err, doubted)
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

// lacks remembers fields that the version does not know, if all that is wrong is that
// it does not know some which can be done without.
func (g *graphQL) lacks(err error) bool {
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

// learn remembers from an error what is not to be had, and gives it its class.
//
// A page in place of JSON tells that, too, when it comes twice in a row: once may be a
// hiccup of a proxy. The second must have been asked for when GraphQL was doubted
// already, as one hiccup meets all who ask at the time. It does not tell whether anything
// was done, and is left as it is.
func (g *graphQL) learn(by operation, err error, doubted bool) error {
	status, answered := errors.AsType[*throttle.StatusError](err)
	says, _ := errors.AsType[*GraphQLError](err)
	switch {
	case err == nil:
		g.doubted[by].Store(false)
		return nil
	case isAlien(err):
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

// isAlien reports whether an answer was none that GraphQL gives.
func isAlien(err error) bool {
	_, mistaken := errors.AsType[*throttle.FormatError](err)
	_, redirected := errors.AsType[*throttle.RedirectError](err)
	return mistaken || redirected
}

// switchOff remembers that there is no GraphQL for an operation or, as a rule, for
// any. That the token may not change anything does not say that it may not read.
func (g *graphQL) switchOff(by operation, forbidden bool) {
	if forbidden && by == deletions {
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
