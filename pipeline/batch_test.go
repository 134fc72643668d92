package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

const (
	mutations = "POST /api/graphql mutation"
	singleOut = "DELETE /projects/:id/registry/repositories/:rid/tags/:name"
)

// withOrphans returns a project of several pairs of an image repository, which has
// further tags, and a cache repository with so many orphans.
func withOrphans(regime gitlabtest.Regime, pairs, orphans int) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	for i := range pairs {
		app, cache := p.AddRepository(fmt.Sprint("app", i)), p.AddRepository(fmt.Sprintf("app%d.cache", i))
		app.AddTag("a", gitlabtest.KindImage)
		app.AddTag("z", gitlabtest.KindImage)
		cache.AddTag("a", gitlabtest.KindCacheManifest)
		cache.AddTag("z", gitlabtest.KindCacheManifest)
		for j := range orphans {
			cache.AddTag(fmt.Sprintf("o-%02d", j), gitlabtest.KindCacheManifest)
		}
	}
	return world
}

// TestDeletionsTravelTogether: twenty tags of a repository go in one mutation, and those
// of several repositories in one request.
func TestDeletionsTravelTogether(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			world := withOrphans(e.regime, 8, 5)
			tr := registryTrial(world, e.verify, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)}))
			tr.options.Workers = 4 // one deleter: batches meet while it is busy
			got := tr.runInBubble(t)
			stats := tr.server.Stats()
			if got.Deleted != 40 || len(deleted(tr.server)) != 40 || stats.ByEndpoint[singleOut] != 0 {
				t.Errorf("deleted %d, really %d, %d one by one", got.Deleted, len(deleted(tr.server)), stats.ByEndpoint[singleOut])
			}
			if n := stats.ByEndpoint[mutations]; n > 5 {
				t.Errorf("%d requests for 40 deletions in 8 repositories", n)
			}
			dead := world.TruthUnder(e.truth)
			for name := range deleted(tr.server) {
				if dead[name] == "" {
					t.Errorf("%s was deleted and is alive", name)
				}
			}
		})
	}
}

// TestTwentyATime: GitLab takes no more in one mutation, and a request has two at most
// that are full.
func TestTwentyATime(t *testing.T) {
	tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 95))
	got := tr.runInBubble(t)
	stats := tr.server.Stats()
	if n := stats.ByEndpoint[mutations]; got.Deleted != 95 || stats.ByEndpoint[singleOut] != 0 || n < 3 || n > 5 {
		t.Errorf("deleted %d in %d requests, and %d one by one", got.Deleted, n, stats.ByEndpoint[singleOut])
	}
}

// TestOnlyWhatIsConfirmedCounts: what GitLab does not name among the deleted is deleted
// over REST, which says why not.
func TestOnlyWhatIsConfirmedCounts(t *testing.T) {
	protected := gitlabtest.WithProtectedTags(regexp.MustCompile("^o-0[12]$"))
	mutation := func(effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Effect: effect})
	}
	for name, test := range map[string]struct {
		option            gitlabtest.Option
		deleted, oneByOne int
	}{
		"all is well":                  {mutation(gitlabtest.Latency(0)), 10, 0},
		"two are protected":            {protected, 8, 2},
		"every third is left out":      {mutation(gitlabtest.SkipDeletions(3)), 10, 3},
		"every third is not named":     {mutation(gitlabtest.UnnamedDeletions(3)), 10, 3},
		"others are named":             {mutation(gitlabtest.ExtraDeletedNames("a", "z")), 10, 0},
		"the request fails":            {mutation(gitlabtest.Status(500)), 10, 10},
		"it takes too long":            {mutation(gitlabtest.MutationTimeouts(0)), 10, 10},
		"GraphQL says no":              {mutation(gitlabtest.GraphQLErrors("Internal server error")), 10, 10},
		"GraphQL says no to all":       {mutation(gitlabtest.HTML()), 10, 10},
		"there is no GraphQL":          {gitlabtest.WithoutGraphQL(), 10, 10},
		"not one mutation is so cheap": {gitlabtest.WithComplexityLimit(1), 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 10), test.option)
			tr.client.MaxRetries = 0
			got := tr.runInBubble(t)
			if got.Deleted != test.deleted || len(deleted(tr.server)) != test.deleted {
				t.Errorf("deleted %d, really %d, want %d", got.Deleted, len(deleted(tr.server)), test.deleted)
			}
			if n := tr.server.Stats().ByEndpoint[singleOut]; n != test.oneByOne {
				t.Errorf("%d deleted one by one, want %d", n, test.oneByOne)
			}
			if got.Reasons[report.DeleteForbidden] != 10-test.deleted {
				t.Errorf("reasons %v", got.Reasons)
			}
			onlyDead(t, tr.server)
		})
	}
}

