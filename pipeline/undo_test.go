package pipeline_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// An undone is what an undo came to.
type undone struct {
	results map[string]pipeline.Restoration // by "repository:tag"
	err     error
}

// outcomes returns what became of each tag.
func (u undone) outcomes() map[string]pipeline.UndoOutcome {
	found := make(map[string]pipeline.UndoOutcome)
	for name, result := range u.results {
		found[name] = result.Outcome
	}
	return found
}

// undo takes deletions back. It checks that each is told of once, and that nothing is sent that no client
// sends.
func (tr *trial) undo(ctx context.Context, t *testing.T, d *pipeline.Deletions, options pipeline.UndoOptions) undone {
	t.Helper()
	if tr.client.Transport = tr.network; tr.network == nil {
		tr.client.Transport = tr.server.Transport()
	}
	client, err := gitlabapi.New(tr.client)
	if err != nil {
		t.Fatal(err)
	}
	u := undone{results: make(map[string]pipeline.Restoration)}
	records := d.Select(nil, nil)
	options.Workers = cmp.Or(options.Workers, tr.options.Workers)
	options.Progress = new(pipeline.Progress)
	u.err = pipeline.Undo(ctx, client, records, options, func(r pipeline.Restoration) error {
		name := r.Repository + ":" + r.Tag
		if _, twice := u.results[name]; twice {
			t.Errorf("%s was told of twice", name)
		}
		u.results[name] = r
		return nil
	})
	if len(u.results) != len(records) {
		t.Errorf("%d results of %d records", len(u.results), len(records))
	}
	if got := tr.server.Stats().Violations; len(got) > 0 {
		t.Errorf("requests that no client of GitLab sends: %q", got)
	}
	return u
}

// TestUndoBringsEverythingBack: after a run and an undo of random worlds on either kind of registry all
// tags are there again, byte for byte, but for those that pointed to nothing. A dry run before changes
// nothing and says the same, and a second undo finds everything there. Some of what is asked fails in
// passing.
func TestUndoBringsEverythingBack(t *testing.T) {
	for seed := range *worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			regime := []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database}[seed%2]
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr := registryTrial(gitlabtest.Random(seed, regime).World(), pipeline.VerifyRegistry, gitlabtest.WithSeed(seed))
				tr.options.Workers = []int{1, 4, 16, 64}[seed/2%4]
				before := tr.server.Manifests()
				written := new(memoryJournal)
				tr.options.Journal = written
				if run := tr.run(t.Context(), t); run.err != nil {
					t.Fatal(run.err)
				}
				d := new(pipeline.Deletions)
				for _, r := range written.records {
					d.Add(r)
				}
				want, again := make(map[string]pipeline.UndoOutcome), make(map[string]pipeline.UndoOutcome)
				for name := range deleted(tr.server) {
					want[name], again[name] = pipeline.Restored, pipeline.ThereAlready
					if before[name] == "" {
						want[name], again[name] = pipeline.PointedToNothing, pipeline.PointedToNothing
						delete(before, name)
					}
				}
				changing := tr.server.Stats().Changing
				try := tr.undo(t.Context(), t, d, pipeline.UndoOptions{DryRun: true})
				if sent := tr.server.Stats().Changing - changing; sent > 0 {
					t.Errorf("a dry run sends %d requests that change something", sent)
				}
				tr.server.SetFaults(passing()...)
				real := tr.undo(t.Context(), t, d, pipeline.UndoOptions{})
				tr.server.SetFaults()
				second := tr.undo(t.Context(), t, d, pipeline.UndoOptions{})
				for _, test := range []struct {
					got  undone
					want map[string]pipeline.UndoOutcome
				}{{try, want}, {real, want}, {second, again}} {
					if diff := gocmp.Diff(test.want, test.got.outcomes()); diff != "" || test.got.err != nil {
						t.Errorf("error %v, (-want +got):\n%s", test.got.err, diff)
					}
				}
				if diff := gocmp.Diff(before, tr.server.Manifests()); diff != "" {
					t.Errorf("(-before +after):\n%.2000s", diff)
				}
			})
		})
	}
}

