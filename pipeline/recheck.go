package pipeline

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// recheck reads the grounds of candidates again and decides again on what it finds. Only the
// same verdict is carried out; every other result keeps the tag, and is reported. Before and after
// that the canary is asked, for what looks the same in an outage: an outage during the first
// reading either is found now, or is over, and what is read now is right. It also returns the
// time just before the first request for the grounds.
func (d *deleter) recheck(ctx context.Context, batch []attempt) (ready []attempt, began time.Time, err error) {
	results := make([]rechecked, len(batch))
	before := d.checkCanary(ctx, batch)
	began = time.Now()
	byRepository := make(map[int64][]int)
	for i, a := range batch {
		byRepository[a.ID] = append(byRepository[a.ID], i)
	}
	var groups [][]int
	for _, group := range byRepository {
		groups = append(groups, group)
	}
	parallel(len(groups), d.options.Workers, func(g int) {
		candidates := make([]candidate, len(groups[g]))
		for j, i := range groups[g] {
			candidates[j] = batch[i].candidate
		}
		for j, result := range candidates[0].fresh.recheck(ctx, candidates) {
			results[groups[g][j]] = result
		}
	})
	for i, a := range batch {
		if cameBack(a.finding, results[i].finding) {
			d.canary.stop()
		}
	}
	after := d.checkCanary(ctx, batch)
	for i, a := range batch {
		verdict, doubt := d.decideAgain(ctx, a.candidate, results[i])
		for _, trouble := range []error{before, after} {
			if verdict.Action == policy.Delete && trouble != nil {
				verdict, doubt = d.withTrouble(ctx, a.candidate, trouble)
			}
		}
		a.finding.digest = cmp.Or(a.finding.digest, results[i].digest)
		a.finding.bytes = max(a.finding.bytes, results[i].bytes)
		switch {
		case verdict.Action == policy.Delete:
			ready = append(ready, a)
			continue
		case verdict.Action == policy.Undecided && a.sent:
			d.stopped(a, doubt)
		default:
			d.settle(a.candidate, verdict, doubt)
		}
		if err == nil {
			err = runError(doubt)
		}
	}
	return ready, began, err
}

// cameBack reports whether something was missing at the first reading and is there at the
// second. A tag that names another digest by now has been pushed meanwhile.
func cameBack(first, second finding) bool {
	if first.digest != "" && second.digest != first.digest {
		return false
	}
	wasMissing, _ := first.missing.Get()
	missing, known := second.missing.Get()
	wasDated, dateKnown := first.dated.Get()
	dated, _ := second.dated.Get()
	return known && !missing && (wasMissing || dateKnown && !wasDated && dated) || first.lost && second.readable()
}

// checkCanary asks the canary where the deletion of one of the candidates depends on it. Whether
// something came back counts for every candidate.
func (d *deleter) checkCanary(ctx context.Context, batch []attempt) error {
	depends := func(a attempt) bool { return a.looksLikeOutage() }
	if !slices.ContainsFunc(batch, depends) {
		return d.canary.trouble()
	}
	return d.canary.check(ctx)
}

// withTrouble returns the verdict on a candidate that would be deleted while the canary is in
// trouble.
func (d *deleter) withTrouble(ctx context.Context, c candidate, trouble error) (policy.Verdict, error) {
	missing, _ := c.finding.missing.Get()
	switch {
	case errors.Is(trouble, errCameBack):
		return outageSuspected, trouble
	case !c.looksLikeOutage():
		return c.verdict, nil
	case ctx.Err() != nil:
		return notConfirmed, context.Cause(ctx)
	case errors.Is(trouble, errNotHealthy) || errors.Is(trouble, errNoHealthyTag) && c.finding.lost:
		return outageSuspected, trouble
	case !errors.Is(trouble, errNoHealthyTag):
		return notConfirmed, trouble
	case !missing:
		return c.verdict, nil // the tag itself has shown that details can be had
	}
	// A small instance without a healthy tag: a list at least must be to be had, which is
	// empty in an outage.
	tags, err := c.fresh.list(ctx, c.repository)
	switch {
	case err != nil:
		return notConfirmed, err
	case len(tags) == 0:
		return outageSuspected, errNothingHealthy
	default:
		return c.verdict, nil
	}
}

// decideAgain returns the verdict on a candidate after its grounds have been read again, and
// why it is not the same.
func (d *deleter) decideAgain(ctx context.Context, c candidate, now rechecked) (policy.Verdict, error) {
	if ctx.Err() != nil {
		return notConfirmed, context.Cause(ctx)
	}
	facts := d.withFinding(c.facts, now.finding)
	facts.Counterpart = now.counterpart
	verdict, _ := c.rules.Decide(facts)
	switch {
	case errors.Is(now.err, errNoSibling):
		return outageSuspected, now.err
	case now.digest != c.finding.digest && c.finding.digest != "" && (now.digest != "" || now.err == nil):
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}, errPushedAgain
	case now.err != nil && verdict.Action == policy.Delete:
		return notConfirmed, now.err
	case verdict == c.verdict, verdict.Action == policy.Undecided:
		return verdict, now.err
	case verdict.Action == policy.Keep && c.verdict.Reason != policy.MissingDetails:
		return verdict, now.err // it has got its counterpart or a date meanwhile
	default:
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}, now.err
	}
}
