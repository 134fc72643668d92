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
	name string // by which -run finds it
	what string
	want string // "" when there is no target
	// measure finds the figure.
	measure func(context.Context, *bench) (figure, error)
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
	Target  string  `json:"target"`
	Value   float64 `json:"value"`
	Figure  string  `json:"measured"`
	Reached bool    `json:"reached"`
	Command string  `json:"command"`
}

// The names of the evidences, by the setting that picks them.
const (
	byRegistry = "registry"
	byAPI      = "api"
)

// targets are the rows of the table, in its order.
var targets = []target{
	{
		"database", "DATABASE, 100,000 tags in 900 repositories of 2,000 projects, 1 % dead: requests in all", "≤ 3,000",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, b.steady(gitlabtest.Database, byRegistry))
			return figure{float64(m.requests()), fmt.Sprintf("%s, for %s tags", thousands(m.requests()), thousands(m.Tags)), m.requests() <= 3000}, err
		},
	},
	{
		"database", "the same: fewer than the sequential algorithm needs", "≥ 50 times",
		func(ctx context.Context, b *bench) (figure, error) {
			s := b.steady(gitlabtest.Database, byRegistry)
			m, err := b.measure(ctx, s)
			before := sequentialRequests(s.World)
			times := float64(before) / float64(max(m.requests(), 1))
			return figure{times, fmt.Sprintf("%.1f times, %s computed", times, thousands(before)), times >= 50}, err
		},
	},
	{
		"legacy-registry", "the same on LEGACY, with the registry in reach: API requests", "as on DATABASE",
		func(ctx context.Context, b *bench) (figure, error) {
			on, err := b.measure(ctx, b.steady(gitlabtest.Database, byRegistry))
			if err != nil {
				return figure{}, err
			}
			m, err := b.measure(ctx, b.steady(gitlabtest.Legacy, byRegistry))
			return figure{float64(m.API), fmt.Sprintf("%s, DATABASE %s", thousands(m.API), thousands(on.API)), m.API <= on.API}, err
		},
	},
	{
		"legacy-registry", "the same: registry requests a tag", "≤ 1.1",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, b.steady(gitlabtest.Legacy, byRegistry))
			each := perTag(m.Registry, m.Tags)
			return figure{each, fmt.Sprintf("%.3f", each), each <= 1.1}, err
		},
	},
	{
		"legacy-api", "the same on LEGACY, with the API alone: requests an unprotected tag, plus listings", "≤ 1.05",
		func(ctx context.Context, b *bench) (figure, error) {
			s := b.steady(gitlabtest.Legacy, byAPI)
			m, err := b.measure(ctx, s)
			each := perTag(m.requests()-listings(m), allUnprotected(s.World))
			return figure{each, fmt.Sprintf("%.3f, plus %s", each, thousands(listings(m))), each <= 1.05}, err
		},
	},
	{
		"rate", "RATE_LIMIT=200, LEGACY with the API alone: time by that of requests ÷ limit", "≤ 1.05",
		func(ctx context.Context, b *bench) (figure, error) {
			const limit = 200
			m, err := b.measure(ctx, setup{World: b.size(instance(gitlabtest.Legacy, 4_000)), Verify: byAPI, RateLimit: limit})
			times := m.Seconds * limit / float64(max(m.API, 1))
			return figure{times, fmt.Sprintf("%.3f, %s requests in %.1f s", times, thousands(m.API), m.Seconds), times <= 1.05}, err
		},
	},
	{
		"in-flight", "no limit, 20 ms a request, LEGACY with the API alone: requests in flight by CONCURRENCY", "≥ 0.9",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, setup{World: b.size(instance(gitlabtest.Legacy, 20_000)), Verify: byAPI, Latency: 20 * time.Millisecond})
			share := m.InFlight / inFlight
			return figure{share, fmt.Sprintf("%.3f, %.1f of %d", share, m.InFlight, inFlight), share >= 0.9}, err
		},
	},
	{
		"memory-many", "1,000,000 tags in 10,000 repositories, DATABASE: resident", "≤ 64 MiB",
		func(ctx context.Context, b *bench) (figure, error) {
			return b.memory(ctx, manyRepositories(1_000_000), 64)
		},
	},
	{
		"memory-one", "1,000,000 tags in one repository, DATABASE: resident", "≤ 256 MiB",
		func(ctx context.Context, b *bench) (figure, error) {
			return b.memory(ctx, oneRepository(1_000_000), 256)
		},
	},
	{
		"processor-pages", "where tags come in pages (DATABASE): processor time a tag", "≤ 20 µs",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, b.steady(gitlabtest.Database, byRegistry))
			return figure{m.microseconds(), fmt.Sprintf("%.1f µs", m.microseconds()), m.microseconds() <= 20}, err
		},
	},
	{
		"processor-registry", "where each costs a request (LEGACY, the registry): processor time a tag", "≤ 150 µs",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, b.steady(gitlabtest.Legacy, byRegistry))
			return figure{m.microseconds(), fmt.Sprintf("%.1f µs", m.microseconds()), m.microseconds() <= 150}, err
		},
	},
	{
		"processor-api", "where each costs a request (LEGACY, the API alone): processor time a tag", "≤ 150 µs",
		func(ctx context.Context, b *bench) (figure, error) {
			m, err := b.measure(ctx, b.steady(gitlabtest.Legacy, byAPI))
			return figure{m.microseconds(), fmt.Sprintf("%.1f µs", m.microseconds()), m.microseconds() <= 150}, err
		},
	},
	{"first-run", "a first run on DATABASE, 30 % of 10,000 tags dead: requests", "", firstRun(gitlabtest.Database)},
	{"first-run", "the same on LEGACY, with the registry in reach", "", firstRun(gitlabtest.Legacy)},
	{
		"attested", "LEGACY, 5 % of 10,000 tags images with attestations, which go: registry requests a tag", "",
		func(ctx context.Context, b *bench) (figure, error) {
			world := b.size(instance(gitlabtest.Legacy, 10_000))
			world.Attested = 0.05
			m, err := b.measure(ctx, setup{World: world, Verify: byRegistry})
			return unaimed(perTag(m.Registry, m.Tags), "%.3f", perTag(m.Registry, m.Tags)), err
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
		found, err := t.measure(ctx, b)
		if err != nil {
			return nil, err
		}
		command := "go run ./bench -run '^" + t.name + "$'"
		rows = append(rows, row{What: t.what, Target: t.want, Value: found.value, Figure: found.text, Reached: found.reached, Command: command})
	}
	return rows, nil
}
