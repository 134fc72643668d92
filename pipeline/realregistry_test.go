//go:build realregistry

package pipeline_test

import (
	"context"
	"flag"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

var registryURL = flag.String("registry", "", "address of a real registry, which is written to")

// TestRealRegistryEndToEnd runs the pipeline where a real registry stands behind the
// stand-in's API: what is left is what had to stay, by GitLab's word and by the
// registry's.
func TestRealRegistryEndToEnd(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // the stand-in's, to the real registry
	for seed, test := range []struct {
		verify pipeline.Verify
		truth  gitlabtest.TruthRules
	}{
		{pipeline.VerifyAPI, gitlabtest.TruthRules{Original: true}},
		{pipeline.VerifyRegistry, byRegistry},
	} {
		t.Run(string(test.verify), func(t *testing.T) {
			build := gitlabtest.Random(uint64(42+seed), gitlabtest.Legacy)
			// A registry does not know a repository to which nothing was pushed, which leaves its
			// caches undecided.
			build.EmptyCounterparts = 0
			world := build.World()
			dead := world.TruthUnder(test.truth)
			for _, p := range world.Projects {
				for _, r := range p.Repositories {
					for _, tag := range r.Tags {
						if tag.Kind == gitlabtest.KindManifestMissing { // cannot be made over HTTP
							delete(dead, r.Path()+":"+tag.Name)
						}
					}
				}
			}
			tr := registryTrial(world, test.verify, gitlabtest.WithRealRegistry(*registryURL))
			// One request at a time: a registry that knows no deletion of a tag trips over
			// the detour by its digest when several tags go at once.
			tr.client.Concurrency = 1
			if err := tr.server.PushTo(t.Context(), *registryURL); err != nil {
				t.Fatal(err)
			}
			got := tr.run(context.Background(), t)
			if got.err != nil || got.Undecided+got.Failed > 0 {
				t.Errorf("error %v, undecided %d, failed %d", got.err, got.Undecided, got.Failed)
			}
			for name, d := range got.decisions {
				if d.Outcome == report.Failed || d.Outcome == report.Undecided {
					t.Errorf("%s: %s %s %s", name, d.Outcome, d.Reason, d.Detail)
				}
			}
			gone := make(map[string]string)
			for name := range deleted(tr.server) {
				gone[name] = string(got.decisions[name].Reason)
			}
			if diff := cmp.Diff(dead, gone); diff != "" {
				t.Errorf("deleted (-dead +deleted):\n%s", diff)
			}
			checkSums(t, got)
		})
	}
}
