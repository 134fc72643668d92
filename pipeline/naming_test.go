package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// What the names in a cache repository tell, and what its own name does not.

// namingWorld has caches by architecture, kaniko's caches, and some that are named after images.
func namingWorld(regime gitlabtest.Regime) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	image := func(repository string, tags ...string) {
		r := p.AddRepository(repository)
		for _, tag := range tags {
			r.AddTagAt(tag, gitlabtest.KindImage, daysAgo(100))
		}
	}
	cache := func(repository string, kind gitlabtest.Kind, tags ...string) {
		r := p.AddRepository(repository)
		for _, tag := range tags {
			r.AddTagAt(tag, kind, daysAgo(100))
		}
	}
	image("arch", "main", "feature-1", "feature-2")
	cache("arch.cache", gitlabtest.KindCacheManifest, "main-amd64", "main-arm64", "feature-1-amd64", "feature-1-arm64", "feature-2-amd64", "feature-2-arm64")
	image("kaniko", "main", "feature-1")
	cache("kaniko.cache", gitlabtest.KindKanikoCache, hash("1"), hash("2"), hash("3"), hash("4"), hash("5"))
	image("few", "main")
	cache("few.cache", gitlabtest.KindCacheManifest, "a", "b", "c", "d")
	image("empty")
	cache("empty.cache", gitlabtest.KindCacheManifest, "a", "b", "c", "d", "e")
	image("protected", "main")
	cache("protected.cache", gitlabtest.KindCacheManifest, "main", "a", "b", "c", "d")
	cache("alone.cache", gitlabtest.KindCacheManifest, "main-amd64", "a", "b", "c", "d")
	return world
}

// withoutRule returns the default rules without one of them, as a user may.
func withoutRule(t *testing.T, name policy.Reason) *policy.File {
	t.Helper()
	text := "rules:\n"
	for _, rule := range policy.Default().Rules() {
		if rule.Name != name {
			text += fmt.Sprintf("- name: %s\n  %s: |-\n    %s\n", rule.Name, rule.Action, strings.ReplaceAll(rule.Condition, "\n", " "))
		}
	}
	return parsed(t, text)
}

// TestNamingDiffers: where no tag of a cache repository has its name among the images, which has tags,
// a missing name says nothing. It takes five tags, and protected ones count. Each such repository is told
// of once, and whoever leaves the rule out decides otherwise.
func TestNamingDiffers(t *testing.T) {
	for regime, kind := range byTheRegistry {
		for _, workers := range []int{1, 16} {
			t.Run(fmt.Sprint(regime, "/", workers), func(t *testing.T) {
				run := func(rules *policy.File) (*trial, *outcome, map[string]int) {
					tr := byRules(namingWorld(kind), rules)
					tr.options.Workers = workers
					told := make(map[string]int)
					tr.handlers = report.Handlers{handlerFunc(func(e report.Event) {
						if e, ok := e.(report.NamingDiffers); ok {
							told[fmt.Sprint(e.Repository, " of ", e.Project, ": ", e.Tags)]++
						}
					})}
					return tr, tr.runInBubble(t), told
				}
				fine := []string{ // of repositories whose names tell something
					"g/p/alone.cache:a", "g/p/alone.cache:b", "g/p/alone.cache:c", "g/p/alone.cache:d", "g/p/alone.cache:main-amd64",
					"g/p/empty.cache:a", "g/p/empty.cache:b", "g/p/empty.cache:c", "g/p/empty.cache:d", "g/p/empty.cache:e",
					"g/p/few.cache:a", "g/p/few.cache:b", "g/p/few.cache:c", "g/p/few.cache:d",
					"g/p/protected.cache:a", "g/p/protected.cache:b", "g/p/protected.cache:c", "g/p/protected.cache:d",
				}
				tr, got, told := run(policy.Default())
				if diff := cmp.Diff(fine, gone(tr.server)); diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
				kept := map[policy.Reason]int{}
				for name, d := range got.decisions {
					if strings.HasPrefix(name, "g/p/arch.cache:") || strings.HasPrefix(name, "g/p/kaniko.cache:") {
						kept[d.Reason]++
					}
				}
				want, wantTold := map[policy.Reason]int{namingDiffers: 11}, map[string]int{"g/p/arch.cache of g/p: 6": 1, "g/p/kaniko.cache of g/p: 5": 1}
				if kind == gitlabtest.Legacy { // their manifests have shown that they are no build caches
					want, wantTold = map[policy.Reason]int{namingDiffers: 6, noBuildCache: 5}, map[string]int{"g/p/arch.cache of g/p: 6": 1}
				}
				if diff := cmp.Diff(want, kept); diff != "" {
					t.Errorf("reasons (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(wantTold, told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}

				tr, got, told = run(withoutRule(t, namingDiffers))
				all := append([]string{}, fine...)
				for _, tag := range []string{"main-amd64", "main-arm64", "feature-1-amd64", "feature-1-arm64", "feature-2-amd64", "feature-2-arm64"} {
					all = append(all, "g/p/arch.cache:"+tag)
				}
				if diff := cmp.Diff(fullNames(all), gone(tr.server)); diff != "" || len(told) > 0 {
					t.Errorf("without the rule, told %v, deleted (-want +got):\n%s", told, diff)
				}
				if d := got.decisions["g/p/kaniko.cache:"+hash("1")]; d.Reason != noBuildCache {
					t.Errorf("without the rule a cache of kaniko's is decided %s", d.Reason)
				}
			})
		}
	}
}

// TestNamesThatCannotBeCompared: a listing of the counterpart that fails tells of no other convention,
// and of none that is the same.
func TestNamesThatCannotBeCompared(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
	for i := range 6 {
		cache.AddTagAt(fmt.Sprint("x-", i), gitlabtest.KindCacheManifest, daysAgo(100))
	}
	tr := byRules(world, policy.Default(), gitlabtest.WithFaults(gitlabtest.Fault{Repository: app.Path(), Path: registryLists, Effect: gitlabtest.Status(500)}))
	got := tr.runInBubble(t)
	if gone := gone(tr.server); len(gone) > 0 || got.Reasons[policy.CounterpartUnknown] != 6 {
		t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
	}
}

// TestCacheRepositoryByNameAlone: a name such as session.cache says nothing of what is in it. With the
// metadata database some manifests are read of what would go, and all once one is no build cache.
func TestCacheRepositoryByNameAlone(t *testing.T) {
	for regime, kind := range byTheRegistry {
		for name, test := range map[string]struct {
			images, caches []gitlabtest.Kind
		}{
			"images":              {[]gitlabtest.Kind{gitlabtest.KindImage, gitlabtest.KindDockerImage}, nil},
			"images, of indexes":  {[]gitlabtest.Kind{gitlabtest.KindMultiArch, gitlabtest.KindBareIndex, gitlabtest.KindNestedIndex}, nil},
			"artifacts":           {[]gitlabtest.Kind{gitlabtest.KindArtifact, gitlabtest.KindReferrers, gitlabtest.KindSignature}, nil},
			"indexes, and caches": {[]gitlabtest.Kind{gitlabtest.KindMultiArch, gitlabtest.KindDockerList}, []gitlabtest.Kind{gitlabtest.KindCacheManifest, gitlabtest.KindCacheIndex, gitlabtest.KindCacheList}},
			"caches":              {nil, []gitlabtest.Kind{gitlabtest.KindCacheManifest, gitlabtest.KindCacheIndex, gitlabtest.KindCacheList}},
		} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				world := gitlabtest.NewWorld(kind)
				p := world.AddProject("g/p")
				p.AddRepository("app").AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
				session := p.AddRepository("session.cache")
				want := []string{}
				for i := range 60 {
					if len(test.images) > 0 {
						session.AddTagAt(fmt.Sprint("1.", i), test.images[i%len(test.images)], daysAgo(100+i))
					}
					if len(test.caches) > 0 {
						session.AddTagAt(fmt.Sprint("c-", i), test.caches[i%len(test.caches)], daysAgo(100+i))
						want = append(want, fmt.Sprint("session.cache:c-", i))
					}
				}
				tr := byRules(world, policy.Default())
				got := tr.runInBubble(t)
				if diff := cmp.Diff(fullNames(want), gone(tr.server)); diff != "" || got.Undecided > 0 {
					t.Errorf("undecided %d, deleted (-want +got):\n%s", got.Undecided, diff)
				}
			})
		}
	}
}

