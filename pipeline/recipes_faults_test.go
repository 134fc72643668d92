package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What goes wrong with branches, ranks, dates and environments keeps tags, and so does what changes
// between the decision and the deletion.

// byTheRegistry are the regimes by the registry's word.
var byTheRegistry = map[string]gitlabtest.Regime{"legacy": gitlabtest.Legacy, "database": gitlabtest.Database}

var (
	gitPath = regexp.MustCompile(`/info/refs$`)
	// registryLists are the registry's lists of tags, on either regime.
	registryLists = regexp.MustCompile(`/tags/list/?$`)
)

// slowRechecks lets each reading of a tag or a list take so long that nothing is fresh any more
// that was read for the decisions.
func slowRechecks(skip int) gitlabtest.Fault {
	return gitlabtest.Fault{Path: regexp.MustCompile(`/tags/list/?$|/manifests/`), Skip: skip, PerPath: true, Effect: gitlabtest.Latency(6 * time.Second)}
}

// branchWorld has images of two branches, one of which is gone.
func branchWorld(regime gitlabtest.Regime, branches ...string) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	p.Branches = branches
	app := p.AddRepository("app")
	app.AddTagAt("feature-1", gitlabtest.KindImage, daysAgo(100))
	app.AddTagAt("feature-2", gitlabtest.KindImage, daysAgo(100))
	app.AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
	return world
}

// TestBranchesThatCannotBeListed: a listing that fails, breaks off or is empty says of no branch that
// it is missing.
func TestBranchesThatCannotBeListed(t *testing.T) {
	git := func(effect gitlabtest.Effect) []gitlabtest.Option {
		return []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Path: gitPath, Effect: effect})}
	}
	rest := func(effect gitlabtest.Effect, path string) []gitlabtest.Option {
		return []gitlabtest.Option{gitlabtest.WithoutGit(), gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(path), Effect: effect})}
	}
	for name, options := range map[string][]gitlabtest.Option{
		"no answer":                   git(gitlabtest.Status(503)),
		"an error":                    git(gitlabtest.Status(500)),
		"empty":                       git(gitlabtest.CutList(0)),
		"cut":                         git(gitlabtest.CutBody()),
		"half":                        git(gitlabtest.Halve()),
		"a sign-in page":              git(gitlabtest.HTML()),
		"over REST, no answer":        rest(gitlabtest.Status(503), `/repository/branches$`),
		"over REST, no tags":          rest(gitlabtest.Refuse(403), `/repository/tags$`),
		"over REST, empty":            rest(gitlabtest.CutList(0), `/repository/(branches|tags)$`),
		"over REST, a shorter answer": rest(gitlabtest.CutBody(), `/repository/branches$`),
	} {
		for regime, kind := range byTheRegistry {
			t.Run(name+"/"+regime, func(t *testing.T) {
				tr := byRules(branchWorld(kind, "main", "feature-1"), recipe(t, "deleted-branches.yaml"), options...)
				got := tr.runInBubble(t)
				if gone := gone(tr.server); len(gone) > 0 || got.Reasons[policy.BranchUnknown] != 2 {
					t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
				}
			})
		}
	}
	for regime, kind := range byTheRegistry {
		t.Run("none at all/"+regime, func(t *testing.T) {
			tr := byRules(branchWorld(kind), recipe(t, "deleted-branches.yaml"))
			got := tr.runInBubble(t)
			if gone := gone(tr.server); len(gone) > 0 || got.Reasons[policy.BranchUnknown] != 2 {
				t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
			}
		})
		t.Run("over REST, whole/"+regime, func(t *testing.T) {
			tr := byRules(branchWorld(kind, "main", "feature-1"), recipe(t, "deleted-branches.yaml"), gitlabtest.WithoutGit())
			tr.runInBubble(t)
			if diff := cmp.Diff([]string{"g/p/app:feature-2"}, gone(tr.server)); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBranchThatComesBack: branches are read again right before a deletion. One that has been made
// again meanwhile keeps its tag, and a second reading that fails keeps all.
func TestBranchThatComesBack(t *testing.T) {
	for regime, kind := range byTheRegistry {
		for name, test := range map[string]struct {
			fault  gitlabtest.Fault
			branch string
			want   policy.Reason // of feature-2
		}{
			"made again":  {gitlabtest.Fault{Path: gitPath, Effect: gitlabtest.Latency(0)}, "feature/2", policy.NoRule},
			"another":     {gitlabtest.Fault{Path: gitPath, Effect: gitlabtest.Latency(0)}, "feature/3", "branch-deleted"},
			"no answer":   {gitlabtest.Fault{Path: gitPath, Skip: 1, Effect: gitlabtest.Status(400)}, "feature/3", policy.BranchUnknown},
			"empty again": {gitlabtest.Fault{Path: gitPath, Skip: 1, Effect: gitlabtest.CutList(0)}, "feature/3", policy.BranchUnknown},
		} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				tr := byRules(branchWorld(kind, "main", "feature-1"), recipe(t, "deleted-branches.yaml"),
					gitlabtest.WithFaults(test.fault, slowRechecks(1)))
				var readings atomic.Int64
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if gitPath.MatchString(r.Path) && readings.Add(1) == 2 {
						if err := tr.server.PushBranch("g/p", test.branch); err != nil {
							t.Error(err)
						}
					}
				})
				got := tr.runInBubble(t)
				if d := got.decisions["g/p/app:feature-2"]; d.Reason != test.want {
					t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.want)
				}
				if n := len(gone(tr.server)); (n == 1) != (test.want == "branch-deleted") {
					t.Errorf("deleted %d", n)
				}
				if readings.Load() != 2 {
					t.Errorf("branches were read %d times", readings.Load())
				}
			})
		}
	}
}

