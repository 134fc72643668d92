package pipeline_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestShardsTogetherDoWhatOneRunDoes runs random worlds whole and in shards that run side
// by side: decisions, deletions and merged reports are the same.
func TestShardsTogetherDoWhatOneRunDoes(t *testing.T) {
	// After 30 worlds each number of shards was beside each kind of registry, number of workers and
	// faults or none.
	for seed := range *worlds * 3 / 2 {
		count := 1 + int(seed%5)
		t.Run(fmt.Sprintf("%d in %d", seed, count), func(t *testing.T) {
			t.Parallel()
			regime := []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database}[seed/5%2]
			build := gitlabtest.Random(seed, regime)
			build.EmptyCounterparts = 0 // a shard has only its own tags to tell an outage by
			whole := newTrial(build.World(), gitlabtest.WithSeed(seed))
			world := build.World()
			shared := newTrial(world, gitlabtest.WithSeed(seed))
			if seed%3 == 0 {
				shared = newTrial(world, gitlabtest.WithSeed(seed), gitlabtest.WithFaults(passing()...))
			}
			for _, tr := range []*trial{whole, shared} {
				tr.options.Workers = []int{1, 4, 16}[seed%3]
			}
			compareShards(t, whole, shared, count)
			if want := dead(world); regime == gitlabtest.Legacy && !cmp.Equal(want, deleted(shared.server)) {
				t.Errorf("deleted (-dead +deleted):\n%s", cmp.Diff(want, deleted(shared.server)))
			}
		})
	}
}

// TestShardsOfAScope: what is named, and what a group lists, is shared out as well, and a
// project of another shard is not missed.
func TestShardsOfAScope(t *testing.T) {
	for name, scope := range map[string]pipeline.Scope{
		"groups":   {Groups: []string{"a/sub", "a", "b"}},
		"projects": {Projects: []string{"a/one", "b/four", "a/sub/two", "b/four", "b/disabled"}},
		"both":     {Groups: []string{"a"}, Projects: []string{"b/five", "a/sub/two"}},
	} {
		t.Run(name, func(t *testing.T) {
			whole, shared := newTrial(scopeWorld()), newTrial(scopeWorld())
			for _, tr := range []*trial{whole, shared} {
				tr.options.Scope = scope
				tr.settings.Orphans = policy.OrphansAny
			}
			compareShards(t, whole, shared, 3)
			if len(deleted(whole.server)) < 3 {
				t.Errorf("the whole run deleted %v", deleted(whole.server))
			}
		})
	}
}

// compareShards runs one trial whole and another, of the same world, in shards, and
// compares what they do and report.
func compareShards(t *testing.T, whole, shared *trial, count int) {
	t.Helper()
	root := t.TempDir()
	var want *outcome
	parts := make([]*outcome, count)
	synctest.Test(t, func(t *testing.T) {
		want = whole.reported(t, filepath.Join(root, "whole"), nil)
		var running sync.WaitGroup
		for index := range parts {
			shard := report.Shard{Index: index, Count: count}
			tr := *shared
			tr.options.Scope.Shard = pipeline.Shard(shard)
			running.Go(func() { parts[index] = tr.reported(t, filepath.Join(root, "shared", shard.Folder()), &shard) })
		}
		running.Wait()
	})
	union := make(map[string]report.Decision)
	for index, part := range parts {
		checkSums(t, part)
		for name, d := range part.decisions {
			if _, twice := union[name]; twice {
				t.Errorf("shard %d has %s, and another has it, too", index, name)
			}
			union[name] = d
		}
	}
	if diff := cmp.Diff(want.decisions, union); diff != "" {
		t.Errorf("decisions (-whole +shards):\n%s", diff)
	}
	if diff := cmp.Diff(deleted(whole.server), deleted(shared.server)); diff != "" {
		t.Errorf("deleted (-whole +shards):\n%s", diff)
	}
	compareMerged(t, root, want.Summary)
}

// reported runs a trial and writes its reports.
func (tr *trial) reported(t *testing.T, dir string, shard *report.Shard) *outcome {
	t.Helper()
	files, err := report.OpenFiles(dir)
	if err != nil {
		t.Error(err)
		return nil
	}
	part := *tr
	part.handlers = report.Handlers{files}
	o := part.run(t.Context(), t)
	o.Summary.Shard = shard
	if err := files.Close(o.Summary); err != nil || o.err != nil {
		t.Errorf("%v: error %v, closing the reports: %v", shard, o.err, err)
	}
	return o
}

// compareMerged merges the reports of the shards and compares them with those of the
// whole run, but for order, requests and times.
func compareMerged(t *testing.T, root string, want *report.Summary) {
	t.Helper()
	sources, err := report.OpenSources([]string{filepath.Join(root, "shared")})
	if err != nil {
		t.Fatal(err)
	}
	files, err := report.OpenFiles(filepath.Join(root, "merged"))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := report.Merge(t.Context(), sources, files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Error(err)
	}
	if err := files.Close(merged); err != nil {
		t.Error(err)
	}
	for _, s := range []*report.Summary{want, merged} {
		s.Requests, s.Retries, s.Throttled, s.Duration = report.Requests{}, 0, 0, 0
		s.Examples = nil // which tags are named depends on the order
	}
	if diff := cmp.Diff(want, merged, cmpopts.IgnoreUnexported(report.Deletions{}, report.StayingImages{})); diff != "" {
		t.Errorf("summaries (-whole +merged):\n%s", diff)
	}
	if diff := cmp.Diff(sortedLines(t, root, "whole"), sortedLines(t, root, "merged")); diff != "" {
		t.Errorf("decisions written down (-whole +merged):\n%s", diff)
	}
}

func sortedLines(t *testing.T, elements ...string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append(elements, report.DecisionsFile)...))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(strings.Lines(string(text)))
}
