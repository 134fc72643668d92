package pipeline

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// defaultGrace leaves time within ten seconds of a signal for summary and reports.
const defaultGrace = 8 * time.Second

// Options are the choices for one run.
type Options struct {
	Scope Scope
	Rules policy.Rules
	// DryRun decides and reports, and sends no request that changes anything.
	DryRun bool
	// Workers is the size of each pool; less than 1 counts as 1. More than the
	// client's Concurrency keeps nothing busier.
	Workers int
	// Grace is how long deletions in flight may take after a stop; 0 stands for 8
	// seconds.
	Grace time.Duration
	// Verify says whose word a deletion needs.
	Verify Verify
	// RegistryURL is where the registry is, if not where GitLab says.
	RegistryURL string
	// MinAge keeps build caches that are younger, where their age is known.
	MinAge time.Duration
	// Progress, if not nil, counts how far the run has come.
	Progress *Progress
}

// Run walks the scope, decides on every tag and deletes the dead ones. It tells the
// handler everything that happens, from the goroutine that called Run.
//
// It returns nil when the walk came to its end, whatever happened to single items:
// those are events. Otherwise it returns what stopped the run: the cause of the
// context's end, a [*ScopeError], an error of class [throttle.ErrUnauthorized] or
// [throttle.ErrInsufficientScope], or the handler's own.
func Run(ctx context.Context, client *gitlabapi.Client, options Options, handler report.Handler) error {
	workers := max(options.Workers, 1)
	e, release := newEngine(ctx, cmp.Or(options.Grace, defaultGrace))
	defer release()
	events, tell := output[report.Event](e, workers)
	r := newRun(e, client, options, tell)

	projects := start(e, r.projectStage(), once(options.Scope))
	repositories := start(e, r.repositoryStage(workers), projects)
	tags := start(e, r.tagStage(workers), repositories)
	inspected := start(e, r.inspectStage(workers), tags)
	doomed := start(e, r.classifyStage(workers), inspected)
	startBulk(e, r.deleteStage(workers), r.isFull, doomed)
	closeAfterStages(e, events)

	for event := range events {
		_ = e.note(handler.Handle(event))
	}
	return context.Cause(e.soft)
}

// A run is what the stages share.
type run struct {
	client  *gitlabapi.Client
	options Options
	tell    emit[report.Event]
	hard    context.Context // of the engine: for deletions that are on their way
	started time.Time
	choice  chooser
	pulse   pulse

	progress *Progress
}

func newRun(e *engine, client *gitlabapi.Client, options Options, tell emit[report.Event]) *run {
	r := &run{
		client:  client,
		options: options,
		tell:    tell,
		hard:    e.hard,
		started: time.Now(),
		pulse:   pulse{client: client, turn: semaphore.NewWeighted(1)},

		progress: cmp.Or(options.Progress, new(Progress)),
	}
	r.choice = chooser{run: r, turn: semaphore.NewWeighted(1)}
	return r
}

// endsRun reports whether an error is more than one item's: no request will succeed
// any more.
func endsRun(err error) bool {
	return errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, throttle.ErrInsufficientScope) ||
		errors.Is(err, registry.ErrDenied)
}

// runError returns the error if it ends the run, and nil if it is one item's alone.
func runError(err error) error {
	if endsRun(err) {
		return err
	}
	return nil
}