// rankWorld has 12 images, of 1 to 12 days, of which the oldest two are not among the newest ten.
func rankWorld(regime gitlabtest.Regime, kind gitlabtest.Kind) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	app := world.AddProject("g/p").AddRepository("app")
	for i := range 12 {
		app.AddTagAt(string(rune('a'+i)), kind, daysAgo(2+i))
	}
	return world
}

// TestNewerTagIsRemovedMeanwhile: what was not among the newest is, once a newer tag is gone. Ranks are
// counted again right before a deletion.
func TestNewerTagIsRemovedMeanwhile(t *testing.T) {
	for regime, kind := range byTheRegistry {
		for removed, want := range map[string][]string{
			"c": {"g/p/app:l"},              // k is one of the newest ten now
			"k": {"g/p/app:l"},              // it is gone itself
			"":  {"g/p/app:k", "g/p/app:l"}, // all are there
		} {
			t.Run(regime+"/"+removed, func(t *testing.T) {
				tr := byRules(rankWorld(kind, gitlabtest.KindImage), recipe(t, "keep-newest.yaml"))
				var lists atomic.Int64
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if registryLists.MatchString(r.Path) && lists.Add(1) == 2 && removed != "" {
						if err := tr.server.Remove("g/p", "app", removed); err != nil {
							t.Error(err)
						}
					}
				})
				got := tr.runInBubble(t)
				if removed == "k" && kind == gitlabtest.Legacy {
					return // what is gone cannot be rechecked, and is undecided
				}
				if diff := cmp.Diff(want, gone(tr.server)); diff != "" {
					t.Errorf("deleted (-want +got):\n%s%v", diff, got.verdicts())
				}
			})
		}
	}
}

// TestRanksThatCannotBeListedAgain keep what was not among the newest.
func TestRanksThatCannotBeListedAgain(t *testing.T) {
	for regime, kind := range byTheRegistry {
		for name, effect := range map[string]gitlabtest.Effect{"no answer": gitlabtest.Status(500), "empty": gitlabtest.CutList(0), "cut": gitlabtest.CutBody()} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				tr := byRules(rankWorld(kind, gitlabtest.KindImage), recipe(t, "keep-newest.yaml"),
					gitlabtest.WithFaults(gitlabtest.Fault{Path: registryLists, Skip: 1, Effect: effect}))
				got := tr.runInBubble(t)
				if gone := gone(tr.server); len(gone) > 0 || got.Undecided != 2 {
					t.Errorf("deleted %q, undecided %d", gone, got.Undecided)
				}
			})
		}
	}
}

