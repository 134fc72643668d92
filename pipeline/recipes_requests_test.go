package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// What rules ask for is counted: no fact costs anything that cannot change what becomes of a tag.

// The endpoints of what facts cost.
const (
	manifestEndpoint = "GET /v2/:path/manifests/:reference"
	blobEndpoint     = "GET /v2/:path/blobs/:digest"
	branchEndpoint   = "GET /:path/info/refs"
	rowsEndpoint     = "GET /gitlab/v1/repositories/:path/tags/list/"
)

// costWorld has two projects of one kind: images and caches, some of them temporary, and branches.
func costWorld(regime gitlabtest.Regime) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	for _, path := range []string{"g/p", "g/q"} {
		p := world.AddProject(path)
		p.Branches = []string{"main", "feature-1", "tmp-live"}
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for i := range 10 {
			app.AddTagAt(fmt.Sprint("tmp-", i), gitlabtest.KindImage, daysAgo(100))
			app.AddTagAt(fmt.Sprint("feature-", i), gitlabtest.KindImage, daysAgo(100))
			cache.AddTagAt(fmt.Sprint("tmp-", i), gitlabtest.KindCacheManifest, daysAgo(100))
			cache.AddTagAt(fmt.Sprint("feature-", i), gitlabtest.KindCacheManifest, daysAgo(100))
		}
	}
	return world
}

// TestRulesThatAskForLess counts the requests of runs by rules that need few facts.
func TestRulesThatAskForLess(t *testing.T) {
	const byName = "rules:\n- {name: temporary, delete: \"tag.name.matches('^tmp-')\"}\n"
	const protected = "rules:\n- {name: all-else, keep: \"!tag.name.startsWith('tmp-')\"}\n"
	for name, test := range map[string]struct {
		regime  gitlabtest.Regime
		rules   string
		deleted int
		want    map[string]int
	}{
		"by name": {gitlabtest.Database, byName, 40, map[string]int{}},
		"by name, without database": {gitlabtest.Legacy, byName, 40, map[string]int{
			manifestEndpoint: 2 * 40, // of what goes alone: at first and again
		}},
		"nothing":                        {gitlabtest.Database, "rules:\n- {name: some, keep: tag.is_cache && branch == 'present' && counterpart == 'present' && tag.rank > 3}\n", 0, map[string]int{}},
		"nothing, without database":      {gitlabtest.Legacy, "rules:\n- {name: some, keep: tag.is_cache && branch == 'present' && counterpart == 'present' && tag.rank > 3}\n", 0, map[string]int{}},
		"branches that matter to nobody": {gitlabtest.Database, "rules:\n- {name: all, keep: tag.name != ''}\n- {name: no-branch, delete: branch == 'missing'}\n", 0, map[string]int{}},
		"branches behind a rule by name": {gitlabtest.Database, protected + "- {name: no-branch, delete: branch == 'missing' && tag.name.endsWith('-live')}\n", 0, map[string]int{}},
		"age":                            {gitlabtest.Database, "rules:\n- {name: old, delete: tag.age > days(90) && tag.name.startsWith('tmp-')}\n", 40, map[string]int{}},
		"rank":                           {gitlabtest.Database, "rules:\n- {name: old, delete: tag.rank > 18 && repository.name == 'app'}\n", 4, map[string]int{}},
		"rank, without database": {gitlabtest.Legacy, "rules:\n- {name: old, delete: tag.rank > 18 && repository.name == 'app'}\n", 4, map[string]int{
			manifestEndpoint: 40 + 4, blobEndpoint: 40, // of the images; the age of a manifest never changes
		}},
		"rank behind age, without database": {gitlabtest.Legacy, "rules:\n- {name: newest, keep: has(tag.rank) && tag.rank <= 18}\n- {name: old, delete: tag.age > days(90) && repository.name == 'app'}\n", 4, map[string]int{
			manifestEndpoint: 2 + 40 + 4, blobEndpoint: 2 + 40, // of a tag of either project before ranks have all read
		}},
		"a project": {gitlabtest.Legacy, "rules:\n- {name: old, delete: tag.age > days(90) && project.path == 'g/q' && tag.name == 'tmp-1' && !repository.is_cache}\n", 1, map[string]int{
			manifestEndpoint: 1 + 1, blobEndpoint: 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := byRules(costWorld(test.regime), parsed(t, test.rules))
			tr.options.Verify, tr.options.Workers = pipeline.VerifyRegistry, 1 // so that each count is one
			got := tr.runInBubble(t)
			counts := tr.server.Stats().ByEndpoint
			asked := make(map[string]int)
			for _, endpoint := range []string{manifestEndpoint, "HEAD /v2/:path/manifests/:reference", blobEndpoint, branchEndpoint} {
				if counts[endpoint] > 0 {
					asked[endpoint] = counts[endpoint]
				}
			}
			if diff := cmp.Diff(test.want, asked); diff != "" || got.Deleted != test.deleted {
				t.Errorf("deleted %d, requests (-want +got):\n%s%v", got.Deleted, diff, counts)
			}
		})
	}
}

// TestBranchesAreListedOnceAProject, whatever the number of tags that need them, and once more where
// tags go and the first reading is not fresh any more. A project whose tags are decided by an earlier rule
// is not asked.
func TestBranchesAreListedOnceAProject(t *testing.T) {
	const rules = "rules:\n- {name: not-there, keep: project.path == 'g/q'}\n- {name: no-branch, delete: branch == 'missing'}\n"
	const deleting = "rules:\n- {name: no-branch, delete: branch == 'missing'}\n"
	for _, e := range evidences {
		for name, test := range map[string]struct {
			rules          string
			faults         []gitlabtest.Fault
			deleted, lists int
		}{
			"at once":                    {deleting, nil, 2 * 38, 2},
			"slowly":                     {deleting, []gitlabtest.Fault{slowRechecks(1), {Path: details, Skip: 1, PerPath: true, Effect: gitlabtest.Latency(2 * time.Second)}}, 2 * 38, 2},
			"decided by an earlier rule": {rules, nil, 38, 1},
		} {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				tr := byRules(costWorld(e.regime), parsed(t, test.rules), gitlabtest.WithFaults(test.faults...))
				tr.options.Verify = e.verify
				tr.options.Workers, tr.client.Concurrency = 64, 64 // so that a full request is rechecked in time
				got := tr.runInBubble(t)
				n := tr.server.Stats().ByEndpoint[branchEndpoint]
				most := test.lists
				if test.faults != nil {
					most = 2 + (got.Deleted+39)/40 + 2 // once for each request to delete, which are of one or two projects
				}
				if got.Deleted != test.deleted || n < test.lists || n > most {
					t.Errorf("deleted %d, want %d; branches were listed %d times, want %d to %d", got.Deleted, test.deleted, n, test.lists, most)
				}
			})
		}
	}
}
