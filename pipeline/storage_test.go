package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A registry whose storage is not there, or not whole, lists every tag and answers each with a
// 404 in its own words.

// storageWorld has live images and caches, in each of several projects two tags that have
// really lost their manifests, and three orphans.
func storageWorld() *gitlabtest.World {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	for i := range 6 {
		p := world.AddProject(fmt.Sprint("g/p", i))
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for j := range 40 {
			app.AddTag(fmt.Sprintf("live-%02d", j), gitlabtest.KindImage)
			cache.AddTag(fmt.Sprintf("live-%02d", j), gitlabtest.KindCacheManifest)
		}
		app.AddTag("lost-1", gitlabtest.KindManifestMissing)
		app.AddTag("lost-2", gitlabtest.KindManifestMissing)
		for j := range 3 {
			cache.AddTag(fmt.Sprint("orphan-", j), gitlabtest.KindCacheManifest)
		}
	}
	return world
}

// TestStorageThatIsNotThere: no live tag is deleted while the registry's storage is not mounted,
// half restored or flaps, and nothing for a 404 that a proxy or a stale copy gives.
func TestStorageThatIsNotThere(t *testing.T) {
	lost := gitlabtest.ManifestsLost()
	fault := func(f gitlabtest.Fault) []gitlabtest.Option { return []gitlabtest.Option{gitlabtest.WithFaults(f)} }
	proxy := func(c gitlabtest.NotFoundCache) []gitlabtest.Option {
		return []gitlabtest.Option{gitlabtest.WithNotFoundCache(c), gitlabtest.WithFaults(gitlabtest.Fault{Count: 60, Effect: lost})}
	}
	tests := map[string]struct {
		options []gitlabtest.Option
		deleted int // of the 12 lost tags and 18 orphans; -1: not the same in every run
		guarded bool
	}{
		"all is well":                              {nil, 30, false},
		"from the start":                           {fault(gitlabtest.Fault{Effect: lost}), 0, true},
		"after 100 readings":                       {fault(gitlabtest.Fault{Skip: 100, Effect: lost}), -1, true},
		"after 400 readings":                       {fault(gitlabtest.Fault{Skip: 400, Effect: lost}), -1, true},
		"for the first 300 readings":               {fault(gitlabtest.Fault{Count: 300, Effect: lost}), -1, true},
		"in one repository":                        {fault(gitlabtest.Fault{Path: regexp.MustCompile(`/v2/g/p0/app/|/\d+/tags/`), Effect: lost}), -1, true},
		"in one repository, by the registry alone": {fault(gitlabtest.Fault{Path: regexp.MustCompile(`^/v2/g/p0/app/`), Effect: lost}), 18, true},
		"a restore under way":                      {fault(gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.9)}), -1, true},
		"one backend of three":                     {fault(gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.33)}), -1, true},
		"flapping":                                 {fault(gitlabtest.Fault{Alternate: 40, Effect: lost}), -1, true},
		"flapping quickly":                         {fault(gitlabtest.Fault{Alternate: 3, Effect: lost}), -1, true},
		"a proxy that remembers":                   {proxy(gitlabtest.NotFoundCache{}), -1, true},
		"a proxy that says how old":                {proxy(gitlabtest.NotFoundCache{Age: true}), -1, true},
		"a proxy that may be told to ask":          {proxy(gitlabtest.NotFoundCache{HonoursNoCache: true}), -1, true},
		"a proxy that does as it should":           {proxy(gitlabtest.NotFoundCache{HonoursNoCache: true, Age: true}), -1, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, workers := range []int{1, 16} {
				world := storageWorld()
				tr := registryTrial(world, pipeline.VerifyRegistry, test.options...)
				tr.options.Workers, tr.client.Concurrency = workers, workers
				got := tr.runInBubble(t)
				onlyDeadByRegistry(t, world, tr.server)
				if n := len(deleted(tr.server)); test.deleted >= 0 && n != test.deleted {
					t.Errorf("deleted %d, want %d; reasons %v", n, test.deleted, got.Reasons)
				}
				if suspected := got.Reasons[policy.OutageSuspected] > 0; suspected != test.guarded {
					t.Errorf("an outage is suspected: %t; reasons %v", suspected, got.Reasons)
				}
			}
		})
	}
}