// sumOf returns the digest of a manifest.
func sumOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// oneDeletion is a registry in which one tag of two that share a manifest was deleted.
func oneDeletion(regime gitlabtest.Regime, options ...gitlabtest.Option) (*trial, *pipeline.Deletions) {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	app := p.AddRepository("app")
	app.AddTag("gone", gitlabtest.KindAttestedImage)
	app.AddTag("other", gitlabtest.KindMultiArch)
	tr := registryTrial(world, pipeline.VerifyRegistry, options...)
	digest := sumOf(tr.server.Manifests()["g/p/app:gone"])
	if err := tr.server.Remove("g/p", "app", "gone"); err != nil {
		panic(err)
	}
	d := new(pipeline.Deletions)
	d.Add(plan.Record{Time: time.Now(), Event: plan.Deleted, Entry: plan.Entry{
		Project: "g/p", ProjectID: p.ID, Repository: "g/p/app", RepositoryID: app.ID, Tag: "gone", Digest: digest, Reason: "undatable",
	}})
	return tr, d
}

// What the faults of these tests strike.
var (
	readsByTag    = regexp.MustCompile(`^/v2/.*/manifests/gone$`)
	readsByDigest = regexp.MustCompile(`^/v2/.*/manifests/sha256:`)
)

// TestWhatBecomesOfAnUndo has everything that can come of a tag, on either kind of registry.
func TestWhatBecomesOfAnUndo(t *testing.T) {
	fault := func(method string, path *regexp.Regexp, effect gitlabtest.Effect) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Method: method, Path: path, Effect: effect}}
	}
	reply := func(status int, code string) gitlabtest.Effect {
		return gitlabtest.Reply(status, `{"errors":[{"code":"`+code+`","message":"m"}]}`)
	}
	push := func(kind gitlabtest.Kind) func(*trial) {
		return func(tr *trial) {
			if err := tr.server.Push("g/p", "app", "gone", kind); err != nil {
				panic(err)
			}
		}
	}
	for name, test := range map[string]struct {
		options []gitlabtest.Option
		faults  []gitlabtest.Fault
		before  func(*trial)
		regime  gitlabtest.Regime // only on this one; zero for both
		only    bool
		want    pipeline.UndoOutcome
		says    string // in the error, of the tag or of the undo
		ends    bool
	}{
		"restored":            {want: pipeline.Restored},
		"taken":               {before: push(gitlabtest.KindMultiArch), want: pipeline.TakenByOther},
		"a Reporter":          {options: []gitlabtest.Option{gitlabtest.WithRole(gitlabtest.Reporter)}, want: pipeline.Protected, says: "role Developer"},
		"a token that reads":  {options: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api", "read_registry")}, want: pipeline.Protected, says: "write_registry"},
		"a token that writes": {options: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api", "read_registry", "write_registry")}, want: pipeline.Restored},
		"protected":           {options: []gitlabtest.Option{gitlabtest.WithProtectedTags(regexp.MustCompile("gone"))}, want: pipeline.Protected, says: "PROTECTED_TAG"},
		"denied":              {faults: fault("PUT", readsByTag, reply(403, "DENIED")), want: pipeline.Protected, says: "DENIED"},
		"a day later":         {before: func(*trial) { time.Sleep(25 * time.Hour) }, only: true, regime: gitlabtest.Database, want: pipeline.Collected},
		"a year later":        {before: func(*trial) { time.Sleep(365 * 24 * time.Hour) }, only: true, regime: gitlabtest.Legacy, want: pipeline.Restored},
		"garbage collection":  {before: func(tr *trial) { tr.server.CollectGarbage() }, only: true, regime: gitlabtest.Legacy, want: pipeline.Collected},
		"the ghost":           {faults: fault("PUT", readsByTag, gitlabtest.DroppedPushes()), only: true, regime: gitlabtest.Legacy, want: pipeline.NotRestored, says: "ran on through a garbage collection"},
		"blobs are gone":      {faults: fault("PUT", readsByTag, reply(400, "MANIFEST_BLOB_UNKNOWN")), want: pipeline.Collected, says: "MANIFEST_BLOB_UNKNOWN"},
		"wrong digest":        {faults: fault("GET", readsByDigest, gitlabtest.ManifestBytes([]byte(`{"schemaVersion":2}`), "application/vnd.oci.image.index.v1+json")), want: pipeline.NotRestored, says: "does not have the digest"},
		"no manifest":         {faults: fault("GET", readsByDigest, gitlabtest.Reply(200, `{}`)), want: pipeline.NotRestored, says: "no manifest and no index"},
		"a proxy's 404":       {faults: fault("GET", readsByTag, gitlabtest.Reply(404, "not here", "Content-Type", "text/plain")), want: pipeline.NotRestored, says: "status 404"},
		"a proxy's 404, too":  {faults: fault("GET", readsByDigest, gitlabtest.Reply(404, `{"message":"not here"}`)), want: pipeline.NotRestored, says: "status 404"},
		"another tag's 404":   {faults: fault("GET", readsByTag, gitlabtest.Reply(404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m","detail":{"Tag":"x"}}]}`)), want: pipeline.NotRestored, says: "MANIFEST_UNKNOWN"},
		"no such repository":  {faults: fault("GET", regexp.MustCompile(`/manifests/`), reply(404, "NAME_UNKNOWN")), want: pipeline.Collected},
		"a page on a push":    {faults: fault("PUT", readsByTag, gitlabtest.HTML()), want: pipeline.NotRestored, says: "text/html"},
		"a sign-in on a push": {faults: fault("PUT", readsByTag, gitlabtest.Reply(401, "<title>Who</title>", "Content-Type", "text/html")), want: pipeline.NotRestored, says: "proxy or firewall"},
		"pushes fail":         {faults: fault("PUT", readsByTag, gitlabtest.Status(503)), want: pipeline.NotRestored, says: "status 503"},
		"a push fails":        {faults: []gitlabtest.Fault{{Method: "PUT", Count: 1, Effect: gitlabtest.Status(503)}}, want: pipeline.Restored},
		"an answer is lost":   {faults: []gitlabtest.Fault{{Method: "PUT", Count: 1, Effect: gitlabtest.CutBody()}}, want: pipeline.Restored},
		"not known by GitLab": {faults: fault("", regexp.MustCompile(`/registry/repositories`), gitlabtest.Status(404)), want: pipeline.NotReached, says: "registry cannot be asked", ends: true},
		"out of reach":        {faults: fault("", nil, gitlabtest.RegistryUnreachable()), want: pipeline.NotReached, says: "registry cannot be asked", ends: true},
		"a refused token":     {faults: fault("", regexp.MustCompile(`/jwt/auth$`), gitlabtest.Status(401)), want: pipeline.NotRestored, says: "status 401", ends: true},
	} {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			if test.only && test.regime != regime {
				continue
			}
			t.Run(fmt.Sprint(name, "/", regime), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sleepUntilTagsAreOld()
					tr, d := oneDeletion(regime, test.options...)
					if test.before != nil {
						test.before(tr)
					}
					tr.server.SetFaults(test.faults...)
					before := tr.server.Manifests()
					got := tr.undo(t.Context(), t, d, pipeline.UndoOptions{})
					result := got.results["g/p/app:gone"]
					if result.Outcome != test.want || (got.err != nil) != test.ends || !strings.Contains(fmt.Sprint(result.Err, got.err), test.says) {
						t.Errorf("%s, %v; ended by %v", result.Outcome, result.Err, got.err)
					}
					if test.want != pipeline.Restored && !maps.Equal(before, tr.server.Manifests()) {
						t.Error("something was changed")
					}
					if test.want == pipeline.TakenByOther && result.Now != sumOf(before["g/p/app:gone"]) {
						t.Errorf("taken by %q", result.Now)
					}
				})
			})
		}
	}
}

