package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// The promises of the design, in its order. The second, a doubt keeps the tag, is
// held in truth_test.go and package policy; the ninth, the rate, in package gitlabapi;
// the tenth, the token, there and in cmd/registry-gc.

// Promise 1: the sums are right, also after an interruption, and a stop is in good
// order: no new work, deletions in flight finish, ten seconds are enough.
func TestSumsAfterInterruption(t *testing.T) {
	errStop := errors.New("stop")
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			world := gitlabtest.Random(seed, gitlabtest.Legacy).World()
			tr := newTrial(world, gitlabtest.WithLog(),
				gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
			if seed%2 == 0 { // then deletions wait for the limiter when the stop comes
				tr.client.RateLimit, tr.client.RateBurst = 4, 1
			}
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				var requests atomic.Int64
				var stopped time.Time
				tr.server.OnRequest(func(gitlabtest.Request) {
					if requests.Add(1) == int64(1+seed*3) {
						stopped = time.Now()
						cancel(errStop)
					}
				})
				got := tr.run(ctx, t)
				if !errors.Is(got.err, errStop) {
					t.Errorf("error %v after %d requests", got.err, requests.Load())
				}
				if took := time.Since(stopped); took > 10*time.Second {
					t.Errorf("ended %s after the stop", took)
				}
				for _, request := range tr.server.Requests() {
					if request.Time.After(stopped) {
						t.Errorf("%s %s was sent after the stop", request.Method, request.Path)
					}
				}
				if n := got.Reasons[policy.OutageSuspected]; n > 0 {
					t.Errorf("%d tags are suspected of an outage where there was a stop", n)
				}
				checkSums(t, got)
				checkAskedAreDecided(t, world, tr.server, got)
				checkDeletedAreReported(t, tr.server, got)
			})
		})
	}
}

// checkAskedAreDecided checks that every tag of which the instance was asked has a
// decision: what a run has begun with, it accounts for, a stop or not. Tags that were
// listed and not asked for may have none when the run was stopped.
func checkAskedAreDecided(t *testing.T, world *gitlabtest.World, server *gitlabtest.Server, o *outcome) {
	t.Helper()
	asked := make(map[string]bool)
	for _, request := range server.Requests() {
		asked[request.Path] = true
	}
	for _, p := range world.Projects {
		for _, r := range p.Repositories {
			for _, tag := range r.Tags {
				path := fmt.Sprintf("/projects/%d/registry/repositories/%d/tags/%s", p.ID, r.ID, tag.Name)
				name := r.Path() + ":" + tag.Name
				if _, decided := o.decisions[name]; asked[path] && !decided {
					t.Errorf("%s was asked for and has no decision", name)
				}
			}
		}
	}
}

func checkDeletedAreReported(t *testing.T, server *gitlabtest.Server, o *outcome) {
	t.Helper()
	reported := make(map[string]bool)
	for name, d := range o.decisions {
		if d.Outcome == report.Deleted {
			reported[name] = true
		}
	}
	for name := range deleted(server) {
		if !reported[name] {
			t.Errorf("%s was deleted and is reported as %+v", name, o.decisions[name])
		}
		delete(reported, name)
	}
	if len(reported) > 0 {
		t.Errorf("reported as deleted and is not: %q", names(reported))
	}
}

// Promise 1, too: a stop is no outage, even where no tag has details so far.
func TestStopIsNoOutage(t *testing.T) {
	errStop := errors.New("stop")
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	for i := range 60 {
		app.AddTag(fmt.Sprint("t-", i), gitlabtest.KindCacheIndex)
	}
	tr := newTrial(world)
	tr.options.Workers = 4
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var read atomic.Int64
		tr.server.OnRequest(func(r gitlabtest.Request) {
			if details.MatchString(r.Path) && read.Add(1) == 40 {
				cancel(errStop)
			}
		})
		got := tr.run(ctx, t)
		checkSums(t, got)
		if !errors.Is(got.err, errStop) || got.Tags < 40 || got.Reasons[policy.DetailsUnknown] != got.Tags {
			t.Errorf("error %v, %d tags, reasons %v", got.err, got.Tags, got.Reasons)
		}
	})
}

// fullDisk is a handler that fails at the nth tag deleted.
type fullDisk struct {
	n      int
	err    error
	server *gitlabtest.Server
	gone   int // when it failed
}