// TestPushedAgainMeanwhile: a tag that is pushed again with the same digest is the newest. Only the
// metadata database tells.
func TestPushedAgainMeanwhile(t *testing.T) {
	for _, file := range []string{"keep-newest.yaml", "older-than.yaml"} {
		t.Run(file, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Database)
			app := world.AddProject("g/p").AddRepository("app")
			for i := range 12 {
				app.AddTagAt(string(rune('a'+i)), gitlabtest.KindArtifact, daysAgo(100+i)) // of one digest
			}
			tr := byRules(world, recipe(t, file))
			tr.settings.MinAge = 0 // which would keep it
			var lists atomic.Int64
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if registryLists.MatchString(r.Path) && lists.Add(1) == 2 {
					if err := tr.server.Push("g/p", "app", "l", gitlabtest.KindArtifact); err != nil {
						t.Error(err)
					}
				}
			})
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app:l"]; d.Action == policy.Delete || strings.Contains(strings.Join(gone(tr.server), " "), ":l") {
				t.Errorf("decided %s (%s), deleted %q", d.Reason, d.Detail, gone(tr.server))
			}
			if lists.Load() < 2 || got.Deleted == 0 {
				t.Errorf("%d lists, deleted %d", lists.Load(), got.Deleted)
			}
		})
	}
}

// TestDatesThatCannotBeRead: a tag whose date cannot be read stays, and where ranks depend on it all
// do. With the metadata database the list has all dates.
func TestDatesThatCannotBeRead(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{
		"no answer": gitlabtest.Status(500), "not there": gitlabtest.Reply(404, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`),
		"a page": gitlabtest.HTML(), "cut": gitlabtest.CutBody(),
	} {
		t.Run(name, func(t *testing.T) {
			// The first config that is read keeps being unreadable, whosever it is.
			fault := gitlabtest.Fault{Path: regexp.MustCompile(`/blobs/`), Effect: effect}
			for file, want := range map[string]int{"keep-newest.yaml": 12, "older-than.yaml": 12} {
				tr := byRules(rankWorld(gitlabtest.Legacy, gitlabtest.KindImage), recipe(t, file), gitlabtest.WithFaults(fault))
				got := tr.runInBubble(t)
				if gone := gone(tr.server); len(gone) > 0 || got.Reasons[policy.DetailsUnknown] != want {
					t.Errorf("%s: deleted %q, reasons %v", file, gone, got.Reasons)
				}
			}
		})
	}
}

// TestOneDateThatCannotBeRead: ranks that lack one tag are none.
func TestOneDateThatCannotBeRead(t *testing.T) {
	tr := byRules(rankWorld(gitlabtest.Legacy, gitlabtest.KindImage), recipe(t, "keep-newest.yaml"),
		gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/l$`), Effect: gitlabtest.Status(500)}))
	tr.client.MaxRetries = 1
	got := tr.runInBubble(t)
	if gone := gone(tr.server); len(gone) > 0 || got.Reasons[policy.DetailsUnknown] != 12 {
		t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
	}
}

// TestManifestsLostWhereRanksAreAsked: what was read for ranks counts for the canary, so that storage which
// is half there is not taken for manifests that are lost.
func TestManifestsLostWhereRanksAreAsked(t *testing.T) {
	const rules = "rules:\n- {name: undated, delete: \"repository.name == 'app' && !has(tag.rank)\"}\n- {name: multi, delete: repository.name == 'other' && tag.kind == 'multi-arch'}\n"
	for lost, want := range map[int]policy.Reason{5: "undated", 30: policy.OutageSuspected} {
		world := gitlabtest.NewWorld(gitlabtest.Legacy)
		p := world.AddProject("g/p")
		app, other := p.AddRepository("app"), p.AddRepository("other")
		for i := range 60 {
			kind := gitlabtest.KindImage
			if i < lost {
				kind = gitlabtest.KindManifestMissing
			}
			app.AddTagAt(fmt.Sprint("t-", i), kind, daysAgo(100))
			other.AddTagAt(fmt.Sprint("t-", i), gitlabtest.KindImage, daysAgo(100))
		}
		got := byRules(world, parsed(t, rules)).runInBubble(t)
		if got.Reasons[want] != lost {
			t.Errorf("%d lost: reasons %v", lost, got.Reasons)
		}
	}
}

