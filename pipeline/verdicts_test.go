package pipeline_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestVerdictsDoNotDependOnTiming runs the same worlds with 1, 4 and 64 workers and
// with answers that take their time.
func TestVerdictsDoNotDependOnTiming(t *testing.T) {
	for seed := range *worlds / 4 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			world := gitlabtest.Random(seed, gitlabtest.Legacy).World()
			var first map[string]policy.Reason
			for _, workers := range []int{1, 4, 64} {
				tr := newTrial(world, gitlabtest.WithSeed(seed+uint64(workers)), gitlabtest.WithFaults(
					gitlabtest.Fault{Probability: 0.3, Effect: gitlabtest.Latency(300 * time.Millisecond)},
					gitlabtest.Fault{Probability: 0.1, Effect: gitlabtest.Latency(2 * time.Second)}))
				tr.options.Workers = workers
				tr.client.Concurrency = workers
				got := tr.runInBubble(t).verdicts()
				if first == nil {
					first = got
				}
				if diff := cmp.Diff(first, got); diff != "" {
					t.Errorf("verdicts with 1 and with %d workers:\n%s", workers, diff)
				}
			}
		})
	}
}

// TestCounterpartDeletedByTheRun: verdicts rest on the instance as it was. A cache whose
// image goes in this run goes in the next one.
func TestCounterpartDeletedByTheRun(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	p.AddRepository("healthy").AddTag("a", gitlabtest.KindImage) // so that orphans need not wait for a date
	for i := range 1000 {
		app.AddTag(fmt.Sprint("l-", i), gitlabtest.KindImage) // on the last of the pages, which shift while tags go
		app.AddTag(fmt.Sprint("f-", i), gitlabtest.KindAttestedImage)
		cache.AddTag(fmt.Sprint("f-", i), gitlabtest.KindCacheManifest)
	}
	for i := range 30 {
		cache.AddTag(fmt.Sprint("a-orphan-", i), gitlabtest.KindCacheManifest)
	}
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Latency(time.Second)},
		gitlabtest.Fault{Path: tagLists, Effect: gitlabtest.Latency(100 * time.Millisecond)}))
	tr.options.Workers, tr.client.Concurrency = 40, 40
	first := tr.runInBubble(t)
	want := map[policy.Reason]int{
		policy.NoRule:         1001,
		detailsMissing:        1000,
		counterpartPresent:    1000,
		counterpartTagMissing: 30,
	}
	if diff := cmp.Diff(want, first.Reasons); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	second := tr.runInBubble(t)
	want = map[policy.Reason]int{policy.NoRule: 1001, counterpartTagMissing: 1000}
	if diff := cmp.Diff(want, second.Reasons); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
}

// TestListsThatFailQuietly: GitLab answers with an empty list, and a success, when the
// registry fails to list. The counterpart here has no details either: it is there all
// the same.
func TestListsThatFailQuietly(t *testing.T) {
	tests := []struct {
		name       string
		app, cache gitlabtest.Fault // for the lists of either repository
	}{
		{"two readings, and the third is whole",
			gitlabtest.Fault{Count: 2, Effect: gitlabtest.CutList(0)}, gitlabtest.Fault{}},
		{"four readings, and the fifth is whole",
			gitlabtest.Fault{Count: 4, Effect: gitlabtest.CutList(0)}, gitlabtest.Fault{}},
		{"all readings, after the cache was listed",
			gitlabtest.Fault{Effect: gitlabtest.RegistryOutage()}, gitlabtest.Fault{Skip: 2, Effect: gitlabtest.RegistryOutage()}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			cache, app := p.AddRepository("app.cache"), p.AddRepository("app")
			cache.AddTag("x", gitlabtest.KindCacheManifest)
			app.AddTag("a", gitlabtest.KindImage)
			app.AddTag("latest", gitlabtest.KindMultiArch)
			app.AddTag("x", gitlabtest.KindMultiArch)
			healthy := p.AddRepository("healthy")
			healthy.AddTag("h", gitlabtest.KindImage)
			test.app.Path = regexp.MustCompile(fmt.Sprintf("/%d/tags$", app.ID))
			test.cache.Path = regexp.MustCompile(fmt.Sprintf("/%d/tags$", cache.ID))
			faults := []gitlabtest.Fault{test.app}
			if test.cache.Effect != nil {
				faults = append(faults, test.cache)
			}
			tr := newTrial(world, gitlabtest.WithFaults(faults...))
			tr.options.Workers = 1 // the regime is asked of the cache
			got := tr.runInBubble(t)
			if _, gone := deleted(tr.server)["g/p/app.cache:x"]; gone {
				t.Error("the cache was deleted, though its image is there")
			}
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != policy.CounterpartUnknown {
				t.Errorf("decided %s (%s)", d.Reason, d.Detail)
			}
		})
	}
}