// TestRequestsAreFull: a request of forty tags, or of ten repositories, is sent when it is full
// or the input has ended, however slow what else there is to read.
func TestRequestsAreFull(t *testing.T) {
	for _, test := range []struct{ pairs, orphans, requests int }{
		{1, 95, 3}, {10, 4, 1}, {30, 1, 3}, {8, 20, 4},
	} {
		t.Run(fmt.Sprintf("%d orphans in each of %d", test.orphans, test.pairs), func(t *testing.T) {
			world := withOrphans(gitlabtest.Database, test.pairs, test.orphans)
			slow := world.Projects[0].Repositories[1]
			tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
				Path: regexp.MustCompile(slow.Name + `/tags/list/?$`), Count: 1, Effect: gitlabtest.Latency(20 * time.Second)}))
			tr.options.Workers = 4 // one deleter
			got := tr.runInBubble(t)
			if n := tr.server.Stats().ByEndpoint[mutations]; got.Deleted != test.pairs*test.orphans || n != test.requests {
				t.Errorf("deleted %d in %d requests, want %d", got.Deleted, n, test.requests)
			}
		})
	}
}

// TestLateDeletionIsConfirmedAgain: a deletion that a pause holds up rests on grounds
// that have grown old meanwhile. What was pushed in the pause stays.
func TestLateDeletionIsConfirmedAgain(t *testing.T) {
	for name, options := range map[string][]gitlabtest.Option{
		"together":   {gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Count: 1, Effect: gitlabtest.RetryAfter(429, 600)})},
		"one by one": {gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(gitlabtest.Fault{Method: "DELETE", Count: 1, Effect: gitlabtest.RetryAfter(429, 600)})},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 3), options...)
			tr.options.Workers, tr.client.Concurrency = 1, 1
			var once atomic.Bool
			tr.server.OnRequest(func(r gitlabtest.Request) {
				deletes := r.Operation == "mutation" || r.Method == "DELETE"
				if deletes && once.CompareAndSwap(false, true) {
					if err := tr.server.Push("g/p", "app0", "o-01", gitlabtest.KindImage); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app0.cache:o-01"]; d.Reason != counterpartPresent {
				t.Errorf("decided %s (%s)", d.Reason, d.Detail)
			}
			if got.Deleted != 2 {
				t.Errorf("deleted %d", got.Deleted)
			}
		})
	}
}

// TestGivesUpOnPausesWithoutEnd: deletions that can never be sent in time fail, and are
// reported; the run comes to its end.
func TestGivesUpOnPausesWithoutEnd(t *testing.T) {
	tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 3), gitlabtest.WithoutGraphQL(),
		gitlabtest.WithFaults(gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.RetryAfter(429, 600)}))
	got := tr.runInBubble(t)
	if got.err != nil || got.Failed != 3 || got.Reasons[report.DeleteFailed] != 3 {
		t.Errorf("error %v, failed %d, reasons %v", got.err, got.Failed, got.Reasons)
	}
}

