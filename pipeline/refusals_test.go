package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// manyProjects returns a world of so many projects, each with so many orphans in each of so many cache
// repositories.
func manyProjects(regime gitlabtest.Regime, projects, pairs, orphans int) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	for n := range projects {
		p := world.AddProject(fmt.Sprintf("g%d/p", n))
		for i := range pairs {
			app, cache := p.AddRepository(fmt.Sprint("app", i)), p.AddRepository(fmt.Sprintf("app%d.cache", i))
			app.AddTag("a", gitlabtest.KindImage)
			cache.AddTag("a", gitlabtest.KindCacheManifest)
			for j := range orphans {
				cache.AddTag(fmt.Sprintf("o-%05d", j), gitlabtest.KindCacheManifest)
			}
		}
	}
	return world
}

// TestOrganizationInMaintenance: of the projects some answer 503 with a Retry-After of a minute, reads
// too. The others are done in the time that they take alone.
func TestOrganizationInMaintenance(t *testing.T) {
	latency := gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)}
	// lasted is how long it takes until the last tag of a project that is well is decided.
	const projects = 20
	lasted := func(t *testing.T, regime gitlabtest.Regime, verify pipeline.Verify, sick int) (took time.Duration) {
		faults := []gitlabtest.Fault{latency}
		for i := range sick {
			faults = append(faults, gitlabtest.Fault{Repository: fmt.Sprintf("g%d/p", i), Effect: gitlabtest.RetryAfter(503, 60)})
		}
		tr := registryTrial(manyProjects(regime, projects, 12, 4), verify, gitlabtest.WithFaults(faults...))
		last := new(lastDeletion)
		tr.handlers = append(tr.handlers, last)
		synctest.Test(t, func(t *testing.T) {
			sleepUntilTagsAreOld()
			start := time.Now()
			got := tr.run(t.Context(), t)
			checkSums(t, got)
			took = last.at.Sub(start)
			if want := (projects - sick) * 12 * 4; got.err != nil || got.Deleted != want {
				t.Errorf("%v; %d deleted, want %d; reasons %v", got.err, got.Deleted, want, got.Reasons)
			}
			if whole := time.Since(start); whole > 3*time.Minute || sick > 0 && got.Unreadable+got.Undecided == 0 {
				t.Errorf("took %v, %d unreadable", whole, got.Unreadable)
			}
		})
		return took
	}
	for _, e := range evidences {
		all := lasted(t, e.regime, e.verify, 0)
		for _, sick := range []int{1, 19} {
			t.Run(fmt.Sprintf("%s, %d of %d", e.name, sick, projects), func(t *testing.T) {
				alone, beside := all*time.Duration(projects-sick)/projects, lasted(t, e.regime, e.verify, sick)
				t.Logf("alone %v, beside %v", alone, beside)
				most := alone * 12 / 10
				if sick > 1 {
					most += 2 * time.Second // to ask so many once
				}
				if beside > most {
					t.Errorf("took %v, alone %v", beside, alone)
				}
			})
		}
	}
}

// TestOrganizationThatComesBack: what was put aside for a pause is read when that is over.
func TestOrganizationThatComesBack(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			tr := registryTrial(manyProjects(e.regime, 4, 6, 4), e.verify, gitlabtest.WithFaults(
				gitlabtest.Fault{Repository: "g0/p", Effect: gitlabtest.RetryAfter(503, 60)}))
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				defer time.AfterFunc(30*time.Second, func() { tr.server.SetFaults() }).Stop()
				start := time.Now()
				got := tr.run(t.Context(), t)
				checkSums(t, got)
				if got.err != nil || got.Deleted != 4*6*4 || got.Unreadable > 0 || time.Since(start) > 2*time.Minute {
					t.Errorf("%v; %d deleted, %d unreadable, %d undecided after %v", got.err, got.Deleted, got.Unreadable, got.Undecided, time.Since(start))
				}
			})
		})
	}
}

// lastDeletion notes when the last tag was deleted.
type lastDeletion struct{ at time.Time }

