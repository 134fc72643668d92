package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What changes between the decision and the deletion, where it is easily overlooked.

// TestPushedAgainFarDownALongList: with the metadata database only a tag's row says that it was pushed
// again with the same digest, and lists go by a prefix at best. However many names come before it, a
// candidate whose row shows no new date has one that was read, or stays.
func TestPushedAgainFarDownALongList(t *testing.T) {
	const before = 2500
	rules := "rules:\n- {name: too-young, keep: \"has(tag.age) && tag.age < settings.min_age\"}\n" +
		"- {name: orphan, delete: repository.is_cache && counterpart == 'tag-missing' && tag.age > days(30)}\n"
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	for i := range before {
		name := fmt.Sprint("pr-", 1000+i)
		app.AddTagAt(name, gitlabtest.KindImage, daysAgo(100))
		cache.AddTagAt(name, gitlabtest.KindCacheManifest, daysAgo(100))
	}
	cache.AddTagAt("pr-9", gitlabtest.KindArtifact, daysAgo(100)) // of one digest, whenever it is pushed
	lists := regexp.MustCompile(`app\.cache/tags/list/?$`)
	for version, options := range map[string][]gitlabtest.Option{"new": nil, "ignores name_exact": {gitlabtest.WithOldRegistry()}} {
		for _, others := range []int{0, 1} { // that are candidates, too
			for _, pushed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d others/pushed %t", version, others, pushed), func(t *testing.T) {
					if others > 0 {
						cache.AddTagAt("pr-8", gitlabtest.KindArtifact, daysAgo(100))
						defer func() { cache.Tags = cache.Tags[:len(cache.Tags)-1] }()
					}
					tr := byRules(world, parsed(t, rules), options...)
					var pages atomic.Int64
					tr.server.OnRequest(func(r gitlabtest.Request) {
						// The first listing has three pages. What comes then is the look before the deletion.
						if lists.MatchString(r.Path) && pages.Add(1) == before/1000+2 && pushed {
							if err := tr.server.Push("g/p", "app.cache", "pr-9", gitlabtest.KindArtifact); err != nil {
								t.Error(err)
							}
						}
					})
					got := tr.runInBubble(t)
					d := got.decisions["g/p/app.cache:pr-9"]
					if stays := d.Action == policy.Undecided || d.Reason == tooYoung; stays != pushed {
						t.Errorf("decided %s, %s (%s)", d.Action, d.Reason, d.Detail)
					}
					want := others
					if !pushed {
						want++
					}
					if len(gone(tr.server)) != want || pages.Load() < before/1000+2 {
						t.Errorf("%d lists, deleted %q", pages.Load(), gone(tr.server))
					}
				})
			}
		}
	}
}