// TestOneListingConfirmsABatch on the database: the cache's own, and the counterpart's,
// which has to go on behind the tags that it lacks.
func TestOneListingConfirmsABatch(t *testing.T) {
	const manifests = "/v2/:path/manifests/:reference"
	asked := func(s gitlabtest.Stats) int {
		return s.ByEndpoint["GET "+manifests] + s.ByEndpoint["HEAD "+manifests]
	}
	world := withOrphans(gitlabtest.Database, 1, 12)
	tr := registryTrial(world, pipeline.VerifyRegistry)
	got := tr.runInBubble(t)
	lists := tr.server.Stats().ByEndpoint["GET /gitlab/v1/repositories/:path/tags/list/"]
	if n := asked(tr.server.Stats()); got.Deleted != 12 || n != 1 || lists != 4 {
		t.Errorf("deleted %d; %d manifests and %d lists were asked for", got.Deleted, n, lists)
	}

	// Lists that end before the tags prove nothing, however often they are read.
	cut := gitlabtest.Fault{Path: regexp.MustCompile("app0/tags/list/?$"), Effect: gitlabtest.CutList(1)}
	app := world.Projects[0].Repositories[0]
	for i := range 12 {
		app.AddTag(fmt.Sprintf("o-%02d", i), gitlabtest.KindImage)
	}
	tr = registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(cut))
	got = tr.runInBubble(t)
	if n := asked(tr.server.Stats()); got.Deleted != 0 || got.Reasons[counterpartPresent] != 14 || n != 13 {
		t.Errorf("deleted %d, reasons %v, %d manifests were asked for", got.Deleted, got.Reasons, n)
	}
}

// TestBatchIsLookedAtAgain: what the second listing of a cache repository says of its
// tags counts, and that it fails keeps all of them.
func TestBatchIsLookedAtAgain(t *testing.T) {
	own := regexp.MustCompile("app0.cache/tags/list/?$")
	for name, test := range map[string]struct {
		change  func(*gitlabtest.Server) error
		effect  gitlabtest.Effect
		want    policy.Reason
		deleted int
	}{
		"one was pushed again": {func(s *gitlabtest.Server) error {
			return s.Push("g/p", "app0.cache", "o-01", gitlabtest.KindCacheIndex)
		}, gitlabtest.Latency(0), policy.EvidenceDisagrees, 3},
		"one is gone": {func(s *gitlabtest.Server) error {
			return s.Remove("g/p", "app0.cache", "o-01")
		}, gitlabtest.Latency(0), policy.EvidenceDisagrees, 3},
		"one is left out":      {nil, gitlabtest.CutList(2), counterpartTagMissing, 4},
		"the registry fails":   {nil, gitlabtest.Status(503), policy.DetailsUnknown, 0},
		"it is something else": {nil, gitlabtest.HTML(), policy.DetailsUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tr := registryTrial(withOrphans(gitlabtest.Database, 1, 4), pipeline.VerifyRegistry,
				gitlabtest.WithFaults(gitlabtest.Fault{Path: own, Skip: 1, Effect: test.effect}))
			tr.client.MaxRetries = 0
			var lists atomic.Int64
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if own.MatchString(r.Path) && lists.Add(1) == 2 && test.change != nil {
					if err := test.change(tr.server); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app0.cache:o-01"]; d.Reason != test.want || got.Deleted != test.deleted {
				t.Errorf("decided %s (%s), deleted %d, want %s and %d", d.Reason, d.Detail, got.Deleted, test.want, test.deleted)
			}
		})
	}
}