// Handle implements report.Handler.
func (l *lastDeletion) Handle(e report.Event) error {
	if d, ok := e.(report.Decision); ok && d.Outcome == report.Deleted {
		l.at = time.Now()
	}
	return nil
}

// deletions counts the requests to delete that a server was sent.
func deletions(s *gitlabtest.Server) int {
	by := s.Stats().ByEndpoint
	return by[mutations] + by[singleOut]
}

// TestEveryDeletionRefused: when all deletions are refused alike they end, GitLab's words are told, and
// every tag is accounted for.
func TestEveryDeletionRefused(t *testing.T) {
	const maintenance, readOnly = "GitLab Maintenance: system is in maintenance mode", "You cannot perform write operations on a read-only instance"
	faults := func(effect gitlabtest.Effect) []gitlabtest.Fault { return []gitlabtest.Fault{{Effect: effect}} }
	for name, test := range map[string]struct {
		faults []gitlabtest.Fault
		words  string
	}{
		"maintenance":                        {faults(gitlabtest.Maintenance(503, 0)), "status 503: " + maintenance},
		"maintenance, and when to come back": {faults(gitlabtest.Maintenance(503, 60)), "status 503: " + maintenance},
		"read-only":                          {faults(gitlabtest.Maintenance(403, 0)), "status 403: " + readOnly},
		"read-only, as GraphQL says it": {[]gitlabtest.Fault{
			{Operation: "mutation", Effect: gitlabtest.GraphQLErrors(readOnly)}, {Method: "DELETE", Effect: gitlabtest.Maintenance(403, 0)}},
			"GitLab answers: " + readOnly},
		"the registry takes none": {faults(gitlabtest.RegistryReadOnly()), "status 400: 400 Bad request"},
	} {
		for shape, world := range map[string]*gitlabtest.World{
			// More tags than requests may be sent.
			"one project":      manyProjects(gitlabtest.Database, 1, 10, 60),
			"hundreds of them": manyProjects(gitlabtest.Database, 200, 1, 5),
			"one tag in each":  manyProjects(gitlabtest.Database, 400, 1, 1),
			"few tags in all":  manyProjects(gitlabtest.Database, 1, 1, 25),
		} {
			t.Run(name+"/"+shape, func(t *testing.T) {
				tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(append(test.faults,
					gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)})...), gitlabtest.WithLog())
				told := new(refusals)
				tr.handlers = append(tr.handlers, told)
				got := tr.runInBubble(t)
				var first, last time.Time
				for _, r := range tr.server.Requests() {
					if r.Operation == "mutation" || r.Method == "DELETE" {
						if last = r.Time; first.IsZero() {
							first = r.Time
						}
					}
				}
				n := deletions(tr.server)
				t.Logf("%d requests to delete in %v; failed %d, not tried %d", n, last.Sub(first), got.Failed, got.Reasons[report.DeletionsStopped])
				if got.err != nil || got.Refused != test.words || n > 200 || last.Sub(first) > time.Minute {
					t.Errorf("%v; refused: %q; %d requests to delete in %v", got.err, got.Refused, n, last.Sub(first))
				}
				dead := got.Reasons[report.DeleteFailed] + got.Reasons[report.DeletionsStopped]
				if len(deleted(tr.server)) > 0 || got.Reasons[report.DeleteForbidden] > 0 || dead != got.Tags-got.Kept || told.run != 1 || told.projects > 1 {
					t.Errorf("reasons %v; told %+v", got.Reasons, told)
				}
			})
		}
	}
}

// refusals counts what is told of deletions that are refused.
type refusals struct{ run, projects int }

// Handle implements report.Handler.
func (r *refusals) Handle(e report.Event) error {
	switch d, ok := e.(report.DeletionsRefused); {
	case !ok:
	case d.Project == "":
		r.run++
	default:
		r.projects++
	}
	return nil
}

