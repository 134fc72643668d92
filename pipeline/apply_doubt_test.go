package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

var tagDetails = regexp.MustCompile(`/registry/repositories/[0-9]+/tags/[^/]+$`)

// TestApplyInAnOutageOfDetails: one of three tags without details is pushed again as an image, and then the
// details of all tags are 404 while lists work. A run keeps all for that, and so does an application, which
// sees too little to take an instance for a small one.
func TestApplyInAnOutageOfDetails(t *testing.T) {
	for _, apply := range []bool{false, true} {
		t.Run(fmt.Sprint("apply=", apply), func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			app := p.AddRepository("app")
			for i := range 3 {
				app.AddTag(fmt.Sprint("gone", i), gitlabtest.KindManifestMissing)
			}
			for i := range 10 {
				app.AddTag(fmt.Sprint("live", i), gitlabtest.KindImage)
			}
			for i := range 20 {
				r := p.AddRepository(fmt.Sprint("other", i))
				for j := range 5 {
					r.AddTag(fmt.Sprint("live", j), gitlabtest.KindImage)
				}
			}
			tr := registryTrial(world, pipeline.VerifyAPI)
			between := func(*plan.Plan) {
				if err := tr.server.Push("g/p", "app", "gone1", gitlabtest.KindImage); err != nil {
					t.Fatal(err)
				}
				tr.server.SetFaults(gitlabtest.Fault{Path: tagDetails, Effect: gitlabtest.RegistryOutage()})
			}
			var got *outcome
			if apply {
				got = tr.planAndApply(t, between)
			} else {
				between(nil)
				got = tr.runInBubble(t)
			}
			if gone := deleted(tr.server); len(gone) > 0 {
				t.Errorf("%q were deleted: %v", names(gone), got.Reasons)
			}
		})
	}
}

// TestApplyOfPlansThatOverlap: a tag that stands twice in what is applied is decided upon once.
func TestApplyOfPlansThatOverlap(t *testing.T) {
	for _, e := range evidences {
		t.Run(e.name, func(t *testing.T) {
			tr := registryTrial(withOrphans(e.regime, 2, 3), e.verify)
			journal := &memoryJournal{}
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr.options.DryRun = true
				p := planned(tr.run(t.Context(), t))
				p.Entries = append(p.Entries, p.Entries...)
				tr.options.DryRun, tr.options.Plan, tr.options.Journal = false, p, journal
				got := tr.run(t.Context(), t)
				checkSums(t, got)
				if got.Deleted != 6 || len(journal.records) != 2*6 {
					t.Errorf("%d deleted, %d records; want 6 and 12", got.Deleted, len(journal.records))
				}
			})
		})
	}
}

// TestApplyStoppedAtAnyList: wherever a stop finds an application, each entry comes to a decision.
func TestApplyStoppedAtAnyList(t *testing.T) {
	for k := 1; k <= 6; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			tr := registryTrial(withOrphans(gitlabtest.Legacy, 1, 3), pipeline.VerifyAPI)
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr.options.DryRun = true
				p := planned(tr.run(t.Context(), t))
				tr.options.DryRun, tr.options.Plan = false, p
				ctx, cancel := context.WithCancelCause(t.Context())
				lists := 0
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if strings.HasSuffix(r.Path, "/tags") {
						if lists++; lists == k {
							cancel(errors.New("SIGTERM"))
						}
					}
				})
				got := tr.run(ctx, t)
				if got.Tags != len(p.Entries) {
					t.Errorf("%v: %d of %d entries of the plan were decided upon", got.err, got.Tags, len(p.Entries))
				}
			})
		})
	}
}

// TestApplyInAnArchivedProject: nothing can be deleted there, and nothing is tried.
func TestApplyInAnArchivedProject(t *testing.T) {
	tr := registryTrial(withOrphans(gitlabtest.Database, 1, 3), pipeline.VerifyRegistry)
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		tr.options.DryRun = true
		p := planned(tr.run(t.Context(), t))
		world := withOrphans(gitlabtest.Database, 1, 3)
		world.Project("g/p").Archived = true
		tr = registryTrial(world, pipeline.VerifyRegistry)
		tr.options.Plan = p
		got := tr.run(t.Context(), t)
		if got.Reasons[report.LeftAlone] != 3 || got.Tags != 3 || tr.server.Stats().Changing > 0 {
			t.Errorf("%v; %d requests to change something", got.Reasons, tr.server.Stats().Changing)
		}
	})
}

