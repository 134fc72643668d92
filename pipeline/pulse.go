package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
)

// witnesses is how many healthy tags are remembered, and maxQuestions how many of
// them are asked before the registry is taken to be failing: somebody may have deleted
// one of them meanwhile, hardly several.
const (
	witnesses    = 8
	maxQuestions = 3
)

var (
	// errNoPulse says that tags which had details have none now.
	errNoPulse = errors.New("tags that had details before have none now: the registry may be failing")
	// errNoWitness says that no tag is known of which one could ask.
	errNoWitness = errors.New("no tag with details is known")
)

// A pulse tells whether the registry behind GitLab is answering. A 404 looks the same
// whether a tag is broken or the registry is; but in an outage tags that were healthy a
// moment ago turn 404 (or lose their dates), too. So before the grounds for a deletion
// are read again, a healthy tag is asked for, some time after the first reading: if
// that fell into an outage, the outage is found or over.
//
// One check does for all tags that were first read before it began, so that it costs
// a request now and then, not one a deletion.
type pulse struct {
	client *gitlabapi.Client
	turn   *semaphore.Weighted // one check at a time
	clock  atomic.Int64        // counts readings and checks, which orders them

	mu      sync.Mutex
	alive   int64 // when the last check began that found the registry answering
	dated   []tag // ring of tags that are kept and had a date
	newest  int
	undated *tag // stands in until there is one with a date
	next    *call[struct{}]
}

// remember takes note of a tag that is kept and has details.
func (p *pulse) remember(t tag) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch hasDetails, hasDate := t.has(); {
	case hasDate && len(p.dated) < witnesses:
		p.dated = append(p.dated, t)
		p.newest = len(p.dated) - 1
	case hasDate:
		p.newest = (p.newest + 1) % witnesses
		p.dated[p.newest] = t
	case hasDetails:
		p.undated = &t
	}
}

// now returns a moment on the pulse's own clock, which is later than all before.
func (p *pulse) now() int64 { return p.clock.Add(1) }

// check returns nil when the registry was found to answer at some time after the
// given moment, errNoWitness when nobody can tell, and another error when it was not.
func (p *pulse) check(ctx context.Context, since int64) error {
	p.mu.Lock()
	if p.alive > since {
		p.mu.Unlock()
		return nil
	}
	c, first := p.next, p.next == nil
	if first {
		c = &call[struct{}]{done: make(chan struct{})}
		p.next = c
	}
	p.mu.Unlock()
	if first {
		p.lead(ctx, c)
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lead waits for the check that is on, begins the next one, from when on it is too
// late to join it, and shares what it finds.
func (p *pulse) lead(ctx context.Context, c *call[struct{}]) {
	defer close(c.done)
	err := p.turn.Acquire(ctx, 1)
	p.mu.Lock()
	p.next = nil
	p.mu.Unlock()
	if err != nil {
		c.err = err
		return
	}
	defer p.turn.Release(1)
	began := p.now()
	if c.err = p.ask(ctx); c.err == nil {
		p.mu.Lock()
		p.alive = began
		p.mu.Unlock()
	}
}

// ask asks for healthy tags, newest first, until one is as it was.
func (p *pulse) ask(ctx context.Context) error {
	tags := p.candidates()
	if len(tags) == 0 {
		return errNoWitness
	}
	for _, t := range tags {
		answer, err := p.client.TagDetails(ctx, t.repository.Repository, t.facts.Tag)
		_, hadDate := t.has()
		if err == nil && (!hadDate || t.dated || !answer.CreatedAt.IsZero()) {
			return nil
		}
		if err != nil && !errors.Is(err, gitlabapi.ErrTagNotFound) {
			return err // no answer says nothing, neither good nor bad
		}
	}
	return errNoPulse
}

func (p *pulse) candidates() []tag {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tags []tag
	for i := range min(len(p.dated), maxQuestions) {
		tags = append(tags, p.dated[(p.newest-i+len(p.dated))%len(p.dated)])
	}
	if len(tags) == 0 && p.undated != nil {
		tags = append(tags, *p.undated)
	}
	return tags
}
