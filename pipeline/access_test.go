package pipeline_test

import (
	"fmt"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// twoProjects have three orphans each.
func twoProjects() *gitlabtest.World {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	for i := range 2 {
		p := world.AddProject(fmt.Sprint("g/p-", i))
		p.AddRepository("app").AddTag("a", gitlabtest.KindImage)
		cache := p.AddRepository("app.cache")
		for _, tag := range []string{"a", "x", "y", "z"} {
			cache.AddTag(tag, gitlabtest.KindCacheManifest)
		}
	}
	return world
}

// TestProjectsMarkedForDeletion are skipped and counted, whatever the scope is: nothing can be
// deleted in them.
func TestProjectsMarkedForDeletion(t *testing.T) {
	for name, scope := range map[string]pipeline.Scope{
		"all": {Membership: true}, "a group": {Groups: []string{"g"}}, "by name": {Projects: []string{"g/p-0", "g/p-1"}},
	} {
		for _, option := range []gitlabtest.Option{gitlabtest.WithRole(gitlabtest.Developer), gitlabtest.WithoutGraphQL()} {
			world := twoProjects()
			world.Projects[0].MarkedForDeletion = true
			tr := registryTrial(world, pipeline.VerifyRegistry, option)
			tr.options.Scope = scope
			got := tr.runInBubble(t)
			if got.err != nil || got.Skipped[report.ProjectDeleting] != 1 || got.Deleted != 3 || got.Failed > 0 {
				t.Errorf("%s: error %v, skipped %v, deleted %d, failed %d", name, got.err, got.Skipped, got.Deleted, got.Failed)
			}
		}
	}
}

// TestFineGrainedToken: a run under one deletes what any other would.
func TestFineGrainedToken(t *testing.T) {
	for _, e := range evidences[1:] {
		tr := registryTrial(withOrphans(e.regime, 2, 3), e.verify, gitlabtest.WithToken(gitlabtest.DefaultToken, "granular"))
		if got := tr.runInBubble(t); got.err != nil || got.Deleted != 6 || got.Undecided+got.Failed+got.Unreadable > 0 {
			t.Errorf("%s: error %v, deleted %d, undecided %d, failed %d, unreadable %d", e.name, got.err, got.Deleted, got.Undecided, got.Failed, got.Unreadable)
		}
	}
}

// TestRegistryThatTheTokenMayNotSee is that project's failure.
func TestRegistryThatTheTokenMayNotSee(t *testing.T) {
	world := twoProjects()
	world.Projects[0].RegistryHidden = true
	tr := registryTrial(world, pipeline.VerifyRegistry)
	if got := tr.runInBubble(t); got.err != nil || got.Unreadable != 1 || got.Deleted != 3 {
		t.Errorf("error %v, unreadable %d, deleted %d", got.err, got.Unreadable, got.Deleted)
	}
}
