package pipeline

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// Verify says whose word a deletion needs.
type Verify string

// The settings of VERIFY. Nothing falls back from one to the other: without the word that a
// deletion needs there is no run.
const (
	VerifyRegistry Verify = "registry" // the registry's own
	VerifyAPI      Verify = "api"      // GitLab's, read again before a deletion; the registry is never asked
)

// ErrNoRegistry is the class of a [NoRegistryError].
var ErrNoRegistry = errors.New("the registry cannot be asked")

// A NoRegistryError says that the registry, without whose word nothing is deleted, cannot be asked.
// It ends the run.
type NoRegistryError struct {
	Address string // by REGISTRY_URL or, without it, by GitLab; empty where neither says it
	Err     error  // why
}

// Error implements error.
func (e *NoRegistryError) Error() string { return fmt.Sprintf("%v: %v", ErrNoRegistry, e.Err) }

// Unwrap returns the cause.
func (e *NoRegistryError) Unwrap() error { return e.Err }

// Is reports whether the error is of the class.
func (e *NoRegistryError) Is(class error) bool { return class == ErrNoRegistry }

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
	registries map[string]*knownRegistry
}

// A knownRegistry is a registry with the signs that it has shown, once it is in reach.
type knownRegistry struct {
	*registry.Registry
	signs   registry.Signs
	inReach bool
}

func newSources(client *gitlabapi.Client, options Options, tell func(report.Event)) *sources {
	return &sources{client: client, options: options, tell: tell, cache: flight.NewCache[sourceChoice](1), registries: make(map[string]*knownRegistry)}
}

// errOpen says that what a repository shows does not tell the regime.
var errOpen = errors.New("the answers leave the regime open")

// choose returns the choice for a repository: that of the run, or, while nothing has shown the
// regime, the same source under an unknown one, by which no tag is deleted for a 404.
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
			return choice, nil
		}
	}
}

// ask reads the signs of the regime that a repository and its registry show, and chooses the
// source. [errOpen] says that they leave it open, and comes with a choice for this repository alone.
func (s *sources) ask(ctx context.Context, r *repository) (sourceChoice, error) {
	reg, err := s.registry(ctx, r)
	if err != nil {
		return sourceChoice{}, err
	}
	var signs registry.Signs
	if reg != nil {
		signs = reg.signs
	}
	byAPI, err := s.client.Regime(ctx, r.Repository)
	if endsRun(err) || ctx.Err() != nil {
		return sourceChoice{}, err
	}
	regime, agree := weigh(byAPI, signs)
	switch {
	case !agree:
		s.tell(report.RegimeUnclear{API: byAPI.String(), Header: signs.Header.String(), V1: signs.V1.String()})
	case regime == registry.RegimeUnknown:
		return s.choice(regime, reg), errOpen
	case regime == registry.Database && signs.V1Err != nil: // all lists are there
		return sourceChoice{}, &NoRegistryError{Address: s.addressOf(r), Err: signs.V1Err}
	default:
		s.tell(report.RegimeFound{Regime: regime})
	}
	return s.choice(regime, reg), nil
}

// choice returns the choice of the registry's word or, where reg is nil, of GitLab's alone.
func (s *sources) choice(regime registry.Regime, known *knownRegistry) sourceChoice {
	var reg, again *registry.Registry
	if known != nil {
		reg, again = known.Registry, known.Recheck()
	}
	return sourceChoice{
		source: s.newSource(regime, s.client, reg), fresh: s.newSource(regime, s.client.Recheck(), again),
		regime: regime, byRegistry: known != nil,
	}
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

// weigh puts the signs of the regime together. A regime needs one that is sure: the registry's
// header, or how GitLab answers a question that only the metadata database can answer. GitLab's own
// API at the registry, without any of these, says nothing: it may be a proxy that does not let it
// through, and before registry 3.60 it was there without a database.
//
// The header decides. That GitLab does not know of a database which the registry has is true of
// versions before 17.4. Where signs contradict each other otherwise the regime is left unknown, which
// is the stricter reading on either: no tag is deleted for a 404, and none that has a date as an
// orphan.
func weigh(byAPI registry.Regime, signs registry.Signs) (regime registry.Regime, agree bool) {
	switch {
	case signs.Header == registry.Legacy && byAPI == registry.Database,
		signs.Header == registry.Database && signs.V1 == registry.Legacy,
		signs.Header == registry.RegimeUnknown && byAPI == registry.Database && signs.V1 == registry.Legacy:
		return registry.RegimeUnknown, false
	default:
		return cmp.Or(signs.Header, byAPI), true
	}
}

// secondTry is how long after a failure of the registry it is tried again before the run is given up:
// a registry or an ingress that is restarted is soon back.
const secondTry = 15 * time.Second

// addressOf returns where the registry of a repository is.
func (s *sources) addressOf(r *repository) string { return cmp.Or(s.options.RegistryURL, r.Host) }

// registry returns the registry of a repository with the signs of the regime that it shows; nil where
// GitLab's word is enough. An error says why it cannot be asked.
func (s *sources) registry(ctx context.Context, r *repository) (*knownRegistry, error) {
	if s.options.Verify == VerifyAPI {
		return nil, nil
	}
	address := s.addressOf(r)
	known := s.registries[address]
	if known == nil {
		reg, err := registry.New(s.client.Throttle(), address)
		if err != nil {
			return nil, &NoRegistryError{Address: address, Err: err}
		}
		known = &knownRegistry{Registry: reg}
		s.registries[address] = known
	}
	if known.inReach {
		return known, nil
	}
	signs, err := known.Signs(ctx)
	if mayPass(cmp.Or(err, signs.V1Err)) {
		select {
		case <-time.After(secondTry):
			signs, err = known.Signs(ctx)
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, &NoRegistryError{Address: address, Err: err}
	}
	known.signs, known.inReach = signs, true
	return known, nil
}

// mayPass reports whether an error of the registry may pass by itself: one that says what is set
// wrongly does not, and neither does what is refused of GitLab's own API alone.
func mayPass(err error) bool {
	_, realm := errors.AsType[*registry.RealmError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, format := errors.AsType[*throttle.FormatError](err)
	dns, named := errors.AsType[*net.DNSError](err)
	answer, answered := errors.AsType[*throttle.StatusError](err)
	ownAPI := answered && answer.Path == registry.OwnAPI && answer.Status < http.StatusInternalServerError
	return !(err == nil || ownAPI || realm || noTLS || format || named && dns.IsNotFound ||
		errors.Is(err, registry.ErrMayNotPull) || endsRun(err))
}