// TestNeitherStarves: with the rate limit as bottleneck, tags go on being read while
// others are deleted.
func TestNeitherStarves(t *testing.T) {
	tr := newTrial(withOrphans(gitlabtest.Legacy, 10, 30), gitlabtest.WithLog(), gitlabtest.WithoutGraphQL())
	tr.client.RateLimit, tr.client.RateBurst = 10, 1
	got := tr.runInBubble(t)
	if got.Deleted != 300 {
		t.Fatalf("deleted %d", got.Deleted)
	}
	requests := tr.server.Requests()
	// While there was both to do: from the first deletion to the last tag's first reading.
	first, last := -1, -1
	seen := make(map[string]bool)
	for i, r := range requests {
		if r.Method == "DELETE" && first < 0 {
			first = i
		}
		if strings.HasSuffix(r.Endpoint, "/tags/:name") && !seen[r.Path] {
			seen[r.Path] = true
			last = i
		}
	}
	if first < 0 || first >= last {
		t.Fatalf("the first deletion was request %d, the last tag's first reading %d", first, last)
	}
	reads, deletions := 0, 0
	for _, r := range requests[first : last+1] {
		if r.Method == "DELETE" {
			deletions++
		} else {
			reads++
		}
	}
	if window := reads + deletions; reads < window/10 || deletions < window/10 || window < len(requests)/10 {
		t.Errorf("of %d requests %d were sent while there was both to do: %d reads, %d deletions", len(requests), window, reads, deletions)
	}
}

// TestDiscoveryLosesNoProject: whatever GraphQL leaves out is read another way.
func TestDiscoveryLosesNoProject(t *testing.T) {
	for name, option := range map[string]gitlabtest.Option{
		"all is well":             gitlabtest.WithSeed(1),
		"no GraphQL":              gitlabtest.WithoutGraphQL(),
		"an older one":            gitlabtest.WithoutRepositoriesCount(),
		"counts time out":         gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.CountTimeouts(0)}),
		"counts time out at last": gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.CountTimeouts(30)}),
		"projects are null":       gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.NullProjects(7)}),
		"repositories are null":   gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.NullRepositories(3)}),
		"queries are too complex": gitlabtest.WithComplexityLimit(40),
	} {
		t.Run(name, func(t *testing.T) {
			build := gitlabtest.Random(5, gitlabtest.Legacy)
			build.Projects, build.EmptyProjects, build.TagsPerRepository = 60, 140, [2]int{1, 2}
			world := build.World()
			tr := newTrial(world, option)
			got := tr.runInBubble(t)
			if diff := cmp.Diff(dead(world), deleted(tr.server)); diff != "" || got.err != nil || got.Unreadable != 1 {
				t.Errorf("error %v, unreadable %d, deleted (-dead +deleted):\n%s", got.err, got.Unreadable, diff)
			}
			if got.Projects != 200 {
				t.Errorf("%d projects, want 200", got.Projects)
			}
		})
	}
}

// TestMutationRefusedForItsScope: GraphQL may want more of a token than REST does; then
// REST has the word.
func TestMutationRefusedForItsScope(t *testing.T) {
	tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 4), gitlabtest.WithFaults(gitlabtest.Fault{
		Operation: "mutation", Effect: gitlabtest.Reply(403, `{"error":"insufficient_scope"}`)}))
	got := tr.runInBubble(t)
	if errors.Is(got.err, throttle.ErrInsufficientScope) || got.Deleted != 4 {
		t.Errorf("error %v, deleted %d", got.err, got.Deleted)
	}
}

// TestPauseDuringConfirmation: a pause between the confirmations of a parcel's tags makes
// the first ones old. What was pushed in the pause stays.
func TestPauseDuringConfirmation(t *testing.T) {
	world := withOrphans(gitlabtest.Legacy, 1, 3)
	last := tagOf(world.Projects[0].Repositories[0], "o-02") // the counterpart's details, which only a confirmation asks for
	tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Path: last, Count: 1, Effect: gitlabtest.RetryAfter(429, 600)}))
	tr.options.Workers, tr.client.Concurrency = 1, 1
	var once atomic.Bool
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if last.MatchString(r.Path) && once.CompareAndSwap(false, true) {
			if err := tr.server.Push("g/p", "app0", "o-00", gitlabtest.KindImage); err != nil {
				t.Error(err)
			}
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app0.cache:o-00"]; d.Reason != counterpartPresent || got.Deleted != 2 {
		t.Errorf("decided %s (%s), deleted %d", d.Reason, d.Detail, got.Deleted)
	}
}

