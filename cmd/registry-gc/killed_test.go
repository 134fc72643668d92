package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// kills is how often a run is killed on each kind of registry.
var kills = flag.Int("kills", 4, "how often TestKilled kills a run on each kind of registry")

// TestKilled kills runs at random moments, while the server goes on with what it was sent: no deletion
// that the server saw is without a record that undo can read, with its digest.
func TestKilled(t *testing.T) {
	deletions, records, ended := new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)
	t.Run("runs", func(t *testing.T) {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			for n := range *kills {
				t.Run(fmt.Sprint(regime, "/", n), func(t *testing.T) {
					t.Parallel()
					killed, gone, recorded := runAndKill(t, regime, 1+rand.Int64N(25), n%2 == 0)
					deletions.Add(int64(gone))
					records.Add(int64(recorded))
					if !killed {
						ended.Add(1)
					}
				})
			}
		}
	})
	t.Logf("%d runs, %d of which ended before: %d deletions, %d recorded", 2**kills, ended.Load(), deletions.Load(), records.Load())
	if deletions.Load() == 0 || ended.Load() == int64(2**kills) {
		t.Error("nothing was killed while it deleted")
	}
}

// runAndKill kills a run when the server is asked for the nth time to delete something, or for whatever
// comes right after, and returns how many tags are gone and have a record.
func runAndKill(t *testing.T, regime gitlabtest.Regime, nth int64, atDeletion bool) (killed bool, gone, recorded int) {
	world := gitlabtest.EvenWorld{Regime: regime, Projects: 6, Repositories: 24, Tags: 900, Dead: 0.4}.World()
	var options []gitlabtest.Option
	if nth%2 == 0 {
		options = append(options, gitlabtest.WithoutGraphQL())
	}
	server := gitlabtest.New(world, options...)
	reports := t.TempDir()
	command := ownCommand(t, "", "CONCURRENCY=8", "MIN_AGE=0", "GITLAB_URL="+listen(t, server), "REPORT_DIR="+reports)
	command.Stdout, command.Stderr = io.Discard, io.Discard
	var changing atomic.Int64
	started := make(chan struct{})
	server.OnRequest(func(r gitlabtest.Request) {
		changes := r.Method == "DELETE" || r.Operation == "mutation"
		if changes {
			changing.Add(1)
		}
		if changing.Load() >= nth && changes == atDeletion {
			<-started
			_ = command.Process.Kill() // the program may have ended
		}
	})
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	_ = command.Wait() // it was killed
	seen := make(map[string]bool)
	names, err := filepath.Glob(filepath.Join(reports, plan.FolderName, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = plan.ReadJournal(file, func(r plan.Record) {
			if r.Event == plan.Deleting && r.Digest != "" {
				seen[r.Repository+":"+r.Tag] = true
			}
		})
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	deleted := server.Deleted()
	for _, tag := range deleted {
		if seen[tag.String()] {
			recorded++
		} else {
			t.Errorf("%s is gone, and the journal has no record of it", tag)
		}
	}
	return command.ProcessState.ExitCode() < 0, len(deleted), recorded
}
