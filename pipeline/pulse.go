package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
)

// maxWitnesses is how many healthy tags are remembered, and maxQuestions how many of
// them are asked before the registry is taken to be failing: somebody may have deleted
// one of them meanwhile, hardly several.
const (
	maxWitnesses = 8
	maxQuestions = 3
)

var (
	// errNoPulse says that tags which had details have none now.
	errNoPulse = errors.New("tags that had details before have none now: the registry may be failing")
	// errUnsteady says that something was missing and came back.
	errUnsteady = errors.New("something that was missing came back: the registry may be failing now and then")
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
//
// A registry that fails for a share of the requests only shows by what is missing at
// one time and there at another. The first sign of that stops all deletions of the run
// that are still to come.
type pulse struct {
	client *gitlabapi.Client
	turn   *semaphore.Weighted // one check at a time
	clock  atomic.Int64        // counts readings and checks, which orders them

	unsteady atomic.Bool

	mu      sync.Mutex
	alive   int64     // when the last check began that found the registry answering
	dated   []witness // ring of tags that are kept and had a date
	newest  int
	undated *witness // stands in until there is one with a date
	next    *call[struct{}]
}

// A witness is a tag that had details. It is no [tag], which would keep its project and
// the project's listings in memory.
type witness struct {
	repository gitlabapi.Repository
	tag        string
	hadDate    bool
}

// remember takes note of a tag that is kept and has details.
func (p *pulse) remember(t tag) {
	hasDetails, hasDate := t.has()
	w := witness{t.repository.Repository, t.facts.Tag, hasDate && !t.dated}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case hasDate && len(p.dated) < maxWitnesses:
		p.dated = append(p.dated, w)
		p.newest = len(p.dated) - 1
	case hasDate:
		p.newest = (p.newest + 1) % maxWitnesses
		p.dated[p.newest] = w
	case hasDetails:
		p.undated = &w
	}
}

// distrust stops the deletions that are still to come.
func (p *pulse) distrust() { p.unsteady.Store(true) }

// now returns a moment on the pulse's own clock, which is later than all before.
func (p *pulse) now() int64 { return p.clock.Add(1) }

// check returns nil when the registry was found to answer at some time after the
// given moment, errNoWitness when nobody can tell, and another error when it was not.
func (p *pulse) check(ctx context.Context, since int64) error {
	if p.unsteady.Load() {
		return errUnsteady
	}
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

// ask asks for healthy tags, newest first, until one is as it was; the first time for
// all that are known, to see how steadily the registry answers.
func (p *pulse) ask(ctx context.Context) error {
	witnesses, first := p.candidates()
	if len(witnesses) == 0 {
		return errNoWitness
	}
	alive := false
	for _, w := range witnesses {
		if alive && !first {
			break
		}
		healthy, err := p.isHealthy(ctx, w)
		if err != nil {
			return err // no answer says nothing, neither good nor bad
		}
		alive = alive || healthy
	}
	if !alive {
		return errNoPulse
	}
	return nil
}

// isHealthy reports whether a witness is as it was. One that is not is asked again: it
// is gone for good, or it comes back, by which the registry shows that it fails now and
// then.
func (p *pulse) isHealthy(ctx context.Context, w witness) (bool, error) {
	healthy, err := p.question(ctx, w)
	if err != nil || healthy {
		return healthy, err
	}
	if healthy, err = p.question(ctx, w); err == nil && healthy {
		p.distrust()
		err = errUnsteady
	}
	return healthy, err
}

// question reports whether a witness is as it was.
func (p *pulse) question(ctx context.Context, w witness) (bool, error) {
	answer, err := p.client.TagDetails(ctx, w.repository, w.tag)
	if errors.Is(err, gitlabapi.ErrTagNotFound) {
		return false, nil
	}
	return err == nil && (!w.hadDate || !answer.CreatedAt.IsZero()), err
}

// candidates returns whom to ask, and whether that is the first check of the run.
func (p *pulse) candidates() (witnesses []witness, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = p.alive == 0
	n := len(p.dated)
	if !first {
		n = min(n, maxQuestions)
	}
	for i := range n {
		witnesses = append(witnesses, p.dated[(p.newest-i+len(p.dated))%len(p.dated)])
	}
	if len(witnesses) == 0 && p.undated != nil {
		witnesses = append(witnesses, *p.undated)
	}
	return witnesses, first
}
