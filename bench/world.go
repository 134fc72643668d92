package main

import (
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A setup is an instance and how it is walked. The same setup is measured once a run.
type setup struct {
	World gitlabtest.EvenWorld
	// Latency is what every request takes at least.
	Latency time.Duration
	// Verify is the setting VERIFY, registry or api.
	Verify string
	// RateLimit is the setting RATE_LIMIT.
	RateLimit int
	// Sequential walks with the sequential algorithm, to which the settings are nothing.
	Sequential bool
}

const (
	// usual is what a request takes, where a row does not say another time. Real
	// instances take longer, which would only slow the measurements down.
	usual = 5 * time.Millisecond
	// inFlight is the setting CONCURRENCY, at its default.
	inFlight = 16

	// In the steady state one tag in a hundred is dead, and a few are protected.
	deadShare      = 0.01
	protectedShare = 0.02
)

// instance returns an instance with so many tags: 9 repositories and 20 projects to
// every thousand, and of the projects 3 with repositories at all, at least one of each
// role.
func instance(regime gitlabtest.Regime, tags int) gitlabtest.EvenWorld {
	projects := max(tags*3/1000, 1)
	return gitlabtest.EvenWorld{
		Regime: regime, Tags: tags,
		Projects: projects, EmptyProjects: tags * 17 / 1000, Repositories: max(tags*9/1000, 3*projects),
		Dead: deadShare, Protected: protectedShare,
	}
}

// manyRepositories returns an instance with a hundred tags in each repository.
func manyRepositories(tags int) gitlabtest.EvenWorld {
	world := instance(gitlabtest.Database, tags)
	world.Repositories = tags / 100
	return world
}

// oneRepository returns an instance with all tags in one repository.
func oneRepository(tags int) gitlabtest.EvenWorld {
	return gitlabtest.EvenWorld{
		Regime: gitlabtest.Database, Tags: tags, Projects: 1, Repositories: 1, Protected: protectedShare,
	}
}

// piledUp returns an instance that was never cleaned.
func piledUp(regime gitlabtest.Regime, tags int) gitlabtest.EvenWorld {
	world := instance(regime, tags)
	world.Dead = 0.3
	return world
}

// attested returns a LEGACY instance where some images are pushed with attestations.
func attested(tags int) gitlabtest.EvenWorld {
	world := instance(gitlabtest.Legacy, tags)
	world.Attested = 0.05
	return world
}

// size makes the world of a setup as small as the whole measurement is.
func (b *bench) size(s setup) setup {
	if b.shrink == 1 {
		return s
	}
	world := instance(s.World.Regime, max(s.World.Tags/b.shrink, 10))
	if s.World.Repositories == 1 {
		world = oneRepository(world.Tags)
	}
	world.Dead, world.Attested = s.World.Dead, s.World.Attested
	s.World = world
	return s
}
