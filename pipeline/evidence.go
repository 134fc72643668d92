package pipeline

import (
	"context"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An evidence is where the facts about tags come from: GitLab's API or the registry
// itself, each in its own way on either regime. Whatever it is, the same instance
// gives the same verdicts, but for what an evidence cannot know.
//
// Its methods set facts of the tag that they are given. An error says why a fact is
// unknown and is that tag's alone, unless endsRun says otherwise.
type evidence interface {
	// list returns a repository's tags, sorted by name; what an incomplete listing
	// has, beside its error.
	list(ctx context.Context, repo *repository) (listing, error)
	// look finds out what decides on most tags, as cheaply as possible.
	look(ctx context.Context, t *tag) error
	// examine finds out all that a deletion rests on: before the verdict, where look
	// has left something open, and again right before the deletion.
	examine(ctx context.Context, t *tag) error
	// lookAgain finds out, right before deletions in a repository, what costs less for all
	// of the tags than for each; nil is nothing. Examine uses it.
	lookAgain(ctx context.Context, repo *repository, tags []string) *secondLook
	// counterpart looks for a tag's counterpart right before the deletion, without
	// regard to what the run has read before.
	counterpart(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error)
	// alive returns nil when answers can be believed that were given after the tag
	// was first read.
	alive(ctx context.Context, t *tag) error
	// readings is how often a tag is examined again before it goes.
	readings() int
	// guarded says that its answers look the same in an outage, so that nothing may
	// rest on them before there was a sign of life.
	guarded() bool
}