// TestForbiddenWhileListsAreEmpty: while the registry fails GitLab answers 403 to deletions and lists no tag.
// By its word alone that is no proof that the tags are gone.
func TestForbiddenWhileListsAreEmpty(t *testing.T) {
	tr := registryTrial(withOrphans(gitlabtest.Database, 2, 3), pipeline.VerifyAPI)
	tr.client.MaxRetries = 1
	var deletes atomic.Bool
	tr.server.SetFaults(gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.GraphQLErrors("could not delete tags")},
		gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Refuse(403)})
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if r.Method == "DELETE" && deletes.CompareAndSwap(false, true) {
			tr.server.SetFaults(
				gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Refuse(403)},
				gitlabtest.Fault{Path: regexp.MustCompile(`/registry/repositories/[0-9]+/tags$`), Effect: gitlabtest.RegistryOutage()})
		}
	})
	got := tr.runInBubble(t)
	if got.Deleted != len(deleted(tr.server)) {
		t.Errorf("%d count as deleted, %d are gone", got.Deleted, len(deleted(tr.server)))
	}
}

// TestApplyWithoutDigest: a tag without details is pushed again after the plan, as an image for several
// platforms, of which GitLab has no details either. The plan does not say what the tag pointed to, so that it
// stays.
func TestApplyWithoutDigest(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTag("release", gitlabtest.KindManifestMissing)
	for i := range 10 {
		app.AddTag(fmt.Sprint("live", i), gitlabtest.KindImage)
	}
	tr := registryTrial(world, pipeline.VerifyAPI)
	got := tr.planAndApply(t, func(p *plan.Plan) {
		if err := tr.server.Push("g/p", "app", "release", gitlabtest.KindMultiArch); err != nil {
			t.Fatal(err)
		}
	})
	if got.Deleted > 0 || got.Reasons[report.WithoutDigest] != 1 {
		t.Errorf("deleted %v: %v", deleted(tr.server), got.Reasons)
	}
}

// TestApplyToAStorageThatIsLostAgain: storage loses a few manifests, a plan is made of these tags, storage is
// restored, and then much of it is gone. What was lost before is no excuse.
func TestApplyToAStorageThatIsLostAgain(t *testing.T) {
	for _, most := range []int{0, 1, 5, 10, 100} { // of the plan's lines; 0 for a run
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			for i := range 40 {
				r := p.AddRepository(fmt.Sprint("app", i))
				for j := range 25 {
					r.AddTag(fmt.Sprint("live", j), gitlabtest.KindImage)
				}
			}
			tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.04)}))
			between := func(p *plan.Plan) {
				if p != nil {
					p.Entries = p.Entries[:min(most, len(p.Entries))]
				}
				tr.server.SetFaults(gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.4)})
			}
			var got *outcome
			if most > 0 {
				got = tr.planAndApply(t, between)
			} else {
				between(nil)
				got = tr.runInBubble(t)
			}
			if got.Deleted > 0 {
				t.Errorf("%d live tags were deleted: %v", got.Deleted, got.Reasons)
			}
		})
	}
}

