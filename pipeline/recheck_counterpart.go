package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What an orphan lacks is read again right before its deletion. Lists can be wrong with a
// success: GitLab sends an empty one when the registry fails to list, and a short one when it
// fails half-way.

// furtherReadings is how many more lists have to agree with a second one that lacks what the
// first had, or everything. With one of them, a registry that fails to list at one time in
// twenty passed one repository in 8,000 off as empty; with three, one in three million.
const furtherReadings = 3

var (
	errReadingsDiffer = errors.New("readings of the counterpart's listing differ")
	errListsNothing   = errors.New("the repository, which has tags, lists none: the registry may be failing")
	errListsNoMore    = errors.New("the counterpart repository, which had tags, lists none any more: the registry may be failing")
	errListsMore      = errors.New("the counterpart repository, which listed nothing at first, lists tags now: the registry may be failing")
	errListsSlowly    = errors.New("listing the counterpart repository takes longer than ten seconds, so that it does not show what is missing")
	errAppeared       = errors.New("a counterpart repository has appeared")
	errNotListed      = errors.New("the repository itself is missing from its project's listing")
)

// A counterpartCheck is what a fresh look at an orphan's counterpart repository has found. The
// orphans of one repository share it.
type counterpartCheck struct {
	exists bool      // the counterpart repository does
	since  time.Time // when it was looked for, zero where nothing that was read is older than the check
	tags   listing
	err    error
}

// recheckCounterparts reads the tags of the counterpart of the candidates' repository afresh, or that
// there is still no such repository. Without an orphan among the candidates it reads nothing.
func (a api) recheckCounterparts(ctx context.Context, candidates []candidate, src source) counterpartCheck {
	cache := cacheOf(candidates)
	switch {
	case cache == nil:
		return counterpartCheck{}
	case cache.counterpart == nil:
		since, err := a.confirmRepositoryMissing(ctx, cache)
		return counterpartCheck{since: since, err: err}
	}
	tags, err := a.relist(ctx, cache, src)
	return counterpartCheck{exists: true, tags: tags, err: err}
}

// of returns what the check says of the counterpart of a tag.
func (c counterpartCheck) of(tag string) policy.Fact[policy.Counterpart] {
	switch {
	case c.err != nil:
		return policy.Unknown[policy.Counterpart]()
	case !c.exists:
		return policy.Known(policy.CounterpartRepositoryMissing)
	case c.tags.has(tag):
		return policy.Known(policy.CounterpartPresent)
	default:
		return policy.Known(policy.CounterpartTagMissing)
	}
}

// relist lists a counterpart again. The list has to have all that the first one had, but for
// what the run has deleted since, or further ones have to agree with it; and where they agree
// on nothing, the cache repository itself has to list something.
func (a api) relist(ctx context.Context, cache *projectRepository, src source) (listing, error) {
	counterpart := cache.counterpart
	first, err := counterpart.get(ctx, src)
	if err != nil {
		return nil, err
	}
	if counterpart.slow.Load() > 1 {
		return nil, errListsSlowly
	}
	began := time.Now()
	tags, err := src.list(ctx, counterpart.repository)
	if time.Since(began) <= maxAge {
		counterpart.slow.Store(0)
	} else {
		counterpart.slow.Add(1) // once may be a pause
	}
	switch {
	case err != nil:
		return nil, err
	case len(first) == 0 && len(tags) > 0:
		return nil, errListsMore // what was decided on its names rests on nothing
	case len(tags) > 0 && tags.covers(first, &counterpart.deleted):
		return tags, nil
	case len(tags) == 0 && !tags.covers(first, &counterpart.deleted):
		return nil, errListsNoMore
	}
	for range furtherReadings {
		further, err := src.list(ctx, counterpart.repository)
		switch {
		case err != nil:
			return nil, err
		case !further.covers(tags, &counterpart.deleted) || !tags.covers(further, &counterpart.deleted):
			return nil, errReadingsDiffer
		}
	}
	if len(tags) == 0 {
		return nil, a.listsSomething(ctx, cache.repository)
	}
	return tags, nil
}

// listsSomething returns nil when a repository that has tags lists any.
func (a api) listsSomething(ctx context.Context, r *repository) error {
	listed, err := a.client.HasTags(ctx, r.Repository)
	if err == nil && !listed {
		err = errListsNothing
	}
	return err
}

// confirmRepositoryMissing looks for the counterpart repository in a fresh list of the project's
// repositories, which the project's other cache repositories share. It returns since when it is known
// that there is none.
func (a api) confirmRepositoryMissing(ctx context.Context, cache *projectRepository) (time.Time, error) {
	now, err := cache.project.readRepositories(ctx, a.client)
	counterpart, _ := strings.CutSuffix(cache.Name, a.suffix)
	switch {
	case errors.Is(err, errRepositoriesSlow) && counterpart != "":
		return time.Now(), a.confirmByName(ctx, cache, counterpart)
	case err != nil:
		return now.began, err
	case now.value.names[counterpart]:
		return now.began, errAppeared
	case !now.value.ids[cache.ID]:
		return now.began, errNotListed
	}
	return now.began, nil
}

// confirmByName looks for the counterpart repository by its name, where the project has more repositories
// than can be listed while that shows anything. The cache repository has the name in its own, so that a
// list without it is none.
func (a api) confirmByName(ctx context.Context, cache *projectRepository, counterpart string) error {
	named, err := a.client.RepositoriesNamed(ctx, cache.project.Project, counterpart)
	listed := false
	for _, r := range named {
		if r.Name == counterpart {
			return errAppeared
		}
		listed = listed || r.ID == cache.ID
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w; %w", errRepositoriesSlow, err)
	case !listed:
		return errNotListed
	}
	return nil
}

// counterpartDetails returns what a check and, where it found no tag, GitLab's details of the
// counterpart say.
func (a api) counterpartDetails(ctx context.Context, c candidate, check counterpartCheck) (policy.Fact[policy.Counterpart], error) {
	found := check.of(c.tag)
	if known, _ := found.Get(); known != policy.CounterpartTagMissing {
		return found, check.err
	}
	_, err := a.client.TagDetails(ctx, c.orphan.counterpart.Repository, c.tag)
	switch {
	case err == nil:
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		return found, nil
	default:
		return policy.Unknown[policy.Counterpart](), err
	}
}
