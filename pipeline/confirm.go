package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// notConfirmed is the verdict on a tag whose grounds could not be read again: the run
// was stopped, or there was no answer.
var notConfirmed = policy.Verdict{Action: policy.Undecided, Reason: policy.DetailsUnknown}

// confirm reads the grounds for a deletion again and decides again on what it finds.
// Only when that gives the same verdict does the verdict stand; every other result
// keeps the tag.
//
// First it makes sure that the registry has answered since the first reading. If an
// outage was behind that one, it is found, or it is over and the second reading is
// right.
func (r *run) confirm(ctx context.Context, t *tag) policy.Verdict {
	t.doubt = r.alive(ctx, t)
	if ctx.Err() != nil {
		t.doubt = context.Cause(ctx)
		return notConfirmed
	}
	if errors.Is(t.doubt, errNoPulse) {
		return policy.Verdict{Action: policy.Undecided, Reason: policy.OutageSuspected}
	}
	if t.doubt != nil {
		return notConfirmed
	}
	facts := t.facts
	facts.Counterpart = policy.Unknown[policy.Counterpart]()
	if t.verdict.Reason != policy.MissingDetails {
		facts.Counterpart, t.doubt = r.counterpartAfresh(ctx, t)
	}
	var err error
	if facts.Details, err = r.details(ctx, t); err != nil {
		t.doubt = err
	}
	return agree(t.verdict, r.options.Rules.Decide(facts))
}

// agree compares the verdict on the first reading with that on the second. A tag that
// has got its counterpart or a date meanwhile is simply kept; one whose missing
// details have come back, or that would go on other grounds now, is in doubt.
func agree(first, second policy.Verdict) policy.Verdict {
	switch {
	case first == second:
		return second
	case second.Action == policy.Undecided:
		return second
	case second.Action == policy.Keep && first.Reason != policy.MissingDetails:
		return second
	default:
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}
	}
}

// alive returns nil when there is a sign that the registry has answered since the tag
// was first read: a healthy tag that still is. Where no tag of the run is healthy, a listing has to do that is not empty,
// as it would be in an outage; for an orphan its own details, which are read last.
func (r *run) alive(ctx context.Context, t *tag) error {
	err := r.pulse.check(ctx, t.read)
	if !errors.Is(err, errNoWitness) {
		return err
	}
	if t.verdict.Reason != policy.MissingDetails {
		return nil
	}
	return r.lists(ctx, t.repository)
}

// lists returns nil when a repository that is known to have tags lists any.
func (r *run) lists(ctx context.Context, repo *repository) error {
	listed, err := r.client.HasTags(ctx, repo.Repository)
	if err == nil && !listed {
		err = errNoPulse
	}
	return err
}

// counterpartAfresh asks for a tag's counterpart again: by the second reading that the
// tags of a cache repository share, and by the counterpart's own details.
func (r *run) counterpartAfresh(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	unknown := policy.Unknown[policy.Counterpart]()
	fresh, err := t.repository.fresh.get(ctx, func(ctx context.Context) (freshReading, error) {
		return r.readAfresh(ctx, t.repository), nil
	})
	if err == nil {
		err = fresh.err
	}
	if err != nil {
		return unknown, err
	}
	repo, exists := r.counterpartOf(t.repository)
	if !exists {
		return policy.Known(policy.CounterpartRepositoryMissing), nil
	}
	if fresh.tags.has(t.facts.Tag) {
		return policy.Known(policy.CounterpartPresent), nil
	}
	_, err = r.client.TagDetails(ctx, repo.Repository, t.facts.Tag)
	switch {
	case err == nil:
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		return policy.Known(policy.CounterpartTagMissing), nil
	default:
		return unknown, err
	}
}