// TestOneProjectRefuses: what one project refuses, for whatever reason, ends no deletion in others; and
// neither does one that is refused now and then.
func TestOneProjectRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		fault     gitlabtest.Fault
		deleted   int
		stopped   bool
		forbidden bool
	}{
		"all of it":          {gitlabtest.Fault{Repository: "g0/p", Effect: gitlabtest.Refuse(400)}, 9 * 100, true, false},
		"for want of a role": {gitlabtest.Fault{Repository: "g0/p", Effect: gitlabtest.Refuse(403)}, 9 * 100, true, true},
		"the first dozen":    {gitlabtest.Fault{Count: 12, Effect: gitlabtest.Refuse(400)}, 988, false, false},
		"every other":        {gitlabtest.Fault{Alternate: 1, Effect: gitlabtest.Refuse(400)}, 500, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			test.fault.Method = "DELETE"
			tr := registryTrial(manyProjects(gitlabtest.Database, 10, 1, 100), pipeline.VerifyRegistry,
				gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(test.fault))
			told := new(refusals)
			tr.handlers = append(tr.handlers, told)
			got := tr.runInBubble(t)
			stopped := got.Reasons[report.DeletionsStopped]
			if got.err != nil || got.Refused != "" || got.Deleted != test.deleted || stopped > 0 != test.stopped || told.run != 0 {
				t.Errorf("%v, refused %q, %d deleted, told %+v, reasons %v", got.err, got.Refused, got.Deleted, told, got.Reasons)
			}
			if got.Reasons[report.DeleteForbidden] > 0 != test.forbidden {
				t.Errorf("reasons %v", got.Reasons)
			}
		})
	}
}

// TestTriesOfATag are counted over all its life, however often its grounds are read again.
func TestTriesOfATag(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{
		"503":                gitlabtest.Status(503),
		"503 with a pause":   gitlabtest.RetryAfter(503, 3),
		"no answer":          gitlabtest.Cut(),
		"no answer for long": gitlabtest.Latency(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			tr := registryTrial(manyProjects(gitlabtest.Database, 1, 1, 1), pipeline.VerifyRegistry, gitlabtest.WithFaults(
				gitlabtest.Fault{Operation: "mutation", Effect: effect}, gitlabtest.Fault{Method: "DELETE", Effect: effect}))
			got := tr.runInBubble(t)
			n := deletions(tr.server)
			t.Log(n)
			if got.err != nil || got.Deleted+got.Failed != 1 || n > tr.client.MaxRetries+2 {
				t.Errorf("%v; failed %d; sent %d times", got.err, got.Failed, n)
			}
		})
	}
}

