package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// UndoOptions are the choices for taking deletions back.
type UndoOptions struct {
	// DryRun looks what could be brought back, and changes nothing.
	DryRun bool
	// Workers is how many tags are worked on at a time; less than 1 counts as 1.
	Workers int
	// Grace is how long what was sent may take after a stop; 0 stands for 8 seconds.
	Grace time.Duration
	// RegistryURL is where the registry is, if not where GitLab says.
	RegistryURL string
	// Progress, if not nil, counts how far it has come.
	Progress *Progress
}

// An UndoOutcome is what became of a tag that was to be brought back.
type UndoOutcome string

// The outcomes. In a dry run Restored is what could be.
const (
	Restored     UndoOutcome = "restored"
	ThereAlready UndoOutcome = "there already"
	TakenByOther UndoOutcome = "taken by another image"
	Collected    UndoOutcome = "collected"
	// PointedToNothing is that of a tag whose manifest was missing when it was deleted: there is nothing
	// to bring back.
	PointedToNothing UndoOutcome = "pointed to nothing"
	Protected        UndoOutcome = "protected"
	NotRestored      UndoOutcome = "failed"
	NoDigest         UndoOutcome = "without digest" // the journal does not say what the tag pointed to
	NotReached       UndoOutcome = "not reached"
)

// A Restoration says what became of one tag.
type Restoration struct {
	plan.Record
	Outcome UndoOutcome
	Now     string // the digest that the tag names, of one that was taken by another image
	Err     error  // why it was not restored, where there is more to say
}

// Deletions are those that journals tell of: of each tag the last of which the digest is known.
type Deletions struct{ last map[tagReference]plan.Record }

// sameDeletion is how far apart records of one deletion are at most: its lines, and those of its retries. Of
// these one with a digest counts before one without.
const sameDeletion = time.Hour

// Add adds a record of a journal. Journals may be read in any order.
func (d *Deletions) Add(r plan.Record) {
	if d.last == nil {
		d.last = make(map[tagReference]plan.Record)
	}
	tag := tagReference{r.Repository, r.Tag}
	known, found := d.last[tag]
	apart := r.Time.Sub(known.Time)
	switch {
	case !found, apart >= sameDeletion, apart >= 0 && (r.Digest != "" || known.Digest == ""),
		apart > -sameDeletion && known.Digest == "" && r.Digest != "":
		d.last[tag] = r
	}
}

// Select returns the deletions of tags whose names match, and whose repositories' paths do; nil matches all.
// Those of a manifest follow each other.
func (d *Deletions) Select(repository, tag *regexp.Regexp) []plan.Record {
	var records []plan.Record
	for of, r := range d.last {
		if (repository == nil || repository.MatchString(of.path)) && (tag == nil || tag.MatchString(of.tag)) {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b plan.Record) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Tag, b.Tag))
	})
	return records
}

// Undo brings deleted tags back, as far as the registry still has what they pointed to. It never moves a
// tag that exists. It tells the handler what became of each record, from the goroutine that called Undo,
// also after a stop.
//
// It returns nil when all were looked at, and otherwise what ended that: the cause of the context's end, a
// [*NoRegistryError], an error by which no further tag could be brought back, or the handler's own.
func Undo(ctx context.Context, client *gitlabapi.Client, records []plan.Record, options UndoOptions, handle func(Restoration) error) error {
	options.Workers = max(options.Workers, 1)
	e, release := newEngine(ctx, cmp.Or(options.Grace, defaultGrace))
	defer release()
	results := make(chan Restoration, options.Workers)
	u := &undo{
		engine: e, client: client, options: options, records: records,
		progress:  cmp.Or(options.Progress, new(Progress)),
		manifests: flight.NewCache[readManifest](2 * options.Workers),
	}
	u.progress.tags.found.Add(int64(len(records)))
	found := start(e, stage[[]plan.Record, plan.Record]{workers: 1, work: u.find}, first(records))
	start(e, stage[plan.Record, struct{}]{workers: options.Workers, work: func(ctx context.Context, r plan.Record, _ emit[struct{}]) error {
		u.progress.tags.begin(1)
		result, err := u.bringBack(ctx, r)
		u.progress.undone(result.Outcome)
		results <- result // read until all stages have ended
		return err
	}}, found)
	closeWhenDone(e, results)
	told := make(map[tagReference]bool, len(records))
	for result := range results {
		told[tagReference{result.Repository, result.Tag}] = true
		e.failed(handle(result))
	}
	for _, r := range records { // that were not handed on any more
		if !told[tagReference{r.Repository, r.Tag}] {
			e.failed(handle(Restoration{Record: r, Outcome: NotReached}))
		}
	}
	return context.Cause(e.soft)
}

