package pipeline_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestMaxDeletions: up to the limit all go, and with one more nothing does. No deletion is sent
// before the last tag has been looked at.
func TestMaxDeletions(t *testing.T) {
	for _, e := range evidences {
		for limit, want := range map[int]int{12: 12, 11: 0, 1: 0} {
			t.Run(fmt.Sprint(e.name, "/", limit), func(t *testing.T) {
				tr := registryTrial(withOrphans(e.regime, 3, 4), e.verify)
				tr.options.MaxDeletions = limit
				got := tr.runInBubble(t)
				if gone := len(deleted(tr.server)); gone != want || got.Deleted != 12 || got.MaxDeletions != limit*(1-want/12) {
					t.Errorf("%d are gone, want %d; %d count as deleted or marked; exceeded: %d", gone, want, got.Deleted, got.MaxDeletions)
				}
				for name, d := range got.decisions {
					if d.Outcome == report.Deleted && want == 0 {
						t.Errorf("%s counts as deleted", name)
					}
				}
				if sent := tr.server.Stats().Changing; want == 0 && sent > 0 {
					t.Errorf("%d requests that change something", sent)
				}
			})
		}
	}
}

// TestMaxDeletionsOfAStoppedRun: how many would have gone is not known, so none does.
func TestMaxDeletionsOfAStoppedRun(t *testing.T) {
	tr := registryTrial(withOrphans(gitlabtest.Legacy, 10, 4), pipeline.VerifyRegistry,
		gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
	tr.options.MaxDeletions, tr.options.Workers = 1000, 2
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		got := tr.run(ctx, t)
		checkSums(t, got)
		if gone := len(deleted(tr.server)); gone > 0 || got.Undecided == 0 {
			t.Errorf("%d are gone, undecided %d", gone, got.Undecided)
		}
	})
}
