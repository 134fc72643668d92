package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// Verify says whose word a deletion needs.
type Verify string

// The settings of VERIFY.
const (
	VerifyAuto     Verify = "auto"     // the registry's where it can be reached, else GitLab's
	VerifyAPI      Verify = "api"      // GitLab's, read again before a deletion; the registry is never asked
	VerifyRegistry Verify = "registry" // the registry's, or nothing is deleted
)

// ErrNoRegistry says that VERIFY=registry cannot be done. It ends the run.
var ErrNoRegistry = errors.New("the registry cannot be asked")

// A sourceChoice is what a run has found out about its instance: the regime, and where to get facts
// about tags from.
type sourceChoice struct {
	source source
	// fresh is the same source for reading grounds again: its requests are sent before
	// others, since what they read grows old while a deletion waits.
	fresh  source
	regime registry.Regime
	// byRegistry says that the source is the registry, and not GitLab's word alone.
	byRegistry bool
}

// sources chooses the source once a run, with the first repository that gives an answer; the
// others wait for it, so that no tag is decided upon before.
type sources struct {
	client  *gitlabapi.Client
	options Options
	tell    func(report.Event)
	cache   *flight.Cache[sourceChoice]
	// registries are by address, made once: a registry remembers its tokens, and that the
	// password was refused, so that GitLab does not ban the address. One repository asks at a
	// time.
	registries map[string]*registry.Registry
}

func newSources(client *gitlabapi.Client, options Options, tell func(report.Event)) *sources {
	return &sources{client: client, options: options, tell: tell, cache: flight.NewCache[sourceChoice](1), registries: make(map[string]*registry.Registry)}
}

// errOpen says that what a repository shows does not tell the regime.
var errOpen = errors.New("the answers leave the regime open")

// choose returns the choice for a repository: that of the run, or, while nothing has shown the
// regime, GitLab's word under an unknown one, by which no tag is deleted for a 404.
func (s *sources) choose(ctx context.Context, r *repository) (sourceChoice, error) {
	for {
		asked := false
		choice, err := s.cache.Get(ctx, "", flight.Never, func(ctx context.Context) (sourceChoice, error) {
			asked = true
			return s.ask(ctx, r)
		})
		switch {
		case err == nil:
			return choice, nil
		case errors.Is(err, ErrNoRegistry) || endsRun(err) || ctx.Err() != nil:
			return sourceChoice{}, err
		case asked: // otherwise another repository has left it open, and this one may not
			return s.choice(registry.RegimeUnknown, nil), nil
		}
	}
}

// ask reads the signs of the regime that a repository and its registry show, and chooses the
// source. An error says that they leave it open.
func (s *sources) ask(ctx context.Context, r *repository) (sourceChoice, error) {
	reg, signs, err := s.registry(ctx, r)
	if err != nil {
		return sourceChoice{}, err
	}
	byAPI, err := s.client.Regime(ctx, r.Repository)
	if endsRun(err) || ctx.Err() != nil {
		return sourceChoice{}, err
	}
	regime, agree := weigh(byAPI, signs.Header, signs.V1)
	switch {
	case !agree:
		s.tell(report.RegimeUnclear{API: byAPI.String(), Header: signs.Header.String(), V1: signs.V1.String()})
	case regime == registry.RegimeUnknown:
		return sourceChoice{}, errOpen
	default:
		s.tell(report.RegimeFound{Regime: regime})
	}
	return s.choice(regime, reg), nil
}

// choice returns the choice of the registry's word or, where reg is nil, of GitLab's alone.
func (s *sources) choice(regime registry.Regime, reg *registry.Registry) sourceChoice {
	choice := sourceChoice{source: s.newSource(regime, s.client, reg), regime: regime, byRegistry: reg != nil}
	if reg != nil {
		reg = reg.Recheck()
	}
	choice.fresh = s.newSource(regime, s.client.Recheck(), reg)
	return choice
}

func (s *sources) newSource(regime registry.Regime, client *gitlabapi.Client, reg *registry.Registry) source {
	a := api{client, s.options.CacheSuffix, s.options.Workers, regime}
	switch database := regime == registry.Database; {
	case reg == nil && database:
		return apiDatabase{a}
	case reg == nil:
		return apiLegacy{a}
	case database:
		return registryDatabase{registrySource{reg, a}}
	default:
		return registryLegacy{registrySource{reg, a}}
	}
}

// weigh puts signs of the regime together. Where they contradict each other it is left
// unknown, which is the stricter reading on either: no tag is deleted for a 404, and none
// that has a date as an orphan.
func weigh(signs ...registry.Regime) (regime registry.Regime, agree bool) {
	for _, sign := range signs {
		switch {
		case sign == registry.RegimeUnknown:
		case regime != registry.RegimeUnknown && regime != sign:
			return registry.RegimeUnknown, false
		default:
			regime = sign
		}
	}
	return regime, true
}

// registry returns the registry when it is to be asked and answers for the repository, with
// the signs of the regime that it shows.
func (s *sources) registry(ctx context.Context, r *repository) (*registry.Registry, registry.Signs, error) {
	var signs registry.Signs
	if s.options.Verify == VerifyAPI || s.options.Verify == "" {
		return nil, signs, nil
	}
	address := cmp.Or(s.options.RegistryURL, r.Host)
	reg, err := s.registries[address], error(nil)
	if reg == nil {
		reg, err = registry.New(s.client.Throttle(), address)
	}
	if err == nil {
		s.registries[address] = reg
		signs, err = reg.Signs(ctx)
	}
	switch {
	case err == nil:
		return reg, signs, nil
	case ctx.Err() != nil:
		return nil, signs, context.Cause(ctx)
	case s.options.Verify == VerifyRegistry:
		return nil, signs, fmt.Errorf("%w: %w", ErrNoRegistry, err)
	default:
		s.tell(report.RegistryOutOfReach{Err: err})
		return nil, registry.Signs{}, nil
	}
}