// TestForbiddenIsLookedInto: with a metadata database newest GitLabs answer 403, too, when they cannot
// look a tag up: it is gone, by a deletion whose answer was lost or by another client, or its name is
// short. By a mutation such a tag is confirmed by name.
func TestForbiddenIsLookedInto(t *testing.T) {
	lost := gitlabtest.Fault{Effect: gitlabtest.CutBody(), Count: 1}
	gone := "o-00001"
	for name, test := range map[string]struct {
		tag     string
		lost    string // the method or operation whose first answer is
		gone    bool   // another client is quicker
		options []gitlabtest.Option
		want    report.Outcome
		reason  policy.Reason
	}{
		"the answer of a deletion is lost": {tag: gone, lost: "DELETE", options: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, want: report.Deleted, reason: counterpartTagMissing},
		"the answer of a mutation is lost": {tag: gone, lost: "mutation", want: report.Deleted, reason: counterpartTagMissing},
		"another client was quicker":       {tag: gone, gone: true, options: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, want: report.Deleted, reason: counterpartTagMissing},
		"a short name":                     {tag: "1", want: report.Deleted, reason: counterpartTagMissing},
		"a short name over REST":           {tag: "1", options: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, want: report.Failed, reason: report.DeleteForbidden},
		"protected": {tag: gone, options: []gitlabtest.Option{gitlabtest.WithProtectedTags(regexp.MustCompile(gone))},
			want: report.Failed, reason: report.DeleteForbidden},
	} {
		for _, verify := range []pipeline.Verify{pipeline.VerifyAPI, pipeline.VerifyRegistry} {
			if test.tag == "1" && verify == pipeline.VerifyAPI {
				continue // its details cannot be looked up either
			}
			t.Run(fmt.Sprint(name, "/", verify), func(t *testing.T) {
				world := gitlabtest.NewWorld(gitlabtest.Database)
				p := world.AddProject("g/p")
				app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
				app.AddTag("a", gitlabtest.KindImage)
				cache.AddTag("a", gitlabtest.KindCacheManifest)
				cache.AddTag(test.tag, gitlabtest.KindCacheManifest)
				if test.tag == "1" {
					for i := range 100 {
						name := fmt.Sprintf("0-1-%d", i)
						app.AddTag(name, gitlabtest.KindImage)
						cache.AddTag(name, gitlabtest.KindCacheManifest)
					}
				}
				fault := lost
				if fault.Method = test.lost; test.lost == "mutation" {
					fault.Method, fault.Operation = "", test.lost
				}
				options := append(test.options, gitlabtest.WithGoneTagsForbidden())
				if test.lost != "" {
					options = append(options, gitlabtest.WithFaults(fault))
				}
				tr := registryTrial(world, verify, options...)
				var once atomic.Bool
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if test.gone && r.Method == "DELETE" && once.CompareAndSwap(false, true) {
						if err := tr.server.Remove("g/p", "app.cache", gone); err != nil {
							t.Error(err)
						}
					}
				})
				got := tr.runInBubble(t)
				if d := got.decisions["g/p/app.cache:"+test.tag]; got.err != nil || d.Outcome != test.want || d.Reason != test.reason {
					t.Errorf("%v; %s for %s (%s)", got.err, d.Outcome, d.Reason, d.Detail)
				}
			})
		}
	}
}

// TestStillListed: a deletion that is a success and changes nothing is no deletion. What is pushed again
// after it was, is.
func TestStillListed(t *testing.T) {
	for _, more := range []int{5, 1000} {
		for _, graphQL := range []bool{true, false} {
			t.Run(fmt.Sprint(more, " more, GraphQL ", graphQL), func(t *testing.T) {
				world := gitlabtest.NewWorld(gitlabtest.Legacy)
				app := world.AddProject("g/p").AddRepository("app")
				app.AddTag("alive", gitlabtest.KindImage)
				for i := range 5 {
					app.AddTag(fmt.Sprint("stray-", i), gitlabtest.KindManifestMissing)
				}
				for i := range more {
					app.AddTag(fmt.Sprintf("dead-%04d", i), gitlabtest.KindCacheIndex)
				}
				options := []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Unlinked(regexp.MustCompile("^stray-"))})}
				if !graphQL {
					options = append(options, gitlabtest.WithoutGraphQL())
				}
				tr := newTrial(world, options...)
				var once atomic.Bool
				tr.server.OnRequest(func(r gitlabtest.Request) {
					gone := tr.server.Deleted()
					if strings.HasSuffix(r.Path, "/tags") && len(gone) > 0 && once.CompareAndSwap(false, true) {
						if err := tr.server.Push("g/p", "app", gone[0].Tag, gitlabtest.KindImage); err != nil {
							t.Error(err)
						}
					}
				})
				got := tr.runInBubble(t)
				if got.err != nil || got.Deleted != more || got.Reasons[report.DeleteFailed] != 5 || len(tr.server.Deleted()) != more {
					t.Errorf("%v; %d deleted, reasons %v", got.err, got.Deleted, got.Reasons)
				}
				if d := got.decisions["g/p/app:stray-3"]; d.Outcome != report.Failed || !strings.Contains(d.Detail, "still listed") {
					t.Errorf("%s: %s", d.Outcome, d.Detail)
				}
				if lists := tr.server.PathCount(fmt.Sprintf("/projects/%d/registry/repositories/%d/tags?page=1", app.Project().ID, app.ID)); lists > 10 {
					t.Errorf("listed %d times", lists)
				}
			})
		}
	}
}
