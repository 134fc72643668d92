package pipeline_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// planned returns the plan that a dry run has made.
func planned(o *outcome) *plan.Plan {
	p := new(plan.Plan)
	for _, name := range names(o.decisions) {
		if d := o.decisions[name]; d.Outcome == report.Marked {
			p.Entries = append(p.Entries, report.EntryOf(d))
		}
	}
	return p
}

// A memoryJournal keeps the records of a run.
type memoryJournal struct {
	mu      sync.Mutex
	records []plan.Record
	full    int // how many records it has room for; 0 for any number
}

// Record implements pipeline.Journal.
func (j *memoryJournal) Record(_ string, records ...plan.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full > 0 && len(j.records)+len(records) > j.full {
		return errors.New("no space left on device")
	}
	j.records = append(j.records, records...)
	return nil
}

// of returns the records of an event, by tag.
func (j *memoryJournal) of(event plan.Event) map[string]plan.Record {
	records := make(map[string]plan.Record)
	for _, r := range j.records {
		if r.Event == event {
			records[r.Repository+":"+r.Tag] = r
		}
	}
	return records
}

// planAndApply makes a plan of a trial, lets the world go on, and applies it.
func (tr *trial) planAndApply(t *testing.T, between func(*plan.Plan)) (applied *outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		tr.options.DryRun = true
		p := planned(tr.run(t.Context(), t))
		if gone := deleted(tr.server); len(gone) > 0 {
			t.Fatalf("the plan has deleted %q", names(gone))
		}
		if between != nil {
			between(p)
		}
		tr.options.DryRun, tr.options.Plan = false, p
		applied = tr.run(t.Context(), t)
		checkSums(t, applied)
		if applied.Tags != len(p.Entries) {
			t.Errorf("%d of %d entries of the plan were decided upon", applied.Tags, len(p.Entries))
		}
		tr.options.Plan = nil
	})
	return applied
}

// TestApplyDeletesThePlan plans and applies on random worlds by each evidence: what goes is what a run
// would have deleted, and a second time nothing does. The one difference is what an application sees too
// little to tell from a registry that has lost its memory: orphans of empty repositories, where none of the
// plan shows tags.
func TestApplyDeletesThePlan(t *testing.T) {
	for _, e := range evidences {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(e.name, "/", seed), func(t *testing.T) {
				t.Parallel()
				atOnce := registryTrial(gitlabtest.Random(seed, e.regime).World(), e.verify, gitlabtest.WithSeed(seed))
				atOnce.runInBubble(t)
				tr := registryTrial(gitlabtest.Random(seed, e.regime).World(), e.verify, gitlabtest.WithSeed(seed))
				var p *plan.Plan
				tr.options.PlanIsNew = true // by GitLab's word not all digests are known
				got := tr.planAndApply(t, func(made *plan.Plan) { p = made })
				want, unsure := deleted(atOnce.server), 0
				for _, entry := range p.Entries {
					name := entry.Repository + ":" + entry.Tag
					if entry.CounterpartEmpty && got.decisions[name].Reason == policy.OutageSuspected {
						delete(want, name)
						unsure++
					}
				}
				if diff := cmp.Diff(want, deleted(tr.server)); diff != "" {
					t.Errorf("deleted (-by a run +by the plan): %s", diff)
				}
				if got.err != nil || got.Deleted != len(want) || got.Undecided != unsure || got.Failed > 0 || unsure > 0 && shows(p) {
					t.Errorf("%v: %d of %d deleted, %d undecided, %d failed: %v", got.err, got.Deleted, len(want), got.Undecided, got.Failed, got.Reasons)
				}
				tr.options.Plan = p
				again := tr.runInBubble(t)
				if again.err != nil || again.Deleted > 0 || again.Reasons[report.GoneAlready]+unsure != len(p.Entries) {
					t.Errorf("a second time: %v, %v", again.err, again.Reasons)
				}
			})
		}
	}
}