// TestImagesAmongCaches: one image among many caches of a repository is found when it is among those
// that are looked at, and then all of the rest are.
func TestImagesAmongCaches(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	session := world.AddProject("g/p").AddRepository("session.cache")
	for i := range 100 {
		kind := gitlabtest.KindCacheManifest
		if i%3 == 0 {
			kind = gitlabtest.KindImage
		}
		session.AddTagAt(fmt.Sprintf("t-%03d", i), kind, daysAgo(100))
	}
	tr := byRules(world, policy.Default())
	tr.options.Workers = 1 // in order
	got := tr.runInBubble(t)
	if got.Deleted != 66 || got.Reasons[noBuildCache] != 34 {
		t.Errorf("deleted %d, reasons %v", got.Deleted, got.Reasons)
	}
	reads := tr.server.Stats().ByEndpoint[manifestEndpoint]
	if reads < 100 || reads > 101 {
		t.Errorf("%d manifests were read", reads)
	}
}

// TestNamesComparedWithAnEmptyList: GitLab and the registry were seen to answer that a repository has no
// tags, with a success, and to list them all a moment later. One such list is no reason to hold that the
// names of the caches tell something.
func TestNamesComparedWithAnEmptyList(t *testing.T) {
	for _, e := range evidences {
		for skip := range 2 { // GitLab's first list may be asked for the regime
			t.Run(fmt.Sprint(e.name, "/", skip), func(t *testing.T) {
				world := gitlabtest.NewWorld(e.regime)
				p := world.AddProject("g/p")
				arch, cache := p.AddRepository("arch"), p.AddRepository("arch.cache")
				for _, tag := range []string{"main", "feature-1", "feature-2"} {
					arch.AddTagAt(tag, gitlabtest.KindImage, daysAgo(100))
					for _, platform := range []string{"-amd64", "-arm64"} {
						cache.AddTagAt(tag+platform, gitlabtest.KindCacheManifest, daysAgo(100))
					}
				}
				path := registryLists
				if e.verify == pipeline.VerifyAPI {
					path = tagsOf(arch)
				}
				tr := byRules(world, policy.Default(), gitlabtest.WithFaults(gitlabtest.Fault{
					Repository: arch.Path(), Path: path, Skip: skip, Count: 1, Effect: gitlabtest.CutList(0)}))
				tr.options.Verify = e.verify
				got := tr.runInBubble(t)
				if gone := gone(tr.server); len(gone) > 0 || got.Tags < 6 {
					t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
				}
			})
		}
	}
}
