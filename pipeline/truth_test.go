package pipeline_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

var (
	tagLists = regexp.MustCompile(`/tags$`)
	details  = regexp.MustCompile(`/tags/[^/]+$`)
)

// passing are faults that pass: each path suffers fewer of them than there are
// retries. The first listing of some repositories is cut short with a success.
func passing() []gitlabtest.Fault {
	fault := func(probability float64, effect gitlabtest.Effect) gitlabtest.Fault {
		return gitlabtest.Fault{Probability: probability, Count: 1, PerPath: true, Effect: effect}
	}
	return []gitlabtest.Fault{
		fault(0.02, gitlabtest.Status(500)),
		fault(0.02, gitlabtest.Status(502)),
		fault(0.02, gitlabtest.Status(503)),
		fault(0.02, gitlabtest.Cut()),
		fault(0.02, gitlabtest.CutBody()),
		{Probability: 0.005, Count: 3, Effect: gitlabtest.RateLimited()},
		{Probability: 0.005, Count: 3, Effect: gitlabtest.RetryAfter(429, 7)},
		{Probability: 0.005, Count: 3, Effect: gitlabtest.RetryAfter(503, 2)},
		{Probability: 0.05, Effect: gitlabtest.Latency(3 * time.Second)},
		{Probability: 0.002, Count: 2, Effect: gitlabtest.Latency(time.Minute)},
		{Probability: 0.3, Effect: gitlabtest.CountTimeouts(4)},
		{Probability: 0.3, Effect: gitlabtest.NullProjects(3)},
		{Probability: 0.3, Effect: gitlabtest.NullRepositories(2)},
		{Probability: 0.3, Effect: gitlabtest.SkipDeletions(3)},
		{Probability: 0.3, Effect: gitlabtest.UnnamedDeletions(4)},
		{Probability: 0.3, Effect: gitlabtest.ExtraDeletedNames("main", "latest")},
		{Operation: "mutation", Probability: 0.1, Effect: gitlabtest.MutationTimeouts(3)},
		{Operation: "query", Probability: 0.1, Effect: gitlabtest.GraphQLErrors("Timeout on validation of query")},
	}
}

// TestDeletesWhatTheTruthAllows runs random worlds with faults that pass: what is
// deleted is exactly what is dead, for the reason for which it is dead.
func TestDeletesWhatTheTruthAllows(t *testing.T) {
	for seed := range *worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			world := gitlabtest.Random(seed, gitlabtest.Legacy).World()
			want := dead(world)
			options := []gitlabtest.Option{gitlabtest.WithSeed(seed), gitlabtest.WithFaults(passing()...)}
			if seed%5 == 0 {
				options = append(options, gitlabtest.WithoutGraphQL())
			}
			tr := newTrial(world, options...)
			tr.options.Workers = []int{1, 4, 16, 64}[seed%4]
			got := tr.runInBubble(t)
			if got.err != nil || got.Undecided+got.Failed > 0 {
				t.Errorf("error %v, undecided %d, failed %d", got.err, got.Undecided, got.Failed)
			}
			for name, d := range got.decisions {
				if d.Outcome == report.Undecided || d.Outcome == report.Failed {
					t.Errorf("%s: %s %s: %s", name, d.Outcome, d.Reason, d.Detail)
				}
			}
			if diff := cmp.Diff(want, deleted(tr.server)); diff != "" {
				t.Errorf("deleted (-dead +deleted):\n%s", diff)
			}
			for name, reason := range want {
				if d := got.decisions[name]; string(d.Reason) != reason {
					t.Errorf("%s was deleted for %s, is dead for %s", name, d.Reason, reason)
				}
			}
		})
	}
}

