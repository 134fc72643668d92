package pipeline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// TestImagesNamedAfterABranchAsItIs: pipelines name images by slugs, and many by the branch itself, of
// which only the slash has to go.
func TestImagesNamedAfterABranchAsItIs(t *testing.T) {
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			world := gitlabtest.NewWorld(kind)
			p := world.AddProject("g/p")
			p.Branches = []string{"main", "feature/Foo_Bar"}
			app := p.AddRepository("app")
			for _, name := range []string{"feature-Foo_Bar", "feature-foo-bar-amd64", "feature-Foo_Baz"} {
				app.AddTagAt(name, gitlabtest.KindImage, daysAgo(100))
			}
			tr := byRules(world, recipe(t, "deleted-branches.yaml"))
			tr.runInBubble(t)
			if diff := cmp.Diff([]string{"g/p/app:feature-Foo_Baz"}, gone(tr.server)); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		})
	}
}
