package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

const (
	// maxAge is how old the grounds of a deletion may be when it is sent, counted from when
	// the first request for them was.
	maxAge = 10 * time.Second
	// maxTries is how often a deletion is tried that is not sent within maxAge: once, and three
	// times again.
	maxTries = 4
)

// Why a deletion was given up.
var (
	errLate  = errors.New("its deletion could not be sent within ten seconds of reading its grounds again")
	errTries = errors.New("no attempt to delete it was answered")
)

// A deleter gets requests from the planner, reads the grounds of their candidates again, and
// has those deleted that still are to be. There are a quarter as many as there are workers;
// each has one request at a time. After a stop no deletion is begun; one that was sent may
// finish until the run is cut off.
type deleter struct {
	*run
	// size is how many candidates are rechecked and deleted together. It shrinks where that
	// takes so long that their grounds grow old.
	size int
	// toConfirm are tags that may be there all the same.
	toConfirm toConfirm
}

// An attempt is a candidate in the hands of a deleter.
type attempt struct {
	candidate
	sent  bool // a deletion was sent and not confirmed
	alone bool // one was sent that was of this tag alone
	tries *int // how often it may still be sent, in all its life
}

// open returns the attempts whose deletions are still sent. Those of a project, or a run, in which all
// are refused are reported.
func (d *deleter) open(batch []attempt) []attempt {
	return slices.DeleteFunc(slices.Clone(batch), func(a attempt) bool {
		err := d.refusals.closed(a.ProjectID)
		switch {
		case err == nil:
			return false
		case a.sent:
			d.giveUpOn(a, err)
		default:
			d.settle(a.candidate, deletionsStopped, err)
		}
		return true
	})
}

// confirmed reports a tag as deleted, or has that looked at first.
func (d *deleter) confirmed(a attempt) {
	d.refusals.succeeded(a.ProjectID)
	if !d.toConfirm.put(a.candidate) {
		d.report(a.candidate, report.Deleted, a.verdict.Reason, "")
	}
}

// refused reports a tag whose deletion was refused.
func (d *deleter) refused(ctx context.Context, a attempt, reason policy.Reason, err error) {
	d.report(a.candidate, report.Failed, reason, err.Error())
	d.noteRefusal(ctx, a.candidate, err)
}

// noteRefusal counts a request to delete that was refused. While the registry does not answer GitLab
// refuses deletions, too: that passes, and ends none.
func (d *deleter) noteRefusal(ctx context.Context, c candidate, err error) {
	event := d.refusals.refused(c, err)
	switch {
	case event == nil:
	case !errors.Is(err, throttle.ErrReadOnly) && d.outages.isOut(ctx, math.MaxInt):
		d.refusals.reopen(c.ProjectID)
	default:
		d.tell(event)
	}
}

// delete deletes the candidates of a request, or in a dry run marks them, and reports what
// came of each. What could not be sent while its grounds were fresh is tried again. The error
// is one that ends the run.
func (d *deleter) delete(ctx context.Context, request []candidate) error {
	d.progress.dead.begin(len(request))
	defer d.progress.dead.finish(len(request))
	defer d.confirm(ctx, false)
	remaining := make([]attempt, len(request))
	for i, c := range request {
		remaining[i] = attempt{candidate: c, tries: new(d.client.Throttle().Tries())}
	}
	for tries := 0; len(remaining) > 0; {
		n := min(d.size, len(remaining))
		unsent, err := d.deleteTogether(ctx, remaining[:n])
		remaining = append(unsent, remaining[n:]...)
		if err != nil {
			for _, a := range remaining {
				d.stopped(a, left(err))
			}
			return err
		}
		if tries++; len(unsent) < n {
			tries = 0
		}
		if tries == maxTries {
			for _, a := range d.withoutGone(ctx, unsent) {
				d.giveUpOn(a, errLate)
			}
			remaining, tries = remaining[len(unsent):], 0
		}
	}
	return nil
}

// deleteTogether rechecks candidates and has them deleted in one request. It returns those
// that were not sent in time.
func (d *deleter) deleteTogether(ctx context.Context, batch []attempt) (unsent []attempt, err error) {
	batch = d.withoutGone(ctx, d.open(batch))
	if len(batch) == 0 {
		return nil, nil
	}
	// Rechecks share the rate: two that run at the same time would both take twice as long,
	// and grow old. A recheck has as many requests in flight as there may be.
	if err := d.rechecking.Acquire(ctx, 1); err != nil {
		return batch, whyLeft(ctx)
	}
	ready, began, err := d.recheck(ctx, batch)
	d.rechecking.Release(1)
	if err != nil {
		return ready, err
	}
	if d.options.DryRun || d.tooMany.Load() {
		for _, a := range ready {
			d.report(a.candidate, report.Marked, a.verdict.Reason, "")
		}
		return nil, nil
	}
	fresh, cancel := context.WithDeadline(ctx, began.Add(maxAge))
	defer cancel()
	unsent, err = d.send(ctx, fresh, ready)
	d.resize(len(batch), len(ready)-len(unsent), time.Since(began), len(unsent) == 0)
	return unsent, err
}

