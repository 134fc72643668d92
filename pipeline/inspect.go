package pipeline

import (
	"context"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// inspectStage is the inspector: a pool of the given size that finds out the facts
// about tags, one request at a time in each pair of hands. After a stop facts stay
// unknown, and the tags with them undecided.
func (r *run) inspectStage(workers int) stage[tag, tag] {
	return stage[tag, tag]{workers: workers, work: r.inspect}
}

func (r *run) inspect(ctx context.Context, t tag, send emit[tag]) error {
	r.progress.tags.begin(1)
	t.facts.Regime = t.repository.evidence.regime
	if err := r.find(ctx, &t); err != nil {
		t.doubt = err
		if ctx.Err() != nil {
			t.doubt = context.Cause(ctx)
		}
	}
	t.manifest = nil
	t.read = r.pulse.now()
	r.progress.tags.inFlight.Add(-1)
	send(t)
	return runError(t.doubt)
}

// find asks for the facts on which the verdict depends, the cheapest first, and for no
// others: a protected tag costs no request, a counterpart is looked up where a tag of
// a cache repository is there, and only what is about to go is examined.
func (r *run) find(ctx context.Context, t *tag) error {
	rules := t.repository.evidence.rules
	if rules.Decide(t.facts).Reason != policy.DetailsUnknown {
		return nil
	}
	evidence := t.repository.evidence
	if err := evidence.look(ctx, t); err != nil {
		return err
	}
	if rules.WantsCounterpart(t.facts) {
		var err error
		if t.facts.Counterpart, err = r.counterpart(ctx, t.repository, t.facts.Tag); err != nil {
			return err
		}
	}
	verdict := rules.Decide(t.facts)
	if t.examined || verdict.Action != policy.Delete && verdict.Reason != policy.DetailsUnknown {
		return nil
	}
	return evidence.examine(ctx, t)
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
	tags, err := repo.list(ctx, cache.evidence)
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
