package pipeline_test

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestOutageInMidRun: a registry that ceases to answer is not asked tag by tag. The run goes on where it
// was when it answers again, and ends when it does not.
func TestOutageInMidRun(t *testing.T) {
	const projects, pairs, orphans = 10, 5, 30
	for _, e := range evidences {
		for name, test := range map[string]struct {
			effect gitlabtest.Effect
			lasts  time.Duration
			most   int // requests that are lost to it
		}{
			"a minute, without connection": {gitlabtest.Cut(), time.Minute, 600},
			"a minute of 503":              {gitlabtest.Status(503), time.Minute, 600},
			"for good":                     {gitlabtest.Status(503), 24 * time.Hour, 1500},
		} {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				world := manyProjects(e.regime, projects, pairs, orphans)
				fault := gitlabtest.Fault{Effect: test.effect, Path: regexp.MustCompile("^/v2/.|^/gitlab/v1/.")}
				if e.verify == pipeline.VerifyAPI {
					fault.Path = regexp.MustCompile(`/registry/repositories/\d+/tags`)
				}
				latency := gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)}
				tr := registryTrial(world, e.verify, gitlabtest.WithFaults(latency), gitlabtest.WithLog())
				synctest.Test(t, func(t *testing.T) {
					sleepUntilTagsAreOld()
					start := time.Now()
					began := start.Add(time.Second)
					defer time.AfterFunc(time.Second, func() { tr.server.SetFaults(fault, latency) }).Stop()
					defer time.AfterFunc(time.Second+test.lasts, func() { tr.server.SetFaults(latency) }).Stop()
					got := tr.run(t.Context(), t)
					checkSums(t, got)
					lost := 0
					for _, r := range tr.server.Requests() {
						if r.Status == 503 || r.Status == 0 {
							lost++
						}
					}
					took := time.Since(began)
					t.Logf("took %v, %d requests lost, deleted %d, undecided %d, failed %d", took, lost, got.Deleted, got.Undecided, got.Failed)
					dead := world.TruthUnder(e.truth)
					for name := range deleted(tr.server) {
						if dead[name] == "" {
							t.Errorf("%s was deleted and is alive", name)
						}
					}
					ends := test.lasts > time.Hour
					if lost > test.most || took > 10*time.Minute || errors.Is(got.err, pipeline.ErrOutage) != ends || got.err != nil != ends {
						t.Errorf("%v; %d requests lost, %v", got.err, lost, took)
					}
					// What was being rechecked when the outage began, and again when it seemed over, may be
					// left for the next run: a request of each of the four deleters.
					const want, mayBeLeft = projects * pairs * orphans, 4 * 40
					if !ends && (got.Deleted+got.Undecided != want || got.Undecided > mayBeLeft || got.Unreadable > 0) {
						t.Errorf("deleted %d, want %d; %d unreadable, reasons %v", got.Deleted, want, got.Unreadable, got.Reasons)
						for name, d := range got.decisions {
							if d.Outcome == report.Undecided || d.Outcome == report.Failed {
								t.Errorf("%s: %s", name, d.Detail)
							}
						}
					}
				})
			})
		}
	}
}

// TestOneRepositoryIsNoOutage: what of one repository cannot be read holds up no other.
func TestOneRepositoryIsNoOutage(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			world := manyProjects(e.regime, 5, 2, 30)
			broken := fmt.Sprintf("%s/app1.cache", "g0/p")
			tr := registryTrial(world, e.verify, gitlabtest.WithFaults(gitlabtest.Fault{Repository: broken, Effect: gitlabtest.Status(500)}))
			tr.client.MaxRetries = 1
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				start := time.Now()
				got := tr.run(t.Context(), t)
				checkSums(t, got)
				if took := time.Since(start); got.err != nil || got.Deleted != 9*30 || took > time.Minute {
					t.Errorf("%v; deleted %d in %v", got.err, got.Deleted, took)
				}
			})
		})
	}
}

// TestOutageRefusesNoDeletions: while the registry does not answer, GitLab refuses deletions alike, which
// is no reason to send none when it does.
func TestOutageRefusesNoDeletions(t *testing.T) {
	for _, e := range evidences {
		if e.verify == pipeline.VerifyAPI {
			continue // there lists are empty in such an outage, and details 404
		}
		t.Run(e.name, func(t *testing.T) {
			latency := gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)}
			tr := registryTrial(manyProjects(e.regime, 10, 5, 30), e.verify, gitlabtest.WithFaults(latency))
			told := new(refusals)
			tr.handlers = append(tr.handlers, told)
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				out := []gitlabtest.Fault{latency, {Path: regexp.MustCompile("^/v2/.|^/gitlab/v1/."), Effect: gitlabtest.Status(503)}, {Effect: gitlabtest.RegistryReadOnly()}}
				var once sync.Once
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if r.Operation == "mutation" {
						once.Do(func() {
							tr.server.SetFaults(out...)
							time.AfterFunc(time.Minute, func() { tr.server.SetFaults(latency) })
						})
					}
				})
				got := tr.run(t.Context(), t)
				checkSums(t, got)
				lost := got.Undecided + got.Failed
				if got.err != nil || got.Refused != "" || told.run+told.projects > 0 || got.Deleted+lost != 1500 || lost > 4*40 {
					t.Errorf("%v; refused %q, told %+v; deleted %d, reasons %v", got.err, got.Refused, told, got.Deleted, got.Reasons)
				}
			})
		})
	}
}
