package pipeline_test

import (
	"fmt"
	"regexp"
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