// TestWaitForAListing: deletions in a repository wait while its listing is read afresh.
// Their grounds grow old meanwhile, and are read again.
func TestWaitForAListing(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTag("a", gitlabtest.KindImage)
	app.AddTag("dead-1", gitlabtest.KindManifestMissing)
	app.AddTag("dead-2", gitlabtest.KindManifestMissing)
	cache.AddTag("a", gitlabtest.KindCacheManifest)
	cache.AddTag("orphan", gitlabtest.KindCacheManifest)
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: tagOf(app, "dead-1"), Skip: 1, Count: 1, Effect: gitlabtest.Latency(time.Second)},
	))
	var lists, during atomic.Int64
	var reading atomic.Bool
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if reading.Load() && (r.Operation == "mutation" || r.Method == "DELETE") {
			during.Add(1)
		}
		isList := tagsOf(app).MatchString(r.Path) && !strings.Contains(r.Query, "keyset")
		if !isList || lists.Add(1) != 2 {
			return
		}
		reading.Store(true)
		defer reading.Store(false)
		time.Sleep(15 * time.Second)
		if err := tr.server.Push("g/p", "app", "dead-1", gitlabtest.KindImage); err != nil {
			t.Error(err)
		}
		time.Sleep(14 * time.Second)
	})
	got := tr.runInBubble(t)
	if lists.Load() < 2 {
		t.Fatalf("the counterpart was listed %d times", lists.Load())
	}
	if d := got.decisions["g/p/app:dead-1"]; d.Outcome != report.Undecided {
		t.Errorf("%s for %s (%s)", d.Outcome, d.Reason, d.Detail)
	}
	if during.Load() > 0 {
		t.Errorf("%d deletions shifted the pages of the listing", during.Load())
	}
}

// TestListingsAndDeletionsDoNotBlockEachOther: a parcel has two batches of a repository
// whose listing is read afresh, and once more since somebody else deletes there.
func TestListingsAndDeletionsDoNotBlockEachOther(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache, other := p.AddRepository("app"), p.AddRepository("app.cache"), p.AddRepository("other")
	for _, name := range []string{"a", "b-removed", "z"} {
		app.AddTag(name, gitlabtest.KindImage)
	}
	for i := range 40 {
		app.AddTag(fmt.Sprintf("dead-%02d", i), gitlabtest.KindManifestMissing)
	}
	cache.AddTag("a", gitlabtest.KindCacheManifest)
	cache.AddTag("orphan", gitlabtest.KindCacheManifest)
	other.AddTag("dead-1", gitlabtest.KindManifestMissing)
	other.AddTag("dead-2", gitlabtest.KindManifestMissing)
	dead := regexp.MustCompile(fmt.Sprintf(`/repositories/%d/tags/dead-..$`, app.ID))
	for range 20 { // it took chance as well
		tr := newTrial(world, gitlabtest.WithFaults(
			gitlabtest.Fault{Path: tagsOf(app), Skip: 1, Effect: gitlabtest.Latency(2 * time.Second)},
			gitlabtest.Fault{Path: dead, PerPath: true, Count: 1, Effect: gitlabtest.Latency(time.Second)},
			gitlabtest.Fault{Operation: "mutation", Count: 1, Effect: gitlabtest.Latency(9 * time.Second)},
		))
		tr.options.Workers = 8 // two deleters
		var lists atomic.Int64
		tr.server.OnRequest(func(r gitlabtest.Request) {
			if tagsOf(app).MatchString(r.Path) && lists.Add(1) == 2 {
				if err := tr.server.Remove("g/p", "app", "b-removed"); err != nil {
					t.Error(err)
				}
			}
		})
		if got := tr.runInBubble(t); got.Failed > 0 {
			t.Errorf("failed %d: %v", got.Failed, got.Reasons)
		}
	}
}