// TestADoubtRestoresNothing: whatever the registry and what stands before it do, a tag that exists is not
// moved: neither one that was there nor one that somebody pushes at any moment of the undo, up to the push
// itself. A tag that counts as restored is there.
func TestADoubtRestoresNothing(t *testing.T) {
	stale := gitlabtest.NotFoundCache{}
	for name, faults := range doubts() {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			for moment := range 6 { // the number of the request before which somebody pushes; 0 for never
				t.Run(fmt.Sprint(name, "/", regime, "/", moment), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						sleepUntilTagsAreOld()
						var options []gitlabtest.Option
						if name == "a proxy that remembers" {
							options = append(options, gitlabtest.WithNotFoundCache(stale))
						}
						tr, d := oneDeletion(regime, options...)
						tr.client.MaxRetries = 2
						refused := d.Select(nil, nil)[0] // its tag is there, and names something else
						refused.Tag, refused.Event = "other", plan.Failed
						d.Add(refused)
						other := tr.server.Manifests()["g/p/app:other"]
						tr.server.SetFaults(faults...)
						asked, pushed := 0, false
						var mu sync.Mutex
						tr.server.OnRequest(func(r gitlabtest.Request) {
							mu.Lock()
							defer mu.Unlock()
							if !strings.Contains(r.Path, "/manifests/") || r.Method == http.MethodPut {
								return
							}
							if asked++; asked == moment && name != "a stale registry" { // of which nobody can tell what was pushed
								_, exists := tr.server.Manifests()["g/p/app:gone"]
								if pushed = !exists; pushed {
									if err := tr.server.Push("g/p", "app", "gone", gitlabtest.KindDockerImage); err != nil {
										t.Error(err)
									}
								}
							}
						})
						tr.options.Workers = 1
						got := tr.undo(t.Context(), t, d, pipeline.UndoOptions{})
						after := tr.server.Manifests()
						if after["g/p/app:other"] != other {
							t.Error("a tag that was there was moved")
						}
						digest, want := sumOf(after["g/p/app:gone"]), d.Select(nil, regexp.MustCompile("^gone$"))[0].Digest
						if pushed && digest == want {
							t.Error("a tag that was pushed meanwhile was overwritten")
						}
						result := got.results["g/p/app:gone"]
						if faults == nil && name == "nothing" && moment == 0 && result.Outcome != pipeline.Restored {
							t.Errorf("without any doubt it is %s: %v, %v", result.Outcome, result.Err, got.err)
						}
						if result.Outcome == pipeline.Restored && digest != want {
							t.Error("it counts as restored and is not")
						}
					})
				})
			}
		}
	}
}

