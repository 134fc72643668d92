package pipeline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A sharedProject is what the repositories of a project share. What it has read is dropped with
// the last tag that refers to it.
type sharedProject struct {
	gitlabapi.Project
	repositories []int64 // ids of all, sorted
	protection   gitlabapi.Protection
	references   *flight.Cache[reading[gitlabapi.References]] // branches and Git tags
	deployed     *flight.Cache[reading[map[string]bool]]      // what stands for what environments have deployed
	relisted     *flight.Cache[reading[listedRepositories]]   // its repositories as they are now
	slow         atomic.Int32                                 // how often in a row that took longer than it would be fresh
}

func newSharedProject(p *project) *sharedProject {
	return &sharedProject{
		Project: p.Project, protection: p.protection,
		references: flight.NewCache[reading[gitlabapi.References]](1), deployed: flight.NewCache[reading[map[string]bool]](1),
		relisted: flight.NewCache[reading[listedRepositories]](1),
	}
}

// topics returns the project's topics, which are unknown where the list of projects does not say.
func (p *sharedProject) topics() policy.Fact[[]string] {
	if p.Topics == nil {
		return policy.Unknown[[]string]()
	}
	return policy.Known(p.Topics)
}

// A reading is what was read of a project at a time, or why it could not be. A failure holds for
// as long as an answer would: asking again for every tag would take hours.
type reading[T any] struct {
	value T
	began time.Time
	err   error
}

// freshFor is how long candidates that are rechecked share a reading: half of the time for which
// it is good.
const freshFor = maxAge / 2

// read returns what a cache has or reads it. A recheck takes nothing that was read longer ago
// than freshFor.
func read[T any](ctx context.Context, cache *flight.Cache[reading[T]], recheck bool, get func(context.Context) (T, error)) (reading[T], error) {
	stale := func(r reading[T]) bool { return recheck && time.Since(r.began) > freshFor }
	r, err := cache.Get(ctx, "", stale, func(ctx context.Context) (reading[T], error) {
		r := reading[T]{began: time.Now()}
		r.value, r.err = get(ctx)
		if ctx.Err() != nil {
			return r, whyLeft(ctx)
		}
		return r, nil
	})
	if err == nil {
		err = r.err
	}
	return r, err
}

// readReferences returns the project's branches and Git tags.
func (p *sharedProject) readReferences(ctx context.Context, client *gitlabapi.Client, recheck bool) (reading[gitlabapi.References], error) {
	return read(ctx, p.references, recheck, func(ctx context.Context) (gitlabapi.References, error) {
		return client.References(ctx, p.Project)
	})
}

// listedRepositories are the repositories of a project in a list.
type listedRepositories struct {
	ids   map[int64]bool
	names map[string]bool
}

// errRepositoriesSlow says why a project's list shows of none of its repositories that it is missing.
var errRepositoriesSlow = errors.New("listing the project's repositories takes longer than ten seconds, so that it does not show what is missing")

// readRepositories lists the project's repositories again. That list has to have all that were there
// before, or a second one has to agree.
func (p *sharedProject) readRepositories(ctx context.Context, client *gitlabapi.Client) (reading[listedRepositories], error) {
	return read(ctx, p.relisted, true, func(ctx context.Context) (listedRepositories, error) {
		if p.slow.Load() > maxTries { // fewer may be pauses, and what is late is tried again
			return listedRepositories{}, errRepositoriesSlow
		}
		began := time.Now()
		now, err := listRepositories(ctx, client, p.ID)
		if time.Since(began) <= maxAge {
			p.slow.Store(0)
		} else {
			p.slow.Add(1)
		}
		complete := !slices.ContainsFunc(p.repositories, func(id int64) bool { return !now.ids[id] })
		if err != nil || complete {
			return now, err
		}
		again, err := listRepositories(ctx, client, p.ID)
		if err == nil && !maps.Equal(now.ids, again.ids) {
			err = errReadingsDiffer
		}
		return now, err
	})
}

func listRepositories(ctx context.Context, client *gitlabapi.Client, project int64) (listedRepositories, error) {
	repositories, err := client.ProjectRepositories(ctx, project)
	l := listedRepositories{make(map[int64]bool, len(repositories)), make(map[string]bool, len(repositories))}
	for _, r := range repositories {
		l.ids[r.ID], l.names[r.Name] = true, true
	}
	return l, err
}

// readDeployed returns the names of tags that stand for what the project's environments have
// deployed: a ref, its slug, and the commit in full and as GitLab shortens it.
func (p *sharedProject) readDeployed(ctx context.Context, client *gitlabapi.Client, recheck bool) (reading[map[string]bool], error) {
	return read(ctx, p.deployed, recheck, func(ctx context.Context) (map[string]bool, error) {
		deployments, err := client.Deployed(ctx, p.Project)
		names := make(map[string]bool)
		for _, d := range deployments {
			names[d.Ref], names[gitlabapi.Slug(d.Ref)], names[d.SHA] = true, true, true
			for _, length := range []int{7, 8} {
				names[d.SHA[:min(length, len(d.SHA))]] = true
			}
		}
		delete(names, "")
		return names, err
	})
}