// TestRepositoriesBeingDeleted are skipped, and count as having every counterpart.
func TestRepositoriesBeingDeleted(t *testing.T) {
	for status, want := range map[string]policy.Reason{
		"delete_scheduled": counterpartPresent,
		"delete_ongoing":   counterpartPresent,
		"delete_failed":    counterpartTagMissing,
	} {
		t.Run(status, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			p.AddRepository("healthy").AddTag("a", gitlabtest.KindImage)
			app := p.AddRepository("app")
			app.Status = status
			app.AddTag("dead", gitlabtest.KindCacheIndex)
			p.AddRepository("app.cache").AddTag("x", gitlabtest.KindCacheManifest)
			got := newTrial(world).runInBubble(t)
			if reason := got.decisions["g/p/app.cache:x"].Reason; reason != want {
				t.Errorf("decided %s, want %s", reason, want)
			}
			_, touched := got.decisions["g/p/app:dead"]
			skipped := got.Skipped[report.RepositoryDeleting] == 1
			if deleting := status != "delete_failed"; touched == deleting || skipped != deleting {
				t.Errorf("its own tag was decided upon: %t, skipped: %t", touched, skipped)
			}
		})
	}
}

// TestTwoRepositoriesOfAName: a project whose listing has a name twice counts as
// unreadable; nothing in it is touched, and the rest of the run goes on.
func TestTwoRepositoriesOfAName(t *testing.T) {
	for name, scope := range map[string]pipeline.Scope{"all": {}, "group": {Groups: []string{"g"}}} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p, q := world.AddProject("g/p"), world.AddProject("g/q")
			app, twin, cache := p.AddRepository("app"), p.AddRepository("twin"), p.AddRepository("app.cache")
			app.AddTag("x", gitlabtest.KindImage)
			twin.AddTag("y", gitlabtest.KindImage)
			cache.AddTag("x", gitlabtest.KindCacheManifest)
			cache.AddTag("dead", gitlabtest.KindCacheIndex)
			other := q.AddRepository("other")
			other.AddTag("dead", gitlabtest.KindCacheIndex)
			other.AddTag("a", gitlabtest.KindImage)
			entries := []*gitlabtest.Repository{app, cache, twin}
			lists := repositoriesOf(p)
			if len(scope.Groups) > 0 {
				entries, lists = append(entries, other), regexp.MustCompile("^/groups/g/registry/repositories$")
			}
			twins := strings.Replace(listed(entries...), `"name":"twin"`, `"name":"app"`, 1)
			tr := newTrial(world, gitlabtest.WithoutGraphQL(),
				gitlabtest.WithFaults(gitlabtest.Fault{Path: lists, Effect: gitlabtest.Reply(200, twins)}))
			tr.options.Scope = scope
			got := tr.runInBubble(t)
			want := map[string]policy.Reason{"g/q/other:dead": detailsMissing, "g/q/other:a": policy.NoRule}
			if diff := cmp.Diff(want, got.verdicts()); diff != "" || got.Unreadable != 1 || got.Projects != 1 {
				t.Errorf("unreadable %d, projects %d, verdicts (-want +got):\n%s", got.Unreadable, got.Projects, diff)
			}
		})
	}
}