// environmentWorld has images of which one is deployed.
func environmentWorld(regime gitlabtest.Regime) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	p.Environments = []gitlabtest.Environment{{Name: "production", Ref: "release-1", SHA: strings.Repeat("a", 40)}}
	app := p.AddRepository("app")
	for _, name := range []string{"release-1", "release-2", "release-3"} {
		app.AddTagAt(name, gitlabtest.KindImage, daysAgo(100))
	}
	return world
}

// TestEnvironmentsThatCannotBeRead keep every image that would go.
func TestEnvironmentsThatCannotBeRead(t *testing.T) {
	query := func(skip int, effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Skip: skip, Effect: effect}, slowRechecks(1))
	}
	for regime, kind := range byTheRegistry {
		clean := byRules(environmentWorld(kind), recipe(t, "deployed.yaml"))
		clean.runInBubble(t)
		before := clean.server.Stats().ByEndpoint["POST /api/graphql query"]
		for name, option := range map[string]gitlabtest.Option{
			"no answer":      query(before, gitlabtest.Status(503)),
			"errors":         query(before, gitlabtest.GraphQLErrors("Internal server error")),
			"one is null":    query(before, gitlabtest.NullEnvironments(1)),
			"cut":            query(before, gitlabtest.CutBody()),
			"no such field":  gitlabtest.WithoutFields("Project.environments"),
			"no GraphQL":     gitlabtest.WithoutGraphQL(),
			"the second one": query(before+1, gitlabtest.Status(503)),
		} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				tr := byRules(environmentWorld(kind), recipe(t, "deployed.yaml"), option)
				tr.options.InUseEnvironments = true
				got := tr.runInBubble(t)
				if gone := gone(tr.server); len(gone) > 0 || got.Undecided < 2 {
					t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
				}
			})
		}
	}
}

// TestDeployedMeanwhile: what is deployed is read again right before a deletion.
func TestDeployedMeanwhile(t *testing.T) {
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			clean := byRules(environmentWorld(kind), recipe(t, "deployed.yaml"))
			clean.runInBubble(t)
			before := int64(clean.server.Stats().ByEndpoint["POST /api/graphql query"])
			tr := byRules(environmentWorld(kind), recipe(t, "deployed.yaml"), gitlabtest.WithFaults(slowRechecks(1)))
			tr.options.InUseEnvironments = true
			var queries atomic.Int64
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if r.Operation == "query" && queries.Add(1) == before+2 {
					if err := tr.server.Deploy("g/p", gitlabtest.Environment{Name: "review", Ref: "release-2", SHA: strings.Repeat("b", 40)}); err != nil {
						t.Error(err)
					}
				}
			})
			tr.runInBubble(t)
			if diff := cmp.Diff([]string{"g/p/app:release-3"}, gone(tr.server)); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
			if n := queries.Load(); n != before+2 {
				t.Errorf("what is deployed was read %d times", n-before)
			}
		})
	}
}

// TestFactsByGitLabsWord: without the registry's word, the same doubts keep.
func TestFactsByGitLabsWord(t *testing.T) {
	for name, options := range map[string][]gitlabtest.Option{
		"branches": {gitlabtest.WithFaults(gitlabtest.Fault{Path: gitPath, Effect: gitlabtest.CutList(0)})},
		"details":  {gitlabtest.WithFaults(gitlabtest.Fault{Path: details, Effect: gitlabtest.Status(500)})},
	} {
		for regime, kind := range byTheRegistry {
			t.Run(name+"/"+regime, func(t *testing.T) {
				tr := byRules(branchWorld(kind, "main", "feature-1"), recipe(t, "deleted-branches.yaml"), options...)
				tr.options.Verify = pipeline.VerifyAPI
				if got := tr.runInBubble(t); len(gone(tr.server)) > 0 || got.Undecided < 1 {
					t.Errorf("deleted %q, reasons %v", gone(tr.server), got.Reasons)
				}
			})
		}
	}
}