// resize chooses how many candidates are rechecked together from how long that took for so many,
// and how many of them were sent: half of the time in which grounds are fresh is left to send the
// deletions.
func (d *deleter) resize(candidates, sent int, took time.Duration, inTime bool) {
	switch fits := int(float64(candidates) * float64(maxAge/2) / float64(max(took, 1))); {
	case !inTime && sent > 0:
		d.size = min(d.size, sent)
	case !inTime:
		d.size = max(min(d.size/2, fits), 1)
	case candidates == d.size && fits >= 2*candidates:
		d.size = min(2*d.size, maxRequestTags)
	}
}

// withoutGone leaves out, and reports as deleted, the tags for which a deletion was sent that
// was not confirmed, and which their repository does not list any more.
func (d *deleter) withoutGone(ctx context.Context, batch []attempt) []attempt {
	gone := d.unlisted(ctx, batch, func(a attempt) bool { return a.sent })
	return slices.DeleteFunc(slices.Clone(batch), func(a attempt) bool {
		if gone(a) {
			d.confirmed(a)
		}
		return gone(a)
	})
}

// unlisted lists the repositories of some of the attempts and tells which of these are not listed any
// more.
func (d *deleter) unlisted(ctx context.Context, batch []attempt, asked func(attempt) bool) func(attempt) bool {
	lists := make(map[int64]listing)
	for _, a := range batch {
		if _, listed := lists[a.ID]; !asked(a) || listed {
			continue
		}
		if tags, err := d.listSurely(ctx, a.candidate); err == nil {
			lists[a.ID] = tags
		}
	}
	return func(a attempt) bool {
		tags, listed := lists[a.ID]
		return asked(a) && listed && !tags.has(a.tag)
	}
}

// listSurely lists a candidate's repository. GitLab's lists may be short or empty in an outage: by its
// word alone two of them together have to lack a tag, and healthy tags have to be healthy before and after;
// where none is known a list with a metadata database has to have something.
func (d *deleter) listSurely(ctx context.Context, c candidate) (listing, error) {
	if c.byRegistry {
		return c.fresh.list(ctx, c.repository)
	}
	maySuffice := func(err error) bool { return c.regime == registry.Database && errors.Is(err, errNoHealthyTag) }
	before := d.canary.check(ctx)
	if before != nil && !maySuffice(before) {
		return nil, before
	}
	first, err := c.fresh.list(ctx, c.repository)
	if err != nil {
		return nil, err
	}
	second, err := c.fresh.list(ctx, c.repository)
	both, after := newListing(slices.Concat(first, second)), d.canary.check(ctx)
	if len(both) > 0 && maySuffice(before) {
		before = nil
	}
	if len(both) > 0 && maySuffice(after) {
		after = nil
	}
	return both, errors.Join(err, before, after)
}

// send sends the deletions, in one request where GitLab takes several together, and reports
// them. What that request does not confirm by name is deleted over REST, which says why not.
// It returns those that were not sent before the grounds had grown old.
func (d *deleter) send(ctx, fresh context.Context, batch []attempt) (unsent []attempt, err error) {
	if err := d.writeDown(batch); err != nil {
		return batch, err
	}
	for _, a := range batch {
		if a.shared != nil {
			a.shared.deleted.put(a.tag)
		}
	}
	if deletions, tags := d.client.MaxDeletions(); deletions > 0 {
		if batch, err = d.sendMutations(ctx, fresh, batch, deletions, tags); err != nil {
			return batch, err
		}
	}
	late := make([]bool, len(batch))
	errs := make([]error, len(batch))
	forbidden := make([]error, len(batch))
	fresh, cancel := context.WithCancel(fresh)
	defer cancel()
	parallel(len(batch), d.options.Workers, func(i int) {
		if late[i], forbidden[i], errs[i] = d.sendOne(ctx, fresh, &batch[i]); errs[i] != nil {
			cancel() // no other will be accepted
		}
	})
	d.lookForForbidden(ctx, batch, forbidden)
	for i, a := range batch {
		if late[i] {
			unsent = append(unsent, a)
		}
	}
	return unsent, errors.Join(errs...)
}

// lookForForbidden reports tags whose deletion was forbidden. With a metadata database that may say
// that GitLab cannot look the tag up, since it is gone: so is one whose deletion was repeated after a
// lost answer.
func (d *deleter) lookForForbidden(ctx context.Context, batch []attempt, forbidden []error) {
	why := make(map[*int]error)
	for i, a := range batch {
		if forbidden[i] != nil {
			why[a.tries] = forbidden[i] // which stands for the attempt
		}
	}
	if len(why) == 0 {
		return
	}
	gone := d.unlisted(ctx, batch, func(a attempt) bool { return why[a.tries] != nil && a.regime != registry.Legacy })
	for _, a := range batch {
		switch err := why[a.tries]; {
		case err == nil:
		case gone(a):
			d.confirmed(a)
		default:
			d.refused(ctx, a, report.DeleteForbidden, err)
		}
	}
}

