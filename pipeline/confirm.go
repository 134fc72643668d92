package pipeline

import (
	"context"
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// notConfirmed is the verdict on a tag whose grounds could not be read again: the run
// was stopped, or there was no answer.
var notConfirmed = policy.Verdict{Action: policy.Undecided, Reason: policy.DetailsUnknown}

// suspected is the verdict on a tag while the registry seems to be failing.
var suspected = policy.Verdict{Action: policy.Undecided, Reason: policy.OutageSuspected}

// confirm reads the grounds for a deletion again and decides again on what it finds.
// Only when that gives the same verdict does the verdict stand; every other result
// keeps the tag.
//
// First it makes sure that the registry has answered since the first reading. If an
// outage was behind that one, it is found, or it is over and what is read now is right,
// unless another outage begins in between. What is missing is read more than once, for
// a registry that fails now and then.
func (r *run) confirm(ctx context.Context, t *tag) policy.Verdict {
	verdict := r.trust(ctx, t)
	if verdict != t.verdict {
		return verdict
	}
	evidence := t.repository.evidence
	facts := policy.Facts{Repository: t.facts.Repository, Tag: t.facts.Tag, Listed: true, Regime: t.facts.Regime}
	if t.verdict.Reason != policy.MissingDetails {
		facts.Counterpart, t.doubt = evidence.counterpart(ctx, t)
	}
	for range evidence.readings() {
		if verdict == t.verdict {
			verdict = r.readAgain(ctx, t, facts)
		}
	}
	return verdict
}

// trust returns the tag's own verdict when what is read now can be believed.
func (r *run) trust(ctx context.Context, t *tag) policy.Verdict {
	t.doubt = t.repository.evidence.alive(ctx, t)
	switch {
	case ctx.Err() != nil:
		t.doubt = context.Cause(ctx)
		return notConfirmed
	case t.doubt == nil:
		return t.verdict
	case errors.Is(t.doubt, errNoPulse) || errors.Is(t.doubt, errUnsteady):
		return suspected
	default:
		return notConfirmed
	}
}

// readAgain reads a tag's own details again and decides on them and the other facts.
func (r *run) readAgain(ctx context.Context, t *tag, facts policy.Facts) policy.Verdict {
	again := *t
	again.facts, again.manifest = facts, nil
	if err := t.repository.evidence.examine(ctx, &again); err != nil {
		t.doubt = err
	}
	r.watch(t.facts.Details, again.facts.Details)
	if t.digest != "" && again.digest != t.digest {
		t.doubt = errPushedAgain
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}
	}
	t.digest, t.bytes = again.digest, max(again.bytes, t.bytes)
	return agree(t.verdict, t.repository.evidence.rules.Decide(again.facts))
}

// errPushedAgain says that a tag is not any more what it was when it was first read.
var errPushedAgain = errors.New("the tag has been pushed again meanwhile")

// watch looks for the sign of a registry that fails now and then: details, or a date,
// that were missing and are there now.
func (r *run) watch(before, now policy.Fact[policy.Details]) {
	first, _ := before.Get()
	second, known := now.Get()
	cameBack := first == policy.DetailsMissing && second != policy.DetailsMissing ||
		first == policy.DetailsUndated && second == policy.DetailsDated
	if known && cameBack {
		r.pulse.distrust()
	}
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

// lists returns nil when a repository that is known to have tags lists any.
func (r *run) lists(ctx context.Context, repo *repository) error {
	listed, err := r.client.HasTags(ctx, repo.Repository)
	if err == nil && !listed {
		err = errNoPulse
	}
	return err
}

// counterpartByLists asks for a tag's counterpart again: by the second reading of its
// listing, and where that lacks it by the counterpart's own details.
func (r *run) counterpartByLists(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	listed, err := r.counterpartListed(ctx, t)
	if found, known := listed.Get(); !known || found != policy.CounterpartTagMissing {
		return listed, err
	}
	repo, _ := r.counterpartOf(t.repository)
	_, err = r.client.TagDetails(ctx, repo.Repository, t.facts.Tag)
	switch {
	case err == nil:
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		return listed, nil
	default:
		return policy.Unknown[policy.Counterpart](), err
	}
}

// counterpartListed looks for a tag's counterpart in the second reading that the orphans
// of a cache repository share.
func (r *run) counterpartListed(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	fresh, _, err := r.freshListing(ctx, t)
	if _, exists := r.counterpartOf(t.repository); err == nil && !exists {
		return policy.Known(policy.CounterpartRepositoryMissing), nil
	}
	return found(fresh, t, err)
}

// freshListing returns the second reading of a counterpart's listing, and how long that
// took.
func (r *run) freshListing(ctx context.Context, t *tag) (tags listing, took time.Duration, err error) {
	return t.repository.fresh.get(ctx, func(ctx context.Context) (listing, error) {
		return r.readAfresh(ctx, t.repository)
	})
}

// found returns what a listing says of a tag's counterpart.
func found(fresh listing, t *tag, err error) (policy.Fact[policy.Counterpart], error) {
	switch {
	case err != nil:
		return policy.Unknown[policy.Counterpart](), err
	case fresh.has(t.facts.Tag):
		return policy.Known(policy.CounterpartPresent), nil
	default:
		return policy.Known(policy.CounterpartTagMissing), nil
	}
}
