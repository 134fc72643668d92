package gitlabtest

import (
	"net/http"
	"time"
)

// graphqlFaults is what faults do to an operation. Of what happens to every n-th, 0 stands
// for none.
type graphqlFaults struct {
	countsTimeOut     bool
	countsThatWork    int
	mutationsTimeOut  bool
	mutationsThatWork int
	nullProjects      int
	nullRepositories  int
	skipped           int
	unnamed           int
	extraNames        []string
}

// inGraphQL is an effect that leaves everything alone but GraphQL.
func inGraphQL(do func(*call) *answer) Effect {
	return effect{do: func(c *call) *answer {
		if c.operation == nil {
			return nil
		}
		return do(c)
	}}
}

// changingGraphQL is an effect after which an operation is executed.
func changingGraphQL(do func(*graphqlFaults)) Effect {
	return inGraphQL(func(c *call) *answer { do(&c.graphql); return nil })
}

// GraphQLErrors answers an operation 200 with errors and no data, and executes
// nothing.
func GraphQLErrors(messages ...string) Effect {
	return inGraphQL(func(*call) *answer { return graphqlFailure(http.StatusOK, messages...) })
}

// GraphQLTimeout lets an operation wait, and answers it with a status, 200 or
// 503, and an error that says that it took too long. It executes nothing.
func GraphQLTimeout(status int, after time.Duration) Effect {
	wait := Latency(after)
	return inGraphQL(func(c *call) *answer {
		wait.apply(c)
		if status == http.StatusOK {
			return graphqlFailure(status, "Timeout on Query")
		}
		return graphqlFailure(status, "Request timed out. Please try a less complex query or a smaller set of records.")
	})
}

// CountTimeouts lets the count of a project's repositories time out for every
// project on a page after the first so many: those nodes are null, and each has
// an error. A page that is no larger, or that does not ask for counts, is whole.
func CountTimeouts(after int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.countsTimeOut, f.countsThatWork = true, after })
}

// MutationTimeouts lets all mutations of a request time out after the first so
// many, which are done.
func MutationTimeouts(after int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.mutationsTimeOut, f.mutationsThatWork = true, after })
}

// NullProjects makes every n-th project of each page null, without an error.
func NullProjects(nth int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.nullProjects = nth })
}

// NullRepositories makes the connection of repositories null for every n-th
// project of each page, without an error.
func NullRepositories(nth int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.nullRepositories = nth })
}

// SkipDeletions skips every n-th tag of each mutation: it is neither deleted
// nor named as deleted, and there is no error.
func SkipDeletions(nth int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.skipped = nth })
}

// UnnamedDeletions deletes every n-th tag of each mutation without saying so.
func UnnamedDeletions(nth int) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.unnamed = nth })
}

// ExtraDeletedNames makes each mutation say that it deleted further tags, which it
// was not asked to and did not.
func ExtraDeletedNames(names ...string) Effect {
	return changingGraphQL(func(f *graphqlFaults) { f.extraNames = names })
}

// isNth says whether the i-th of some is an n-th.
func isNth(n, i int) bool { return n > 0 && (i+1)%n == 0 }
