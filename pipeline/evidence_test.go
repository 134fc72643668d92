package pipeline_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// evidences are the ways to know about tags, with what each can know of them.
var evidences = []struct {
	name   string
	regime gitlabtest.Regime
	verify pipeline.Verify
	truth  gitlabtest.TruthRules
}{
	// GitLab alone does not know what stands behind a 404, nor how old a cache is.
	{"legacy by the API", gitlabtest.Legacy, pipeline.VerifyAPI, gitlabtest.TruthRules{Original: true}},
	{"legacy by the registry", gitlabtest.Legacy, pipeline.VerifyRegistry, byRegistry},
	{"database by the API", gitlabtest.Database, pipeline.VerifyAPI, gitlabtest.TruthRules{}},
	{"database by the registry", gitlabtest.Database, pipeline.VerifyRegistry, byRegistry},
}

// byRegistry is what is dead by the default rules under [settings].
var byRegistry = gitlabtest.TruthRules{ByRegistry: true, DeleteKinds: []string{"cache-index", "attested-image", "missing-manifest"}}

// registryTrial prepares a run by the default rules, which may ask the registry. GitLab's word
// alone on LEGACY is at home with the original rules.
func registryTrial(world *gitlabtest.World, verify pipeline.Verify, options ...gitlabtest.Option) *trial {
	tr := newTrial(world, options...)
	tr.options.Verify = verify
	if verify != pipeline.VerifyAPI || world.Regime == gitlabtest.Database {
		tr.rules = policy.Default()
	}
	return tr
}

// TestSameVerdictsByEveryEvidence runs the same worlds by each evidence and compares
// tag by tag what is decided, and what is deleted, with the truth.
func TestSameVerdictsByEveryEvidence(t *testing.T) {
	for _, e := range evidences {
		for seed := range *worlds / 4 {
			t.Run(fmt.Sprint(e.name, "/", seed), func(t *testing.T) {
				t.Parallel()
				world := gitlabtest.Random(seed, e.regime).World()
				tr := registryTrial(world, e.verify, gitlabtest.WithSeed(seed))
				tr.options.Workers = []int{1, 4, 16}[seed%3]
				got := tr.runInBubble(t)
				if got.err != nil {
					t.Fatal(got.err)
				}
				dead := world.TruthUnder(e.truth)
				want := make(map[string]policy.Reason)
				for name, reason := range world.VerdictsUnder(e.truth) {
					if reason != "out-of-reach" {
						want[name] = policy.Reason(dead[name])
					}
				}
				if e.truth.ByRegistry {
					for _, name := range withoutReadableSibling(world) {
						if dead[name] != "" {
							delete(dead, name)
							want[name] = policy.OutageSuspected
						}
					}
				}
				verdicts := got.verdicts()
				for name, d := range got.decisions {
					if d.Action == policy.Keep { // the truth knows reasons for that, too, and not in the order of the rules
						verdicts[name] = ""
					}
				}
				if diff := cmp.Diff(want, verdicts); diff != "" {
					t.Errorf("verdicts (-truth +decided):\n%s", diff)
				}
				gone := make(map[string]string)
				for name := range deleted(tr.server) {
					gone[name] = string(got.decisions[name].Reason)
				}
				if diff := cmp.Diff(dead, gone); diff != "" {
					t.Errorf("deleted (-dead +deleted):\n%s", diff)
				}
			})
		}
	}
}

// withoutReadableSibling returns the tags of repositories that have several, none of them with its
// manifest: it cannot be told from storage that is not there.
func withoutReadableSibling(world *gitlabtest.World) []string {
	var all []string
	for _, p := range world.Projects {
		for _, r := range p.Repositories {
			var names []string
			for _, tag := range r.Tags {
				if tag.Kind == gitlabtest.KindManifestMissing {
					names = append(names, r.Path()+":"+tag.Name)
				}
			}
			if len(names) > 1 && len(names) == len(r.Tags) {
				all = append(all, names...)
			}
		}
	}
	return all
}