// Handle implements report.Handler.
func (h *fullDisk) Handle(e report.Event) error {
	if d, ok := e.(report.Decision); !ok || d.Outcome != report.Deleted {
		return nil
	}
	if h.n--; h.n > 0 {
		return nil
	}
	if h.gone == 0 {
		h.gone = len(h.server.Deleted())
	}
	return h.err
}

// Promise 1, too: a handler that cannot do its work any more stops the run. What may go
// unrecorded then are the deletions under way: forty tags for every four workers.
func TestHandlerThatFailsStopsTheRun(t *testing.T) {
	const workers, dead = 4, 200
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTag("alive", gitlabtest.KindImage)
	for i := range dead {
		app.AddTag(fmt.Sprint("dead-", i), gitlabtest.KindCacheIndex)
	}
	for _, n := range []int{1, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
			tr.options.Workers = workers
			disk := &fullDisk{n: n, err: errors.New("disk full"), server: tr.server}
			tr.handlers = report.Handlers{disk}
			got := tr.runInBubble(t)
			if !errors.Is(got.err, disk.err) {
				t.Errorf("error %v, want %v", got.err, disk.err)
			}
			if lost := len(tr.server.Deleted()) - (n - 1); lost > 10*workers {
				t.Errorf("%d deleted tags are in no record", lost)
			}
		})
	}
}

// Promise 1, too: a deletion that never ends is cut off, and the run with it.
func TestDeletionThatHangsIsCutOff(t *testing.T) {
	for _, option := range []gitlabtest.Option{gitlabtest.WithoutGraphQL(), gitlabtest.WithSeed(1)} {
		tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 3), option, gitlabtest.WithFaults(
			gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Latency(time.Hour)},
			gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(time.Hour)}))
		tr.client.RequestTimeout = 0
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			started := time.Now()
			got := tr.run(ctx, t)
			if took := time.Since(started); took > 70*time.Second {
				t.Errorf("took %s", took)
			}
			if sent := tr.server.Stats().Changing; sent == 0 || got.Deleted > 0 {
				t.Errorf("%d deletions were sent: %+v", sent, got.Summary)
			}
		})
	}
}

// Promise 1, too: tags whose deletion was sent and cut off are in the sums and in the records,
// since GitLab goes on with what it has begun.
func TestDeletionsCutOffAreRecorded(t *testing.T) {
	for _, option := range []gitlabtest.Option{gitlabtest.WithoutGraphQL(), gitlabtest.WithSeed(1)} {
		tr := newTrial(withOrphans(gitlabtest.Legacy, 7, 40), option, gitlabtest.WithFaults(
			gitlabtest.Fault{Effect: gitlabtest.SlowDeletions(700 * time.Millisecond)}))
		tr.options.Workers = 16
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if r.Operation == "mutation" || r.Method == "DELETE" {
					stop(errors.New("stop"))
				}
			})
			got := tr.run(ctx, t)
			time.Sleep(time.Minute) // what the server has begun
			checkSums(t, got)
			gone := deleted(tr.server)
			if len(gone) == 0 {
				t.Error("nothing was deleted")
			}
			for name := range gone {
				if d, recorded := got.decisions[name]; !recorded || d.Outcome != report.Deleted && d.Outcome != report.Failed {
					t.Errorf("%s was deleted and is recorded as %+v", name, d)
				}
			}
		})
	}
}

