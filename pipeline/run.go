package pipeline

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/inuse"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// defaultGrace leaves time within ten seconds of a signal for summary and reports.
const defaultGrace = 8 * time.Second

// Options are the choices for one run.
type Options struct {
	Scope Scope
	// Rules decide on tags.
	Rules *policy.Rules
	// CacheSuffix ends the names of cache repositories. Where it is empty there are none.
	CacheSuffix string
	// InUse names images that are in use, and stay.
	InUse *inuse.List
	// InUseEnvironments keeps images that are named after what GitLab's environments have deployed.
	InUseEnvironments bool
	// DryRun decides and reports, and sends no request that changes anything.
	DryRun bool
	// MaxDeletions is how many tags may go, 0 for any number. When more would, nothing does: the run
	// ends like a dry run.
	MaxDeletions int
	// Workers is the size of each pool; less than 1 counts as 1. More than the
	// client's Concurrency keeps nothing busier.
	Workers int
	// Grace is how long deletions in flight may take after a stop; 0 stands for 8
	// seconds.
	Grace time.Duration
	// Verify says whose word a deletion needs; the registry's, unless it is [VerifyAPI].
	Verify Verify
	// RegistryURL is where the registry is, if not where GitLab says.
	RegistryURL string
	// Plan, if not nil, is applied: of all that the rules delete only what is in it goes, and Scope
	// says no more than what is left alone.
	Plan *plan.Plan
	// PlanIsNew says that this program has just made the plan. Of any other plan no tag goes of which
	// it does not say the digest.
	PlanIsNew bool
	// Journal, if not nil, gets each deletion before it is sent. Without it nothing can be undone.
	Journal Journal
	// Progress, if not nil, counts how far the run has come.
	Progress *Progress
}

// Run walks the scope, decides on every tag and deletes the dead ones. It tells the
// handler everything that happens, from the goroutine that called Run. No event is lost: a
// handler that does not return holds the run up.
//
// It returns nil when the walk came to its end, whatever happened to single items:
// those are events. Otherwise it returns what stopped the run: the cause of the
// context's end, a [*ScopeError], a [*NoRegistryError], an error of class [throttle.ErrUnauthorized] or
// [throttle.ErrInsufficientScope], or the handler's own.
func Run(ctx context.Context, client *gitlabapi.Client, options Options, handler report.Handler) error {
	options.Workers = max(options.Workers, 1)
	workers := options.Workers
	e, release := newEngine(ctx, cmp.Or(options.Grace, defaultGrace))
	defer release()
	events := make(chan report.Event, workers)
	r := newRun(e, client, options, events)
	deleters := make([]deleter, max(workers/4, 1))
	for i := range deleters {
		deleters[i].run, deleters[i].size = r, maxRequestTags
	}

	decide := func(repositories <-chan *projectRepository) {
		tags := start(e, r.tagStage(workers), repositories)
		decisions := start(e, r.classifyStage(workers), tags)
		requests := start(e, r.planStage(len(deleters)), decisions)
		startAddressed(e, len(deleters), requests, func(ctx context.Context, i int, request []candidate) error {
			return deleters[i].delete(ctx, request)
		})
	}
	projects := start(e, r.projectStage(), first(options.Scope))
	decide(start(e, r.repositoryStage(workers), projects))
	closeWhenDone(e, events, func(ctx context.Context) {
		if aside := r.aside.take(ctx, client.HeldFor()); len(aside) > 0 {
			decide(each(aside))
		}
	}, func(ctx context.Context) {
		parallel(len(deleters), len(deleters), func(i int) { deleters[i].confirm(ctx, true) })
		if event := r.refusals.end(); event != nil {
			r.tell(event)
		}
		r.tellUnmatched(ctx)
		r.settleRest(ctx)
	})

	for event := range events {
		e.failed(handler.Handle(event))
	}
	return context.Cause(e.soft)
}

// A run is what the stages share.
type run struct {
	client   *gitlabapi.Client
	options  Options
	events   chan<- report.Event
	hard     context.Context // of the engine: for deletions that were sent
	sources  *sources
	canary   canary
	progress *Progress
	// tooMany is set when more tags would go than may. No deletion is sent before that is known.
	tooMany atomic.Bool
	// known and unknown are how many repositories the registry has listed, and knew nothing of.
	known, unknown atomic.Int64
	// protectionUnknown tells that the instance does not say which tags its rules protect.
	protectionUnknown sync.Once
	exclude           *exclusion
	application       *application // nil unless a plan is applied
	// digestsInUse are the hashes of the digests in the user's lists, with the numbers of their
	// references.
	digestsInUse map[uint64]int
	inUseSeen    []atomic.Bool // by the number of a reference, whether a tag was listed that it names
	unreadable   atomic.Bool   // something could not be read, so that not all was seen
	// rechecking is held by the deleter that reads the grounds of its candidates again.
	rechecking *semaphore.Weighted
	refusals   refusals
	outages    *outages
	// namingAll and configsElsewhere are for what a plan says of images.
	namingAll        *policy.Rules
	configsElsewhere atomic.Bool
	// aside are repositories that are asked for again when all others are done.
	aside aside
}

