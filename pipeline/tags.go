package pipeline

import (
	"context"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A tag is on its way through the stages, with what is known about it.
type tag struct {
	repository *repository
	dated      bool  // by its listing
	published  int64 // by its listing, like the next two; see listed
	mark       uint64
	bytes      int64 // that it references, 0 while that is not known
	examined   bool  // all that a deletion would rest on has been looked at
	digest     string
	batch      *batch             // once it is to be deleted
	done       bool               // its deletion has been reported
	confirmed  time.Time          // when the grounds for its deletion were
	took       time.Duration      // that to do
	sent       bool               // a deletion was sent and not confirmed
	manifest   *manifest.Manifest // while the first look at it goes on
	read       int64              // when it had been read for the first time, on the clock of the pulse
	facts      policy.Facts
	verdict    policy.Verdict
	// doubt is why a fact is unknown, for people.
	doubt error
}

// tagStage is the tag fetcher: a pool of the given size, one repository's listing in
// each pair of hands, which bounds the listings in memory that are nobody's
// counterpart. Its tags leave only after the listing has ended: deleting while pages
// are read would shift them.
func (r *run) tagStage(workers int) stage[*repository, tag] {
	return stage[*repository, tag]{workers: workers, work: r.fetchTags}
}

// fetchTags sends the tags of a repository on. Those of a listing that broke off go
// on, too, so that they are accounted for; nobody will delete them. After a stop the
// rest is left: nothing has been found out about it.
func (r *run) fetchTags(ctx context.Context, repo *repository, send emit[tag]) error {
	tags, err := r.findTags(ctx, repo)
	if repo.evidence == nil {
		return err
	}
	if ctx.Err() != nil {
		return runError(err)
	}
	if err != nil {
		r.tell(report.Unreadable{Name: repo.Path, Project: repo.project.Path, RepositoryID: repo.ID, Err: err})
	} else {
		r.tell(report.RepositoryScanned{Project: repo.project.Path, Repository: repo.Path, Tags: len(tags)})
	}
	repo.unclassified, repo.size = len(tags), len(tags)
	for _, l := range tags {
		item := tag{repository: repo, dated: l.dated, published: l.published, mark: l.mark, bytes: l.bytes, doubt: err}
		item.facts = policy.Facts{Repository: repo.Name, Tag: l.name, Listed: err == nil}
		if ctx.Err() != nil || !send(item) {
			break
		}
	}
	return runError(err)
}

// findTags chooses where the facts about a repository's tags come from, and lists them.
func (r *run) findTags(ctx context.Context, repo *repository) (tags listing, err error) {
	r.progress.repositories.begin(1)
	defer func() {
		r.progress.tags.found.Add(int64(len(tags)))
		r.progress.repositories.finish(1)
	}()
	if repo.evidence, err = r.choice.of(ctx, repo); err != nil {
		return nil, err
	}
	return r.ownListing(ctx, repo)
}

// ownListing returns the tags of a repository for its own scan. Where a cache
// repository may ask for them they are kept; elsewhere they are forgotten with the
// last of them.
func (r *run) ownListing(ctx context.Context, repo *repository) (listing, error) {
	if _, asked := repo.project.byName[repo.Name+r.options.Rules.CacheSuffix]; asked {
		return repo.list(ctx, repo.evidence)
	}
	return repo.evidence.list(ctx, repo)
}

// has reports whether the tag is known to have details, and a date.
func (t tag) has() (details, date bool) {
	known, ok := t.facts.Details.Get()
	return ok && known != policy.DetailsMissing, ok && known == policy.DetailsDated
}