// TestYoungCachesStay: where the registry shows the age of a cache, one that has only
// just come stays: its image may be on its way. GitLab alone cannot know.
func TestYoungCachesStay(t *testing.T) {
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			world := gitlabtest.NewWorld(e.regime)
			p := world.AddProject("g/p")
			cache, app := p.AddRepository("app.cache"), p.AddRepository("app")
			app.AddTag("healthy", gitlabtest.KindImage)
			cache.AddTagAt("old", gitlabtest.KindCacheManifest, now.Add(-2*time.Hour))
			cache.AddTagAt("young", gitlabtest.KindCacheManifest, now.Add(-30*time.Minute))
			cache.AddTagAt("young-index", gitlabtest.KindCacheIndex, now.Add(-30*time.Minute))
			cache.AddTagAt("young-with-image", gitlabtest.KindCacheManifest, now.Add(-time.Minute))
			app.AddTag("young-with-image", gitlabtest.KindImage)
			tr := registryTrial(world, e.verify)
			tr.settings.MinAge = time.Hour
			var got *outcome
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(now))
				got = tr.run(t.Context(), t)
			})
			want := tooYoung
			if e.regime == gitlabtest.Legacy && !e.truth.ByRegistry {
				want = counterpartTagMissing // the original rules know no ages
			}
			if reason := got.decisions["g/p/app.cache:young"].Reason; reason != want {
				t.Errorf("young: %s, want %s", reason, want)
			}
			if reason := got.decisions["g/p/app.cache:young-index"].Reason; e.truth.ByRegistry && reason != tooYoung {
				t.Errorf("young index: %s", reason)
			}
			if reason := got.decisions["g/p/app.cache:old"].Reason; reason != counterpartTagMissing {
				t.Errorf("old: %s", reason)
			}
			if reason := got.decisions["g/p/app.cache:young-with-image"].Reason; reason != tooYoung && reason != counterpartPresent {
				t.Errorf("young with its image: %s", reason)
			}
		})
	}
}

type handlerFunc func(report.Event)

// Handle implements report.Handler.
func (f handlerFunc) Handle(e report.Event) error {
	f(e)
	return nil
}

// TestRegistryHasTheLastWord: right before a deletion the registry is asked again, and
// anything but its own 404 for the counterpart keeps the cache.
func TestRegistryHasTheLastWord(t *testing.T) {
	head := regexp.MustCompile(`^/v2/g/p/app/manifests/x$`)
	own := regexp.MustCompile(`^/v2/g/p/app.cache/manifests/x$`)
	tests := []struct {
		name  string
		kind  gitlabtest.Kind
		fault gitlabtest.Fault
		want  policy.Reason
	}{
		{"nothing happens", gitlabtest.KindCacheManifest, gitlabtest.Fault{Path: regexp.MustCompile("^nothing$"), Effect: gitlabtest.Status(500)}, counterpartTagMissing},
		{"the registry fails", gitlabtest.KindCacheManifest, gitlabtest.Fault{Path: head, Effect: gitlabtest.Status(503)}, policy.CounterpartUnknown},
		{"a proxy's 404", gitlabtest.KindCacheManifest, gitlabtest.Fault{Path: head, Effect: gitlabtest.Reply(404, "not here", "Content-Type", "text/html")}, policy.CounterpartUnknown},
		{"the tag is refused", gitlabtest.KindCacheManifest, gitlabtest.Fault{Path: head, Effect: gitlabtest.Status(403)}, policy.CounterpartUnknown},
		{"garbage in place of the manifest", gitlabtest.KindCacheIndex, gitlabtest.Fault{Path: own, Effect: gitlabtest.ManifestBytes([]byte("{}"), "application/vnd.oci.image.index.v1+json")}, noBuildCache},
		{"garbage at the last moment", gitlabtest.KindCacheIndex, gitlabtest.Fault{Path: own, Skip: 1, Effect: gitlabtest.ManifestBytes([]byte("{}"), "application/vnd.oci.image.index.v1+json")}, policy.EvidenceDisagrees},
		{"an outage at the last moment", gitlabtest.KindCacheIndex, gitlabtest.Fault{Path: own, Skip: 1, Effect: gitlabtest.Status(503)}, policy.DetailsUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			p.AddRepository("app.cache").AddTag("x", test.kind)
			p.AddRepository("app").AddTag("y", gitlabtest.KindImage)
			tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(test.fault))
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != test.want {
				t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.want)
			}
			_, gone := deleted(tr.server)["g/p/app.cache:x"]
			if gone != (test.want == counterpartTagMissing) {
				t.Errorf("deleted: %t", gone)
			}
		})
	}
}

