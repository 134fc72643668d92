package main

import (
	"context"
	"fmt"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A point is one size of a growing instance, walked by both algorithms.
type point struct {
	Regime string `json:"regime"`
	Tags   int    `json:"tags"`
	Fewest int    `json:"fewest_requests"` // that any algorithm needs
	// FewestSeconds is the time that those take at CONCURRENCY.
	FewestSeconds float64 `json:"fewest_seconds"`
	// Program is registry-gc.
	Program measurement `json:"registry_gc"`
	// Sequential is the sequential algorithm; where Computed is true only its requests
	// and the time are there, and the time is that of as many requests as it took for
	// the largest instance that was walked.
	Sequential measurement `json:"sequential"`
	Computed   bool        `json:"sequential_is_computed"`
}

// growthName is how -run calls the whole series.
const growthName = "growth"

// sizes are the numbers of tags.
var sizes = []int{1_000, 10_000, 100_000, 1_000_000}

const (
	// walked is the largest instance that the sequential algorithm walks: the next would
	// take it half an hour. On LEGACY, where it asks the same, a small one has to do.
	walked, walkedLegacy = 10_000, 1_000
	// largestLegacy is the largest instance on which each tag costs a request.
	largestLegacy = 100_000
)

// growth measures how the cost grows with the tags.
func (b *bench) growth(ctx context.Context) ([]point, error) {
	var points []point
	for _, regime := range []gitlabtest.Regime{gitlabtest.Database, gitlabtest.Legacy} {
		var each float64 // seconds a request of the sequential algorithm
		for _, tags := range sizes {
			if regime == gitlabtest.Legacy && tags > largestLegacy {
				continue
			}
			p, err := b.point(ctx, regime, tags, each)
			if err != nil {
				return nil, err
			}
			each = p.Sequential.Seconds / float64(p.Sequential.requests())
			points = append(points, p)
		}
	}
	return points, nil
}

func (b *bench) point(ctx context.Context, regime gitlabtest.Regime, tags int, each float64) (point, error) {
	s := b.size(setup{World: instance(regime, tags), Latency: usual, Verify: byRegistry})
	p := point{Regime: regime.String(), Tags: s.World.Tags, Fewest: fewestRequests(s.World)}
	p.FewestSeconds = float64(p.Fewest) * usual.Seconds() / inFlight
	p.Computed = tags > walked || regime == gitlabtest.Legacy && tags > walkedLegacy
	var err error
	if p.Program, err = b.measure(ctx, s); err != nil {
		return p, err
	}
	computed := sequentialRequests(s.World)
	if p.Computed {
		p.Sequential = measurement{Tags: s.World.Tags, Deleted: s.World.Deletions(), API: computed, Seconds: each * float64(computed)}
		return p, nil
	}
	s.Sequential = true
	if p.Sequential, err = b.measure(ctx, s); err == nil && p.Sequential.requests() != computed {
		err = fmt.Errorf("the sequential algorithm made %d requests where the formula says %d", p.Sequential.requests(), computed)
	}
	return p, err
}
