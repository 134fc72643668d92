package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A target is a number that the program has to reach, or one that is worth knowing beside
// those.
type target struct {
	name   string // by which -run finds it
	what   string
	want   string // "" when there is no target
	setup  setup
	beside *setup // what it is compared with, nil for nothing
	// read finds the figure in what was measured.
	read func(m, beside measurement) figure
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

// The names of the evidences, by the setting that picks them.
const (
	byRegistry = "registry"
	byAPI      = "api"
)

// The instance of the first rows, in the steady state.
var (
	database       = setup{World: instance(gitlabtest.Database, 100_000), Latency: usual, Verify: byRegistry}
	legacyRegistry = setup{World: instance(gitlabtest.Legacy, 100_000), Latency: usual, Verify: byRegistry}
	legacyAPI      = setup{World: instance(gitlabtest.Legacy, 100_000), Latency: usual, Verify: byAPI}
)

const (
	rateLimit = 200
	slow      = 20 * time.Millisecond
)

// targets are the rows of the table, in its order.
var targets = []target{
	{
		name: "database", what: "DATABASE, 100,000 tags in 900 repositories of 2,000 projects, 1 % dead: requests in all", want: "≤ 3,000",
		setup: database, read: atMost(3000, "%.0f", func(m measurement) float64 { return float64(m.requests()) }),
	},
	{
		name: "database", what: "the same: fewer than the sequential algorithm needs", want: "≥ 50 times",
		setup: database, read: atLeast(50, "%.1f times", func(m measurement) float64 {
			return float64(sequentialRequests(m.world)) / float64(m.requests())
		}),
	},
	{
		name: "legacy-registry", what: "the same on LEGACY, with the registry in reach: API requests", want: "as on DATABASE",
		setup: legacyRegistry, beside: &database, read: func(m, on measurement) figure {
			return figure{float64(m.API), fmt.Sprintf("%s, DATABASE %s", thousands(m.API), thousands(on.API)), m.API <= on.API}
		},
	},
	{
		name: "legacy-registry", what: "the same: registry requests a tag", want: "≤ 1.1",
		setup: legacyRegistry, read: atMost(1.1, "%.3f", func(m measurement) float64 { return perTag(m.Registry, m.Tags) }),
	},
	{
		name: "legacy-api", what: "the same on LEGACY, with the API alone: requests an unprotected tag, beside listings", want: "≤ 1.05",
		setup: legacyAPI, read: atMost(1.05, "%.3f", func(m measurement) float64 {
			return perTag(m.requests()-listings(m), allUnprotected(m.world))
		}),
	},
	{
		name: "rate", what: "RATE_LIMIT=200, LEGACY with the API alone: time by that of requests ÷ limit", want: "≤ 1.05",
		setup: setup{World: instance(gitlabtest.Legacy, 4_000), Verify: byAPI, RateLimit: rateLimit},
		read:  atMost(1.05, "%.3f", func(m measurement) float64 { return m.Seconds * rateLimit / float64(m.API) }),
	},
	{
		name: "in-flight", what: "no limit, 20 ms a request, LEGACY with the API alone: requests in flight by CONCURRENCY", want: "≥ 0.9",
		setup: setup{World: instance(gitlabtest.Legacy, 20_000), Verify: byAPI, Latency: slow},
		read:  atLeast(0.9, "%.3f", func(m measurement) float64 { return m.InFlight / inFlight }),
	},
	{
		name: "memory-many", what: "1,000,000 tags in 10,000 repositories, DATABASE: resident", want: "≤ 64 MiB",
		setup: setup{World: manyRepositories(1_000_000), Verify: byRegistry}, read: residentAtMost(64),
	},
	{
		name: "memory-one", what: "1,000,000 tags in one repository, DATABASE: resident", want: "≤ 256 MiB",
		setup: setup{World: oneRepository(1_000_000), Verify: byRegistry}, read: residentAtMost(256),
	},
	{
		name: "processor-pages", what: "where tags come in pages (DATABASE): processor time a tag", want: "≤ 20 µs",
		setup: database, read: atMost(20, "%.1f µs", measurement.microseconds),
	},
	{
		name: "processor-registry", what: "where each costs a request (LEGACY, the registry): processor time a tag", want: "≤ 150 µs",
		setup: legacyRegistry, read: atMost(150, "%.1f µs", measurement.microseconds),
	},
	{
		name: "processor-api", what: "where each costs a request (LEGACY, the API alone): processor time a tag", want: "≤ 150 µs",
		setup: legacyAPI, read: atMost(150, "%.1f µs", measurement.microseconds),
	},
	{
		name: "first-run", what: "a first run on DATABASE, 30 % of 10,000 tags dead: requests a deletion",
		setup: setup{World: piledUp(gitlabtest.Database, 10_000), Verify: byRegistry}, read: noted("%.2f", requestsADeletion),
	},
	{
		name: "first-run", what: "the same on LEGACY, with the registry in reach",
		setup: setup{World: piledUp(gitlabtest.Legacy, 10_000), Verify: byRegistry}, read: noted("%.2f", requestsADeletion),
	},
	{
		name: "attested", what: "LEGACY, 5 % of 10,000 tags images with attestations, which go: registry requests a tag",
		setup: setup{World: attested(10_000), Verify: byRegistry},
		read:  noted("%.3f", func(m measurement) float64 { return perTag(m.Registry, m.Tags) }),
	},
}

// targets measures those whose name matches.
func (b *bench) targets(ctx context.Context, only *regexp.Regexp) ([]row, error) {
	var rows []row
	for _, t := range targets {
		if !only.MatchString(t.name) {
			continue
		}
		r, err := b.row(ctx, t)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (b *bench) row(ctx context.Context, t target) (row, error) {
	var beside measurement
	if t.beside != nil {
		var err error
		if beside, err = b.measure(ctx, b.size(*t.beside)); err != nil {
			return row{}, err
		}
	}
	m, err := b.measure(ctx, b.size(t.setup))
	if err != nil {
		return row{}, err
	}
	found := t.read(m, beside)
	return row{
		What: t.what, Target: t.want, Value: found.value, Figure: found.text, Reached: found.reached,
		Requests: m.requests(), Sequential: sequentialRequests(m.world),
		Command: "go run ./bench -run '^" + t.name + "$'",
	}, nil
}
