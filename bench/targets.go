package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A target is a number that the program has to reach, or one that is worth knowing beside
// those.
type target struct {
	name     string // by which -run finds it
	what     string
	want     string // "" when there is no target
	setup    setup
	baseline *setup // another setup that this one is compared with, or nil
	// read finds the figure in what was measured.
	read func(m, baseline measurement) figure
}

// A figure is what was measured for a target.
type figure struct {
	value   float64
	text    string // for people, with what it was made of
	reached bool
}

// A row is a target with what was measured.
type row struct {
	What    string  `json:"what"`
	Target  string  `json:"target,omitempty"`
	Value   float64 `json:"value"`
	Figure  string  `json:"measured"`
	Reached bool    `json:"reached"`
	// Requests are the program's, Sequential those that the sequential algorithm makes of
	// the same instance.
	Requests   int    `json:"requests"`
	Sequential int    `json:"sequential_requests"`
	Command    string `json:"command"`
}

// The instance of the first rows, in the steady state.
var (
	database       = setup{World: instance(gitlabtest.Database, 100_000), Latency: usualLatency, Verify: verifyRegistry}
	databaseAgain  = setup{World: database.World, Latency: usualLatency, Verify: verifyRegistry, Repeat: 1}
	legacyRegistry = setup{World: instance(gitlabtest.Legacy, 100_000), Latency: usualLatency, Verify: verifyRegistry}
	legacyAPI      = setup{World: instance(gitlabtest.Legacy, 100_000), Latency: usualLatency, Verify: verifyAPI, Rules: originalRules}
)

// rateLimit is the setting RATE_LIMIT of the row that is about it.
const rateLimit = 200

// targets are the rows of the table, in its order.
var targets = []target{
	{
		name: "database", what: "DATABASE, 100,000 tags in 900 repositories of 2,000 projects, 1 % dead: requests in all", want: "≤ 2,300",
		setup: database, read: atMost(2300, "%.0f", func(m measurement) float64 { return float64(m.requests()) }),
	},
	{
		name: "database", what: "the same: difference between two runs", want: "≤ 2 %",
		setup: databaseAgain, baseline: &database, read: func(m, first measurement) figure {
			share := math.Abs(float64(m.requests()-first.requests())) / float64(max(first.requests(), 1))
			return figure{share, fmt.Sprintf("%.1f %%", 100*share), share <= 0.02}
		},
	},
	{
		name: "first-run-database", what: "a first run on DATABASE, 30 % of 10,000 tags dead: requests a deletion", want: "≤ 0.25",
		setup: setup{World: neverCleaned(gitlabtest.Database, 10_000), Verify: verifyRegistry},
		read:  atMost(0.25, "%.3f", func(m measurement) float64 { return ratio(m.requests(), m.Deleted) }),
	},
	{
		name: "legacy-registry", what: "LEGACY with the registry in reach, else as the first row: API requests", want: "as on DATABASE, ± 2 %",
		setup: legacyRegistry, baseline: &database, read: func(m, on measurement) figure { // as runs differ by
			return figure{float64(m.API), fmt.Sprintf("%s, DATABASE %s", thousands(m.API), thousands(on.API)), m.API*100 <= on.API*102}
		},
	},
	{
		name: "legacy-registry", what: "the same: registry requests a tag", want: "≤ 1.05",
		setup: legacyRegistry, read: atMost(1.05, "%.3f", func(m measurement) float64 { return ratio(m.Registry, m.Tags) }),
	},
	{
		name: "legacy-api", what: "the same on LEGACY, with the API alone: requests an unprotected tag, beside listings", want: "≤ 1.05",
		setup: legacyAPI, read: atMost(1.05, "%.3f", func(m measurement) float64 {
			return ratio(m.requests()-m.listings(), unprotectedTags(m.world))
		}),
	},
	{
		name: "large-repository", what: "a repository of 500,000 tags and its cache, DATABASE, 1 % of the cache dead: requests", want: "≤ 1.3 × listing pages + 0.5 × deletions",
		setup: setup{World: oneRepositoryAndCache(500_000), Verify: verifyRegistry},
		read:  requestsWithin(func(m measurement) float64 { return 1.3*float64(listingPages(m.world)) + 0.5*float64(m.Deleted) }),
	},
	{
		name: "first-run-legacy", what: "a first run on LEGACY with the registry in reach, 30 % of 10,000 tags dead: requests", want: "≤ tags + 2.1 × deletions",
		setup: setup{World: neverCleaned(gitlabtest.Legacy, 10_000), Verify: verifyRegistry},
		read:  requestsWithin(func(m measurement) float64 { return float64(m.Tags) + 2.1*float64(m.Deleted) }),
	},
	{
		name: "rate", what: "RATE_LIMIT=200, LEGACY with the API alone: time by that of requests ÷ limit", want: "≤ 1.05",
		setup: setup{World: instance(gitlabtest.Legacy, 4_000), Verify: verifyAPI, Rules: originalRules, RateLimit: rateLimit},
		read:  atMost(1.05, "%.3f", func(m measurement) float64 { return m.Seconds * rateLimit / float64(m.API) }),
	},
	{
		name: "in-flight", what: "no limit, 20 ms a request, LEGACY with the API alone: requests in flight by CONCURRENCY", want: "≥ 0.9",
		setup: setup{World: instance(gitlabtest.Legacy, 20_000), Verify: verifyAPI, Rules: originalRules, Latency: 20 * time.Millisecond},
		read:  atLeast(0.9, "%.3f", func(m measurement) float64 { return m.InFlight / concurrency }),
	},
	{
		name: "memory-many", what: "1,000,000 tags in 10,000 repositories, DATABASE: resident", want: "≤ 64 MiB",
		setup: setup{World: manyRepositories(1_000_000), Verify: verifyRegistry}, read: residentAtMost(64),
	},
	{
		name: "memory-one", what: "1,000,000 tags in one repository, DATABASE: resident", want: "≤ 256 MiB",
		setup: setup{World: oneRepository(1_000_000), Verify: verifyRegistry}, read: residentAtMost(256),
	},
	{
		name: "processor-pages", what: "where tags come in pages (DATABASE): processor time a tag", want: "≤ 20 µs",
		setup: database, read: atMost(20, "%.1f µs", measurement.microsecondsATag),
	},
	{
		name: "processor-registry", what: "where each costs a request (LEGACY, the registry): processor time a tag", want: "≤ 150 µs",
		setup: legacyRegistry, read: atMost(150, "%.1f µs", measurement.microsecondsATag),
	},
	{
		name: "processor-api", what: "where each costs a request (LEGACY, the API alone): processor time a tag", want: "≤ 150 µs",
		setup: legacyAPI, read: atMost(150, "%.1f µs", measurement.microsecondsATag),
	},
	{
		name: "attested", what: "LEGACY, 5 % of 10,000 tags images with attestations, which DELETE_KINDS names: registry requests a tag",
		setup: setup{World: attested(10_000), Verify: verifyRegistry, DeleteKinds: "cache-index,missing-manifest,attested-image"},
		read: func(m, _ measurement) figure {
			value := ratio(m.Registry, m.Tags)
			return figure{value, fmt.Sprintf("%.3f", value), true}
		},
	},
}