// shows reports whether the image repository of some cache in a plan has tags.
func shows(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Entries, func(e plan.Entry) bool {
		return policy.Reason(e.Reason) == counterpartTagMissing && !e.CounterpartEmpty
	})
}

// TestApplyVisitsThePlanAlone counts what is asked: the plan's repositories are listed once for decisions,
// and of others nothing is.
func TestApplyVisitsThePlanAlone(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		world := withOrphans(regime, 6, 4)
		tr := registryTrial(world, pipeline.VerifyRegistry)
		var mu sync.Mutex
		var asked []gitlabtest.Request
		var p *plan.Plan
		got := tr.planAndApply(t, func(made *plan.Plan) {
			first := made.Entries[0].Repository
			made.Entries = slices.DeleteFunc(made.Entries, func(e plan.Entry) bool { return e.Repository != first })
			p = made
			tr.server.OnRequest(func(r gitlabtest.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r)
			})
		})
		if got.err != nil || got.Deleted != len(p.Entries) || len(deleted(tr.server)) != len(p.Entries) {
			t.Errorf("%v: %d of %d deleted", got.err, got.Deleted, len(p.Entries))
		}
		repository := p.Entries[0].Repository
		for _, r := range asked {
			_, path, ofRepository := strings.Cut(r.Path, "/g/p/")
			path, _, _ = strings.Cut("g/p/"+path, "/tags")
			path, _, _ = strings.Cut(path, "/manifests")
			if ofRepository && path != repository && path != strings.TrimSuffix(repository, ".cache") {
				t.Errorf("%s %s is of no repository of the plan", r.Method, r.Path)
			}
		}
		t.Logf("%s: %d requests for %d candidates", got.Regime, len(asked), len(p.Entries))
	}
}

// TestApplyOfWhatHasChanged changes the world between plan and application in every way that matters to
// an entry. What is not as it was stays, with its reason, which is what an application is for.
func TestApplyOfWhatHasChanged(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			tr := registryTrial(withOrphans(e.regime, 7, 6), e.verify)
			want := make(map[string]policy.Reason)
			got := tr.planAndApply(t, func(p *plan.Plan) {
				must := func(err error) {
					if err != nil {
						t.Fatal(err)
					}
				}
				expect := func(e plan.Entry, reason policy.Reason) { want[e.Repository+":"+e.Tag] = reason }
				name := func(e plan.Entry) string { return strings.TrimPrefix(e.Repository, e.Project+"/") }
				exclude, err := pipeline.ParseExclude([]string{"g/p/app6.cache"})
				must(err)
				tr.options.Scope.Exclude = exclude
				for i, entry := range p.Entries {
					if entry.Repository == "g/p/app6.cache" {
						expect(entry, report.LeftAlone)
						continue
					}
					switch i % 6 {
					case 0: // it has been pushed again
						must(tr.server.Push(entry.Project, name(entry), entry.Tag, gitlabtest.KindCacheManifest))
						expect(entry, report.Changed)
					case 1: // somebody else has deleted it
						must(tr.server.Remove(entry.Project, name(entry), entry.Tag))
						expect(entry, report.GoneAlready)
					case 2: // its image is there again
						must(tr.server.Push(entry.Project, strings.TrimSuffix(name(entry), ".cache"), entry.Tag, gitlabtest.KindImage))
						expect(entry, counterpartPresent)
					case 3: // the plan was of another digest
						p.Entries[i].Digest = "sha256:" + strings.Repeat("0", 64)
						expect(entry, report.Changed)
					}
				}
			})
			for name, reason := range want {
				d := got.decisions[name]
				keeps := reason == counterpartPresent && d.Reason == "no-rule"
				if d.Outcome != report.Kept || d.Reason != reason && !keeps {
					t.Errorf("%s: %s %s %s, want it kept as %s", name, d.Outcome, d.Reason, d.Detail, reason)
				}
			}
			if len(want) == 0 || got.err != nil || got.Undecided+got.Failed > 0 || got.Deleted != got.Tags-len(want) {
				t.Errorf("%v: of %d, %d deleted, %d kept, %d undecided, %d failed", got.err, got.Tags, got.Deleted, got.Kept, got.Undecided, got.Failed)
			}
			if gone := deleted(tr.server); len(gone) != got.Deleted {
				t.Errorf("%d are gone, %d count as deleted", len(gone), got.Deleted)
			}
		})
	}
}