func newRun(e *engine, client *gitlabapi.Client, options Options, events chan<- report.Event) *run {
	r := &run{
		client:     client,
		options:    options,
		events:     events,
		hard:       e.hard,
		progress:   cmp.Or(options.Progress, new(Progress)),
		rechecking: semaphore.NewWeighted(1),

		namingAll:    namingAll(options),
		exclude:      newExclusion(options.Scope.Exclude),
		application:  newApplication(options.Plan, options.Scope.Shard),
		digestsInUse: make(map[uint64]int),
	}
	for digest := range options.InUse.Digests() {
		r.digestsInUse[hashDigest(digest)], _ = options.InUse.FindDigest(digest)
	}
	_, _, limit := options.InUse.Count()
	r.inUseSeen = make([]atomic.Bool, limit)
	if options.Rules.Uses("project.topics") {
		r.client = client.WithTopics()
	}
	r.canary.isPart = r.application != nil
	r.outages = &outages{canary: &r.canary}
	r.sources = newSources(client, options, r.tell)
	return r
}

// tell hands an event to the handler. It waits until that is read, which Run does until all
// stages have ended: what happened is told even when the run has been cut off.
func (r *run) tell(event report.Event) {
	if _, ok := event.(report.Unreadable); ok {
		r.unreadable.Store(true)
	}
	r.events <- event
}

// notConfirmed is the verdict on a tag whose grounds could not be read: the run was stopped,
// or there was no answer.
var notConfirmed = policy.Verdict{Action: policy.Undecided, Reason: policy.DetailsUnknown}

// settle reports a tag that is not deleted.
func (r *run) settle(c candidate, verdict policy.Verdict, doubt error) {
	outcome, detail := report.Kept, ""
	if verdict.Action == policy.Undecided {
		outcome = report.Undecided
		if doubt != nil {
			detail = doubt.Error()
		}
	}
	c.verdict = verdict
	r.report(c, outcome, verdict.Reason, detail)
}

// report tells what came of a tag.
func (r *run) report(c candidate, outcome report.Outcome, reason policy.Reason, detail string) {
	d := c.decision()
	d.Outcome, d.Reason, d.Detail = outcome, reason, detail
	r.writeOutcome(c, d)
	r.progress.decided(outcome)
	r.tell(d)
}

// decision describes a candidate for reports, plan and journal. What came of it is left open.
func (c candidate) decision() report.Decision {
	kind, _ := c.finding.kind.Get()
	made, _ := c.finding.made.Get()
	return report.Decision{
		Project:          c.projectPath,
		ProjectID:        c.ProjectID,
		Repository:       c.Path,
		RepositoryID:     c.ID,
		Tag:              c.tag,
		Action:           c.verdict.Action,
		Reason:           c.verdict.Reason,
		Digest:           c.finding.digest,
		MediaType:        c.finding.mediaType,
		Kind:             string(kind),
		Bytes:            max(c.finding.bytes(), c.listed.bytes),
		Made:             made.UTC(),
		RestsOn:          c.restsOn(),
		CounterpartEmpty: c.blank,
	}
}

// endings are the classes of errors that are more than one item's: no request will succeed any more.
var endings = []error{throttle.ErrUnauthorized, throttle.ErrInsufficientScope, registry.ErrDenied, ErrOutage, ErrJournal}

// endsRun reports whether an error is more than one item's: no request will succeed
// any more.
func endsRun(err error) bool {
	return slices.ContainsFunc(endings, func(class error) bool { return errors.Is(err, class) })
}

// runError returns the error if it ends the run, and nil if it is one item's alone.
func runError(err error) error {
	if endsRun(err) {
		return err
	}
	return nil
}

// An endedError says of an item why it was left, where that is another item's failure, whose address
// and name would mislead here.
type endedError struct{ cause error }

// Error implements error.
func (e *endedError) Error() string {
	for _, class := range endings {
		if errors.Is(e.cause, class) {
			return "left, as the run ended: " + class.Error()
		}
	}
	return "left, as the run ended"
}

// Unwrap returns what ended the run.
func (e *endedError) Unwrap() error { return e.cause }

// left returns why an item is left after an error that may be another one's.
func left(err error) error {
	if endsRun(err) {
		return &endedError{err}
	}
	return err // a signal, say
}

// whyLeft returns why an item is left after a stop.
func whyLeft(ctx context.Context) error { return left(context.Cause(ctx)) }