// TestRegimeIsAskedOfEach: a repository with fewer than two tags may leave the regime
// open. Then the next is asked, also one that waited meanwhile: the verdicts on a
// repository with two tags or more never hang on which came first.
func TestRegimeIsAskedOfEach(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	want := make(map[string]policy.Reason)
	for i := range 12 {
		p.AddRepository(fmt.Sprintf("a-%02d", i)).AddTag("single", gitlabtest.KindImage)
		want[fmt.Sprintf("g/p/a-%02d:single", i)] = policy.NoRule
	}
	for _, name := range []string{"b.cache", "c.cache"} {
		r := p.AddRepository(name)
		for _, tag := range []string{"x", "y"} {
			r.AddTag(tag, gitlabtest.KindImage)
			want["g/p/"+name+":"+tag] = counterpartRepositoryMissing
		}
	}
	for _, workers := range []int{1, 4, 64} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			tr := registryTrial(world, pipeline.VerifyAPI, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
			tr.options.Workers, tr.client.Concurrency = workers, workers
			got := tr.runInBubble(t)
			if diff := cmp.Diff(want, got.verdicts()); diff != "" || got.Regime != "database" {
				t.Errorf("regime %s, verdicts (-want +got):\n%s", got.Regime, diff)
			}
		})
	}
}

// TestOutageGuard: with no sign of life among 20 tags nothing goes for what is missing;
// with fewer that is taken for a small instance.
func TestOutageGuard(t *testing.T) {
	tests := []struct {
		name    string
		kind    gitlabtest.Kind
		n       int
		more    []gitlabtest.Kind // further tags, in another project listed later
		orphans policy.Orphans
		want    policy.Reason
	}{
		{"19 without details", gitlabtest.KindCacheIndex, 19, nil, policy.OrphansAuto, detailsMissing},
		{"20 without details", gitlabtest.KindCacheIndex, 20, nil, policy.OrphansAuto, policy.OutageSuspected},
		{"500 without details, the last with", gitlabtest.KindCacheIndex, 500, []gitlabtest.Kind{gitlabtest.KindImage}, policy.OrphansAuto, detailsMissing},
		{"20 without details, the last without date", gitlabtest.KindCacheIndex, 20, []gitlabtest.Kind{gitlabtest.KindArtifact}, policy.OrphansAuto, detailsMissing},
		{"19 without dates", gitlabtest.KindCacheManifest, 19, nil, policy.OrphansAuto, counterpartRepositoryMissing},
		{"20 without dates", gitlabtest.KindCacheManifest, 20, nil, policy.OrphansAuto, policy.OutageSuspected},
		{"500 without dates, the last with", gitlabtest.KindCacheManifest, 500, []gitlabtest.Kind{gitlabtest.KindImage}, policy.OrphansAuto, counterpartRepositoryMissing},
		{"20 without dates, which matter for their age", gitlabtest.KindCacheManifest, 20, nil, policy.OrphansAny, policy.OutageSuspected},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			repository := world.AddProject("g/p").AddRepository("app.cache")
			for i := range test.n {
				repository.AddTag(fmt.Sprint("t-", i), test.kind)
			}
			later := world.AddProject("g/q").AddRepository("app")
			for i, kind := range test.more {
				later.AddTag(fmt.Sprint("t-", i), kind)
			}
			tr := newTrial(world)
			tr.options.Workers = 1
			if test.orphans == policy.OrphansAny {
				tr.rules, tr.settings.Orphans = policy.Default(), test.orphans
			}
			got := tr.runInBubble(t)
			if got.Reasons[test.want] != test.n {
				t.Errorf("reasons %v, want %d of %s", got.Reasons, test.n, test.want)
			}
			if gone := len(deleted(tr.server)); (gone == 0) != (test.want == policy.OutageSuspected) {
				t.Errorf("deleted %d", gone)
			}
		})
	}
}

// TestTruncatedListing: of a listing that breaks off, what was read is accounted for
// and nothing deleted.
func TestTruncatedListing(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	p.AddRepository("healthy").AddTag("a", gitlabtest.KindImage)
	app := p.AddRepository("app")
	for i := range 150 {
		app.AddTag(fmt.Sprintf("t-%03d", i), gitlabtest.KindCacheIndex)
	}
	list := fmt.Sprintf("/projects/%d/registry/repositories/%d/tags", p.ID, app.ID)
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: regexp.MustCompile(list), Skip: 1, Effect: gitlabtest.Refuse(400)}))
	tr.options.Workers = 1 // the regime is asked of the other repository
	got := tr.runInBubble(t)
	if got.Unreadable != 1 || got.Reasons[policy.ListingIncomplete] != 100 || got.Deleted != 0 {
		t.Errorf("%s: unreadable %d, reasons %v", list, got.Unreadable, got.Reasons)
	}
}

