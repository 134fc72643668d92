package bench

import (
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

func defaultRules() policy.Rules {
	return policy.Rules{
		ProtectedNames:   []string{"latest", "master", "main"},
		ProtectedPattern: regexp.MustCompile(`^v.*\..*\..*`),
		CacheSuffix:      ".cache",
		Orphans:          policy.OrphansUndated,
	}
}

var long = flag.Bool("long", false, "count requests for 20,000 tags and not 4,000")

// world returns an instance of 4,000 tags in 80 repositories of 20 projects, or five
// times that, half of them cache repositories, of whose tags the given share is dead.
func world(dead float64) *gitlabtest.World {
	projects := 20
	if *long {
		projects = 100
	}
	return gitlabtest.Build{
		Seed:                   1,
		Projects:               projects,
		RepositoriesPerProject: [2]int{4, 4},
		TagsPerRepository:      [2]int{50, 50},
		Shapes:                 gitlabtest.Shapes{Pair: 1},
		Protected:              0.02,
		Dead:                   gitlabtest.Dead{DetailsMissing: dead / 2, TagMissing: dead},
	}.World()
}

func client(t testing.TB, server *gitlabtest.Server) *gitlabapi.Client {
	t.Helper()
	client, err := gitlabapi.New(gitlabapi.Config{
		URL:         "http://gitlab.test",
		Token:       gitlabapi.NewSecret(gitlabtest.DefaultToken),
		Concurrency: 16,
		Transport:   server.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestRequests counts the requests of both algorithms for the same instances. In the
// steady state ours has to need fewer, although it confirms each deletion; a first run,
// in which most tags are dead, is shown beside it. The sequential algorithm deletes a
// few more: it sees its own deletions, and takes the caches of images that it has just
// deleted with them, which ours leaves for the next run.
func TestRequests(t *testing.T) {
	for _, dead := range []float64{0.01, 0.7} {
		t.Run(fmt.Sprintf("dead=%g", dead), func(t *testing.T) {
			w := world(dead)
			old, ours := gitlabtest.New(w), gitlabtest.New(w)
			loop := sequential{client: client(t, old), rules: defaultRules()}
			if err := loop.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			summary := report.NewSummary(false)
			options := pipeline.Options{Rules: defaultRules(), Workers: 16, Scope: pipeline.Scope{Membership: true}}
			if err := pipeline.Run(t.Context(), client(t, ours), options, summary); err != nil {
				t.Fatal(err)
			}
			if summary.Deleted != len(w.Truth()) || loop.deleted < summary.Deleted {
				t.Errorf("deleted %d, the sequential algorithm %d, of %d dead", summary.Deleted, loop.deleted, len(w.Truth()))
			}
			before, now := old.Stats(), ours.Stats()
			t.Logf("%d tags, %d deleted: sequential %d requests, registry-gc %d, ratio %.1f",
				summary.Tags, summary.Deleted, before.Total, now.Total, float64(before.Total)/float64(now.Total))
			for _, endpoint := range endpoints(before, now) {
				t.Logf("  %7d %7d  %s", before.ByEndpoint[endpoint], now.ByEndpoint[endpoint], endpoint)
			}
			if dead < 0.1 && now.Total*3/2 > before.Total {
				t.Errorf("%d requests where the sequential algorithm needs %d", now.Total, before.Total)
			}
		})
	}
}

// endpoints returns the names of all endpoints asked, in order.
func endpoints(stats ...gitlabtest.Stats) []string {
	names := make(map[string]bool)
	for _, s := range stats {
		for name := range s.ByEndpoint {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
