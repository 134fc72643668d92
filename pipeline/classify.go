package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// classifyStage is the classifier. It is a pool of one: deciding costs no request and
// about a microsecond, and the outage guard has to see all tags in one place. At the
// end of its input, a stop included, it lets go what the guard still holds.
func (r *run) classifyStage() stage[tag, tag] {
	c := &classifier{run: r}
	return stage[tag, tag]{workers: 1, work: c.classify, end: c.finish}
}

// errMeaningless is the doubt about a 404 that no error explains: the regime is
// unknown, or it is the one in which a tag that is listed is there.
var errMeaningless = errors.New("GitLab lists the tag and has no details of it, which proves nothing in the regime at hand")

// A classifier sends what is to be deleted on, and reports the rest.
type classifier struct {
	run   *run
	guard outageGuard
}

func (c *classifier) classify(_ context.Context, t tag, send emit[tag]) error {
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
func (c *classifier) finish(ctx context.Context, send emit[tag]) error {
	stopped := ctx.Err() != nil
	for _, held := range c.guard.release(true) {
		if stopped {
			held.verdict, held.doubt = notConfirmed, context.Cause(ctx)
		}
		c.pass(held, send)
	}
	return nil
}

// pass sends a tag to where its verdict leads.
func (c *classifier) pass(t tag, send emit[tag]) {
	if t.verdict.Action != policy.Delete {
		c.run.settle(t)
		return
	}
	t.repository.planned.add(t.facts.Tag)
	send(t)
}
