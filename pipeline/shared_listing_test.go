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
// each cache, and nothing goes for it.
func TestRepositoriesListedSlowly(t *testing.T) {
	tr := registryTrial(cachesAlone(gitlabtest.Database, 500), pipeline.VerifyRegistry, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: regexp.MustCompile(`/registry/repositories$`), Effect: gitlabtest.Latency(3 * time.Second)}))
	got := tr.runInBubble(t)
	if n := tr.server.Stats().ByEndpoint["GET /projects/:id/registry/repositories"]; n > 15 || got.Deleted > 0 || got.Undecided != 500 {
		t.Errorf("%d requests for lists of repositories, deleted %d, undecided %d", n, got.Deleted, got.Undecided)
	}
}
