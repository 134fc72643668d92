package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"
)

// errReadingsDiffer says that two readings of a list contradict each other.
var errReadingsDiffer = errors.New("readings of the counterpart's listing differ")

// maxFresh is how long a second reading counts as fresh: one for each cache repository
// is enough, unless its deletions take longer.
const maxFresh = 10 * time.Second

// furtherReadings is how many more have to agree with a second reading that lacks what the
// first had, or everything. With one of them, a registry that fails to list at one time
// in twenty passed one repository in 8,000 off as empty; with three, one in three million.
const furtherReadings = 3

// A freshReading is what a second look at a counterpart repository found, shared by
// the orphans of one cache repository. A failure is shared, too: those orphans stay.
type freshReading struct {
	turn *semaphore.Weighted // one at a time

	// What follows is for who has the turn.
	at   time.Time     // when it had been read
	took time.Duration // that to do
	tags listing
	err  error
}

// get returns a reading that is fresh, and how long it took: its first page is older by
// so much.
func (f *freshReading) get(ctx context.Context, read func(context.Context) (listing, error)) (tags listing, took time.Duration, err error) {
	if err := f.turn.Acquire(ctx, 1); err != nil {
		return nil, 0, context.Cause(ctx)
	}
	defer f.turn.Release(1)
	if f.at.IsZero() || time.Since(f.at) > maxFresh {
		began := time.Now()
		f.tags, f.err = read(ctx)
		f.at, f.took = time.Now(), time.Since(began)
	}
	return f.tags, f.took, f.err
}

// readAfresh looks a second time at what the orphans of a cache repository lack. It
// returns the counterpart's tags, none where there is no counterpart repository.
func (r *run) readAfresh(ctx context.Context, cache *repository) (listing, error) {
	counterpart, exists := r.counterpartOf(cache)
	if !exists {
		return nil, r.confirmRepositoryMissing(ctx, cache)
	}
	before, err := counterpart.list(ctx, cache.evidence)
	if err != nil {
		return nil, err
	}
	tags, err := counterpart.listAfresh(ctx, cache.evidence)
	if err != nil {
		return nil, err
	}
	if len(tags) > 0 && tags.covers(before, &counterpart.planned) {
		return tags, nil
	}
	// An empty list may be an outage and a shorter one a list cut short: GitLab sends
	// both as a success. It takes further ones that agree.
	for range furtherReadings {
		further, err := counterpart.listAfresh(ctx, cache.evidence)
		if err != nil {
			return nil, err
		}
		if !further.covers(tags, &counterpart.planned) || !tags.covers(further, &counterpart.planned) {
			return nil, errReadingsDiffer
		}
	}
	if len(tags) == 0 {
		return nil, r.lists(ctx, cache) // else no list at all may be to be had just now
	}
	return tags, nil
}

// confirmRepositoryMissing reads the repositories of a project again. That list has to
// name the cache repository itself and all that were there before, or a third has to
// agree.
func (r *run) confirmRepositoryMissing(ctx context.Context, cache *repository) error {
	second, err := r.repositoryIDs(ctx, cache)
	if err != nil {
		return err
	}
	complete := true
	for _, known := range cache.project.byName {
		complete = complete && slices.Contains(second, known.ID)
	}
	if complete {
		return nil
	}
	third, err := r.repositoryIDs(ctx, cache)
	if err == nil && !slices.Equal(second, third) {
		err = errReadingsDiffer
	}
	return err
}

// repositoryIDs lists a project's repositories now, sorted by id. It is an error when
// the cache repository is not among them or its counterpart has appeared.
func (r *run) repositoryIDs(ctx context.Context, cache *repository) ([]int64, error) {
	repositories, err := r.client.ProjectRepositories(ctx, cache.ProjectID)
	if err != nil {
		return nil, err
	}
	name, _ := r.options.Rules.CounterpartOf(cache.Name)
	var ids []int64
	for _, repository := range repositories {
		if repository.Name == name {
			return nil, errors.New("a counterpart repository has appeared")
		}
		ids = append(ids, repository.ID)
	}
	if !slices.Contains(ids, cache.ID) {
		return nil, errors.New("the repository itself is missing from its project's listing")
	}
	slices.Sort(ids)
	return ids, nil
}