// lasting are faults that do not pass, or that GitLab passes off as success. No world
// may lose a live tag under any of them.
func lasting(seed uint64) map[string][]gitlabtest.Fault {
	skip := int(seed * 7 % 120)
	return map[string][]gitlabtest.Fault{
		"outage from some moment on":        {{Skip: skip, Effect: gitlabtest.RegistryOutage()}},
		"outage for a while":                {{Skip: skip, Count: 40, Effect: gitlabtest.RegistryOutage()}},
		"outage from the start, then over":  {{Count: 60, Effect: gitlabtest.RegistryOutage()}},
		"outage of details alone":           {{Path: details, Skip: skip, Effect: gitlabtest.RegistryOutage()}},
		"outage of lists alone":             {{Path: tagLists, Skip: skip / 10, Effect: gitlabtest.RegistryOutage()}},
		"first list cut short":              {{Path: tagLists, Count: 1, PerPath: true, Effect: gitlabtest.CutListTo(0.5)}},
		"second list cut short":             {{Path: tagLists, Skip: 1, Count: 1, PerPath: true, Effect: gitlabtest.CutListTo(0.3)}},
		"first two lists empty":             {{Path: tagLists, Count: 2, PerPath: true, Effect: gitlabtest.CutList(0)}},
		"one in a hundred requests fails":   {{Probability: 0.01, Effect: gitlabtest.RegistryOutage()}},
		"one in twenty requests fails":      {{Probability: 0.05, Effect: gitlabtest.RegistryOutage()}},
		"one in twenty dates unreadable":    {{Path: details, Probability: 0.05, Effect: gitlabtest.ConfigUnreadable()}},
		"registry unreachable":              {{Skip: skip, Effect: gitlabtest.RegistryUnreachable()}},
		"dates unreadable":                  {{Path: details, Skip: skip, Effect: gitlabtest.ConfigUnreadable()}},
		"dates unreadable for a while":      {{Path: details, Skip: skip, Count: 50, Effect: gitlabtest.ConfigUnreadable()}},
		"every tenth request fails":         {{Probability: 0.1, Effect: gitlabtest.Status(500)}},
		"half of the details fail":          {{Path: details, Probability: 0.5, Effect: gitlabtest.Status(500)}},
		"half of the lists fail":            {{Path: tagLists, Probability: 0.5, Effect: gitlabtest.Status(500)}},
		"deletions forbidden":               {{Method: "DELETE", Effect: gitlabtest.Refuse(403)}},
		"deletions refused":                 {{Method: "DELETE", Probability: 0.5, Effect: gitlabtest.Refuse(400)}},
		"a proxy's page instead of details": {{Path: details, Probability: 0.2, Effect: gitlabtest.HTML()}},
		"a proxy's 404":                     {{Path: details, Probability: 0.2, Effect: gitlabtest.Reply(404, "not here", "Content-Type", "text/plain")}},
		"deletions that GitLab invents":     {{Effect: gitlabtest.ExtraDeletedNames("latest", "main")}},
		"deletions that do not happen":      {{Operation: "mutation", Effect: gitlabtest.SkipDeletions(2)}},
		"the project's 404":                 {{Path: details, Probability: 0.2, Effect: gitlabtest.Reply(404, `{"message":"404 Project Not Found"}`)}},
	}
}

// TestNeverDeletesALiveTag holds promise 2, a doubt keeps the tag, under faults that do
// not pass.
func TestNeverDeletesALiveTag(t *testing.T) {
	for seed := range *worlds / 10 {
		for name, faults := range lasting(seed) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				world := gitlabtest.Random(1000+seed, gitlabtest.Legacy).World()
				tr := newTrial(world, gitlabtest.WithSeed(seed), gitlabtest.WithFaults(faults...))
				tr.client.MaxRetries = 1
				got := tr.runInBubble(t)
				onlyDead(t, tr.server)
				gone := deleted(tr.server)
				for name, d := range got.decisions {
					if _, really := gone[name]; d.Outcome == report.Deleted && !really {
						t.Errorf("%s counts as deleted and is not", name)
					}
				}
			})
		}
	}
}

// TestDatabaseLosesNothing: under the original rules nothing is dead on an instance
// with the metadata database, where a 404 proves nothing.
func TestDatabaseLosesNothing(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			tr := newTrial(gitlabtest.Random(seed, gitlabtest.Database).World())
			tr.settings.Orphans = policy.OrphansUndated
			got := tr.runInBubble(t)
			if gone := deleted(tr.server); len(gone) > 0 || got.Deleted > 0 {
				t.Errorf("deleted %q", names(gone))
			}
			if got.Regime != "database" {
				t.Errorf("regime %q", got.Regime)
			}
		})
	}
}