// TestProtectedMeanwhile: GitLab does not hold an administrator to its rules for protected tags, so that
// one which is made while the run is under way has to be read before a deletion. That costs one query for
// each request to delete.
func TestProtectedMeanwhile(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTagAt("release-1", gitlabtest.KindImage, daysAgo(100))
	const others = 200
	for i := range others {
		app.AddTagAt(fmt.Sprintf("t-%03d", i), gitlabtest.KindImage, daysAgo(100))
	}
	tr := byRules(world, recipe(t, "older-than.yaml"), gitlabtest.WithRole(gitlabtest.Administrator))
	var made atomic.Bool
	var queries, deletions atomic.Int64
	tr.server.OnRequest(func(r gitlabtest.Request) {
		switch {
		case r.Operation == "mutation" || r.Method == "DELETE":
			deletions.Add(1)
		case registryLists.MatchString(r.Path) && !made.Swap(true):
			if err := tr.server.Protect("g/p", gitlabtest.ProtectionRule{Pattern: "^release-", Push: gitlabtest.Maintainer, Delete: gitlabtest.Maintainer}); err != nil {
				t.Error(err)
			}
		case made.Load() && (r.Operation == "query" || strings.HasSuffix(r.Path, "/protection/tag/rules")):
			queries.Add(1)
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app:release-1"]; d.Reason != "protected-in-gitlab" || got.Deleted != others || len(gone(tr.server)) != others {
		t.Errorf("decided %s (%s), reasons %v", d.Reason, d.Detail, got.Reasons)
	}
	if n := queries.Load(); n > deletions.Load() {
		t.Errorf("%d queries for %d requests to delete", n, deletions.Load())
	}
}

// TestAnotherRuleDeletesNow: a tag goes when any rule deletes it at the last look. The report names the
// one that does, and not one that has ceased to hold.
func TestAnotherRuleDeletesNow(t *testing.T) {
	rules := "rules:\n- {name: cache-of-a-branch, keep: branch == 'present' && tag.is_cache}\n" +
		"- {name: branch-gone, delete: branch == 'missing'}\n- {name: older, delete: tag.name == 'feature-2'}\n"
	for _, dryRun := range []bool{false, true} {
		tr := byRules(branchWorld(gitlabtest.Legacy, "main", "feature-1"), parsed(t, rules), gitlabtest.WithFaults(slowRechecks(1)))
		tr.options.DryRun = dryRun
		var readings atomic.Int64
		tr.server.OnRequest(func(r gitlabtest.Request) {
			if gitPath.MatchString(r.Path) && readings.Add(1) == 2 {
				if err := tr.server.PushBranch("g/p", "feature-2"); err != nil {
					t.Error(err)
				}
			}
		})
		got := tr.runInBubble(t)
		if d := got.decisions["g/p/app:feature-2"]; d.Action != policy.Delete || d.Reason != "older" || readings.Load() != 2 {
			t.Errorf("dry run %t: decided %s, %s (%s) after %d readings", dryRun, d.Action, d.Reason, d.Detail, readings.Load())
		}
	}
}

// TestSharedReadingCountsFromItsBeginning: candidates share a reading of branches, and what is read after
// it may take long. The ten seconds in which a deletion is sent begin with the oldest of its grounds, not
// with the look at the candidate.
func TestSharedReadingCountsFromItsBeginning(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	p.Branches = []string{"main"}
	first, second := p.AddRepository("a"), p.AddRepository("b")
	for i := range 40 { // which fill a request
		first.AddTagAt(fmt.Sprintf("t-%02d", i), gitlabtest.KindImage, daysAgo(100))
	}
	second.AddTagAt("victim", gitlabtest.KindImage, daysAgo(100))
	tr := byRules(world, parsed(t, "rules:\n- {name: gone, delete: branch == 'missing' && tag.rank > 0}\n"), gitlabtest.WithFaults(
		gitlabtest.Fault{Operation: "mutation", Count: 1, Effect: gitlabtest.Latency(4 * time.Second)},
		gitlabtest.Fault{Repository: "g/p/a", Path: regexp.MustCompile(`/manifests/`), Effect: gitlabtest.Latency(100 * time.Millisecond)},
		gitlabtest.Fault{Repository: "g/p/b", Path: registryLists, Skip: 1, Count: 1, Effect: gitlabtest.Latency(8 * time.Second)}))
	tr.options.Workers = 1
	var read time.Time
	var readings, sent int
	tr.server.OnRequest(func(r gitlabtest.Request) {
		switch {
		case gitPath.MatchString(r.Path):
			read = time.Now()
			readings++
		case r.Operation == "mutation" || r.Method == "DELETE":
			if sent++; time.Since(read) > 10*time.Second {
				t.Errorf("request %d rests on branches that were read %v ago", sent, time.Since(read))
			}
		}
	})
	got := tr.runInBubble(t)
	if got.Deleted != 41 || sent != 2 {
		t.Errorf("deleted %d by %d requests after %d readings", got.Deleted, sent, readings)
	}
}

// TestRanksGrowOld: the candidates of a repository share the ranks that are counted before a deletion, for
// some seconds. When a newer tag is gone after the first of them went, those that come later are newer.
func TestRanksGrowOld(t *testing.T) {
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			world := gitlabtest.NewWorld(kind)
			app := world.AddProject("g/p").AddRepository("app")
			const tags = 90
			name := func(rank int) string { return fmt.Sprintf("t-%02d", tags-rank) } // the newest come last
			for rank := 1; rank <= tags; rank++ {
				app.AddTagAt(name(rank), gitlabtest.KindImage, daysAgo(100+rank))
			}
			tr := byRules(world, recipe(t, "keep-newest.yaml"), gitlabtest.WithFaults(
				gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(6 * time.Second)}))
			tr.options.Workers = 1
			var sent atomic.Int64
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if r.Operation == "mutation" && sent.Add(1) == 1 {
					if err := tr.server.Remove("g/p", "app", name(1)); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app:"+name(11)]; d.Action != policy.Keep || sent.Load() < 2 || got.Deleted != tags-11 {
				t.Errorf("decided %s, %s (%s); deleted %d by %d requests", d.Action, d.Reason, d.Detail, got.Deleted, sent.Load())
			}
		})
	}
}

// TestManifestOfAnotherPush: with the metadata database the listing says which manifest a tag had. One that
// is read later and is another says nothing of it, whatever a rule would make of that.
func TestManifestOfAnotherPush(t *testing.T) {
	for name, test := range map[string]struct {
		repository string
		first      gitlabtest.Kind
		pushed     gitlabtest.Kind
		rules      string
	}{
		"when it is decided": {"app", gitlabtest.KindArtifact, gitlabtest.KindImage,
			"rules:\n- {name: artifact, delete: tag.kind == 'artifact'}\n"},
		"when it is sampled": {"app.cache", gitlabtest.KindCacheManifest, gitlabtest.KindCacheIndex,
			"rules:\n- {name: orphan, delete: counterpart == 'tag-missing' && tag.is_cache}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Database)
			p := world.AddProject("g/p")
			p.AddRepository("app").AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
			repository := p.Repositories[0]
			if test.repository != "app" {
				repository = p.AddRepository(test.repository)
			}
			repository.AddTagAt("x", test.first, daysAgo(100))
			tr := byRules(world, parsed(t, test.rules))
			var pushed atomic.Bool
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if r.Method == "GET" && strings.HasSuffix(r.Path, test.repository+"/manifests/x") && !pushed.Swap(true) {
					if err := tr.server.Push("g/p", test.repository, "x", test.pushed); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/"+test.repository+":x"]; d.Reason != policy.EvidenceDisagrees || len(gone(tr.server)) > 0 || !pushed.Load() {
				t.Errorf("decided %s, %s (%s); deleted %q", d.Action, d.Reason, d.Detail, gone(tr.server))
			}
		})
	}
}