// Promise 3: what changes between the first reading of a tag and the last moment keeps
// the tag.
func TestConfirmedAtTheLastMoment(t *testing.T) {
	const project, image, cache = "g/p", "app", "app.cache"
	tagPath := func(repository, tag string) *regexp.Regexp {
		return regexp.MustCompile(`/` + repository + `/tags/` + tag + `$`)
	}
	tests := []struct {
		name string
		tag  gitlabtest.Kind // of the tag that looks dead, in the cache repository
		// push is done just before the nth request for path is served.
		path       *regexp.Regexp
		nth        int64
		repository string
		kind       gitlabtest.Kind
		want       policy.Reason
	}{
		{"missing details come back", gitlabtest.KindCacheIndex, tagPath("CACHE", "x"), 2, cache, gitlabtest.KindImage, policy.EvidenceDisagrees},
		{"counterpart before second listing", gitlabtest.KindCacheManifest, regexp.MustCompile("/IMAGE/tags$"), 2, image, gitlabtest.KindImage, counterpartPresent},
		{"counterpart without details before second listing", gitlabtest.KindCacheManifest, regexp.MustCompile("/IMAGE/tags$"), 2, image, gitlabtest.KindMultiArch, counterpartPresent},
		{"counterpart after second listing", gitlabtest.KindCacheManifest, tagPath("IMAGE", "x"), 1, image, gitlabtest.KindImage, counterpartPresent},
		{"orphan is pushed again", gitlabtest.KindCacheManifest, tagPath("CACHE", "x"), 2, cache, gitlabtest.KindImage, policy.EvidenceDisagrees},
		{"missing details come back after the second reading", gitlabtest.KindCacheIndex, tagPath("CACHE", "x"), 3, cache, gitlabtest.KindImage, policy.EvidenceDisagrees},
		{"orphan becomes another", gitlabtest.KindCacheManifest, tagPath("CACHE", "x"), 2, cache, gitlabtest.KindArtifact, policy.EvidenceDisagrees},
		{"orphan becomes another after the second reading", gitlabtest.KindCacheManifest, tagPath("CACHE", "x"), 3, cache, gitlabtest.KindArtifact, policy.EvidenceDisagrees},
		{"orphan loses its details", gitlabtest.KindCacheManifest, tagPath("CACHE", "x"), 2, cache, gitlabtest.KindCacheIndex, policy.EvidenceDisagrees},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject(project)
			app, caches := p.AddRepository(image), p.AddRepository(cache)
			app.AddTag("y", gitlabtest.KindImage)
			caches.AddTag("x", test.tag)
			pattern := strings.NewReplacer("IMAGE", fmt.Sprint(app.ID), "CACHE", fmt.Sprint(caches.ID)).Replace(test.path.String())
			path := regexp.MustCompile(pattern)
			tr := newTrial(world)
			var seen atomic.Int64
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if path.MatchString(r.Path) && r.Query != "pagination=keyset&per_page=1" && seen.Add(1) == test.nth {
					if err := tr.server.Push(project, test.repository, "x", test.kind); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if seen.Load() < test.nth {
				t.Fatalf("%s was asked for %d times", path, seen.Load())
			}
			if gone := deleted(tr.server); len(gone) > 0 {
				t.Errorf("deleted %q", names(gone))
			}
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != test.want {
				t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.want)
			}
		})
	}
}

// Promise 4: a repository's tags are not touched before its listing has ended.
func TestNoDeletionBeforeTheListingEnds(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	p.AddRepository("healthy").AddTag("a", gitlabtest.KindImage)
	app := p.AddRepository("app")
	for i := range 350 {
		app.AddTag(fmt.Sprintf("dead-%03d", i), gitlabtest.KindAttestedImage)
	}
	tr := newTrial(world, gitlabtest.WithLog(), gitlabtest.WithFaults(
		gitlabtest.Fault{Path: tagLists, Effect: gitlabtest.Latency(10 * time.Second)}))
	got := tr.runInBubble(t)
	if got.Deleted != 350 || len(deleted(tr.server)) != 350 {
		t.Errorf("deleted %d of 350", got.Deleted)
	}
	gone := false
	for _, request := range tr.server.Requests() {
		gone = gone || request.Method == "DELETE"
		if gone && strings.HasSuffix(request.Path, "/tags") {
			t.Errorf("GET %s?%s after a deletion", request.Path, request.Query)
		}
	}
}