// targets measures those whose name matches.
func (b *bench) targets(ctx context.Context, only *regexp.Regexp) ([]row, error) {
	var rows []row
	for _, t := range targets {
		if !only.MatchString(t.name) {
			continue
		}
		var baseline measurement
		var err error
		if t.baseline != nil {
			if baseline, err = b.measure(ctx, *t.baseline); err != nil {
				return nil, err
			}
		}
		m, err := b.measure(ctx, t.setup)
		if err != nil {
			return nil, err
		}
		found := t.read(m, baseline)
		rows = append(rows, row{
			What: t.what, Target: t.want, Value: found.value, Figure: found.text, Reached: found.reached,
			Requests: m.requests(), Sequential: sequentialRequests(m.world),
			Command: "go run ./bench -run '^" + t.name + "$'",
		})
	}
	return rows, nil
}

// atMost reads a figure that must not be greater than a limit.
func atMost(limit float64, format string, of func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		value := of(m)
		return figure{value, fmt.Sprintf(format, value), value <= limit}
	}
}

// atLeast reads a figure that must not be smaller than a limit.
func atLeast(limit float64, format string, of func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		value := of(m)
		return figure{value, fmt.Sprintf(format, value), value >= limit}
	}
}

// requestsWithin reads the requests, which must not be more than what was measured allows.
func requestsWithin(limit func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		most := limit(m)
		return figure{
			value: float64(m.requests()), text: fmt.Sprintf("%s of %s", thousands(m.requests()), thousands(int(most))),
			reached: float64(m.requests()) <= most,
		}
	}
}

// residentAtMost reads the peak of the memory, which not every system tells.
func residentAtMost(mebibytes float64) func(m, _ measurement) figure {
	return func(m, baseline measurement) figure {
		if m.Peak == 0 {
			return figure{text: "not known on this system"}
		}
		return atMost(mebibytes, "%.1f MiB", measurement.mebibytes)(m, baseline)
	}
}

// ratio is how much of one thing there is to each of another.
func ratio(count, each int) float64 { return float64(count) / float64(max(each, 1)) }
