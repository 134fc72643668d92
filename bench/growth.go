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
	// Fewest is how many requests any algorithm needs, and FewestSeconds the time that
	// they take at CONCURRENCY.
	Fewest        int     `json:"fewest_requests"`
	FewestSeconds float64 `json:"fewest_seconds"`
	// Program is registry-gc.
	Program measurement `json:"registry_gc"`
	// Sequential is the sequential algorithm. Where Computed is true only its requests
	// and its time are there, by the formula and by the time a request of the largest
	// instance that it walked.
	Sequential measurement `json:"sequential"`
	Computed   bool        `json:"sequential_is_computed"`
}

// growthName is how -run calls the whole series.
const growthName = "growth"

// growthSizes are the numbers of tags of each series. On LEGACY, where each tag costs a
// request, it ends earlier.
var growthSizes = map[gitlabtest.Regime][]int{
	gitlabtest.Database: {1_000, 10_000, 100_000, 1_000_000},
	gitlabtest.Legacy:   {1_000, 10_000, 100_000},
}

// sequentialWalks is the largest instance that the sequential algorithm walks: the next on
// DATABASE would take it half an hour. On LEGACY it asks the same, so that a small one will
// do.
var sequentialWalks = map[gitlabtest.Regime]int{gitlabtest.Database: 10_000, gitlabtest.Legacy: 1_000}

// growth measures how the cost grows with the tags.
func (b *bench) growth(ctx context.Context) ([]point, error) {
	var points []point
	for _, regime := range []gitlabtest.Regime{gitlabtest.Database, gitlabtest.Legacy} {
		var secondsARequest float64 // of the sequential algorithm
		for _, tags := range growthSizes[regime] {
			s := setup{World: instance(regime, tags), Latency: usualLatency, Verify: verifyRegistry}
			program, err := b.measure(ctx, s)
			if err != nil {
				return nil, err
			}
			p := point{
				Regime: regime.String(), Tags: program.Tags, Fewest: fewestRequests(program.world),
				Program: program, Computed: tags > sequentialWalks[regime],
			}
			p.FewestSeconds = float64(p.Fewest) * usualLatency.Seconds() / concurrency
			requests := sequentialRequests(program.world)
			if p.Computed {
				p.Sequential = measurement{
					Tags: program.Tags, Deleted: program.Deleted, API: requests, Seconds: secondsARequest * float64(requests),
				}
			} else {
				s.Sequential = true
				if p.Sequential, err = b.measure(ctx, s); err != nil {
					return nil, err
				}
				if p.Sequential.requests() != requests {
					return nil, fmt.Errorf("the sequential algorithm made %d requests where the formula says %d", p.Sequential.requests(), requests)
				}
				secondsARequest = p.Sequential.Seconds / float64(requests)
			}
			points = append(points, p)
		}
	}
	return points, nil
}