// TestManifestOfAnotherTime: Docker's first schema is none that can be read. What is no
// manifest that anybody understands stays, and is not undecided every night.
func TestManifestOfAnotherTime(t *testing.T) {
	for _, media := range []string{
		"application/vnd.docker.distribution.manifest.v1+prettyjws",
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.oci.image.index.v1+json",
	} {
		world := gitlabtest.NewWorld(gitlabtest.Legacy)
		world.AddProject("g/p").AddRepository("app").AddTag("x", gitlabtest.KindImage)
		odd := gitlabtest.ManifestBytes([]byte(`{"schemaVersion": 1}`), media)
		tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: regexp.MustCompile(`/manifests/x$`), Effect: odd}))
		if d := tr.runInBubble(t).decisions["g/p/app:x"]; d.Reason != policy.NoRule {
			t.Errorf("%s: decided %s (%s)", media, d.Reason, d.Detail)
		}
	}
}

// TestCounterpartThatHasLostItsManifest: the registry knows nothing behind such a tag,
// but the tag is there, which its listing shows even when the first one was cut short.
func TestCounterpartThatHasLostItsManifest(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	p.AddRepository("app.cache").AddTag("x", gitlabtest.KindCacheManifest)
	app := p.AddRepository("app")
	app.AddTag("a", gitlabtest.KindImage)
	app.AddTag("x", gitlabtest.KindManifestMissing)
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/v2/g/p/app/tags/list$`), Count: 1, Effect: gitlabtest.CutList(1)}))
	tr.options.Workers = 1 // the regime is asked of the cache
	got := tr.runInBubble(t)
	if reason := got.decisions["g/p/app.cache:x"].Reason; reason != counterpartPresent {
		t.Errorf("decided %s", reason)
	}
}

// TestDatabaseTagIsAskedForAgain: what its listing said of a tag is asked of the registry
// again before the tag is deleted: its row, and where there is none the tag itself.
func TestDatabaseTagIsAskedForAgain(t *testing.T) {
	own := regexp.MustCompile(`^/gitlab/v1/repositories/g/p/app.cache/tags/list/$`)
	for name, test := range map[string]struct {
		change func(*gitlabtest.Server) error // before the second list
		effect gitlabtest.Effect
		want   policy.Reason
	}{
		"it is gone":         {func(s *gitlabtest.Server) error { return s.Remove("g/p", "app.cache", "x") }, gitlabtest.Latency(0), policy.EvidenceDisagrees},
		"the registry fails": {nil, gitlabtest.Status(503), policy.DetailsUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Database)
			p := world.AddProject("g/p")
			p.AddRepository("app.cache").AddTag("x", gitlabtest.KindCacheManifest)
			p.AddRepository("app").AddTag("y", gitlabtest.KindImage)
			tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{Path: own, Skip: 1, Effect: test.effect}))
			lists := 0
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if own.MatchString(r.Path) {
					if lists++; lists == 2 && test.change != nil {
						if err := test.change(tr.server); err != nil {
							t.Error(err)
						}
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != test.want || len(deleted(tr.server)) > map[bool]int{true: 1}[test.change != nil] || got.Deleted > 0 {
				t.Errorf("decided %s (%s), deleted %d", d.Reason, d.Detail, got.Deleted)
			}
		})
	}
}

// TestTokenRefusedForTheRegistry in the middle of a run ends it like one that the API
// refuses: nothing else will succeed.
func TestTokenRefusedForTheRegistry(t *testing.T) {
	tr := registryTrial(gitlabtest.DemoWorld(), pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/jwt/auth$`), Skip: 1, Effect: gitlabtest.Reply(401, `{"errors":[{"code":"UNAUTHORIZED"}]}`)}))
	tr.options.Workers = 1
	got := tr.runInBubble(t)
	if !errors.Is(got.err, registry.ErrDenied) {
		t.Errorf("error %v", got.err)
	}
	for name := range deleted(tr.server) {
		if got.decisions[name].Outcome != report.Deleted {
			t.Errorf("%s was deleted and is not reported", name)
		}
	}
}