// onlyDeadByRegistry checks that nothing was deleted that is alive under the registry's word.
func onlyDeadByRegistry(t *testing.T, world *gitlabtest.World, server *gitlabtest.Server) {
	t.Helper()
	dead := world.TruthUnder(byRegistry)
	for name := range deleted(server) {
		if dead[name] == "" {
			t.Errorf("%s was deleted and is alive", name)
		}
	}
}

// TestSmallRepositoryNotRestored: fewer tags than would be suspected for their number, but no other
// manifest of the repository can be read.
func TestSmallRepositoryNotRestored(t *testing.T) {
	for _, tags := range []int{2, 15, 20} {
		world := storageWorld()
		small := world.AddProject("g/small").AddRepository("app")
		for i := range tags {
			small.AddTag(fmt.Sprint("t-", i), gitlabtest.KindImage)
		}
		tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
			Repository: "g/small/app", Effect: gitlabtest.ManifestsLost()}))
		got := tr.runInBubble(t)
		onlyDeadByRegistry(t, world, tr.server)
		if got.Reasons[policy.OutageSuspected] < tags {
			t.Errorf("%d tags: reasons %v", tags, got.Reasons)
		}
	}
}

// TestLostTagIsListed: a tag without manifest that a fresh list does not name is not deleted, nor one
// of which GitLab has details.
func TestLostTagIsListed(t *testing.T) {
	for name, fault := range map[string]gitlabtest.Fault{
		"not listed any more": {Path: regexp.MustCompile(`^/v2/g/p0/app/tags/list$`), Skip: 1, Effect: gitlabtest.Reply(200, `{"name":"g/p0/app","tags":["live-00","lost-2"]}`)},
		"GitLab has details":  {Path: regexp.MustCompile(`/tags/lost-1$`), Effect: gitlabtest.Reply(200, `{"name":"lost-1","path":"g/p0/app:lost-1","location":"registry.test/g/p0/app:lost-1","digest":"sha256:`+strings.Repeat("1", 64)+`","created_at":"2024-03-01T12:00:00.000Z","total_size":1}`)},
		"GitLab cannot say":   {Path: regexp.MustCompile(`/tags/lost-1$`), Effect: gitlabtest.Status(503)},
	} {
		t.Run(name, func(t *testing.T) {
			tr := registryTrial(storageWorld(), pipeline.VerifyRegistry, gitlabtest.WithFaults(fault))
			tr.client.MaxRetries = 0
			got := tr.runInBubble(t)
			if d := got.decisions["g/p0/app:lost-1"]; d.Outcome != report.Undecided {
				t.Errorf("%s for %s (%s)", d.Outcome, d.Reason, d.Detail)
			}
		})
	}
}

// TestLostTagPushedAgain: a tag that is pushed again right before its deletion is no sign of a
// registry that fails: the others are deleted.
func TestLostTagPushedAgain(t *testing.T) {
	world := storageWorld()
	tr := registryTrial(world, pipeline.VerifyRegistry)
	seen := 0
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if r.Path != "/v2/g/p0/app/manifests/lost-1" {
			return
		}
		if seen++; seen == 2 {
			if err := tr.server.Push("g/p0", "app", "lost-1", gitlabtest.KindImage); err != nil {
				t.Error(err)
			}
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p0/app:lost-1"]; d.Outcome != report.Undecided || got.Deleted != 29 {
		t.Errorf("deleted %d, and lost-1 is %s for %s (%s)", got.Deleted, d.Outcome, d.Reason, d.Detail)
	}
}

