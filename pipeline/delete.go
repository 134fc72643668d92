package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// none is what the last stage sends on: nothing.
type none struct{}

// deleteStage is the deleter: a pool a quarter of the given size, each of whom confirms
// the grounds of a parcel's tags, as many at a time as the given size, and has them
// deleted. The pool is small so that batches meet while all are busy, and leave in one
// request; nobody waits for others to come. After a stop no deletion is begun; one that
// was sent may finish until the run is cut off.
func (r *run) deleteStage(workers int) stage[[]*batch, none] {
	return stage[[]*batch, none]{workers: max(workers/4, 1), work: func(ctx context.Context, batches []*batch, _ emit[none]) error {
		return r.remove(ctx, batches, workers)
	}}
}

// maxRounds is how often the grounds of deletions are confirmed that cannot be sent in
// time after that.
const maxRounds = 3

// errLate says why a deletion was given up.
var errLate = errors.New("its deletion could not be sent while the confirmation of its grounds was fresh")

// remove confirms the grounds for the deletions in a parcel and deletes the tags, or in
// a dry run marks them. What could not be sent while its confirmation was fresh is
// confirmed again.
func (r *run) remove(ctx context.Context, p parcel, atOnce int) error {
	size := len(p.tags())
	r.progress.dead.begin(size)
	defer r.progress.dead.finish(size)
	for rounds := maxRounds; rounds > 0; rounds-- {
		r.dropGone(ctx, p)
		if err := r.confirmAll(ctx, p, atOnce); err != nil {
			r.giveUp(p, err)
			return err
		}
		if r.options.DryRun {
			r.mark(p)
			return nil
		}
		before := len(p.tags())
		var err error
		if p, err = r.delete(ctx, p, atOnce); err != nil {
			r.giveUp(p, err)
			return err
		}
		switch left := len(p.tags()); {
		case left == 0:
			return nil
		case left < before:
			rounds = maxRounds + 1
		}
	}
	for _, t := range p.tags() {
		r.report(*t, report.Failed, report.DeleteFailed, errLate.Error())
	}
	return nil
}

// mark reports the tags of a parcel as what a real run would delete.
func (r *run) mark(p parcel) {
	for _, t := range p.tags() {
		r.report(*t, report.Marked, t.verdict.Reason, "")
	}
}

// dropGone reports as deleted what an earlier round has sent a deletion for, without an
// answer, and what its repository does not list any more. An empty list of GitLab's may
// be an outage, unless a healthy tag shows that there is none.
func (r *run) dropGone(ctx context.Context, p parcel) {
	for _, same := range p.byRepository() {
		if !slices.ContainsFunc(same.tags(), func(t *tag) bool { return t.sent }) {
			continue
		}
		repo := same[0].repository
		evidence := repo.evidence
		now, err := evidence.list(ctx, repo)
		if err == nil && len(now) == 0 && evidence.guarded() {
			err = r.pulse.check(ctx, r.pulse.now())
		}
		if err != nil {
			continue
		}
		same.keep(func(t *tag) bool {
			if !t.sent || now.has(t.facts.Tag) {
				return true
			}
			r.report(*t, report.Deleted, t.verdict.Reason, "")
			return false
		})
	}
}

// confirmAll confirms the grounds for each deletion in a parcel. It leaves those in it
// that stand, and reports the others.
func (r *run) confirmAll(ctx context.Context, p parcel, atOnce int) error {
	_ = each(p.byRepository(), atOnce, func(same parcel) error {
		repo := same[0].repository
		again := repo.evidence.lookAgain(ctx, repo, same.names())
		for _, b := range same {
			b.again = again
		}
		return nil
	})
	return r.confirmTags(ctx, p, p.tags(), atOnce)
}

// confirmTags confirms the grounds of some of a parcel's deletions.
func (r *run) confirmTags(ctx context.Context, p parcel, tags []*tag, atOnce int) error {
	_ = each(tags, atOnce, func(t *tag) error {
		began := time.Now()
		t.verdict = r.confirm(ctx, t)
		t.confirmed, t.took = time.Now(), time.Since(began)
		return nil
	})
	var ends error
	p.keep(func(t *tag) bool {
		if t.verdict.Action == policy.Delete && r.pulse.unsteady.Load() {
			t.verdict, t.doubt = suspected, errUnsteady
		}
		if t.verdict.Action == policy.Delete {
			return true
		}
		ends = cmp.Or(ends, runError(t.doubt))
		r.settle(*t)
		return false
	})
	return ends
}

