package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// classifyStage is the classifier. It is a pool of one: deciding costs no request and
// about a microsecond, and the outage guard has to see all tags in one place. At the
// end of its input, a stop included, it lets go what the guard still holds.
func (r *run) classifyStage(workers int) stage[tag, *batch] {
	c := &classifier{run: r, open: make(map[*repository]*batch)}
	return stage[tag, *batch]{workers: 1, room: workers, work: c.classify, end: c.finish}
}

// errMeaningless is the doubt about a 404 that no error explains: the regime is
// unknown, or it is the one in which a tag that is listed is there.
var errMeaningless = errors.New("GitLab lists the tag and has no details of it, which proves nothing in the regime at hand")

// A classifier sends what is to be deleted on, in batches, and reports the rest.
type classifier struct {
	run   *run
	guard outageGuard
	open  map[*repository]*batch // those that are being filled
}

func (c *classifier) classify(_ context.Context, t tag, send emit[*batch]) error {
	t.verdict = t.repository.evidence.rules.Decide(t.facts)
	if t.verdict.Action == policy.Undecided && t.doubt == nil {
		t.doubt = errMeaningless
	}
	c.guard.observe(t)
	if t.verdict.Action == policy.Keep {
		c.run.pulse.remember(t)
	}
	held := t.repository.evidence.guarded() && c.guard.hold(t, !c.run.options.Rules.DeletesDated(t.facts.Regime))
	if !held {
		c.pass(t, send)
	}
	for _, held := range c.guard.release(false) {
		c.pass(held, send)
	}
	return nil
}

// finish lets go what the guard held to the end. After a stop that is no reason to
// suspect an outage: the rest of the tags was not looked at.
func (c *classifier) finish(ctx context.Context, send emit[*batch]) error {
	stopped := ctx.Err() != nil
	for _, held := range c.guard.release(true) {
		if stopped {
			held.verdict, held.doubt = notConfirmed, context.Cause(ctx)
		}
		c.pass(held, send)
	}
	for _, b := range c.open { // of repositories whose tags did not all come, after a stop
		send(b)
	}
	return nil
}

// pass sends a tag to where its verdict leads. With the last tag of a repository its
// batch leaves, too.
func (c *classifier) pass(t tag, send emit[*batch]) {
	if t.verdict.Action == policy.Delete {
		t.repository.planned.add(t.facts.Tag)
		c.run.progress.dead.found.Add(1)
		c.fill(t, send)
	} else {
		c.run.settle(t)
	}
	if t.repository.unclassified--; t.repository.unclassified == 0 {
		c.sendOn(t.repository, send)
	}
}

// fill puts a tag into its repository's batch, which leaves when it is full.
func (c *classifier) fill(t tag, send emit[*batch]) {
	b := c.open[t.repository]
	if b == nil {
		b = &batch{repository: t.repository}
		c.open[t.repository] = b
	}
	if b.add(t); len(b.tags) == maxBatch {
		c.sendOn(t.repository, send)
	}
}

// sendOn sends a repository's batch on, if it has one.
func (c *classifier) sendOn(repo *repository, send emit[*batch]) {
	if b := c.open[repo]; b != nil {
		delete(c.open, repo)
		send(b)
	}
}
