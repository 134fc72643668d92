package pipeline

import (
	"context"
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A decision is what was decided on a tag: the second of the forms in which a tag travels.
type decision struct {
	tag
	finding
	facts   policy.Facts
	verdict policy.Verdict
	doubt   error // why a fact is unknown
	// compared says that the counterpart repository was looked at, and shown that it listed tags.
	compared, shown bool
}

// errMeaningless is the doubt about a 404 that no error explains: the regime is not known,
// or it is the one in which a tag that is listed exists.
var errMeaningless = errors.New("GitLab lists the tag and has no details of it, which proves nothing in the regime at hand")

// classifyStage is the classifier: a pool of the given size. Each worker finds the facts of
// one tag that its verdict depends on, with one request at a time, and decides. After a stop
// facts stay unknown, and the tags with them undecided.
func (r *run) classifyStage(workers int) stage[tag, decision] {
	return stage[tag, decision]{workers: workers, work: func(ctx context.Context, t tag, send emit[decision]) error {
		r.progress.tags.begin(1)
		d := r.decide(ctx, t)
		r.progress.tags.inFlight.Add(-1)
		if !send(d) {
			r.settle(d.candidate(), notConfirmed, context.Cause(r.hard))
		}
		return runError(d.doubt)
	}}
}

// decide asks the rules, and finds the facts that they need one after the other, the cheapest
// first, until the verdict stands or a fact cannot be had: a protected tag costs no request,
// and a counterpart is looked up only where a tag of a cache repository exists.
func (r *run) decide(ctx context.Context, t tag) decision {
	d := decision{tag: t, doubt: t.err}
	d.facts = policy.Facts{Repository: t.Name, Tag: t.name, Listed: t.err == nil, Regime: t.regime}
	var need policy.Need
	for d.verdict, need = t.rules.Decide(d.facts); need != policy.Nothing; d.verdict, need = t.rules.Decide(d.facts) {
		var err error
		if need == policy.NeedCounterpart {
			d.facts.Counterpart, d.shown, err = lookUpCounterpart(ctx, t)
			d.compared = t.counterpart != nil
		} else {
			d.finding, err = t.source.find(ctx, t.repository, t.listedTag, d.finding, need)
			d.facts = r.withFinding(d.facts, d.finding)
		}
		if err != nil {
			return d.doubted(ctx, err)
		}
	}
	if d.verdict.Action == policy.Delete {
		found, err := t.source.find(ctx, t.repository, t.listedTag, d.finding, policy.Nothing)
		d.finding, d.facts = found, r.withFinding(d.facts, found)
		d.verdict, _ = t.rules.Decide(d.facts)
		if err != nil {
			return d.doubted(ctx, err)
		}
	}
	if d.verdict.Action == policy.Undecided && d.doubt == nil {
		d.doubt = errMeaningless
	}
	return d
}

// doubted returns a decision whose facts could not be completed for an error, or for a stop.
func (d decision) doubted(ctx context.Context, err error) decision {
	d.verdict, _ = d.rules.Decide(d.facts)
	d.doubt = err
	if ctx.Err() != nil {
		d.doubt = context.Cause(ctx)
	}
	if d.verdict.Action == policy.Delete {
		d.verdict = notConfirmed
	}
	return d
}

// withFinding returns the facts of a tag with those that a source has found.
func (r *run) withFinding(facts policy.Facts, f finding) policy.Facts {
	facts.Missing, facts.Dated, facts.Kind = f.missing, f.dated, f.kind
	facts.Young = r.isYoung(f.newest)
	return facts
}

// isYoung says whether something that was made or pushed at a time is younger than the
// minimum age of what is deleted. It is unknown where the time is.
func (r *run) isYoung(made time.Time) policy.Fact[bool] {
	if made.IsZero() || r.options.MinAge == 0 {
		return policy.Unknown[bool]()
	}
	return policy.Known(r.started.Sub(made) < r.options.MinAge)
}

// lookUpCounterpart looks a cache tag's counterpart up in the listing that the tags of the
// cache repository share, and reports whether that has any tags. The error says why the fact is
// unknown.
func lookUpCounterpart(ctx context.Context, t tag) (found policy.Fact[policy.Counterpart], shown bool, err error) {
	counterpart := t.counterpart
	switch {
	case counterpart == nil:
		return policy.Known(policy.CounterpartRepositoryMissing), false, nil
	case counterpart.Deleting:
		return policy.Known(policy.CounterpartPresent), false, nil
	}
	tags, err := counterpart.get(ctx, t.source)
	switch {
	case tags.has(t.name):
		return policy.Known(policy.CounterpartPresent), true, nil
	case err != nil:
		return policy.Unknown[policy.Counterpart](), false, err
	default:
		return policy.Known(policy.CounterpartTagMissing), len(tags) > 0, nil
	}
}
