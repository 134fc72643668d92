package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A scannedRepository is one whose tags have been listed, with where facts about them come from.
type scannedRepository struct {
	*projectRepository
	sourceChoice
	tags listing
	size int // tags in the listing, without what is no tag
	// chosen is how many of the tags are decided upon.
	chosen int
	err    error // why the listing is incomplete

	compareNames  sync.Once
	namingDiffers bool // see run.comparesNames

	ranked      *flight.Cache[reading[ranking]]
	rankedAgain *flight.Cache[reading[ranking]]
	// readForRanks are the findings of all tags, by place in the listing, once ranks have taken a
	// reading of each.
	readForRanks atomic.Pointer[[]finding]
}

// A tag is what a listing says of one tag: the first of the three forms in which a tag
// travels. A [decision] and a [candidate] follow.
type tag struct {
	*scannedRepository
	listedTag
	planned *plan.Entry // what the plan says of it, when one is applied
	witness bool        // it is asked about for what it says of the registry alone
}

// tagStage is the tag fetcher: a pool of the given size. Each worker has one listing, which
// bounds the listings in memory that are no counterpart's. The tags of a repository are sent
// on when its listing has ended: deletions would shift the pages that are still to be read.
func (r *run) tagStage(workers int) stage[*projectRepository, tag] {
	return stage[*projectRepository, tag]{workers: workers, work: r.fetchTags}
}

// fetchTags sends the tags of a repository on. Those of an incomplete listing are sent, too,
// and accounted for; they are never deleted. After a stop the rest is left, since nothing has
// been asked about it.
func (r *run) fetchTags(ctx context.Context, p *projectRepository, send emit[tag]) error {
	r.progress.repositories.begin(1)
	s, err := r.listTags(ctx, p)
	if gitlabapi.Held(err) && ctx.Err() == nil && r.aside.put(p) {
		r.progress.repositories.inFlight.Add(-1)
		return nil
	}
	r.progress.repositories.finish(1)
	if s == nil {
		return err // without a source there is no run
	}
	var planned []tag
	if r.application != nil && ctx.Err() == nil {
		planned = r.plannedTags(ctx, s)
	} else {
		s.chosen = len(s.tags)
		r.progress.tags.found.Add(int64(len(s.tags)))
	}
	if ctx.Err() != nil {
		r.settleUnsent(ctx, planned)
		return runError(err)
	}
	if err != nil {
		r.tell(report.Unreadable{Name: p.Path, Project: p.projectPath, RepositoryID: p.ID, Err: err})
	} else {
		r.outages.remember(s)
		r.tell(report.RepositoryScanned{Project: p.projectPath, Repository: p.Path, Tags: len(s.tags)})
	}
	if r.application != nil {
		r.sendPlanned(ctx, planned, send)
		return runError(err)
	}
	for _, listed := range s.tags {
		if ctx.Err() != nil || !send(tag{scannedRepository: s, listedTag: listed}) {
			break
		}
	}
	return runError(err)
}

// errKnowsNothing says what is wrong with a registry that answers, and to which all that GitLab lists is
// unknown.
var errKnowsNothing = errors.New("the registry knows none of the repositories that GitLab lists: its storage may not be there, or it is not the registry of this GitLab")

// checkKnown tells when the registry has known no repository of the run: single ones may have had a
// push that failed, and nothing else.
func (r *run) checkKnown(ctx context.Context) {
	if ctx.Err() == nil && r.known.Load() == 0 && r.unknown.Load() > 0 {
		r.tell(report.Unreadable{Name: "the registry", Err: errKnowsNothing})
	}
}

// listTags chooses where facts about a repository's tags come from, and lists them. Where the
// repository is a counterpart, the listing is kept for its cache repository. It returns no
// repository where no source can be chosen.
func (r *run) listTags(ctx context.Context, p *projectRepository) (*scannedRepository, error) {
	choice, err := r.sources.choose(ctx, p.repository)
	if err != nil {
		return nil, err
	}
	var tags listing
	if p.shared != nil {
		tags, err = p.shared.get(ctx, choice.source)
	} else {
		err = r.outages.ask(ctx, func() error {
			tags, err = choice.source.list(ctx, p.repository)
			return err
		})
	}
	switch {
	case errors.Is(err, registry.ErrRepositoryNotFound):
		// GitLab knows it since a push began of which nothing came. For the cache repository
		// its counterpart stays unknown: the registry's storage may have lost it.
		r.unknown.Add(1)
		err = nil
	case err == nil:
		r.known.Add(1)
	}
	return &scannedRepository{
		projectRepository: p, sourceChoice: choice, tags: tags, size: tags.size(), err: err,
		ranked: flight.NewCache[reading[ranking]](1), rankedAgain: flight.NewCache[reading[ranking]](1),
	}, err
}

// aside are the repositories whose project wants to be left alone for a while. To wait for them
// would hold the others up, so they are asked for once more when those are done.
type aside struct {
	mu           sync.Mutex
	repositories []*projectRepository
	closed       bool // their turn has come: none is put aside again
}

// put puts a repository aside, unless it was before.
func (a *aside) put(p *projectRepository) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.repositories = append(a.repositories, p)
	}
	return !a.closed
}

// take returns the repositories after a wait, none after a stop.
func (a *aside) take(ctx context.Context, wait time.Duration) []*projectRepository {
	a.mu.Lock()
	repositories := a.repositories
	a.repositories, a.closed = nil, true
	a.mu.Unlock()
	if len(repositories) == 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return repositories
	case <-ctx.Done():
		return nil
	}
}
