package pipeline

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

const (
	// maxBatch is how many tags of a repository GitLab deletes at a time.
	maxBatch = gitlabapi.MaxDeletionTags
	// maxParcel is how many tags are deleted in one request at most. GitLab deletes one
	// after the other, each in a fraction of a second, and gives up after some thirty
	// seconds.
	maxParcel = 40
)

// A batch is dead tags of one repository, which are confirmed and deleted together. It
// leaves the classifier when it is full or with the last tag of its repository.
type batch struct {
	repository *repository
	tags       []tag
	// again is what the repository's listing says of the tags right before the
	// deletion, where one listing costs less than asking for each.
	again *secondLook
}

// add puts a tag into the batch.
func (b *batch) add(t tag) {
	t.batch = b
	b.tags = append(b.tags, t)
}

// names returns the names of the batch's tags.
func (b *batch) names() []string { return parcel{b}.names() }

// keep leaves in the batch those tags for which the function returns true.
func (b *batch) keep(stays func(*tag) bool) {
	left := b.tags[:0]
	for i := range b.tags {
		if stays(&b.tags[i]) {
			left = append(left, b.tags[i])
		}
	}
	clear(b.tags[len(left):])
	b.tags = left
}

// A parcel is batches that are deleted in one request.
type parcel []*batch

// freshUntil is when the confirmation of a tag's grounds has grown old: it is good for as
// long as a fresh listing is, and the time that it took itself, which shows how long
// requests wait just now.
func (t *tag) freshUntil() time.Time { return t.confirmed.Add(maxFresh + t.took) }

// isOld reports whether less than half of that time is left.
func (t *tag) isOld(now time.Time) bool { return now.Sub(t.confirmed) > (maxFresh+t.took)/2 }

// freshUntil is when the first of a parcel's confirmations has grown old.
func (p parcel) freshUntil() time.Time {
	var first time.Time
	for _, t := range p.tags() {
		if until := t.freshUntil(); first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// old returns the tags whose confirmation is old and rests on nothing but their own
// details.
func (p parcel) old(now time.Time) []*tag {
	return slices.DeleteFunc(p.tags(), func(t *tag) bool {
		return !t.isOld(now) || t.verdict.Reason != policy.MissingDetails
	})
}

// split parts the tags whose confirmation is old from the others.
func (p parcel) split(now time.Time) (ready, late parcel) {
	for _, b := range p {
		fresh, stale := &batch{repository: b.repository}, &batch{repository: b.repository}
		for _, t := range b.tags {
			if t.isOld(now) {
				stale.add(t)
			} else {
				fresh.add(t)
			}
		}
		ready, late = append(ready, fresh), append(late, stale)
	}
	return ready.withoutEmpty(), late.withoutEmpty()
}

// withoutEmpty leaves out the batches that have no tag.
func (p parcel) withoutEmpty() parcel {
	return slices.DeleteFunc(p, func(b *batch) bool { return len(b.tags) == 0 })
}

// tags returns all tags of a parcel.
func (p parcel) tags() []*tag {
	var all []*tag
	for _, b := range p {
		for i := range b.tags {
			all = append(all, &b.tags[i])
		}
	}
	return all
}

// names returns the names of all tags of a parcel.
func (p parcel) names() []string {
	var names []string
	for _, t := range p.tags() {
		names = append(names, t.facts.Tag)
	}
	return names
}

// byRepository parts a parcel into those of one repository each.
func (p parcel) byRepository() []parcel {
	together := make(map[*repository]parcel)
	for _, b := range p {
		together[b.repository] = append(together[b.repository], b)
	}
	return slices.Collect(maps.Values(together))
}

// keep leaves in the parcel those tags for which the function returns true.
func (p parcel) keep(stays func(*tag) bool) {
	for _, b := range p {
		b.keep(stays)
	}
}

// dropDone takes out of a parcel the tags that have been reported.
func (p parcel) dropDone() {
	p.keep(func(t *tag) bool { return !t.done })
}

// holdListings keeps the listings of the parcel's repositories from being read afresh
// until the returned function is called. It takes each repository once, in the order of
// their ids: who waits for one of them then holds none that others wait for. A context
// that ends leaves some of them out, which does no harm, since nothing is deleted any
// more.
func (p parcel) holdListings(ctx context.Context) (release func()) {
	var repositories []*repository
	for _, same := range p.byRepository() {
		repositories = append(repositories, same[0].repository)
	}
	slices.SortFunc(repositories, func(a, b *repository) int { return cmp.Compare(a.ID, b.ID) })
	var held []*semaphore.Weighted
	for _, repo := range repositories {
		if repo.deletions.Acquire(ctx, 1) == nil {
			held = append(held, repo.deletions)
		}
	}
	return func() {
		for _, deletions := range held {
			deletions.Release(1)
		}
	}
}

// isFull reports whether a parcel has no room for a further batch, however small. Where
// GitLab deletes one tag a request there is nothing to gain from several batches.
func (r *run) isFull(batches []*batch) bool {
	most, _ := r.client.MaxDeletions()
	return len(batches) >= most || len(parcel(batches).tags()) > maxParcel-maxBatch
}
