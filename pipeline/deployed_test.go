package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestDeployedByGitLabsWord: GitLab does not tell what is a build cache, and a name such as session.cache
// does not either. What has the name of something deployed is held to be that.
func TestDeployedByGitLabsWord(t *testing.T) {
	byName := "rules:\n- {name: releases, delete: \"tag.name.startsWith('release-')\"}\n"
	for regime, kind := range byTheRegistry {
		for name, test := range map[string]struct {
			rules *policy.File
			want  []string // nil for whatever goes
		}{
			"default rules":  {policy.Default(), nil},
			"a rule by name": {parsed(t, byName), []string{"g/p/session.cache:release-2"}},
		} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				world := gitlabtest.NewWorld(kind)
				p := world.AddProject("g/p")
				p.Environments = []gitlabtest.Environment{{Name: "production", Ref: "release-1", SHA: strings.Repeat("a", 40)}}
				session := p.AddRepository("session.cache")
				session.AddTagAt("release-1", gitlabtest.KindImage, daysAgo(100))
				session.AddTagAt("release-2", gitlabtest.KindImage, daysAgo(100))
				tr := byRules(world, test.rules)
				tr.options.Verify, tr.options.InUseEnvironments = pipeline.VerifyAPI, true
				got := tr.runInBubble(t)
				d := got.decisions["g/p/session.cache:release-1"]
				if d.Action == policy.Delete || strings.Contains(strings.Join(gone(tr.server), " "), "release-1") {
					t.Errorf("decided %s, %s (%s)", d.Action, d.Reason, d.Detail)
				}
				if diff := cmp.Diff(test.want, gone(tr.server)); test.want != nil && diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
			})
		}
	}
}