// doubts are what may go wrong with an undo.
func doubts() map[string][]gitlabtest.Fault {
	all := map[string][]gitlabtest.Fault{
		"nothing": nil, "a proxy that remembers": nil,
		"a stale registry":  {{Effect: gitlabtest.StaleRegistry()}},
		"manifests lost":    {{Effect: gitlabtest.ManifestsLost()}},
		"every second lost": {{Alternate: 1, Effect: gitlabtest.ManifestsLost()}},
		"other bytes":       {{Effect: gitlabtest.ManifestBytes([]byte(`{"schemaVersion":2}`), "application/vnd.oci.image.index.v1+json")}},
	}
	for name, effect := range map[string]gitlabtest.Effect{
		"500": gitlabtest.Status(500), "503": gitlabtest.Status(503), "404": gitlabtest.Status(404), "403": gitlabtest.Status(403), "401": gitlabtest.Status(401),
		"429": gitlabtest.RateLimited(), "429 and when": gitlabtest.RetryAfter(429, 7), "503 and when": gitlabtest.RetryAfter(503, 300),
		"cut": gitlabtest.Cut(), "cut in its middle": gitlabtest.CutBody(), "halved": gitlabtest.Halve(), "a page": gitlabtest.HTML(),
		"a redirect": gitlabtest.Redirect("http://elsewhere.test/"), "slow": gitlabtest.Latency(40 * time.Second), "slower": gitlabtest.Latency(4 * time.Second),
		"an outage": gitlabtest.RegistryOutage(), "out of reach": gitlabtest.RegistryUnreachable(), "dropped": gitlabtest.DroppedPushes(),
		"another realm": gitlabtest.WrongRealm("http://elsewhere.test/jwt/auth"), "a proxy's 404": gitlabtest.Reply(404, "no", "Content-Type", "text/plain"),
	} {
		all[name+", always"] = []gitlabtest.Fault{{Path: regexp.MustCompile(`^/v2/.`), Effect: effect}}
		all[name+", at times"] = []gitlabtest.Fault{{Path: regexp.MustCompile(`^/v2/.`), Alternate: 1, Effect: effect}}
		all[name+", once a path"] = []gitlabtest.Fault{{Count: 1, PerPath: true, Effect: effect}}
		all[name+", on pushes"] = []gitlabtest.Fault{{Method: "PUT", Count: 2, Effect: effect}}
		all[name+", by digest"] = []gitlabtest.Fault{{Path: readsByDigest, Count: 2, Effect: effect}}
	}
	return all
}

