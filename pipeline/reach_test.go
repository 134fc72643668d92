package pipeline_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// Whether the registry can be asked, and what kind of registry it is.

// as reports whether an error is of a type.
func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// TestRegistryOutOfReach: without the registry's word the run ends before anything is decided, and
// says why; nobody falls back to weaker evidence.
func TestRegistryOutOfReach(t *testing.T) {
	page := gitlabtest.Reply(403, "<html>Forbidden</html>", "Content-Type", "text/html")
	at := func(path string, effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(path), Effect: effect})
	}
	plain := func(s *gitlabtest.Server) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/v2/" {
				return nil, tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}
			}
			return s.Transport().RoundTrip(req)
		})
	}
	for name, test := range map[string]struct {
		option  gitlabtest.Option
		network func(*gitlabtest.Server) http.RoundTripper
		is      func(error) bool
		within  time.Duration // the run ends, with six attempts a request
	}{
		"closed":                     {at(`^/(v2|gitlab/v1)/`, gitlabtest.RegistryRefusesClients()), nil, as[*throttle.StatusError], 2 * time.Minute},
		"a firewall":                 {at(`^/v2/`, gitlabtest.Cut()), nil, as[*throttle.RequestError], 2 * time.Minute},
		"another realm":              {at(`^/v2/`, gitlabtest.WrongRealm("https://elsewhere.example/jwt/auth")), nil, as[*registry.RealmError], time.Second},
		"a firewall at /jwt/auth":    {at(`^/jwt/auth$`, page), nil, func(err error) bool { return errors.Is(err, throttle.ErrPage) }, time.Minute},
		"a token that may not pull":  {gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"), nil, func(err error) bool { return errors.Is(err, registry.ErrMayNotPull) }, time.Second},
		"HTTP without TLS":           {at(`^/nothing$`, gitlabtest.Latency(0)), plain, as[tls.RecordHeaderError], time.Second},
		"a registry that has no API": {at(`^/v2/`, gitlabtest.Reply(404, `{}`)), nil, as[*throttle.StatusError], time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
				tr := registryTrial(withOrphans(regime, 2, 3), pipeline.VerifyRegistry, test.option)
				if test.network != nil {
					tr.network = test.network(tr.server)
				}
				var took time.Duration
				var got *outcome
				synctest.Test(t, func(t *testing.T) {
					sleepUntilTagsAreOld()
					began := time.Now()
					got = tr.run(t.Context(), t)
					took = time.Since(began)
				})
				failure, typed := errors.AsType[*pipeline.NoRegistryError](got.err)
				switch {
				case !typed || !errors.Is(got.err, pipeline.ErrNoRegistry) || !test.is(got.err):
					t.Fatalf("%v: ended with %v", regime, got.err)
				case failure.Address != "gitlab.test" || took > test.within:
					t.Errorf("%v: the registry at %q was given up after %s", regime, failure.Address, took)
				}
				if len(got.decisions) > 0 || len(deleted(tr.server)) > 0 {
					t.Errorf("%v: %d tags were decided on, %d deleted", regime, len(got.decisions), len(deleted(tr.server)))
				}
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestRegistryThatIsSoonBack: a registry that is out while the run begins is no reason to give it up,
// however few retries there are.
func TestRegistryThatIsSoonBack(t *testing.T) {
	for _, retries := range []int{0, 5} {
		for _, effect := range []gitlabtest.Effect{
			gitlabtest.Status(503), gitlabtest.Cut(), gitlabtest.Reply(404, "default backend - 404", "Content-Type", "text/plain"),
		} {
			tr := registryTrial(withOrphans(gitlabtest.Legacy, 1, 3), pipeline.VerifyRegistry, gitlabtest.WithFaults(
				gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/`), Effect: effect}))
			tr.client.MaxRetries = retries
			var began atomic.Pointer[time.Time]
			tr.server.OnRequest(func(gitlabtest.Request) {
				now := time.Now()
				if !began.CompareAndSwap(nil, &now) && now.Sub(*began.Load()) >= 13*time.Second {
					tr.server.SetFaults()
				}
			})
			if got := tr.runInBubble(t); got.err != nil || got.Deleted != 3 {
				t.Errorf("%d retries: %v, deleted %d", retries, got.err, got.Deleted)
			}
		}
	}
}

// kindsWorld has a tag of each kind that the registry's word tells apart, an orphan, and a
// healthy image.
func kindsWorld(regime gitlabtest.Regime) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	for _, path := range []string{"g/first", "g/second"} {
		p := world.AddProject(path)
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		app.AddTag("alive", gitlabtest.KindImage)
		app.AddTag("prod", gitlabtest.KindMultiArch)
		cache.AddTag("index", gitlabtest.KindCacheIndex)
		cache.AddTag("orphan", gitlabtest.KindCacheManifest)
		cache.AddTag("dated", gitlabtest.KindDockerList)
	}
	return world
}

// TestOwnAPIRefused: a proxy that does not let GitLab's own API at the registry through takes one sign
// away, and on a registry without database nothing else. With one, lists are there and nowhere else.
func TestOwnAPIRefused(t *testing.T) {
	fault := gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`^/gitlab/v1/`),
		Effect: gitlabtest.Reply(403, "<html>Forbidden</html>", "Content-Type", "text/html")})
	for name, options := range map[string][]gitlabtest.Option{"today": {fault}, "without the header": {fault, gitlabtest.WithOldRegistry()}} {
		world := kindsWorld(gitlabtest.Legacy)
		tr := registryTrial(world, pipeline.VerifyRegistry, options...)
		got := tr.runInBubble(t)
		if diff := cmp.Diff(names(world.TruthUnder(byRegistry)), names(deleted(tr.server))); diff != "" || got.Regime != "legacy" || got.Undecided > 0 {
			t.Errorf("%s: regime %s, undecided %d, deleted (-dead +deleted):\n%s", name, got.Regime, got.Undecided, diff)
		}
		tr = registryTrial(kindsWorld(gitlabtest.Database), pipeline.VerifyRegistry, options...)
		got = tr.runInBubble(t)
		answer, _ := errors.AsType[*throttle.StatusError](got.err)
		if !errors.Is(got.err, pipeline.ErrNoRegistry) || answer == nil || answer.Path != registry.OwnAPI || len(got.decisions) > 0 {
			t.Errorf("%s, with a database: %v, %d decisions", name, got.err, len(got.decisions))
		}
	}
}

// TestRegime: which kind of registry it is taken for, and that whatever it is taken for nothing alive
// goes.
func TestRegime(t *testing.T) {
	keyset := regexp.MustCompile(`/registry/repositories/5000001/tags$`)
	v1 := regexp.MustCompile(`^/gitlab/v1/$`)
	old, notFound := gitlabtest.WithOldRegistry(), gitlabtest.Reply(404, "<html>not found</html>", "Content-Type", "text/html")
	faults := func(f ...gitlabtest.Fault) gitlabtest.Option { return gitlabtest.WithFaults(f...) }
	firstFails := gitlabtest.Fault{Path: keyset, Count: 1, Effect: gitlabtest.Status(500)}
	for name, test := range map[string]struct {
		regime  gitlabtest.Regime
		verify  pipeline.Verify
		options []gitlabtest.Option
		want    string // "" where the run ends without one
		unclear int
	}{
		"legacy":                               {gitlabtest.Legacy, pipeline.VerifyRegistry, nil, "legacy", 0},
		"database":                             {gitlabtest.Database, pipeline.VerifyRegistry, nil, "database", 0},
		"GitLab 15.5":                          {gitlabtest.Legacy, pipeline.VerifyRegistry, []gitlabtest.Option{old, gitlabtest.WithOwnAPIAnyway(), gitlabtest.WithoutKeysetTags()}, "legacy", 0},
		"GitLab 15.5 by the API":               {gitlabtest.Legacy, pipeline.VerifyAPI, []gitlabtest.Option{gitlabtest.WithoutKeysetTags()}, "legacy", 0},
		"GitLab 16":                            {gitlabtest.Legacy, pipeline.VerifyRegistry, []gitlabtest.Option{old, gitlabtest.WithoutKeysetTags()}, "legacy", 0},
		"a database that Rails does not know":  {gitlabtest.Database, pipeline.VerifyRegistry, []gitlabtest.Option{gitlabtest.WithRailsOnV2()}, "database", 0},
		"the same by the API":                  {gitlabtest.Database, pipeline.VerifyAPI, []gitlabtest.Option{gitlabtest.WithRailsOnV2()}, "legacy", 0},
		"the API fails":                        {gitlabtest.Database, pipeline.VerifyRegistry, []gitlabtest.Option{faults(firstFails)}, "database", 0},
		"the API fails, no header":             {gitlabtest.Database, pipeline.VerifyRegistry, []gitlabtest.Option{old, faults(firstFails)}, "database", 0},
		"the API fails once":                   {gitlabtest.Database, pipeline.VerifyAPI, []gitlabtest.Option{faults(firstFails)}, "database", 0},
		"the API fails, a proxy's page for v1": {gitlabtest.Database, pipeline.VerifyRegistry, []gitlabtest.Option{old, faults(firstFails, gitlabtest.Fault{Path: v1, Effect: notFound})}, "", 0},
		"a legacy registry that is not GitLab's own": {gitlabtest.Database, pipeline.VerifyRegistry, []gitlabtest.Option{faults(
			gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/$`), Effect: gitlabtest.Reply(200, `{}`, "Gitlab-Container-Registry-Database-Enabled", "false")})}, "unknown", 1},
	} {
		t.Run(name, func(t *testing.T) {
			world := kindsWorld(test.regime)
			tr := registryTrial(world, test.verify, test.options...)
			tr.rules, tr.options.Workers, tr.client.MaxRetries = policy.Default(), 1, 0
			unclear := 0
			tr.handlers = report.Handlers{handlerFunc(func(e report.Event) {
				if _, ok := e.(report.RegimeUnclear); ok {
					unclear++
				}
			})}
			got := tr.runInBubble(t)
			if test.want == "" {
				if !errors.Is(got.err, pipeline.ErrNoRegistry) || len(deleted(tr.server)) > 0 {
					t.Errorf("ended with %v", got.err)
				}
				return
			}
			if got.err != nil || got.Regime != test.want || unclear != test.unclear {
				t.Errorf("regime %s, unclear %d times, error %v", got.Regime, unclear, got.err)
			}
			if test.verify == pipeline.VerifyRegistry {
				onlyDeadByRegistry(t, world, tr.server)
			}
			for name := range deleted(tr.server) { // GitLab alone does not know what is a cache
				if !strings.Contains(name, "app.cache:") {
					t.Errorf("%s was deleted", name)
				}
			}
		})
	}
}
