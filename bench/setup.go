package main

import (
	"fmt"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A setup is an instance and how it is walked. Rows of the same setup share one measurement.
type setup struct {
	World gitlabtest.EvenWorld
	// Latency is what every request takes at least.
	Latency time.Duration
	// Verify is the setting VERIFY: verifyRegistry or verifyAPI.
	Verify string
	// Rules is the setting RULES; "" leaves it at its default. By GitLab's word alone, without the
	// metadata database, only the original rules ask for each tag.
	Rules string
	// DeleteKinds is the setting DELETE_KINDS; "" leaves it at its default.
	DeleteKinds string
	// RateLimit is the setting RATE_LIMIT; 0 is no limit.
	RateLimit int
	// Sequential walks with the sequential algorithm, to which the settings are nothing.
	Sequential bool
	// Repeat tells measurements of the same thing apart.
	Repeat int
}

const (
	verifyRegistry = "registry"
	verifyAPI      = "api"
	originalRules  = "original"

	// usualLatency is what a request takes, where a row does not say another time. Real
	// instances take longer, which would only slow the measurements down.
	usualLatency = 5 * time.Millisecond
	// concurrency is the setting CONCURRENCY, at its default.
	concurrency = 16

	// In the steady state one tag in a hundred is dead, and a few are protected.
	deadShare      = 0.01
	protectedShare = 0.02
)

func (s setup) String() string {
	who := "registry-gc, VERIFY=" + s.Verify
	if s.Rules != "" {
		who += ", RULES=" + s.Rules
	}
	if s.Sequential {
		who = "the sequential algorithm"
	}
	return fmt.Sprintf("%s on %v, %d tags in %d repositories", who, s.World.Regime, s.World.Tags, s.World.Repositories)
}

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

// oneRepositoryAndCache returns an instance with one repository of so many tags and a cache
// repository of as many, of which one in a hundred is dead.
func oneRepositoryAndCache(tags int) gitlabtest.EvenWorld {
	return gitlabtest.EvenWorld{
		Regime: gitlabtest.Database, Tags: 2 * tags, Projects: 1, Repositories: 2,
		Dead: deadShare / 2, Protected: protectedShare,
	}
}

// neverCleaned returns an instance that is full of dead tags.
func neverCleaned(regime gitlabtest.Regime, tags int) gitlabtest.EvenWorld {
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

// shrink returns a setup with an instance of the same shape and fewer tags.
func (s setup) shrink(divisor int) setup {
	if divisor == 1 {
		return s
	}
	s.World.Tags = max(s.World.Tags/divisor, 10)
	if s.World.Projects > 1 {
		small := instance(s.World.Regime, s.World.Tags)
		s.World.Projects, s.World.EmptyProjects, s.World.Repositories = small.Projects, small.EmptyProjects, small.Repositories
	}
	return s
}
