package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestFactThatCannotBeHad: a tag whose fate does not depend on it is decided all the same, by another
// fact of the same rule or of one before; the others are undecided, and say why.
func TestFactThatCannotBeHad(t *testing.T) {
	rules, err := policy.Parse("mine.yaml", []byte(`rules:
- name: newest
  keep: has(tag.rank) && tag.rank <= 2
- name: branch-gone
  delete: branch == 'missing' && tag.age > days(14)
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		world := gitlabtest.NewWorld(regime)
		app := world.AddProject("g/p").AddRepository("app")
		now := gitlabtest.Created.AddDate(1, 0, 0)
		for i, age := range []int{1, 20, 2, 30, 40} {
			app.AddTagAt(fmt.Sprint("t-", age), gitlabtest.KindImage, now.AddDate(0, 0, -age).Add(time.Duration(i)))
		}
		tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: regexp.MustCompile(`info/refs|repository/(branches|tags)$`), Effect: gitlabtest.Status(500)}))
		tr.rules, tr.client.MaxRetries = rules, 0
		got := tr.runInBubble(t)
		want := map[string]policy.Reason{
			"g/p/app:t-1": policy.NoRule, "g/p/app:t-2": policy.NoRule, // too young for the second rule
			"g/p/app:t-20": policy.BranchUnknown, "g/p/app:t-30": policy.BranchUnknown, "g/p/app:t-40": policy.BranchUnknown,
		}
		for name, reason := range want {
			if d := got.decisions[name]; d.Reason != reason {
				t.Errorf("%v: %s: %s (%s), want %s", regime, name, d.Reason, d.Detail, reason)
			}
		}
		app.Tags = app.Tags[1:2] // t-20 is the newest now
		tr = registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: regexp.MustCompile(`info/refs|repository/(branches|tags)$`), Effect: gitlabtest.Status(500)}))
		tr.rules, tr.client.MaxRetries = rules, 0
		if d := tr.runInBubble(t).decisions["g/p/app:t-20"]; d.Reason != "newest" {
			t.Errorf("%v: the newest: %s (%s)", regime, d.Reason, d.Detail)
		}
	}
}

// TestProtectionThatCannotBeRead: a tag that stays since nobody could say whether GitLab protects it is
// undecided, and the report says why: that GitLab protects it would pass for a night without trouble.
func TestProtectionThatCannotBeRead(t *testing.T) {
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			tr := byRules(branchWorld(kind, "main"), parsed(t, everything), gitlabtest.WithFaults(
				gitlabtest.Fault{Operation: "query", Effect: gitlabtest.NullRules(1)},
				gitlabtest.Fault{Path: regexp.MustCompile(`/protection/tag/rules$`), Effect: gitlabtest.Status(500)}))
			got := tr.runInBubble(t)
			d := got.decisions["g/p/app:feature-1"]
			if len(gone(tr.server)) > 0 || got.Undecided != 3 || d.Reason != policy.DetailsUnknown || !strings.Contains(d.Detail, "500") {
				t.Errorf("deleted %q, decided %s, %s (%s)", gone(tr.server), d.Action, d.Reason, d.Detail)
			}
		})
	}
}

// TestRanksThatCannotBeHadAreAskedForOnce: where one manifest cannot be read no tag of the repository has a
// rank. What that costs grows with the tags, and not with their square.
func TestRanksThatCannotBeHadAreAskedForOnce(t *testing.T) {
	for _, tags := range []int{20, 80} {
		world := gitlabtest.NewWorld(gitlabtest.Legacy)
		app := world.AddProject("g/p").AddRepository("app")
		for i := range tags {
			app.AddTagAt(fmt.Sprintf("t-%03d", i), gitlabtest.KindImage, daysAgo(100+i))
		}
		tr := byRules(world, recipe(t, "keep-newest.yaml"),
			gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/t-005$`), Effect: gitlabtest.Status(500)}))
		tr.client.MaxRetries = 0
		tr.options.Workers, tr.client.Concurrency = 4, 4
		got := tr.runInBubble(t)
		const others = 15 // the lists, tokens, and the like
		if n := tr.server.Stats().Total; n > 3*tags+others || got.Reasons[policy.DetailsUnknown] != tags || len(gone(tr.server)) > 0 {
			t.Errorf("%d tags cost %d requests; reasons %v", tags, n, got.Reasons)
		}
	}
}

// TestFactsThatNothingTells: no look at a tag tells what its project or its instance does not, so that
// none is taken.
func TestFactsThatNothingTells(t *testing.T) {
	refused := func(app *gitlabtest.Repository) gitlabtest.Option { // so that the regime stays open
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: tagsOf(app), Count: 1, Effect: gitlabtest.Refuse(403)})
	}
	noTopics := func(*gitlabtest.Repository) gitlabtest.Option { return gitlabtest.WithoutFields("Project.topics") }
	for name, test := range map[string]struct {
		condition string
		verify    pipeline.Verify
		option    func(*gitlabtest.Repository) gitlabtest.Option
	}{
		"topics, by the registry":  {"'x' in project.topics", pipeline.VerifyRegistry, noTopics},
		"topics, by GitLab's word": {"'x' in project.topics", pipeline.VerifyAPI, noTopics},
		"the regime":               {"!registry.database", pipeline.VerifyAPI, refused},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			app := world.AddProject("g/p").AddRepository("app")
			for i := range 20 {
				app.AddTagAt(fmt.Sprintf("t-%02d", i), gitlabtest.KindImage, daysAgo(100))
			}
			tr := byRules(world, parsed(t, "rules:\n- {name: old, delete: \""+test.condition+"\"}\n"), test.option(app))
			tr.options.Verify = test.verify
			looks := 0
			tr.server.OnRequest(func(r gitlabtest.Request) {
				if strings.Contains(r.Path, "/manifests/") || details.MatchString(r.Path) && !registryLists.MatchString(r.Path) {
					looks++
				}
			})
			got := tr.runInBubble(t)
			if looks > 0 || got.Reasons[policy.DetailsUnknown] != 20 || len(gone(tr.server)) > 0 {
				t.Errorf("%d looks at tags, reasons %v, deleted %q", looks, got.Reasons, gone(tr.server))
			}
		})
	}
}

// TestDigestThatNothingTells: GitLab's 404 has no digest. While a list of images in use has some, it may
// have that of such a tag, too.
func TestDigestThatNothingTells(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTagAt("multi", gitlabtest.KindMultiArch, daysAgo(100))
	app.AddTagAt("healthy", gitlabtest.KindImage, daysAgo(100))
	for image, want := range map[string]policy.Reason{
		"g/p/app@sha256:" + strings.Repeat("0", 64): policy.DetailsUnknown,
		"g/p/app:other": detailsMissing,
	} {
		tr := newTrial(world)
		tr.options.InUse = inUse(t, image)
		d := tr.runInBubble(t).decisions["g/p/app:multi"]
		stays := want == policy.DetailsUnknown
		if d.Reason != want || (len(gone(tr.server)) == 0) != stays || strings.Contains(d.Detail, "digest") != stays {
			t.Errorf("%s in use: decided %s (%s), deleted %q", image, d.Reason, d.Detail, gone(tr.server))
		}
	}
}
