package pipeline_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
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
	for _, e := range evidences {
		for _, sick := range []int{1, 19} {
			t.Run(fmt.Sprintf("%s, %d of 20", e.name, sick), func(t *testing.T) {
				// lasted is how long it took until the last tag of a project that is well was decided.
				lasted := func(projects, sick int) time.Duration {
					faults := []gitlabtest.Fault{latency}
					for i := range sick {
						faults = append(faults, gitlabtest.Fault{Repository: fmt.Sprintf("g%d/p", i), Effect: gitlabtest.RetryAfter(503, 60)})
					}
					tr := registryTrial(manyProjects(e.regime, projects, 12, 4), e.verify, gitlabtest.WithFaults(faults...))
					last := new(lastDeletion)
					tr.handlers = append(tr.handlers, last)
					var took time.Duration
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
				alone, beside := lasted(20, 0)*time.Duration(20-sick)/20, lasted(20, sick)
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