// Promise 5: each listing is read once a run for the decisions, and once more before
// orphans are deleted, however many ask at once.
func TestListsAreReadOnce(t *testing.T) {
	for _, orphans := range []int{0, 40} {
		t.Run(fmt.Sprint(orphans, " orphans"), func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
			for i := range 60 {
				app.AddTag(fmt.Sprintf("f-%d", i), gitlabtest.KindImage)
				cache.AddTag(fmt.Sprintf("f-%d", i), gitlabtest.KindCacheManifest)
			}
			for i := range orphans {
				cache.AddTag(fmt.Sprintf("o-%d", i), gitlabtest.KindCacheManifest)
			}
			tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(500 * time.Millisecond)}))
			tr.options.Workers = 64
			if got := tr.runInBubble(t); got.Deleted != orphans {
				t.Errorf("deleted %d of %d", got.Deleted, orphans)
			}
			lists := fmt.Sprintf("/projects/%d/registry/repositories", p.ID)
			afresh := min(orphans, 1)
			for path, want := range map[string]int{
				lists: 1,
				fmt.Sprintf("%s/%d/tags?page=1", lists, app.ID):   1 + afresh,
				fmt.Sprintf("%s/%d/tags?page=1", lists, cache.ID): 1,
			} {
				// One of the two has also been asked for the regime.
				if got := tr.server.PathCount(path); got != want && got != want+1 {
					t.Errorf("%s was read %d times, want %d", path, got, want)
				}
			}
			total := tr.server.Stats().ByEndpoint["GET /projects/:id/registry/repositories/:rid/tags"]
			if want := 2 + 1 + afresh; total != want { // two scans, the regime
				t.Errorf("lists of tags were read %d times, want %d", total, want)
			}
		})
	}
}

// Promise 5, too: a listing that failed is not read again for every tag that needs it.
func TestFailedListingHolds(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	for i := range 10 {
		app.AddTag(fmt.Sprintf("f-%d", i), gitlabtest.KindImage)
		cache.AddTag(fmt.Sprintf("f-%d", i), gitlabtest.KindCacheManifest)
	}
	tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(fmt.Sprintf(`/%d/tags$`, app.ID)), Skip: 1, Count: 1, Effect: gitlabtest.Refuse(403)}))
	tr.options.Workers = 1
	got := tr.runInBubble(t)
	if got.Unreadable != 1 || got.Reasons[policy.CounterpartUnknown] != 10 {
		t.Errorf("unreadable %d, reasons %v", got.Unreadable, got.Reasons)
	}
}

// Promise 6: what fails for one item is reported, and the rest goes on.
func TestOneItemsFailure(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	world.AddProject("g/forbidden").Forbidden = true
	p := world.AddProject("g/p")
	broken := p.AddRepository("broken")
	broken.AddTag("dead", gitlabtest.KindCacheIndex)
	good := p.AddRepository("good")
	good.AddTag("dead", gitlabtest.KindCacheIndex)
	good.AddTag("stubborn", gitlabtest.KindCacheIndex)
	good.AddTag("refused", gitlabtest.KindCacheIndex)
	good.AddTag("unknown", gitlabtest.KindCacheIndex)
	good.AddTag("alive", gitlabtest.KindImage)
	tr := newTrial(world, gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(
		gitlabtest.Fault{Path: regexp.MustCompile(fmt.Sprintf(`/%d/tags$`, broken.ID)), Effect: gitlabtest.Status(500)},
		gitlabtest.Fault{Method: "DELETE", Path: regexp.MustCompile(`stubborn$`), Effect: gitlabtest.Refuse(400)},
		gitlabtest.Fault{Method: "DELETE", Path: regexp.MustCompile(`refused$`), Effect: gitlabtest.Refuse(403)},
		gitlabtest.Fault{Path: regexp.MustCompile(`unknown$`), Effect: gitlabtest.Status(503)},
	))
	got := tr.runInBubble(t)
	if got.err != nil || got.Unreadable != 2 {
		t.Errorf("error %v, unreadable %d", got.err, got.Unreadable)
	}
	want := map[string]policy.Reason{
		"g/p/good:dead":     detailsMissing,
		"g/p/good:stubborn": report.DeleteFailed,
		"g/p/good:refused":  report.DeleteForbidden,
		"g/p/good:unknown":  policy.DetailsUnknown,
		"g/p/good:alive":    policy.NoRule,
	}
	if diff := cmp.Diff(want, got.verdicts()); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

// Promise 6, the exception: a token that is not accepted any more ends the run, and
// what was begun is accounted for.
func TestRefusedTokenEndsTheRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		effect gitlabtest.Effect
		want   error
	}{
		{"revoked", gitlabtest.Status(401), throttle.ErrUnauthorized},
		{"without scope", gitlabtest.Reply(403, `{"error":"insufficient_scope"}`), throttle.ErrInsufficientScope},
	} {
		for _, skip := range []int{0, 1, 3, 5, 20, 60} {
			t.Run(fmt.Sprint(test.name, "/", skip), func(t *testing.T) {
				world := gitlabtest.DemoWorld()
				tr := newTrial(world, gitlabtest.WithLog(), gitlabtest.WithFaults(gitlabtest.Fault{Skip: skip, Effect: test.effect}))
				got := tr.runInBubble(t)
				checkAskedAreDecided(t, world, tr.server, got)
				if !errors.Is(got.err, test.want) {
					t.Errorf("error %v, want %v", got.err, test.want)
				}
				for name, d := range got.decisions {
					if strings.Contains(d.Detail, "/tags/") && !strings.Contains(d.Detail, name+":") {
						t.Errorf("%s has another one's detail: %s", name, d.Detail)
					}
				}
				onlyDead(t, tr.server)
			})
		}
	}
}

