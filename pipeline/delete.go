package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// none is what the last stage sends on: nothing.
type none struct{}

// deleteStage is the deleter: a pool of the given size, one tag in each pair of hands
// from the confirmation of its grounds to the answer to its deletion. After a stop no
// deletion is begun; one that was sent may finish until the run is cut off.
func (r *run) deleteStage(workers int) stage[tag, none] {
	return stage[tag, none]{workers: workers, work: r.remove}
}

// remove confirms the grounds for a deletion and deletes the tag, or in a dry run
// marks it.
func (r *run) remove(ctx context.Context, t tag, _ emit[none]) error {
	t.verdict = r.confirm(ctx, &t)
	if t.verdict.Action != policy.Delete {
		r.settle(t)
		return runError(t.doubt)
	}
	if r.options.DryRun {
		r.report(t, report.Marked, t.verdict.Reason, "")
		return nil
	}
	return r.delete(ctx, t)
}

func (r *run) delete(ctx context.Context, t tag) error {
	if t.repository.deletions.Acquire(ctx, 1) == nil {
		defer t.repository.deletions.Release(1)
	}
	if ctx.Err() != nil {
		t.verdict, t.doubt = notConfirmed, context.Cause(ctx)
		r.settle(t)
		return nil
	}
	err := r.client.DeleteTag(gitlabapi.SentBefore(r.hard, ctx), t.repository.Repository, t.facts.Tag)
	switch {
	case errors.Is(err, gitlabapi.ErrNotSent):
		t.verdict, t.doubt = notConfirmed, context.Cause(ctx)
		r.settle(t)
		return nil
	case err == nil:
		r.report(t, report.Deleted, t.verdict.Reason, "")
	case errors.Is(err, gitlabapi.ErrForbidden):
		r.report(t, report.Failed, report.DeleteForbidden, err.Error())
	default:
		r.report(t, report.Failed, report.DeleteFailed, err.Error())
	}
	return runError(err)
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
