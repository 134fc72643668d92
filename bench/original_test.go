package main

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestOriginalRulesAreTheScripts: with RULES=original and VERIFY=api the program deletes what the
// sequential algorithm does, tag by tag, but for names after digests: such a name is never sent.
func TestOriginalRulesAreTheScripts(t *testing.T) {
	worlds := map[string]func() *gitlabtest.World{"the demo's": gitlabtest.DemoWorld}
	for seed := range uint64(20) {
		worlds[fmt.Sprint("random ", seed)] = gitlabtest.Random(seed, gitlabtest.Legacy).World
	}
	afterDigest := regexp.MustCompile(`:sha256-[0-9a-f]{64}`)
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The algorithm ends with the first project whose registry answers it with 403, and
			// the program walks what its user is a member of.
			reached := func() *gitlabtest.World {
				w := world()
				for _, p := range w.Projects {
					p.Archived = p.Archived || p.Forbidden || p.NotMember
				}
				return w
			}
			// What it deletes itself would make orphans, which the program takes for next time.
			want, got := make(map[string]bool), make(map[string]bool)
			loop := &sequential{client: client(t, gitlabtest.New(reached())), dryRun: func(repository, tag string) {
				if name := repository + ":" + tag; !afterDigest.MatchString(name) {
					want[name] = true
				}
			}}
			if err := loop.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			server := gitlabtest.New(reached())
			walk(t, server, policy.Original(), pipeline.VerifyAPI)
			for _, tag := range server.Deleted() {
				got[tag.String()] = true
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
				t.Errorf("deleted (-script +program):\n%s", diff)
			}
		})
	}
}
