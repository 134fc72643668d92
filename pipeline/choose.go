package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// Verify says whose word a deletion needs.
type Verify string

// The settings of VERIFY.
const (
	VerifyAuto     Verify = "auto"     // the registry's where it can be reached, else GitLab's
	VerifyAPI      Verify = "api"      // GitLab's, read twice; the registry is never asked
	VerifyRegistry Verify = "registry" // the registry's, or nothing goes
)

// ErrNoRegistry says that VERIFY=registry cannot be done. It ends the run.
var ErrNoRegistry = errors.New("the registry cannot be asked")

// A choice is what a run has found out about its instance: the regime, and where to
// get facts about tags from.
type choice struct {
	evidence
	regime policy.Fact[policy.Regime]
	rules  policy.Rules // the run's, with what the evidence allows to demand
}

// A chooser makes the choice once a run, with the first repository that gives an
// answer; others wait for it, so that no tag is decided upon before.
type chooser struct {
	run  *run
	turn *semaphore.Weighted // one repository is asked at a time

	made *choice // for who has the turn
}

// errOpen says that what a repository shows leaves the regime open.
var errOpen = errors.New("the answers leave the regime open")

// of returns the choice for a repository: that of the run, or, while nothing has shown
// the regime, GitLab's word under an unknown one, by which no tag goes for a 404.
func (c *chooser) of(ctx context.Context, repo *repository) (*choice, error) {
	if err := c.turn.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	defer c.turn.Release(1)
	if c.made != nil {
		return c.made, nil
	}
	open := &choice{evidence: apiLegacy{run: c.run, pulse: &c.run.pulse}, rules: c.run.options.Rules}
	made, err := c.make(ctx, repo)
	switch {
	case err == nil:
		c.made = made
		return made, nil
	case errors.Is(err, ErrNoRegistry) || endsRun(err) || ctx.Err() != nil:
		return nil, err
	default:
		return open, nil
	}
}

// make asks for signs of the regime and picks the evidence that goes with it.
func (c *chooser) make(ctx context.Context, repo *repository) (*choice, error) {
	registry, signs, err := c.registry(ctx, repo)
	if err != nil {
		return nil, err
	}
	byAPI, err := c.run.client.Regime(ctx, repo.Repository)
	if endsRun(err) || ctx.Err() != nil {
		return nil, err
	}
	regime, agree := weigh(byAPI, signs.Header, signs.V1)
	known, found := regime.Get()
	switch {
	case !agree:
		c.run.tell(report.RegimeUnclear{API: byAPI.String(), Header: signs.Header.String(), V1: signs.V1.String()})
	case !found:
		return nil, errOpen
	default:
		c.run.tell(report.RegimeFound{Regime: known})
	}
	made := &choice{evidence: c.pick(known, registry), regime: regime, rules: c.run.options.Rules}
	made.rules.ByRegistry = registry != nil
	return made, nil
}

// weigh puts signs of the regime together. Where they contradict each other it is left
// unknown, which is the stricter reading on either: no tag goes for a 404, and none
// that has a date as an orphan.
func weigh(signs ...registry.Sign) (regime policy.Fact[policy.Regime], agree bool) {
	for _, sign := range signs {
		var shown policy.Regime
		switch sign {
		case registry.SignLegacy:
			shown = policy.Legacy
		case registry.SignDatabase:
			shown = policy.Database
		default:
			continue
		}
		if before, known := regime.Get(); known && before != shown {
			return policy.Unknown[policy.Regime](), false
		}
		regime = policy.Known(shown)
	}
	return regime, true
}

// pick returns the best evidence that is to be had.
func (c *chooser) pick(regime policy.Regime, registry *registry.Registry) evidence {
	switch {
	case registry != nil && regime == policy.Database:
		return registryDatabase{run: c.run, registry: registry}
	case registry != nil:
		return registryLegacy{run: c.run, registry: registry}
	case regime == policy.Database:
		return apiDatabase{run: c.run}
	default:
		return apiLegacy{run: c.run, pulse: &c.run.pulse}
	}
}

// registry returns the registry when it is to be asked and answers for the repository,
// with the signs of the regime that it shows.
func (c *chooser) registry(ctx context.Context, repo *repository) (*registry.Registry, registry.Signs, error) {
	var signs registry.Signs
	options := c.run.options
	if options.Verify == VerifyAPI || options.Verify == "" {
		return nil, signs, nil
	}
	reg, err := registry.New(c.run.client.Throttle(), cmp.Or(options.RegistryURL, repo.Host))
	if err == nil {
		signs, err = reg.Signs(ctx)
	}
	switch {
	case err == nil:
		return reg, signs, nil
	case ctx.Err() != nil:
		return nil, signs, context.Cause(ctx)
	case options.Verify == VerifyRegistry:
		return nil, signs, fmt.Errorf("%w: %w", ErrNoRegistry, err)
	default:
		c.run.tell(report.RegistryOutOfReach{Err: err})
		return nil, registry.Signs{}, nil
	}
}