// TestSignOfFailureStopsAParcel: when one tag of a parcel shows that the registry fails
// now and then, those confirmed before it stay, too.
func TestSignOfFailureStopsAParcel(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	for _, name := range strings.Fields("healthy x-0 x-1 x-2 x-3 x-4") {
		app.AddTag(name, gitlabtest.KindImage)
	}
	missing := gitlabtest.Reply(404, `{"message":"404 Tag Not Found"}`)
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Method: "GET", Path: regexp.MustCompile(`/tags/x-[0-3]$`), Effect: missing},
		gitlabtest.Fault{Method: "GET", Path: regexp.MustCompile(`/tags/x-4$`), Count: 1, Effect: missing},
	))
	tr.options.Workers, tr.client.Concurrency = 1, 1
	if got := tr.runInBubble(t); got.Deleted != 0 {
		t.Errorf("deleted %d", got.Deleted)
	}
}

// TestLostAnswers: tags that were deleted count as deleted, also when the answer to that
// was lost for so long that the run looks again.
func TestLostAnswers(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			tr := registryTrial(withOrphans(e.regime, 1, 3), e.verify, gitlabtest.WithFaults(
				gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(29 * time.Second)},
				gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.UnnamedDeletions(1)},
				gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.CutBody()}))
			tr.client.MaxRetries = 0
			got := tr.runInBubble(t)
			if really := len(deleted(tr.server)); got.Deleted != 3 || really != 3 {
				t.Errorf("deleted %d, said of %d; reasons %v", really, got.Deleted, got.Reasons)
			}
		})
	}
}

// TestListsOfAnOutageConfirmNothing: a tag whose deletion was not answered counts as deleted when lists lack
// it, of which an outage makes empty ones. It may be over right after them.
func TestListsOfAnOutageConfirmNothing(t *testing.T) {
	world := withOrphans(gitlabtest.Legacy, 1, 3)
	cache := world.Project("g/p").Repository("app0.cache")
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(29 * time.Second)},
		gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Status(500)}))
	tr.client.MaxRetries = 0
	tr.options.Workers = 1
	sent, lists := false, 0
	tr.server.OnRequest(func(r gitlabtest.Request) {
		switch {
		case r.Operation == "mutation" && !sent:
			sent = true
			time.AfterFunc(20*time.Second, func() { tr.server.SetFaults(gitlabtest.Fault{Effect: gitlabtest.RegistryOutage()}) })
		case sent && lists == 2:
			tr.server.SetFaults()
		case sent && tagsOf(cache).MatchString(r.Path):
			lists++
		}
	})
	got := tr.runInBubble(t)
	really := deleted(tr.server)
	for name, d := range got.decisions {
		if _, gone := really[name]; d.Outcome == report.Deleted && !gone {
			t.Errorf("%s counts as deleted and is not", name)
		}
	}
	if !sent {
		t.Error("nothing was to be deleted")
	}
}

// TestMutationUnderWayAtAStop: what was sent and not answered is no deletion that was
// never begun.
func TestMutationUnderWayAtAStop(t *testing.T) {
	tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 3), gitlabtest.WithFaults(
		gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(time.Second)},
		gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.CutBody()}))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		tr.server.OnRequest(func(r gitlabtest.Request) {
			if r.Operation == "mutation" {
				stop()
			}
		})
		got := tr.run(ctx, t)
		checkSums(t, got)
		if gone := deleted(tr.server); len(gone) != 3 || got.Failed != 3 {
			t.Errorf("deleted %d, failed %d: %v", len(gone), got.Failed, got.Reasons)
		}
	})
}

// TestOneListingForAParcel: batches of one repository in one parcel share the second
// listing of their repository.
func TestOneListingForAParcel(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTag("a", gitlabtest.KindImage)
	app.AddTag("z", gitlabtest.KindImage)
	for i := range 9000 {
		name := fmt.Sprintf("live-%04d", i)
		app.AddTag(name, gitlabtest.KindImage)
		cache.AddTag(name, gitlabtest.KindCacheManifest)
	}
	for i := range 400 {
		cache.AddTag(fmt.Sprintf("orphan-%03d", i), gitlabtest.KindCacheManifest)
	}
	tr := registryTrial(world, pipeline.VerifyRegistry)
	tr.options.Workers = 4
	got := tr.runInBubble(t)
	// Twice ten pages at first, and as many for every forty deletions.
	if lists := tr.server.Stats().ByEndpoint["GET /gitlab/v1/repositories/:path/tags/list/"]; got.Deleted != 400 || lists > 20+10*20 {
		t.Errorf("deleted %d with %d pages of listings", got.Deleted, lists)
	}
}