// Promise 7: a dry run changes nothing, and marks exactly what a real run deletes.
func TestDryRunChangesNothing(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			world := gitlabtest.Random(seed, gitlabtest.Legacy).World()
			tr := newTrial(world, gitlabtest.WithSeed(seed), gitlabtest.WithFaults(passing()...))
			tr.options.DryRun = true
			got := tr.runInBubble(t)
			if n := tr.server.Stats().Changing; n > 0 {
				t.Errorf("%d requests that change something", n)
			}
			marked := make(map[string]string)
			for name, d := range got.decisions {
				if d.Outcome == report.Marked {
					marked[name] = string(d.Reason)
				}
			}
			if diff := cmp.Diff(dead(world), marked); diff != "" {
				t.Errorf("marked (-dead +marked):\n%s", diff)
			}
		})
	}
}

// Promise 8: a stage that does not get on holds those before it back.
func TestFullChannelsHoldSendersBack(t *testing.T) {
	const workers = 4
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	for i := range 300 {
		repository := world.AddProject(fmt.Sprintf("g/p-%d", i)).AddRepository("app")
		for j := range 30 {
			repository.AddTag(fmt.Sprint("t-", j), gitlabtest.KindImage)
		}
	}
	tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Path: details, Effect: gitlabtest.Latency(time.Hour)}))
	tr.options.Workers = workers
	tr.client.RequestTimeout = 0
	tr.client.Concurrency = 100
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		tr.run(ctx, t)
		endpoints := tr.server.Stats().ByEndpoint
		// In each stage as many as there are hands, and as many in the channel behind it.
		if got := endpoints["GET /projects/:id/registry/repositories/:rid/tags"]; got > 2*workers+1 {
			t.Errorf("%d repositories were listed while no tag could be inspected", got)
		}
		if got := endpoints["GET /projects/:id/registry/repositories"]; got > 5*workers {
			t.Errorf("%d projects were listed while no tag could be inspected", got)
		}
	})
}

// heapGauge measures the heap after a number of decisions.
type heapGauge struct {
	after, decisions int
	bytes            uint64
}

// Handle implements report.Handler.
func (g *heapGauge) Handle(e report.Event) error {
	if _, ok := e.(report.Decision); !ok {
		return nil
	}
	if g.decisions++; g.decisions == g.after {
		g.bytes = heap()
	}
	return nil
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Promise 8, too: what is kept for counterparts is let go with its project.
func TestListingsAreLetGo(t *testing.T) {
	const projects, tags = 200, 60
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	long := strings.Repeat("x", 110)
	for i := range projects {
		p := world.AddProject(fmt.Sprintf("g/p-%d", i))
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for j := range tags {
			app.AddTag(fmt.Sprint(long, j), gitlabtest.KindImage)
			cache.AddTag(fmt.Sprint(long, j), gitlabtest.KindCacheManifest)
		}
	}
	server := gitlabtest.New(world)
	client, err := gitlabapi.New(gitlabapi.Config{URL: "http://gitlab.test", Token: throttle.NewSecret(gitlabtest.DefaultToken),
		Concurrency: 4, Transport: server.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	gauge := &heapGauge{after: 2*projects*tags - 100}
	before := heap()
	if err := pipeline.Run(t.Context(), client, pipeline.Options{Rules: compiled(policy.Original(), settings()), CacheSuffix: ".cache", Workers: 4, Verify: pipeline.VerifyAPI}, gauge); err != nil {
		t.Fatal(err)
	}
	const all = 2 * projects * tags * 150 // bytes that the names of all tags take
	if grown := int64(gauge.bytes) - int64(before); grown > all/3 {
		t.Errorf("the heap grew by %d bytes; all listings together have %d", grown, all)
	}
}