// TestApplyUnderFaults holds promise 2, a doubt keeps the tag, where a plan is applied while the instance
// fails, in whatever way: it may lose nothing that a plan of dead tags does not have, nor a tag that came
// to life meanwhile.
func TestApplyUnderFaults(t *testing.T) {
	for _, e := range evidences {
		for seed := range uint64(1) { // of each evidence
			for name, faults := range lasting(seed) {
				t.Run(fmt.Sprintf("%s/%s/%d", e.name, name, seed), func(t *testing.T) {
					t.Parallel()
					world := gitlabtest.Random(3000+seed, e.regime).World()
					dead := world.TruthUnder(e.truth)
					tr := registryTrial(world, e.verify, gitlabtest.WithSeed(seed))
					tr.client.MaxRetries = 1
					entries := make(map[string]bool)
					tr.planAndApply(t, func(p *plan.Plan) {
						for i, entry := range p.Entries {
							if i%4 == 1 && entry.Digest != "" && tr.server.Push(entry.Project, strings.TrimPrefix(strings.TrimPrefix(entry.Repository, entry.Project), "/"), entry.Tag, gitlabtest.KindImage) == nil {
								delete(dead, entry.Repository+":"+entry.Tag)
							}
							entries[entry.Repository+":"+entry.Tag] = true
							if image := strings.TrimSuffix(entry.Repository, ".cache"); i%3 == 0 && image != entry.Repository && policy.Reason(entry.Reason) == counterpartTagMissing {
								if tr.server.Push(entry.Project, strings.TrimPrefix(strings.TrimPrefix(image, entry.Project), "/"), entry.Tag, gitlabtest.KindImage) == nil {
									delete(dead, entry.Repository+":"+entry.Tag)
								}
							}
						}
						tr.server.SetFaults(faults...)
					})
					for name := range deleted(tr.server) {
						if !entries[name] || dead[name] == "" {
							t.Errorf("%s was deleted: in the plan %t, dead %q", name, entries[name], dead[name])
						}
					}
				})
			}
		}
	}
}

// TestNothingGoesUnrecorded lets the journal fill up: what the server has deleted is what the journal
// has, each with its digest where one is known, and after the first record that cannot be written nothing
// is sent any more.
func TestNothingGoesUnrecorded(t *testing.T) {
	for _, e := range evidences {
		for _, room := range []int{0, 1, 7, 60} {
			t.Run(fmt.Sprint(e.name, "/", room), func(t *testing.T) {
				tr := registryTrial(withOrphans(e.regime, 12, 9), e.verify)
				journal := &memoryJournal{full: room}
				tr.options.Journal = journal
				got := tr.runInBubble(t)
				recorded := journal.of(plan.Deleting)
				for name := range deleted(tr.server) {
					if recorded[name].Digest == "" {
						t.Errorf("%s is gone, and the journal has %+v", name, recorded[name])
					}
				}
				switch {
				case room == 0 && (got.err != nil || len(journal.of(plan.Deleted)) != got.Deleted || got.Deleted != 12*9):
					t.Errorf("%v: %d deleted, %d of them recorded as that", got.err, got.Deleted, len(journal.of(plan.Deleted)))
				case room > 0 && !errors.Is(got.err, pipeline.ErrJournal):
					t.Errorf("a full disk: %v", got.err)
				}
			})
		}
	}
}
