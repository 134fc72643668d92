package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A decision is what was decided on a tag: the second of the forms in which a tag travels.
type decision struct {
	tag
	finding
	facts   policy.Facts
	verdict policy.Verdict
	doubt   error // why a fact is unknown
	// asked says that the tag itself was asked about, so that what was found says something of the
	// registry.
	asked bool
	// compared says that the counterpart repository was looked at, shown that it listed tags, and
	// blank that it listed none, or that the registry does not know it.
	compared, shown, blank bool
}

// classifyStage is the classifier: a pool of the given size. Each worker finds the facts of
// one tag that its verdict depends on, with one request at a time, and decides. After a stop
// facts stay unknown, and the tags with them undecided.
func (r *run) classifyStage(workers int) stage[tag, decision] {
	return stage[tag, decision]{workers: workers, work: func(ctx context.Context, t tag, send emit[decision]) error {
		if !t.witness {
			r.progress.tags.begin(1)
			defer r.progress.tags.inFlight.Add(-1)
		}
		d := r.tellOfImage(ctx, r.asPlanned(r.decide(ctx, t)))
		if !send(d) && !d.witness {
			r.settle(d.candidate(), notConfirmed, whyLeft(r.hard))
		}
		return runError(d.doubt)
	}}
}

// decide asks the rules, and finds the facts that they need one after the other, the cheapest
// first, until the verdict stands. So a protected tag costs no request, and a counterpart is looked
// up only where a rule depends on it. Where a fact cannot be had another may do; the doubt is about
// the first. Of a tag whose listing broke off nothing is asked.
func (r *run) decide(ctx context.Context, t tag) decision {
	if t.isStray() {
		return decision{tag: t, verdict: policy.Verdict{Action: policy.Keep, Reason: policy.NoTagName}}
	}
	switch {
	case t.witness:
		return r.testify(ctx, t)
	case t.isChanged():
		return decision{tag: t, verdict: changed}
	}
	d := r.begin(ctx, t)
	var failed []policy.Name
	var first policy.Verdict // what came of the first fact that could not be had
	var doubt error
	for {
		decided := r.options.Rules.Decide(&d.facts)
		d.verdict = decided.Verdict
		switch need := decided.NeedBeside(failed...); {
		case decided.Need == needNothing && (d.verdict.Action != policy.Delete || t.err == nil && d.digest != ""):
			return d
		case t.err != nil:
			d.verdict = policy.Verdict{Action: policy.Undecided, Reason: policy.ListingIncomplete}
			return d
		case decided.Need == needNothing:
			return r.withDigest(ctx, d)
		case need == needNothing:
			d.verdict = first
			return d.doubted(ctx, doubt)
		default:
			err := r.findNeeded(ctx, &d, need)
			if endsRun(err) || ctx.Err() != nil {
				return d.doubted(ctx, err)
			}
			if err != nil && doubt == nil {
				first, doubt = d.verdict, err
			}
			if err != nil {
				failed = append(failed, together(need)...)
			}
		}
	}
}

// begin returns a decision on a tag for which nothing has been asked: what is known without.
func (r *run) begin(ctx context.Context, t tag) decision {
	d := decision{tag: t, doubt: t.err}
	d.finding, _ = t.source.find(ctx, t.repository, t.listedTag, finding{}, needNothing)
	if read := t.readForRanks.Load(); read != nil {
		place, _ := t.tags.place(t.name)
		if f := (*read)[place]; !f.hasDetails.IsUnknown() {
			d.finding, d.asked = f, true
		}
	}
	d.facts = r.knownFacts(t)
	r.putFinding(&d.facts, d.listedTag, d.finding)
	return d
}

// together returns the facts that cannot be had either when one cannot: they come from the same
// answer.
func together(fact policy.Name) []policy.Name {
	for _, facts := range [][]policy.Name{
		{policy.FactCounterpart, policy.FactNamingDiffers},
		{policy.FactSize, policy.FactHasDetails, policy.FactBroken, policy.FactKind, policy.FactIsCache, policy.FactDated, policy.FactAge},
	} {
		if slices.Contains(facts, fact) {
			return facts
		}
	}
	return []policy.Name{fact}
}

// findNeeded finds a fact, or says why it stays unknown.
func (r *run) findNeeded(ctx context.Context, d *decision, need policy.Name) error {
	err := r.outages.ask(ctx, func() error { return r.findFact(ctx, d, need) })
	if err == nil && d.facts.IsUnknown(need) {
		err = fmt.Errorf("%w: %s", errCannotBeHad, need)
	}
	return err
}

// errCannotBeHad says that nothing tells a fact which a rule needs.
var errCannotBeHad = errors.New("a fact cannot be found out")

// withDigest finds the digest of a tag that is to be deleted, and decides again: what is read for
// it may say more.
func (r *run) withDigest(ctx context.Context, d decision) decision {
	d.asked = true
	found := d.finding
	err := r.outages.ask(ctx, func() (err error) {
		found, err = d.source.find(ctx, d.repository, d.listedTag, d.finding, needDigest)
		return err
	})
	if err != nil {
		return d.doubted(ctx, err)
	}
	d.finding = found
	r.putFinding(&d.facts, d.listedTag, found)
	decided := r.options.Rules.Decide(&d.facts)
	d.verdict = decided.Verdict
	if d.verdict.Action == policy.Undecided {
		return d.doubted(ctx, fmt.Errorf("%w: %s", errCannotBeHad, decided.Need))
	}
	return d
}

// doubted returns a decision whose facts could not be completed for an error, or for a stop.
func (d decision) doubted(ctx context.Context, err error) decision {
	if d.verdict.Action != policy.Undecided {
		d.verdict = notConfirmed
	}
	d.verdict.Reason = reasonOf(err, d.verdict.Reason)
	d.doubt = err
	if ctx.Err() != nil {
		d.doubt = whyLeft(ctx)
	}
	return d
}

// reasonOf returns the reason that an error is, or else that of the fact that it leaves unknown.
func reasonOf(err error, unknown policy.Reason) policy.Reason {
	for _, contradiction := range []error{errMeaningless, errPushedAgain, errGone, errContradiction} {
		if errors.Is(err, contradiction) {
			return policy.EvidenceDisagrees
		}
	}
	return unknown
}
