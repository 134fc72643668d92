package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// inspectStage is the inspector: a pool of the given size that finds out the facts
// about tags, one request at a time in each pair of hands. After a stop facts stay
// unknown, and the tags with them undecided.
func (r *run) inspectStage(workers int) stage[tag, tag] {
	return stage[tag, tag]{workers: workers, work: r.inspect}
}

// inspect asks for the facts on which the verdict depends and for no others: a
// protected tag costs no request, and a counterpart is looked up where a tag of a
// cache repository has details.
func (r *run) inspect(ctx context.Context, t tag, send emit[tag]) error {
	t.facts.Regime = r.regime.fact()
	rules := r.options.Rules
	var fatal error
	if rules.Decide(t.facts).Reason == policy.DetailsUnknown {
		t.facts.Details, t.doubt = r.details(ctx, &t)
		fatal = runError(t.doubt)
	}
	if rules.WantsCounterpart(t.facts) {
		var err error
		if t.facts.Counterpart, err = r.counterpart(ctx, t.repository, t.facts.Tag); err != nil {
			t.doubt = err
			fatal = runError(err)
		}
	}
	if ctx.Err() != nil && t.doubt != nil {
		t.doubt = context.Cause(ctx)
	}
	t.read = r.pulse.now()
	send(t)
	return fatal
}

// details asks the instance about a tag. The error says why the fact is unknown.
func (r *run) details(ctx context.Context, t *tag) (policy.Fact[policy.Details], error) {
	answer, err := r.client.TagDetails(ctx, t.repository.Repository, t.facts.Tag)
	switch {
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		return policy.Known(policy.DetailsMissing), nil
	case err != nil:
		return policy.Unknown[policy.Details](), err
	}
	t.digest = answer.Digest
	if t.dated || !answer.CreatedAt.IsZero() {
		return policy.Known(policy.DetailsDated), nil
	}
	return policy.Known(policy.DetailsUndated), nil
}

// counterpart looks a tag's counterpart up in the listings of its project. The error
// says why the fact is unknown.
func (r *run) counterpart(ctx context.Context, cache *repository, name string) (policy.Fact[policy.Counterpart], error) {
	repo, exists := r.counterpartOf(cache)
	if !exists {
		return policy.Known(policy.CounterpartRepositoryMissing), nil
	}
	if repo.Deleting {
		return policy.Known(policy.CounterpartPresent), nil
	}
	tags, err := repo.list(ctx, r.client)
	switch {
	case tags.has(name):
		return policy.Known(policy.CounterpartPresent), nil
	case err != nil:
		return policy.Unknown[policy.Counterpart](), err
	default:
		return policy.Known(policy.CounterpartTagMissing), nil
	}
}

// counterpartOf returns the counterpart of a cache repository, if its project has it.
func (r *run) counterpartOf(cache *repository) (*repository, bool) {
	name, _ := r.options.Rules.CounterpartOf(cache.Name)
	repo, exists := cache.project.byName[name]
	return repo, exists
}