// scopeWorld has projects in nested groups.
func scopeWorld() *gitlabtest.World {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	for _, path := range []string{"a/one", "a/sub/two", "a/sub/deep/three", "b/four", "b/five"} {
		p := world.AddProject(path)
		p.AddRepository("").AddTag("healthy", gitlabtest.KindImage)
		p.AddRepository("app.cache").AddTag("dead", gitlabtest.KindCacheManifest)
	}
	world.AddProject("a/empty")
	archived := world.AddProject("a/sub/archived")
	archived.Archived = true
	archived.AddRepository("app.cache").AddTag("out-of-reach", gitlabtest.KindCacheManifest)
	disabled := world.AddProject("b/disabled")
	disabled.RegistryDisabled = true
	disabled.AddRepository("app.cache").AddTag("out-of-reach", gitlabtest.KindCacheManifest)
	foreign := world.AddProject("c/foreign")
	foreign.NotMember = true
	foreign.AddRepository("app.cache").AddTag("out-of-reach", gitlabtest.KindCacheManifest)
	return world
}

func TestScope(t *testing.T) {
	tests := []struct {
		name               string
		scope              pipeline.Scope
		projects           []string // with a dead tag each
		archived, disabled int
		lists              map[string]int // requests by endpoint
	}{
		{"everything of the user's", pipeline.Scope{Membership: true},
			[]string{"a/one", "a/sub/two", "a/sub/deep/three", "b/four", "b/five"}, 1, 1,
			map[string]int{"GET /projects/:id/registry/repositories": 0, "POST /api/graphql query": 2}},
		{"a group", pipeline.Scope{Groups: []string{"a"}},
			[]string{"a/one", "a/sub/two", "a/sub/deep/three"}, 1, 0,
			map[string]int{"GET /groups/:id/registry/repositories": 1, "GET /projects/:id/registry/repositories": 0}},
		{"a subgroup", pipeline.Scope{Groups: []string{"a/sub"}},
			[]string{"a/sub/two", "a/sub/deep/three"}, 1, 0, nil},
		{"groups that overlap", pipeline.Scope{Groups: []string{"a/sub/deep", "a", "a/sub"}},
			[]string{"a/one", "a/sub/two", "a/sub/deep/three"}, 1, 0, nil},
		{"projects", pipeline.Scope{Projects: []string{"b/four", "a/sub/two", "b/four", "b/disabled"}},
			[]string{"b/four", "a/sub/two"}, 0, 1, nil},
		{"both", pipeline.Scope{Groups: []string{"a/sub"}, Projects: []string{"b/five", "a/sub/two"}},
			[]string{"a/sub/two", "a/sub/deep/three", "b/five"}, 1, 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(scopeWorld())
			tr.options.Scope = test.scope
			tr.settings.Orphans = policy.OrphansAny
			got := tr.runInBubble(t)
			want := make(map[string]string)
			for _, project := range test.projects {
				want[project+"/app.cache:dead"] = string(counterpartRepositoryMissing)
			}
			if diff := cmp.Diff(want, deleted(tr.server)); diff != "" || got.err != nil {
				t.Errorf("error %v, deleted (-want +got):\n%s", got.err, diff)
			}
			if got.Skipped[report.ProjectArchived] != test.archived || got.Skipped[report.RegistryDisabled] != test.disabled {
				t.Errorf("skipped %v", got.Skipped)
			}
			for endpoint, n := range test.lists {
				// An orphan without counterpart repository has its project's list read again.
				again := 0
				if endpoint == "GET /projects/:id/registry/repositories" {
					again = len(test.projects)
				}
				if sent := tr.server.Stats().ByEndpoint[endpoint]; sent != n+again {
					t.Errorf("%s: %d requests, want %d", endpoint, sent, n+again)
				}
			}
		})
	}
}