// TestUndoStops: a stop leaves what was not reached, and what is under way is told of as it is.
func TestUndoStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		world := gitlabtest.NewWorld(gitlabtest.Database)
		app := world.AddProject("g/p").AddRepository("app")
		for i := range 50 {
			app.AddTagAt(fmt.Sprint("t", i), gitlabtest.KindCacheManifest, daysAgo(100+i))
		}
		tr := registryTrial(world, pipeline.VerifyRegistry)
		d := new(pipeline.Deletions)
		for name, text := range tr.server.Manifests() {
			_, tag, _ := strings.Cut(name, ":")
			d.Add(plan.Record{Event: plan.Deleted, Entry: plan.Entry{Project: "g/p", ProjectID: app.Project().ID, Repository: "g/p/app", RepositoryID: app.ID, Tag: tag, Digest: sumOf(text)}})
			if err := tr.server.Remove("g/p", "app", tag); err != nil {
				t.Fatal(err)
			}
		}
		tr.server.SetFaults(gitlabtest.Fault{Method: "PUT", Effect: gitlabtest.Latency(time.Second)})
		errStopped := errors.New("stopped")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(2500*time.Millisecond, func() { stop(errStopped) })
		tr.options.Workers = 4
		got := tr.undo(ctx, t, d, pipeline.UndoOptions{})
		count := make(map[pipeline.UndoOutcome]int)
		for _, outcome := range got.outcomes() {
			count[outcome]++
		}
		there := len(tr.server.Manifests())
		if got.err != errStopped || count[pipeline.Restored] != there || there != 12 || count[pipeline.NotReached] != 38 {
			t.Errorf("%v: %v, and %d are there", got.err, count, there)
		}
	})
}

