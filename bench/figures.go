package main

import (
	"context"
	"fmt"
	"regexp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// steady is the instance of the first rows, in the steady state.
func (b *bench) steady(regime gitlabtest.Regime, verify string) setup {
	return setup{World: b.size(instance(regime, 100_000)), Latency: usual, Verify: verify}
}

// size makes a world as small as the whole measurement is.
func (b *bench) size(world gitlabtest.Sized) gitlabtest.Sized {
	if b.shrink == 1 {
		return world
	}
	shrunk := instance(world.Regime, max(world.Tags/b.shrink, 10))
	if world.Repositories == 1 {
		shrunk = oneRepository(shrunk.Tags)
	}
	return shrunk
}

func (b *bench) memory(ctx context.Context, world gitlabtest.Sized, limit float64) (figure, error) {
	m, err := b.measure(ctx, setup{World: b.size(world), Verify: byRegistry})
	if m.Peak == 0 {
		return figure{text: "not known on this system"}, err
	}
	return figure{m.mebibytes(), fmt.Sprintf("%.1f MiB", m.mebibytes()), m.mebibytes() <= limit}, err
}

// listEndpoint matches the endpoints that give a page of a list, and not one tag or
// account. What is asked of GraphQL without changing anything are lists, too.
var listEndpoint = regexp.MustCompile(`^GET .*/(projects|repositories|tags|tags/list)/?$|^POST .*/graphql query$`)

// listings counts the requests that read a page of a list.
func listings(m measurement) int {
	n := 0
	for endpoint, count := range m.ByEndpoint {
		if listEndpoint.MatchString(endpoint) {
			n += count
		}
	}
	return n
}

func perTag(requests, tags int) float64 { return float64(requests) / float64(max(tags, 1)) }

func (m measurement) microseconds() float64 { return m.Processor * 1e6 / float64(max(m.Tags, 1)) }

func (m measurement) mebibytes() float64 { return float64(m.Peak) / (1 << 20) }

// firstRun counts the requests of a run that finds what has piled up.
func firstRun(regime gitlabtest.Regime) func(context.Context, *bench) (figure, error) {
	return func(ctx context.Context, b *bench) (figure, error) {
		world := b.size(instance(regime, 10_000))
		world.Dead = 0.3
		m, err := b.measure(ctx, setup{World: world, Verify: byRegistry})
		return unaimed(float64(m.requests()), "%s for %s deletions, sequential %s",
			thousands(m.requests()), thousands(m.Deleted), thousands(sequentialRequests(world))), err
	}
}

// unaimed is a figure without a target.
func unaimed(value float64, format string, args ...any) figure {
	return figure{value, fmt.Sprintf(format, args...), true}
}