// mutationsOf groups candidates as GitLab deletes them: those of one repository together, so
// many at a time.
func mutationsOf(candidates []candidate, most int) []gitlabapi.Deletion {
	var deletions []gitlabapi.Deletion
	last := make(map[int64]int) // the last deletion of each repository
	for _, c := range candidates {
		i, ok := last[c.ID]
		if !ok || len(deletions[i].Tags) >= most {
			i = len(deletions)
			last[c.ID] = i
			deletions = append(deletions, gitlabapi.Deletion{Repository: c.Repository})
		}
		deletions[i].Tags = append(deletions[i].Tags, c.tag)
	}
	return deletions
}

// sendMutations sends the deletions in one request, or in several where GitLab takes fewer just
// now, and returns those that GitLab did not confirm by name. What the mutation says is not about a
// single tag, but for one thing: that nothing is deleted just now.
func (d *deleter) sendMutations(ctx, fresh context.Context, batch []attempt, deletions, tags int) (left []attempt, err error) {
	var candidates []candidate
	tries := d.client.Throttle().Tries()
	for _, a := range batch {
		if a.isForMutations() {
			candidates = append(candidates, a.candidate)
			tries = min(tries, *a.tries)
		}
	}
	type name struct {
		repository int64
		tag        string
	}
	type result struct {
		gone, sent bool
		readOnly   error
		tries      int // that it took
	}
	results := make(map[name]result)
	for request := range slices.Chunk(mutationsOf(candidates, tags), deletions) {
		remaining := tries
		confirmed, failed := d.client.WithTries(&remaining).DeleteTags(d.hard, fresh, request)
		for i, deletion := range request {
			for j, tag := range deletion.Tags {
				r := result{gone: confirmed[i][j], sent: !errors.Is(failed, throttle.ErrNotSent), tries: tries - remaining}
				if errors.Is(failed, throttle.ErrReadOnly) {
					r.readOnly = failed
				}
				results[name{deletion.Repository.ID, tag}] = r
			}
		}
		if errors.Is(failed, throttle.ErrReadOnly) {
			d.noteRefusal(ctx, candidates[0], failed)
		}
		if errors.Is(failed, throttle.ErrUnauthorized) {
			err = failed
			break
		}
	}
	for _, a := range batch {
		r := results[name{a.ID, a.tag}]
		*a.tries -= r.tries
		switch {
		case r.gone:
			d.confirmed(a)
		case r.readOnly != nil:
			d.report(a.candidate, report.Failed, report.DeleteFailed, r.readOnly.Error())
		default:
			a.sent = a.sent || r.sent
			left = append(left, a)
		}
	}
	return left, err
}

// isForMutations reports whether a mutation may still confirm the tag by name; else its last try is
// for REST, which says why not.
func (a attempt) isForMutations() bool { return !a.alone && (!a.sent || *a.tries > 1) }

// sendOne deletes a tag over REST and reports it, unless it was not sent, or not answered,
// before its grounds had grown old, or the answer is that it is forbidden.
func (d *deleter) sendOne(ctx, fresh context.Context, a *attempt) (late bool, forbidden, err error) {
	if refused := d.refusals.closed(a.ProjectID); refused != nil {
		d.open([]attempt{*a}) // which reports it
		return false, nil, nil
	}
	if a.alone && *a.tries <= 0 {
		d.giveUpOn(*a, errTries)
		return false, nil, nil
	}
	err = d.client.WithTries(a.tries).DeleteTag(d.hard, fresh, a.Repository, a.tag)
	_, answered := errors.AsType[*throttle.StatusError](err)
	notSent := errors.Is(err, throttle.ErrNotSent)
	a.alone = a.alone || !notSent
	switch {
	case err != nil && !answered && fresh.Err() != nil && ctx.Err() == nil:
		a.sent = a.sent || !notSent
		return true, nil, nil
	case notSent && !answered:
		d.stopped(*a, whyLeft(ctx))
	case err == nil:
		d.confirmed(*a)
	case errors.Is(err, throttle.ErrForbidden) && !errors.Is(err, throttle.ErrInsufficientScope):
		return false, err, nil
	case errors.Is(err, throttle.ErrForbidden):
		d.report(a.candidate, report.Failed, report.DeleteForbidden, err.Error())
	default:
		d.refused(ctx, *a, report.DeleteFailed, err)
	}
	return false, nil, runError(err)
}

// stopped reports a candidate that a stop has kept from being deleted, or has left without
// a confirmation.
func (d *deleter) stopped(a attempt, err error) {
	if a.sent {
		d.giveUpOn(a, err)
		return
	}
	d.settle(a.candidate, notConfirmed, err)
}

// giveUpOn reports a candidate that could not be deleted.
func (d *deleter) giveUpOn(a attempt, err error) {
	if a.sent {
		err = fmt.Errorf("its deletion was sent and not confirmed: %w", err)
	}
	d.report(a.candidate, report.Failed, report.DeleteFailed, err.Error())
}