// TestCounterpartPushedBeforeTheSecondList: of a request's candidates the one that has got its
// counterpart meanwhile stays, by the list that shows it.
func TestCounterpartPushedBeforeTheSecondList(t *testing.T) {
	lists := regexp.MustCompile("^/gitlab/v1/repositories/g/p/app0/tags/list/?$")
	tr := registryTrial(withOrphans(gitlabtest.Database, 1, 12), pipeline.VerifyRegistry)
	var read atomic.Int64
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if lists.MatchString(r.Path) && read.Add(1) == 2 {
			if err := tr.server.Push("g/p", "app0", "o-05", gitlabtest.KindImage); err != nil {
				t.Error(err)
			}
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app0.cache:o-05"]; d.Reason != counterpartPresent || got.Deleted != 11 {
		t.Errorf("decided %s (%s), deleted %d", d.Reason, d.Detail, got.Deleted)
	}
}

// TestCounterpartRepositoryLost: a registry that does not know a repository any more which GitLab
// lists, or lists nothing of it that it listed before, does not show that its images are gone.
func TestCounterpartRepositoryLost(t *testing.T) {
	unknown := gitlabtest.Reply(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}`)
	gone := gitlabtest.Reply(404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}`)
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		for _, skip := range []int{0, 1} {
			t.Run(fmt.Sprint(regime, " after ", skip), func(t *testing.T) {
				world := withOrphans(regime, 2, 0)
				p := world.Projects[0]
				for i := range 30 {
					name := fmt.Sprintf("live-%02d", i)
					p.Repositories[1].AddTag(name, gitlabtest.KindCacheManifest)
					if skip > 0 && i == 0 {
						continue // an orphan, so that its counterpart is looked at again
					}
					p.Repositories[0].AddTag(name, gitlabtest.KindImage)
				}
				tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(
					gitlabtest.Fault{Path: regexp.MustCompile(`/g/p/app0/tags/list/?$`), Skip: skip, Effect: unknown},
					gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/g/p/app0/manifests/`), Effect: gone}))
				tr.options.Workers = 4
				tr.runInBubble(t)
				for name := range deleted(tr.server) {
					if skip == 0 || name != "g/p/app0.cache:live-00" {
						t.Errorf("%s was deleted", name)
					}
				}
			})
		}
	}
}

// TestDoubtAboutTheLastOneOnTheDatabase: whatever the registry says of a counterpart,
// other than that there is none, keeps the cache.
func TestDoubtAboutTheLastOneOnTheDatabase(t *testing.T) {
	counterpart := regexp.MustCompile("^/v2/g/p/app0/manifests/o-00$")
	for name, effect := range map[string]gitlabtest.Effect{
		"it fails":            gitlabtest.Status(503),
		"it refuses":          gitlabtest.Status(403),
		"a proxy's 404":       gitlabtest.Reply(404, "not here", "Content-Type", "text/html"),
		"a proxy's page":      gitlabtest.HTML(),
		"it does not answer":  gitlabtest.Latency(time.Hour),
		"the connection ends": gitlabtest.Cut(),
	} {
		t.Run(name, func(t *testing.T) {
			tr := registryTrial(withOrphans(gitlabtest.Database, 1, 1), pipeline.VerifyRegistry,
				gitlabtest.WithFaults(gitlabtest.Fault{Path: counterpart, Effect: effect}))
			tr.client.MaxRetries = 1
			got := tr.runInBubble(t)
			d := got.decisions["g/p/app0.cache:o-00"]
			if len(deleted(tr.server)) > 0 || d.Reason != policy.CounterpartUnknown && d.Reason != counterpartPresent {
				t.Errorf("%s for %s (%s)", d.Outcome, d.Reason, d.Detail)
			}
		})
	}
}

// TestEveryReadingCounts: of the two readings before a deletion by the API alone neither
// may be without an answer.
func TestEveryReadingCounts(t *testing.T) {
	for _, which := range []int{1, 2} {
		world := gitlabtest.NewWorld(gitlabtest.Legacy)
		app := world.AddProject("g/p").AddRepository("app")
		app.AddTag("alive", gitlabtest.KindImage)
		app.AddTag("dead", gitlabtest.KindCacheIndex)
		tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: tagOf(app, "dead"), Skip: which, Count: 1, Effect: gitlabtest.Refuse(400)}))
		tr.client.MaxRetries = 0
		got := tr.runInBubble(t)
		if d := got.decisions["g/p/app:dead"]; d.Reason != policy.DetailsUnknown || got.Deleted > 0 {
			t.Errorf("reading %d failed: %s for %s (%s)", which, d.Outcome, d.Reason, d.Detail)
		}
	}
}

// TestDeletionInFlightMayFinish: the time that a confirmation is good for bounds when a
// deletion is sent, not how long it takes.
func TestDeletionInFlightMayFinish(t *testing.T) {
	for name, options := range map[string][]gitlabtest.Option{
		"together":   {gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(25 * time.Second)})},
		"one by one": {gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Latency(25 * time.Second)})},
	} {
		tr := newTrial(withOrphans(gitlabtest.Legacy, 1, 3), options...)
		got := tr.runInBubble(t)
		if n := tr.server.Stats().Changing; got.Deleted != 3 || n > 3 || name == "together" && n != 1 {
			t.Errorf("%s: deleted %d in %d requests, failed %d", name, got.Deleted, n, got.Failed)
		}
	}
}

// TestListingWaitsForDeletions: a listing is not read afresh while tags of its repository
// are being deleted, which would shift its pages.
func TestListingWaitsForDeletions(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTag("a", gitlabtest.KindImage)
	app.AddTag("dead-1", gitlabtest.KindManifestMissing)
	app.AddTag("dead-2", gitlabtest.KindManifestMissing)
	cache.AddTag("a", gitlabtest.KindCacheManifest)
	cache.AddTag("orphan", gitlabtest.KindCacheManifest)
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: tagOf(cache, "orphan"), Count: 1, Effect: gitlabtest.Latency(3 * time.Second)}))
	tr.options.Workers = 8 // two deleters
	var deleting atomic.Bool
	var lists, during atomic.Int64
	tr.server.OnRequest(func(r gitlabtest.Request) {
		switch {
		case r.Operation == "mutation":
			deleting.Store(true)
			time.Sleep(9 * time.Second)
			deleting.Store(false)
		case tagsOf(app).MatchString(r.Path) && !strings.Contains(r.Query, "keyset"):
			lists.Add(1)
			if deleting.Load() {
				during.Add(1)
			}
		}
	})
	got := tr.runInBubble(t)
	if got.Deleted != 3 || lists.Load() < 2 || during.Load() > 0 {
		t.Errorf("deleted %d; of %d listings %d were read during a deletion", got.Deleted, lists.Load(), during.Load())
	}
}

// TestSlowListingProvesNothing: a second listing that took longer than it would be fresh
// for shows nothing that is missing; the registry is asked for each tag.
func TestSlowListingProvesNothing(t *testing.T) {
	tr := registryTrial(withOrphans(gitlabtest.Database, 1, 4), pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile("app0/tags/list/?$"), Skip: 1, Effect: gitlabtest.Latency(11 * time.Second)}))
	got := tr.runInBubble(t)
	if n := tr.server.Stats().ByEndpoint["GET /v2/:path/manifests/:reference"]; got.Deleted != 4 || n != 4+1 {
		t.Errorf("deleted %d, %d counterparts were asked for", got.Deleted, n)
	}
}
