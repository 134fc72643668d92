package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// oddWorld has healthy tags of every kind, whatever tool pushes them, under every kind of
// repository, and entries that are no tags.
func oddWorld(regime gitlabtest.Regime) *gitlabtest.World {
	world := gitlabtest.NewWorld(regime)
	p := world.AddProject("g/p")
	for _, name := range []string{"app", "app.cache", "orphans.cache", ""} {
		r := p.AddRepository(name)
		for _, kind := range []gitlabtest.Kind{
			gitlabtest.KindImage, gitlabtest.KindDockerImage, gitlabtest.KindAttestedImage, gitlabtest.KindMultiArch, gitlabtest.KindDockerList,
			gitlabtest.KindArtifact, gitlabtest.KindSignature, gitlabtest.KindBareIndex, gitlabtest.KindNestedIndex, gitlabtest.KindKanikoCache,
		} {
			r.AddTag(string(kind), kind)
		}
		digest := strings.Repeat("5", 64)
		r.AddTag("sha256-"+digest, gitlabtest.KindReferrers)
		r.AddTag("sha256-"+digest+".sig", gitlabtest.KindSignature)
		r.AddStray(".nfs0001")
		r.AddStray("._tmp")
	}
	p.AddRepository("stray").AddStray(".nfs0002")
	return world
}

// TestNightOverGoodTags: nothing about healthy tags is undecided, failed or unread, so that a nightly
// run over them ends with 0, and no request is sent about a name that no tag can have.
func TestNightOverGoodTags(t *testing.T) {
	for _, e := range evidences {
		for _, kinds := range [][]string{nil, e.truth.DeleteKinds} {
			t.Run(fmt.Sprint(e.name, "/", kinds), func(t *testing.T) {
				world := oddWorld(e.regime)
				tr := registryTrial(world, e.verify)
				tr.rules = policy.Default()
				tr.server.OnRequest(func(r gitlabtest.Request) {
					if strings.Contains(r.Path, ".nfs") || strings.Contains(r.Path, "._tmp") {
						t.Errorf("%s %s", r.Method, r.Path)
					}
				})
				got := tr.runInBubble(t)
				if got.err != nil || got.Undecided+got.Failed+got.Unreadable > 0 {
					t.Errorf("error %v, undecided %d, failed %d, unreadable %d; reasons %v", got.err, got.Undecided, got.Failed, got.Unreadable, got.Reasons)
				}
				for name, d := range got.decisions {
					stray := strings.Contains(name, ":.")
					if (d.Reason == policy.NoTagName) != stray || stray && d.Outcome != report.Kept {
						t.Errorf("%s is %s for %s (%s)", name, d.Outcome, d.Reason, d.Detail)
					}
				}
				if want := map[gitlabtest.Regime]int{gitlabtest.Legacy: 9}[e.regime]; got.Reasons[policy.NoTagName] != want {
					t.Errorf("%d names that no tag can have, want %d", got.Reasons[policy.NoTagName], want)
				}
			})
		}
	}
}

// TestStrayEntryIsNoSibling: where all tags of a repository have lost their manifests, an entry that
// is no tag does not make it look like a loss of a few.
func TestStrayEntryIsNoSibling(t *testing.T) {
	world := storageWorld()
	small := world.AddProject("g/small").AddRepository("app")
	for i := range 6 {
		small.AddTag(fmt.Sprint("t-", i), gitlabtest.KindImage)
	}
	small.AddStray(".nfs0001")
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
		Repository: "g/small/app", Effect: gitlabtest.ManifestsLost()}))
	got := tr.runInBubble(t)
	onlyDeadByRegistry(t, world, tr.server)
	if got.Reasons[policy.OutageSuspected] != 6 {
		t.Errorf("reasons %v", got.Reasons)
	}
}

// TestWindowsOfGitLab: what GitLab 18.10 and 19.2 say of an index is neither a tag without details nor
// an image without a date, whatever the rules are: nothing goes for it, neither in a cache repository.
func TestWindowsOfGitLab(t *testing.T) {
	indexes := []gitlabtest.Kind{gitlabtest.KindMultiArch, gitlabtest.KindAttestedImage, gitlabtest.KindCacheIndex, gitlabtest.KindBareIndex}
	for name, test := range map[string]struct {
		details   gitlabtest.IndexDetails
		rules     *policy.File
		undecided int    // of the four indexes in each of two repositories
		says      string // of one that is undecided
	}{
		"18.10, original rules": {gitlabtest.IndexError, policy.Original(), 8, "status 500"},
		"18.10, default rules":  {gitlabtest.IndexError, policy.Default(), 8, "status 500"},
		"19.2, original rules":  {gitlabtest.IndexEmpty, policy.Original(), 4, "cannot date"},
		"19.2, default rules":   {gitlabtest.IndexEmpty, policy.Default(), 8, "cannot date"},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
			for _, kind := range indexes {
				app.AddTag("image-"+string(kind), kind)
				cache.AddTag("cache-"+string(kind), kind)
			}
			app.AddTag("healthy", gitlabtest.KindImage)
			cache.AddTag("healthy", gitlabtest.KindCacheManifest)
			cache.AddTag("orphan", gitlabtest.KindCacheManifest)
			tr := registryTrial(world, pipeline.VerifyAPI, gitlabtest.WithIndexDetails(test.details))
			tr.rules = test.rules
			got := tr.runInBubble(t)
			if gone := names(deleted(tr.server)); len(gone) != 1 || gone[0] != "g/p/app.cache:orphan" {
				t.Errorf("deleted %q", gone)
			}
			if got.Undecided != test.undecided {
				t.Errorf("undecided %d; reasons %v", got.Undecided, got.Reasons)
			}
			for name, d := range got.decisions {
				if d.Outcome == report.Undecided && !strings.Contains(d.Detail, test.says) {
					t.Errorf("%s: %s", name, d.Detail)
				}
			}
		})
	}
}

// TestGitLabUpgradedMeanwhile: what was a tag without details when it was decided upon, and is an index
// right before its deletion, stays.
func TestGitLabUpgradedMeanwhile(t *testing.T) {
	for name, body := range map[string]struct {
		status int
		body   string
	}{
		"to 18.10": {500, `{"message":"500 Internal Server Error"}`},
		"to 19.2":  {200, `{"name":"prod","path":"g/p/app:prod","location":"gitlab.test/g/p/app:prod","revision":null,"short_revision":null,"digest":"sha256:` + strings.Repeat("2", 64) + `","created_at":null,"total_size":null}`},
	} {
		world := gitlabtest.NewWorld(gitlabtest.Legacy)
		app := world.AddProject("g/p").AddRepository("app")
		app.AddTag("prod", gitlabtest.KindMultiArch)
		app.AddTag("healthy", gitlabtest.KindImage)
		tr := registryTrial(world, pipeline.VerifyAPI, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: regexp.MustCompile(`/tags/prod$`), Skip: 1, Effect: gitlabtest.Reply(body.status, body.body)}))
		got := tr.runInBubble(t)
		if d := got.decisions["g/p/app:prod"]; len(deleted(tr.server)) > 0 || d.Outcome != report.Undecided {
			t.Errorf("%s: %s for %s (%s), deleted %q", name, d.Outcome, d.Reason, d.Detail, names(deleted(tr.server)))
		}
	}
}
