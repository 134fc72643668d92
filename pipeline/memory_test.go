package pipeline_test

import (
	"fmt"
	"regexp"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A registry that answers honestly, and knows nothing or little of what it had.

var nameUnknown = gitlabtest.Reply(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}`)

// TestRegistryKnowsNothing: a registry to which all that GitLab lists is unknown has lost its storage,
// which is said, and leaves the run incomplete. That it does not know one of several is no news.
func TestRegistryKnowsNothing(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		for repositories, paths := range map[string][]string{"all": {"/tags/list/?$"}, "one": {"/p-0/app/tags/list/?$"}} {
			var faults []gitlabtest.Fault
			for _, path := range paths {
				faults = append(faults, gitlabtest.Fault{Path: regexp.MustCompile(path), Effect: nameUnknown})
			}
			var failures []report.Unreadable
			world := gitlabtest.NewWorld(regime)
			for i := range 3 {
				world.AddProject(fmt.Sprint("g/p-", i)).AddRepository("app").AddTag("x", gitlabtest.KindImage)
			}
			tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(faults...))
			tr.handlers = report.Handlers{handlerFunc(func(e report.Event) {
				if e, ok := e.(report.Unreadable); ok {
					failures = append(failures, e)
				}
			})}
			got := tr.runInBubble(t)
			want := map[string]int{"all": 1}[repositories]
			if got.err != nil || got.Unreadable != want || len(failures) != want {
				t.Errorf("%v, %s: error %v, %v", regime, repositories, got.err, failures)
			}
		}
	}
}

// TestEmptyDatabase: GitLab 19.0.0 switched registries to an empty database. What was pushed before is a
// 404 of the registry's own; caches that were pushed since look like orphans.
func TestEmptyDatabase(t *testing.T) {
	for name, test := range map[string]struct {
		blank, others int               // counterpart repositories without tags, and with
		effect        gitlabtest.Effect // of listing the former; nil where they are just empty
		deleted       int
		suspected     bool
	}{
		"most are empty":            {4, 2, nil, 0, true},
		"all are unknown":           {5, 0, nameUnknown, 0, true},
		"most are unknown":          {4, 2, nameUnknown, 0, true},
		"half of them are empty":    {3, 3, nil, 12, false},
		"few, and empty":            {3, 1, nil, 8, false},
		"a large run, most blank":   {30, 20, nil, 0, true},
		"a large run, some unknown": {5, 20, nameUnknown, 40, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, workers := range []int{1, 16} {
				world := gitlabtest.NewWorld(gitlabtest.Database)
				for i := range test.blank + test.others {
					p := world.AddProject(fmt.Sprintf("g/p-%02d", i))
					app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
					cache.AddTag("new", gitlabtest.KindCacheManifest)
					cache.AddTag("newer", gitlabtest.KindCacheManifest)
					if i >= test.blank {
						app.AddTag("pushed-since", gitlabtest.KindImage)
					}
				}
				var faults []gitlabtest.Fault
				for i := range test.blank {
					if test.effect != nil {
						faults = append(faults, gitlabtest.Fault{Path: regexp.MustCompile(fmt.Sprintf(`/g/p-%02d/app/tags/list/$`, i)), Effect: test.effect})
					}
				}
				tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(faults...))
				tr.options.Workers = workers
				got := tr.runInBubble(t)
				if n := len(deleted(tr.server)); n != test.deleted {
					t.Errorf("%d workers: deleted %d, want %d; reasons %v", workers, n, test.deleted, got.Reasons)
				}
				if suspected := got.Reasons[policy.OutageSuspected] > 0; suspected != test.suspected {
					t.Errorf("%d workers: reasons %v", workers, got.Reasons)
				}
			}
		})
	}
}

// TestStorageOfOneGroup: storage that is lost below one group or project, of which each repository has a
// single tag, so that none has another to look at.
func TestStorageOfOneGroup(t *testing.T) {
	for name, paths := range map[string][]string{
		"one project": {"x/one", "x/one"}, "one group": {"x/y/one", "x/y/two"}, "a group and one below": {"x/y/one", "x/y/z/two"},
	} {
		world := storageWorld()
		for i, path := range paths {
			p := world.Project(path)
			if p == nil {
				p = world.AddProject(path)
			}
			p.AddRepository(fmt.Sprint("app-", i)).AddTag("only", gitlabtest.KindImage)
		}
		tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{Repository: "x", Effect: gitlabtest.ManifestsLost()}))
		got := tr.runInBubble(t)
		onlyDeadByRegistry(t, world, tr.server)
		if got.Reasons[policy.OutageSuspected] != 2 || len(deleted(tr.server)) != 30 {
			t.Errorf("%s: deleted %d, reasons %v", name, len(deleted(tr.server)), got.Reasons)
		}
	}
}