// delete deletes the tags of a parcel, several in one request where GitLab takes them
// so, and the rest one by one. It returns those that were not sent while their
// confirmation was fresh: to confirm others may take long, and a pause that GitLab asks
// for may hold deletions up.
//
// So may a listing that is being read afresh, again and again. What has grown old by
// waiting for that is confirmed again at once, if nobody's listing is needed to do so.
func (r *run) delete(ctx context.Context, p parcel, atOnce int) (late parcel, err error) {
	release := p.holdListings(ctx)
	defer release()
	if err := r.confirmTags(ctx, p, p.old(time.Now()), atOnce); err != nil {
		return p, err
	}
	ready, late := p.split(time.Now())
	fresh, cancel := context.WithDeadline(ctx, ready.freshUntil())
	defer cancel()
	if err = r.deleteTogether(fresh, ready); err == nil {
		err = each(ready.tags(), atOnce, func(t *tag) error { return r.deleteOne(ctx, fresh, t) })
	}
	ready.dropDone()
	return append(late, ready.withoutEmpty()...), err
}

// deleteTogether sends one request for a parcel. What GitLab does not confirm by name
// stays in the parcel: it is deleted one by one, and GitLab says why not; so it does to a
// token that GraphQL wants more of. A single tag is deleted so at once.
func (r *run) deleteTogether(fresh context.Context, p parcel) error {
	if most, _ := r.client.MaxDeletions(); most == 0 || len(p.tags()) < 2 {
		return nil
	}
	deletions := make([]gitlabapi.Deletion, len(p))
	for i, b := range p {
		deletions[i] = gitlabapi.Deletion{Repository: b.repository.Repository, Tags: b.names()}
	}
	confirmed, err := r.client.DeleteTags(r.hard, fresh, deletions)
	for i := range confirmed {
		for j, gone := range confirmed[i] {
			if t := &p[i].tags[j]; gone {
				t.done = true
				r.report(*t, report.Deleted, t.verdict.Reason, "")
			}
		}
	}
	p.dropDone()
	for _, t := range p.tags() {
		t.sent = !errors.Is(err, throttle.ErrNotSent)
	}
	if errors.Is(err, throttle.ErrUnauthorized) {
		return err
	}
	return nil
}

// deleteOne deletes a tag and reports it, unless the time to do so has run out.
func (r *run) deleteOne(ctx, fresh context.Context, t *tag) error {
	err := r.client.DeleteTag(r.hard, fresh, t.repository.Repository, t.facts.Tag)
	_, answered := errors.AsType[*throttle.StatusError](err)
	switch {
	case err != nil && !answered && fresh.Err() != nil && ctx.Err() == nil:
		t.read = r.pulse.now()
		t.sent = t.sent || !errors.Is(err, throttle.ErrNotSent)
		return nil
	case errors.Is(err, throttle.ErrNotSent):
		r.stopped(t, context.Cause(ctx))
	case err == nil:
		r.report(*t, report.Deleted, t.verdict.Reason, "")
	case errors.Is(err, throttle.ErrForbidden):
		r.report(*t, report.Failed, report.DeleteForbidden, err.Error())
	default:
		r.report(*t, report.Failed, report.DeleteFailed, err.Error())
	}
	t.done = true
	return runError(err)
}

// giveUp reports what is left of a parcel when an error ends the run.
func (r *run) giveUp(p parcel, err error) {
	for _, t := range p.tags() {
		r.stopped(t, err)
	}
}

// stopped reports a tag whose deletion a stop has forestalled, or has left without a
// confirmation.
func (r *run) stopped(t *tag, err error) {
	if t.sent {
		r.report(*t, report.Failed, report.DeleteFailed, fmt.Sprintf("its deletion was sent and not confirmed: %v", err))
		return
	}
	t.verdict, t.doubt = notConfirmed, err
	r.settle(*t)
}

// settle reports a tag that stays where it is.
func (r *run) settle(t tag) {
	outcome, detail := report.Kept, ""
	if t.verdict.Action == policy.Undecided {
		outcome = report.Undecided
		if t.doubt != nil {
			detail = t.doubt.Error()
		}
	}
	r.report(t, outcome, t.verdict.Reason, detail)
}

func (r *run) report(t tag, outcome report.Outcome, reason policy.Reason, detail string) {
	kind, _ := t.facts.Kind.Get()
	r.progress.decided(outcome)
	r.tell(report.Decision{
		Project:      t.repository.project.Path,
		Repository:   t.repository.Path,
		RepositoryID: t.repository.ID,
		Tag:          t.facts.Tag,
		Action:       t.verdict.Action,
		Outcome:      outcome,
		Reason:       reason,
		Digest:       t.digest,
		Kind:         string(kind),
		Bytes:        t.bytes,
		Detail:       detail,
	})
}