// TestProjectListingBreaksOff: a token that is not accepted any more ends the run, also
// in the middle of the list of projects; after any other failure what was listed stands.
func TestProjectListingBreaksOff(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	for i := range 150 {
		world.AddProject(fmt.Sprintf("g/p-%03d", i)).AddRepository("app").AddTag("a", gitlabtest.KindImage)
	}
	for name, scope := range map[string]pipeline.Scope{"all": {}, "group": {Groups: []string{"g"}}} {
		for status, want := range map[int]error{401: throttle.ErrUnauthorized, 403: nil} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				tr := newTrial(world, gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(gitlabtest.Fault{
					Path: regexp.MustCompile("^(/groups/g)?/projects$"), Skip: 1, Effect: gitlabtest.Status(status)}))
				tr.options.Scope = scope
				got := tr.runInBubble(t)
				if !errors.Is(got.err, want) {
					t.Errorf("error %v, want %v", got.err, want)
				}
				if want == nil && (got.Tags != 100 || got.Unreadable == 0) {
					t.Errorf("%d tags, unreadable %d", got.Tags, got.Unreadable)
				}
			})
		}
	}
}

// TestOneNameOfTheScopeFails: a project or group that cannot be read just now does not
// keep the others from being walked.
func TestOneNameOfTheScopeFails(t *testing.T) {
	for name, test := range map[string]struct {
		scope pipeline.Scope
		path  string
	}{
		"project": {pipeline.Scope{Projects: []string{"a/one", "b/four"}}, "^/projects/a/one$"},
		"group":   {pipeline.Scope{Groups: []string{"a", "b"}}, "^/groups/a(/|$)"},
		"both":    {pipeline.Scope{Groups: []string{"a"}, Projects: []string{"b/four"}}, "^/groups/a(/|$)"},
	} {
		for _, status := range []int{403, 500} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				tr := newTrial(scopeWorld(), gitlabtest.WithFaults(
					gitlabtest.Fault{Path: regexp.MustCompile(test.path), Effect: gitlabtest.Status(status)}))
				tr.options.Scope = test.scope
				got := tr.runInBubble(t)
				_, walked := got.decisions["b/four/app.cache:dead"]
				_, strange := got.decisions["a/one/app.cache:dead"]
				if got.err != nil || got.Unreadable == 0 || !walked || strange {
					t.Errorf("error %v, unreadable %d, the other walked: %t, itself: %t", got.err, got.Unreadable, walked, strange)
				}
			})
		}
	}
}

// TestScopeThatIsNotThere ends a run where nothing of the scope is there. One name of several holds up
// none of the others, and is told.
func TestScopeThatIsNotThere(t *testing.T) {
	for name, test := range map[string]struct {
		scope pipeline.Scope
		kind  string // of what ends the run; "" for the walk of the others
	}{
		"the group":           {pipeline.Scope{Groups: []string{"no/such"}}, "group"},
		"the project":         {pipeline.Scope{Projects: []string{"no/such"}}, "project"},
		"all":                 {pipeline.Scope{Groups: []string{"no/such", "nor/this"}, Projects: []string{"no/such"}}, "group"},
		"one of two groups":   {pipeline.Scope{Groups: []string{"no/such", "b"}}, ""},
		"one of two names":    {pipeline.Scope{Groups: []string{"no/such"}, Projects: []string{"b/four"}}, ""},
		"one of the projects": {pipeline.Scope{Projects: []string{"b/four", "no/such"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(scopeWorld())
			tr.options.Scope = test.scope
			var told []error
			tr.handlers = append(tr.handlers, unreadable(func(e report.Unreadable) { told = append(told, e.Err) }))
			got := tr.runInBubble(t)
			errs := append(told, got.err)
			missing, ok := errors.AsType[*pipeline.ScopeError](errors.Join(errs...))
			if !ok || missing.Name != "no/such" || test.kind != "" && missing.Kind != test.kind {
				t.Errorf("errors %v", errs)
			}
			_, walked := got.decisions["b/four/app.cache:dead"]
			if ends := got.err != nil; ends != (test.kind != "") || walked == ends || got.Unreadable != len(told) || len(told) > 1 {
				t.Errorf("error %v, walked %t, told %v", got.err, walked, told)
			}
		})
	}
}

// An unreadable function is told of what could not be read.
type unreadable func(report.Unreadable)

// Handle implements report.Handler.
func (u unreadable) Handle(e report.Event) error {
	if e, ok := e.(report.Unreadable); ok {
		u(e)
	}
	return nil
}