// An undo is what its workers share.
type undo struct {
	*engine
	client   *gitlabapi.Client
	options  UndoOptions
	records  []plan.Record
	progress *Progress

	registry *registry.Registry  // set before the first record is handed on
	groups   map[string][]string // of repositories that share a token
	// manifests are those at work, by repository and digest: several tags may have pointed to one.
	manifests *flight.Cache[readManifest]

	mu      sync.Mutex
	failing int // how many tags in a row
}

// find finds the registry and hands the records on. Records without a digest need none.
func (u *undo) find(ctx context.Context, records []plan.Record, send emit[plan.Record]) error {
	if slices.ContainsFunc(records, func(r plan.Record) bool { return r.Digest != "" }) {
		address, err := u.address(ctx)
		if err != nil {
			return err
		}
		reg, err := registry.New(u.client.Throttle(), address)
		if err == nil {
			err = reg.Reach(ctx)
		}
		if err != nil {
			return cmp.Or(context.Cause(ctx), error(&NoRegistryError{Address: address, Err: err}))
		}
		if u.registry = reg; !u.options.DryRun {
			u.registry = reg.WithPush()
		}
	}
	var paths []string
	for _, r := range records {
		paths = append(paths, r.Repository)
	}
	u.groups = registry.TokenGroups(slices.Compact(paths))
	for _, r := range records {
		send(r)
	}
	return nil
}

// maxHostRequests is how many projects are asked at most where the registry is.
const maxHostRequests = 20

// address returns where the registry is. GitLab says it with any repository that it still has.
func (u *undo) address(ctx context.Context) (string, error) {
	if u.options.RegistryURL != "" {
		return u.options.RegistryURL, nil
	}
	why := errors.New("GitLab shows no repository of the projects in which tags were deleted")
	asked := make(map[int64]bool)
	for _, r := range u.records {
		if asked[r.ProjectID] || len(asked) == maxHostRequests {
			continue
		}
		asked[r.ProjectID] = true
		host, err := u.client.RegistryHost(ctx, r.ProjectID)
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case endsRun(err):
			return "", err
		case err != nil:
			why = err
		case host != "":
			return host, nil
		}
	}
	return "", &NoRegistryError{Err: &registry.AddressError{Err: why}}
}

// mostInARow is how many tags may fail in a row before the rest is left: what fails for every tag is no
// tag's fault, and may take half a minute for each.
const mostInARow = 40

// ErrAllFail says that so many tags failed one after the other that the others were left.
var ErrAllFail = errors.New("tag after tag fails")

// count counts a result, and returns an error when nothing will succeed any more.
func (u *undo) count(result Restoration) error {
	if endsUndo(result.Err) {
		return result.Err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch result.Outcome {
	case Restored, ThereAlready, TakenByOther, Collected, PointedToNothing:
		u.failing = 0
	case NotRestored:
		if errors.Is(result.Err, throttle.ErrForbidden) || gitlabapi.Held(result.Err) {
			return nil // which says something of one project
		}
		if u.failing++; u.failing == mostInARow {
			return fmt.Errorf("%w, %d in a row; the last one: %w", ErrAllFail, u.failing, result.Err)
		}
	}
	return nil
}

// endsUndo reports whether an error is more than one tag's.
func endsUndo(err error) bool { return endsRun(err) || errors.Is(err, registry.ErrMayNotPull) }
