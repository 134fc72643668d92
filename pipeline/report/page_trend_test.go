package report

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// writeJournal writes the journal of a run that began on a day and deleted so many tags.
func writeJournal(t testing.TB, reports, instance string, began time.Time, tags int) {
	t.Helper()
	journal := plan.NewJournal(reports, plan.JournalHeader{Time: began, Instance: instance}, func(text []byte) []byte { return text })
	for i := range tags {
		e := plan.Entry{Project: "g/p", ProjectID: 1, Repository: "g/p/a", RepositoryID: 2, Tag: fmt.Sprint("t", i), Digest: fmt.Sprint("sha256:", i/2), Bytes: 10}
		if err := journal.Record("legacy", plan.Record{Event: plan.Deleting, Entry: e}, plan.Record{Event: plan.Deleted, Entry: e}); err != nil {
			t.Fatal(err)
		}
	}
	failed := plan.Record{Event: plan.Failed, Entry: plan.Entry{Project: "g/p", ProjectID: 1, Repository: "g/p/a", RepositoryID: 2, Tag: "failed", Bytes: 10}}
	if err := journal.Record("legacy", failed); err != nil {
		t.Fatal(err)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTrend: what was deleted is counted by run, each manifest once, the earliest run first; what is no journal
// of the instance is skipped.
func TestTrend(t *testing.T) {
	const instance = "https://gitlab.example.com"
	dir := t.TempDir()
	if got := readTrend(dir, instance); got != nil {
		t.Errorf("without journals: %+v", got)
	}
	writeJournal(t, dir, instance, firstStart.AddDate(0, 0, 1), 4)
	writeJournal(t, dir, instance, firstStart, 3)
	writeJournal(t, dir, "https://other.example.com", firstStart.AddDate(0, 0, 2), 5)
	for name, text := range map[string]string{"broken": "no journal\n", "later": `{"event":"started","journal":99}`, "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, plan.FolderName, name+".jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, plan.FolderName, "folder.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := &trend{Runs: []trendRun{{firstStart.Unix(), 3, 20}, {firstStart.AddDate(0, 0, 1).Unix(), 4, 20}}}
	if diff := cmp.Diff(want, readTrend(dir, instance+"/")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTrendOfShards: the page of a merged report has the runs of all shards, which each have a folder of their
// own. Shards that began within an hour are one run, also where one of them deleted nothing.
func TestTrendOfShards(t *testing.T) {
	const instance = "https://gitlab.example.com"
	dir := t.TempDir()
	shards := []string{filepath.Join(dir, Shard{0, 2}.Folder()), filepath.Join(dir, Shard{1, 2}.Folder())}
	began := func(day, minute int) time.Time {
		return firstStart.AddDate(0, 0, day).Add(time.Duration(minute) * time.Minute)
	}
	writeJournal(t, shards[0], instance, began(0, 0), 2)
	writeJournal(t, shards[1], instance, began(0, 9), 4)
	writeJournal(t, shards[1], instance, began(1, 0), 6)
	writeJournal(t, shards[1], instance, began(2, 0), 2)
	writeJournal(t, shards[0], instance, began(2, 5), 2)
	writeJournal(t, shards[0], instance, began(2, 30), 8)
	run := newPageRun(false)
	run.GitLabURL = instance
	for _, shard := range shards {
		names, err := filepath.Glob(filepath.Join(shard, plan.FolderName, "*"))
		if err != nil {
			t.Fatal(err)
		}
		run.Journals = append(run.Journals, names[len(names)-1])
	}
	want := &trend{Runs: []trendRun{{began(0, 0).Unix(), 6, 30}, {began(1, 0).Unix(), 6, 30}, {began(2, 0).Unix(), 4, 20}, {began(2, 30).Unix(), 8, 40}}}
	if diff := cmp.Diff(want, dataOf(t, run.page(t)).Trend); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTrendBounds: no more journals are read than fit into the picture, nor more than there is room for.
func TestTrendBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range mostJournals + 3 {
		writeJournal(t, dir, "", firstStart.AddDate(0, 0, i), 1)
	}
	got := readTrend(dir, "")
	if len(got.Runs) != mostJournals || got.More != 3 || got.Runs[0].Began != firstStart.AddDate(0, 0, 3).Unix() {
		t.Errorf("%d runs from %v on, %d more", len(got.Runs), time.Unix(got.Runs[0].Began, 0), got.More)
	}
	names, err := filepath.Glob(filepath.Join(dir, plan.FolderName, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(names[len(names)-3], mostJournalBytes); err != nil {
		t.Fatal(err)
	}
	if got := readTrend(dir, ""); len(got.Runs) != 2 || got.More != mostJournals+1 {
		t.Errorf("with a large one: %d runs, %d more", len(got.Runs), got.More)
	}
}