// TestUndoGivesUp where one tag after the other fails: that may take half a minute for each.
func TestUndoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, d := oneDeletion(gitlabtest.Legacy, gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/`), Effect: gitlabtest.Status(502)}))
		record := d.Select(nil, nil)[0]
		for i := range 500 {
			record.Tag = fmt.Sprint("t", i)
			d.Add(record)
		}
		tr.client.MaxRetries = 0
		got := tr.undo(t.Context(), t, d, pipeline.UndoOptions{})
		failed := 0
		for _, outcome := range got.outcomes() {
			if outcome == pipeline.NotRestored {
				failed++
			}
		}
		if got.err == nil || !strings.Contains(got.err.Error(), "40 in a row") || failed < 40 || failed > 40+tr.options.Workers {
			t.Errorf("%v, after %d", got.err, failed)
		}
	})
}

// TestLastDeletionCounts: of several journals, in any order, the last record counts that has a digest.
func TestLastDeletionCounts(t *testing.T) {
	at := func(minute int, digest string) plan.Record {
		return plan.Record{Time: time.Unix(int64(60*minute), 0), Entry: plan.Entry{Repository: "g/p/app", Tag: "x", Digest: digest}}
	}
	records := []plan.Record{at(1, "a"), at(3, "b"), at(4, ""), at(2, "c"), at(3, "b")}
	for range len(records) {
		records = append(records[1:], records[0])
		d := new(pipeline.Deletions)
		for _, r := range records {
			d.Add(r)
		}
		if got := d.Select(regexp.MustCompile("p/app$"), regexp.MustCompile("^x")); len(got) != 1 || got[0].Digest != "b" {
			t.Errorf("%v", got)
		}
		if got := d.Select(nil, regexp.MustCompile("y")); len(got) != 0 {
			t.Errorf("%v", got)
		}
	}
}

// TestUndoRequests: a tag costs three requests of its own, a manifest one for all tags that had it, and
// five repositories share a token.
func TestUndoRequests(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		synctest.Test(t, func(t *testing.T) {
			sleepUntilTagsAreOld()
			world := gitlabtest.NewWorld(regime)
			d := new(pipeline.Deletions)
			p := world.AddProject("g/p")
			for i := range 10 {
				r := p.AddRepository(fmt.Sprint("app-", i))
				for j := range 20 {
					r.AddTagAt(fmt.Sprint("t", j), gitlabtest.KindCacheManifest, daysAgo(100+j%10))
				}
			}
			tr := registryTrial(world, pipeline.VerifyRegistry)
			for name, text := range tr.server.Manifests() {
				path, tag, _ := strings.Cut(name, ":")
				d.Add(plan.Record{Event: plan.Deleted, Entry: plan.Entry{ProjectID: p.ID, Repository: path, Tag: tag, Digest: sumOf(text)}})
				if err := tr.server.Remove("g/p", strings.TrimPrefix(path, "g/p/"), tag); err != nil {
					t.Fatal(err)
				}
			}
			// One worker: of several some may read a manifest that another has just let go.
			got := tr.undo(t.Context(), t, d, pipeline.UndoOptions{Workers: 1})
			stats := tr.server.Stats()
			// 200 tags and 100 manifests; two tokens, the challenge, and where the registry is.
			if want := 3*200 + 100 + 2 + 1 + 1; stats.Total != want || got.err != nil {
				t.Errorf("%v: %d requests for 200 tags, want %d: %v", regime, stats.Total, want, stats.ByEndpoint)
			}
			if there := len(tr.server.Manifests()); there != 200 {
				t.Errorf("%d are there", there)
			}
		})
	}
}

// TestOneProjectHoldsNoUndoUp: that the token may do nothing in one project, or that it is held, ends the undo
// of no other.
func TestOneProjectHoldsNoUndoUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		world := gitlabtest.NewWorld(gitlabtest.Database)
		d := new(pipeline.Deletions)
		first, second := world.AddProject("a/first"), world.AddProject("b/second")
		many, mine := first.AddRepository("app"), second.AddRepository("app")
		for i := range 60 {
			many.AddTagAt(fmt.Sprint("t", i), gitlabtest.KindImage, daysAgo(100+i))
		}
		mine.AddTag("mine", gitlabtest.KindImage)
		tr := registryTrial(world, pipeline.VerifyRegistry)
		for name, text := range tr.server.Manifests() {
			path, tag, _ := strings.Cut(name, ":")
			project := strings.TrimSuffix(path, "/app")
			id := map[string]int64{"a/first": first.ID, "b/second": second.ID}[project]
			d.Add(plan.Record{Event: plan.Deleted, Entry: plan.Entry{ProjectID: id, Repository: path, Tag: tag, Digest: sumOf(text)}})
			if err := tr.server.Remove(project, "app", tag); err != nil {
				t.Fatal(err)
			}
		}
		tr.server.SetFaults(gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/a/first/`), Effect: gitlabtest.Refuse(403)})
		got := tr.undo(t.Context(), t, d, pipeline.UndoOptions{Workers: 1})
		if outcome := got.results["b/second/app:mine"].Outcome; outcome != pipeline.Restored || got.err != nil {
			t.Errorf("%s, %v", outcome, got.err)
		}
	})
}

// TestLastDeletionIsUndone: what a tag named before its last deletion does not come back for one that nobody
// knows what it named.
func TestLastDeletionIsUndone(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	record := func(digest string, after time.Duration) plan.Record {
		return plan.Record{Time: at.Add(after), Event: plan.Deleting, Entry: plan.Entry{Repository: "r", Tag: "t", Digest: digest}}
	}
	for name, test := range map[string]struct {
		records []plan.Record
		want    string
	}{
		"a later one without":          {[]plan.Record{record("a", 0), record("", 24*time.Hour)}, ""},
		"the same, read the other way": {[]plan.Record{record("", 24*time.Hour), record("a", 0)}, ""},
		"its outcome without":          {[]plan.Record{record("a", 0), record("", time.Second)}, "a"},
		"a later one":                  {[]plan.Record{record("b", 24*time.Hour), record("a", 0)}, "b"},
	} {
		d := new(pipeline.Deletions)
		for _, r := range test.records {
			d.Add(r)
		}
		if got := d.Select(nil, nil); len(got) != 1 || got[0].Digest != test.want {
			t.Errorf("%s: %v, want %q", name, got, test.want)
		}
	}
}
