package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// cachesAlone has a project of so many cache repositories without an image repository.
func cachesAlone(regime gitlabtest.Regime, n int) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	for i := range n {
		p.AddRepository(fmt.Sprintf("app-%04d.cache", i)).AddTag("x", gitlabtest.KindCacheManifest)
	}
	return world
}

// TestCachesShareTheirProjectsListing: that a project has no image repository is read once for all of
// its caches, for as long as that is fresh, and not listed whole for each of them.
func TestCachesShareTheirProjectsListing(t *testing.T) {
	const caches, pages = 500, 5
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			tr := registryTrial(cachesAlone(e.regime, caches), e.verify, gitlabtest.WithFaults(
				gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)}))
			listings := 0
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if strings.HasSuffix(r.Path, "/registry/repositories") {
					listings++
				}
			})
			got := tr.runInBubble(t)
			want := caches
			if e.verify == pipeline.VerifyAPI && e.regime == gitlabtest.Legacy {
				want = 0 // no tag has shown that GitLab has any dates
			}
			if got.Deleted != want || listings > 6*pages {
				t.Errorf("deleted %d; %d requests for lists of repositories; reasons %v", got.Deleted, listings, got.Reasons)
			}
			t.Logf("%d requests for lists of repositories", listings)
		})
	}
}

// TestRepositoriesListedSlowly: a list that takes longer than what it shows is good for is not read for
// each cache. The counterpart is looked for by its name then, and without that nothing goes.
func TestRepositoriesListedSlowly(t *testing.T) {
	for name, test := range map[string]struct {
		option  gitlabtest.Option
		deleted int
	}{
		"by their names":    {gitlabtest.WithRole(gitlabtest.Developer), 500},
		"without GraphQL":   {gitlabtest.WithoutGraphQL(), 0},
		"one has appeared":  {nil, 499},
		"a list that lacks": {gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Skip: 1, Effect: gitlabtest.CutList(0)}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			world := cachesAlone(gitlabtest.Database, 500)
			slow := gitlabtest.Fault{Path: regexp.MustCompile(`/registry/repositories$`), Effect: gitlabtest.Latency(3 * time.Second)}
			options := []gitlabtest.Option{gitlabtest.WithFaults(slow)}
			if test.option != nil {
				options = append(options, test.option)
			} else {
				// Its page is not among those that the run sees first.
				world.Projects[0].AddRepository("app-0007").AddTag("new", gitlabtest.KindImage)
				first := gitlabtest.Fault{Path: slow.Path, Count: 5, Effect: gitlabtest.CutList(500)}
				options = append(options, gitlabtest.WithFaults(first), gitlabtest.WithoutRepositoriesCount())
			}
			tr := registryTrial(world, pipeline.VerifyRegistry, options...)
			got := tr.runInBubble(t)
			stats := tr.server.Stats()
			if n := stats.ByEndpoint["GET /projects/:id/registry/repositories"]; n > 35 || got.Deleted != test.deleted {
				t.Errorf("%d requests for lists of repositories, deleted %d, undecided %d; reasons %v", n, got.Deleted, got.Undecided, got.Reasons)
			}
		})
	}
}