// TestStorageOfOneProject: what one project's storage has lost is suspected, and other
// repositories' orphans are deleted all the same.
func TestStorageOfOneProject(t *testing.T) {
	world := storageWorld()
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/v2/g/p0/`), Effect: gitlabtest.ManifestsLost()}))
	got := tr.runInBubble(t)
	onlyDeadByRegistry(t, world, tr.server)
	if got.Reasons[counterpartTagMissing] < 15 || got.Reasons[policy.OutageSuspected] < 80 {
		t.Errorf("reasons %v", got.Reasons)
	}
	for name, d := range got.decisions {
		if d.Outcome == report.Deleted && d.Project == "g/p0" {
			t.Errorf("%s was deleted for %s", name, d.Reason)
		}
	}
}

// TestStaleCopyOfTheRegistry: a tag that was pushed again since the copy was made is missing
// there, or has lost its manifest by then, and stays.
func TestStaleCopyOfTheRegistry(t *testing.T) {
	world := storageWorld()
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/v2/`), Effect: gitlabtest.StaleRegistry()}))
	for i := range 6 {
		for _, tag := range []string{"lost-1", "lost-2"} {
			if err := tr.server.Push(fmt.Sprint("g/p", i), "app", tag, gitlabtest.KindImage); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := tr.runInBubble(t)
	for name := range deleted(tr.server) {
		if regexp.MustCompile(`:lost-`).MatchString(name) {
			t.Errorf("%s was deleted: %s", name, got.decisions[name].Reason)
		}
	}
}

// TestGroundsGrowOldBySending: what was sent long ago proves nothing, however late its answer
// comes, and deletions shrink to what can be rechecked and sent within ten seconds.
func TestGroundsGrowOldBySending(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	for i := range 40 {
		app.AddTag(fmt.Sprintf("live-%02d", i), gitlabtest.KindImage)
		cache.AddTag(fmt.Sprintf("orphan-%02d", i), gitlabtest.KindCacheManifest)
	}
	cache.AddTag("live-00", gitlabtest.KindCacheManifest)
	tr := registryTrial(world, pipeline.VerifyRegistry)
	tr.client.RateLimit, tr.client.RateBurst = 2, 1
	read := make(map[string]time.Time) // by path, last
	var mu sync.Mutex
	tr.server.OnRequest(func(r gitlabtest.Request) {
		mu.Lock()
		defer mu.Unlock()
		read[r.Path] = time.Now()
	})
	tr.handlers = report.Handlers{handlerFunc(func(e report.Event) {
		d, ok := e.(report.Decision)
		if !ok || d.Outcome != report.Deleted {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, path := range []string{"/v2/g/p/app.cache/manifests/" + d.Tag, "/v2/g/p/app/manifests/" + d.Tag, "/v2/g/p/app/tags/list"} {
			if age := time.Since(read[path]); age > 10*time.Second {
				t.Errorf("%s was read %s before the deletion", path, age)
			}
		}
	})}
	got := tr.runInBubble(t)
	if got.Deleted != 40 {
		t.Errorf("deleted %d; reasons %v", got.Deleted, got.Reasons)
	}
}

// TestSlowServers: requests that take seconds leave time for few deletions together, but for all of
// them.
func TestSlowServers(t *testing.T) {
	for _, test := range []struct {
		regime  gitlabtest.Regime
		verify  pipeline.Verify
		latency time.Duration
	}{
		{gitlabtest.Legacy, pipeline.VerifyAPI, 1500 * time.Millisecond},
		{gitlabtest.Database, pipeline.VerifyAPI, 2 * time.Second},
		{gitlabtest.Legacy, pipeline.VerifyRegistry, 2 * time.Second},
		{gitlabtest.Database, pipeline.VerifyRegistry, 3 * time.Second},
	} {
		tr := registryTrial(withOrphans(test.regime, 1, 30), test.verify, gitlabtest.WithFaults(
			gitlabtest.Fault{Effect: gitlabtest.Latency(test.latency)}))
		tr.options.Workers = 4
		got := tr.runInBubble(t)
		if got.Deleted != 30 {
			t.Errorf("%v, VERIFY=%s, %v a request: deleted %d; reasons %v", test.regime, test.verify, test.latency, got.Deleted, got.Reasons)
		}
	}
}