// TestRefusedPasswordIsRemembered while the regime is open and every repository is asked for it:
// GitLab bans an address for an hour that shows it a wrong password too often.
func TestRefusedPasswordIsRemembered(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	for i := range 12 {
		p.AddRepository(fmt.Sprintf("a-%02d", i)).AddTag("single", gitlabtest.KindImage)
	}
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithoutPaginationHeaders(), gitlabtest.WithFaults(
		gitlabtest.Fault{Path: regexp.MustCompile(`^/jwt/auth$`), Effect: gitlabtest.Reply(401, `{"errors":[{"code":"UNAUTHORIZED"}]}`)}))
	tr.runInBubble(t)
	if n := tr.server.Stats().ByEndpoint["GET /jwt/auth"]; n != 1 {
		t.Errorf("the password was shown %d times", n)
	}
}

// TestDatabaseTagPushedAgain after its listing stays, by either evidence.
func TestDatabaseTagPushedAgain(t *testing.T) {
	for _, verify := range []pipeline.Verify{pipeline.VerifyAPI, pipeline.VerifyRegistry} {
		t.Run(string(verify), func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Database)
			p := world.AddProject("g/p")
			cache, app := p.AddRepository("app.cache"), p.AddRepository("app")
			cache.AddTag("x", gitlabtest.KindCacheManifest)
			app.AddTag("y", gitlabtest.KindImage)
			tr := registryTrial(world, verify)
			ask := regexp.MustCompile(fmt.Sprintf(`^/v2/g/p/app/manifests/x$|/%d/tags/x$`, app.ID))
			pushed := false
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if ask.MatchString(r.Path) && !pushed {
					pushed = true
					if err := tr.server.Push("g/p", "app.cache", "x", gitlabtest.KindImage); err != nil {
						t.Error(err)
					}
				}
			})
			tr.runInBubble(t)
			if gone := deleted(tr.server); !pushed || len(gone) > 0 {
				t.Errorf("pushed %t, deleted %q", pushed, names(gone))
			}
		})
	}
}

// TestOneRepositoryOutOfReach is that repository's failure: the others go by the
// registry's word all the same.
func TestOneRepositoryOutOfReach(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	world.AddProject("g/first").AddRepository("app").AddTag("x", gitlabtest.KindCacheIndex)
	app := world.AddProject("g/second").AddRepository("app")
	app.AddTag("dead", gitlabtest.KindCacheIndex)
	app.AddTag("alive", gitlabtest.KindMultiArch)
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/v2/g/first/`), Effect: gitlabtest.Status(403)}))
	tr.options.Workers = 1
	got := tr.runInBubble(t)
	want := map[string]policy.Reason{"g/second/app:dead": undatable, "g/second/app:alive": multiArch}
	if diff := cmp.Diff(want, got.verdicts()); diff != "" || got.err != nil || got.Unreadable != 1 {
		t.Errorf("error %v, unreadable %d, verdicts:\n%s", got.err, got.Unreadable, diff)
	}
}

// TestDatesInAnObjectStore: where the registry sends clients elsewhere for a config, that
// GitLab shows no date is no lack of one.
func TestDatesInAnObjectStore(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	cache, app := p.AddRepository("app.cache"), p.AddRepository("app")
	for i := range 30 {
		cache.AddTag(fmt.Sprint("x-", i), gitlabtest.KindImage)
		app.AddTag(fmt.Sprint("y-", i), gitlabtest.KindImage)
	}
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/.*/blobs/`), Effect: gitlabtest.Redirect("https://store.example/blob")},
		gitlabtest.Fault{Path: details, Effect: gitlabtest.ConfigUnreadable()}))
	tr.runInBubble(t)
	if gone := deleted(tr.server); len(gone) > 0 {
		t.Errorf("deleted %q", names(gone))
	}
}
