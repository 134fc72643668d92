package gitlabtest

import (
	"net/http"
	"time"
)

// misled is what faults did to an operation. Of what is struck by its number,
// every n-th is; 0 strikes none.
type misled struct {
	countsTimeOut    bool
	countsThatWork   int
	timesOut         bool
	mutationsDone    int
	nullProjects     int
	nullRepositories int
	skipped, unnamed int
	alien            []string
}

// graphqlOnly is an effect that leaves everything alone but GraphQL.
func graphqlOnly(do func(*call) *answer) Effect {
	return effect{do: func(c *call) *answer {
		if c.operation == nil {
			return nil
		}
		return do(c)
	}}
}

// misleading is an effect after which an operation is executed.
func misleading(do func(*misled)) Effect {
	return graphqlOnly(func(c *call) *answer { do(&c.misled); return nil })
}

// GraphQLErrors answers an operation 200 with errors and no data, and executes
// nothing.
func GraphQLErrors(messages ...string) Effect {
	return graphqlOnly(func(*call) *answer { return graphqlFailure(http.StatusOK, messages...) })
}

// GraphQLTimeout lets an operation wait, and answers it with a status, 200 or
// 503, and an error that says that it took too long. It executes nothing.
func GraphQLTimeout(status int, after time.Duration) Effect {
	wait := Latency(after)
	return graphqlOnly(func(c *call) *answer {
		wait.apply(c)
		if status == http.StatusOK {
			return graphqlFailure(status, "Timeout on Query")
		}
		return graphqlFailure(status, "Request timed out. Please try a less complex query or a smaller set of records.")
	})
}

// CountTimeouts lets the count of a project's repositories time out for every
// project on a page behind the first so many: those nodes are null, and each has
// an error. A page that is no larger, or that does not ask for counts, is whole.
func CountTimeouts(behind int) Effect {
	return misleading(func(m *misled) { m.countsTimeOut, m.countsThatWork = true, behind })
}

// MutationTimeouts lets all mutations of a request time out but for the first so
// many, which are done.
func MutationTimeouts(behind int) Effect {
	return misleading(func(m *misled) { m.timesOut, m.mutationsDone = true, behind })
}

// NullProjects makes every n-th project of each page null, without an error.
func NullProjects(nth int) Effect {
	return misleading(func(m *misled) { m.nullProjects = nth })
}

// NullRepositories makes the connection of repositories null for every n-th
// project of each page, without an error.
func NullRepositories(nth int) Effect {
	return misleading(func(m *misled) { m.nullRepositories = nth })
}

// SkipDeletions passes over every n-th tag of each mutation: it is neither deleted
// nor named as deleted, and there is no error.
func SkipDeletions(nth int) Effect {
	return misleading(func(m *misled) { m.skipped = nth })
}

// UnnamedDeletions deletes every n-th tag of each mutation without saying so.
func UnnamedDeletions(nth int) Effect {
	return misleading(func(m *misled) { m.unnamed = nth })
}

// AlienDeletions makes each mutation say that it deleted further tags, which
// nobody asked it to and which it did not.
func AlienDeletions(names ...string) Effect {
	return misleading(func(m *misled) { m.alien = names })
}

func (o *operation) strikesNth(nth, i int) bool {
	return !o.measuring && nth > 0 && (i+1)%nth == 0
}

func (o *operation) countTimesOut(i int) bool {
	m := &o.call.misled
	return !o.measuring && m.countsTimeOut && i >= m.countsThatWork
}

// mutationTimesOut counts a mutation that is begun.
func (o *operation) mutationTimesOut() bool {
	o.mutations++
	m := &o.call.misled
	return m.timesOut && o.mutations > m.mutationsDone
}