// TestApplyToARegistryThatForgot: repositories of images are empty when the plan is made and get images, and
// then the registry knows nothing of any such repository.
func TestApplyToARegistryThatForgot(t *testing.T) {
	for _, e := range evidences {
		for what, chosen := range map[string][]string{
			"run": nil, "all": {}, "three": {"g/p/app0.cache", "g/p/app1.cache", "g/p/app7.cache"}, "one": {"g/p/app0.cache"},
		} {
			t.Run(e.name+"/"+what, func(t *testing.T) {
				world := gitlabtest.NewWorld(e.regime)
				p := world.AddProject("g/p")
				for i := range 14 {
					app, cache := p.AddRepository(fmt.Sprint("app", i)), p.AddRepository(fmt.Sprintf("app%d.cache", i))
					cache.AddTag("a", gitlabtest.KindCacheManifest)
					cache.AddTag("z", gitlabtest.KindCacheManifest)
					if i == 7 {
						cache.AddTag("dead", gitlabtest.KindCacheManifest)
					}
					if i >= 6 {
						app.AddTag("a", gitlabtest.KindImage)
						app.AddTag("z", gitlabtest.KindImage)
					}
				}
				tr := registryTrial(world, e.verify)
				between := func(p *plan.Plan) {
					if len(chosen) > 0 {
						p.Entries = slices.DeleteFunc(p.Entries, func(e plan.Entry) bool { return !slices.Contains(chosen, e.Repository) })
					}
					var faults []gitlabtest.Fault
					for i := range 14 {
						if i < 6 {
							for _, tag := range []string{"a", "z"} {
								if err := tr.server.Push("g/p", fmt.Sprint("app", i), tag, gitlabtest.KindImage); err != nil {
									t.Fatal(err)
								}
							}
						}
						if i == 7 && len(chosen) > 0 {
							continue // the one that is still known
						}
						faults = append(faults, gitlabtest.Fault{Repository: fmt.Sprint("g/p/app", i), Path: regexp.MustCompile(`/tags(/list/?)?$`), Effect: gitlabtest.CutList(0)})
						faults = append(faults, gitlabtest.Fault{Repository: fmt.Sprint("g/p/app", i), Path: regexp.MustCompile(`/manifests/`), Effect: gitlabtest.Reply(404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"a"}}]}`)})
						faults = append(faults, gitlabtest.Fault{Repository: fmt.Sprint("g/p/app", i), Path: tagDetails, Effect: gitlabtest.Reply(404, `{"message":"404 Tag Not Found"}`)})
					}
					tr.server.SetFaults(faults...)
				}
				var got *outcome
				if chosen != nil {
					got = tr.planAndApply(t, between)
				} else {
					synctest.Test(t, func(t *testing.T) {
						sleepUntilTagsAreOld()
						between(nil)
						got = tr.run(t.Context(), t)
					})
				}
				gone := deleted(tr.server)
				delete(gone, "g/p/app7.cache:dead") // which really is
				if len(gone) > 0 {
					t.Errorf("%q were deleted and are alive: %v", names(gone), got.Reasons)
				}
			})
		}
	}
}

// TestApplyOfALostRepository: that a repository has lost all its manifests is noticed, also where its tags
// stand twice in what is applied.
func TestApplyOfALostRepository(t *testing.T) {
	for _, times := range []int{1, 2} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			app, other := p.AddRepository("app"), p.AddRepository("other.cache")
			for i := range 3 {
				app.AddTag(fmt.Sprint("lost", i), gitlabtest.KindManifestMissing)
			}
			app.AddTag("keep", gitlabtest.KindImage)
			other.AddTag("lost", gitlabtest.KindManifestMissing)
			other.AddTag("live", gitlabtest.KindImage)
			tr := registryTrial(world, pipeline.VerifyRegistry)
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr.options.DryRun = true
				pl := planned(tr.run(t.Context(), t))
				if err := tr.server.Remove("g/p", "app", "keep"); err != nil {
					t.Fatal(err)
				}
				single := pl.Entries
				for range times - 1 {
					pl.Entries = append(pl.Entries, single...)
				}
				tr.options.DryRun, tr.options.Plan = false, pl
				got := tr.run(t.Context(), t)
				if got.Reasons[policy.OutageSuspected] != 3 || got.Undecided != 4 || got.Deleted != 0 {
					t.Errorf("%d deleted, %v", got.Deleted, got.Reasons)
				}
			})
		})
	}
}

// TestApplyWithoutDigestOnDatabase: a plan made by GitLab's word, without digests, is applied by the
// registry's after the import into its metadata database. A tag has been pushed again.
func TestApplyWithoutDigestOnDatabase(t *testing.T) {
	tr := registryTrial(withOrphans(gitlabtest.Database, 1, 2), pipeline.VerifyRegistry)
	got := tr.planAndApply(t, func(p *plan.Plan) {
		for i := range p.Entries {
			p.Entries[i].Digest, p.Entries[i].Kind = "", ""
		}
		if err := tr.server.Push("g/p", "app0.cache", "o-00", gitlabtest.KindCacheManifest); err != nil {
			t.Fatal(err)
		}
	})
	if _, gone := deleted(tr.server)["g/p/app0.cache:o-00"]; gone {
		t.Errorf("what was pushed after the plan has gone: %v", got.Reasons)
	}
}

// TestJournalUnderFaults holds the journal against the server: what is gone has a record, what is recorded as
// deleted is gone, and whatever was to be deleted has an outcome.
func TestJournalUnderFaults(t *testing.T) {
	for _, e := range evidences {
		for seed := range uint64(1) {
			for name, faults := range lasting(seed) {
				t.Run(fmt.Sprintf("%s/%s/%d", e.name, name, seed), func(t *testing.T) {
					t.Parallel()
					tr := registryTrial(gitlabtest.Random(5000+seed, e.regime).World(), e.verify, gitlabtest.WithSeed(seed), gitlabtest.WithFaults(faults...))
					tr.client.MaxRetries = 1
					journal := &memoryJournal{}
					tr.options.Journal = journal
					got := tr.runInBubble(t)
					gone := deleted(tr.server)
					begun, done, failed := journal.of(plan.Deleting), journal.of(plan.Deleted), journal.of(plan.Failed)
					for n := range gone {
						if begun[n].Tag == "" {
							t.Errorf("%s is gone without a record", n)
						}
					}
					for n := range done {
						if _, ok := gone[n]; !ok {
							t.Errorf("%s is recorded as deleted and is there", n)
						}
					}
					for n := range begun {
						if done[n].Tag == "" && failed[n].Tag == "" {
							t.Errorf("%s has no outcome (%v)", n, got.err)
						}
					}
				})
			}
		}
	}
}
