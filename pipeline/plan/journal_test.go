package plan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

func same(text []byte) []byte { return text }

// newJournal returns a journal in a folder.
func newJournal(dir string) *plan.Journal {
	return plan.NewJournal(dir, plan.JournalHeader{Time: began, Instance: instance, Version: "1"}, same)
}

// TestJournal writes what is to be deleted and what was, and reads it back. A second run of the same
// second takes another file.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	if unused := newJournal(dir); unused.Path() != "" || unused.Close() != nil {
		t.Error("a journal of nothing is a file")
	}
	var written []plan.Record
	for i, name := range []string{"2026-11-26T123000Z.jsonl", "2026-11-26T123000Z-2.jsonl"} {
		j := newJournal(dir)
		records := []plan.Record{
			{Time: began, Event: plan.Deleting, Entry: entry(i)},
			{Time: began, Event: plan.Deleted, Entry: entry(i)},
			{Time: began, Event: plan.Failed, Entry: entry(i + 5), Detail: "500"},
		}
		written = append(written, records...)
		if err := errors.Join(j.Record("database", records[:1]...), j.Record("database", records[1:]...), j.Close()); err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "journal", name); j.Path() != want {
			t.Errorf("the journal is %s, want %s", j.Path(), want)
		}
	}
	var read []plan.Record
	for _, name := range []string{"2026-11-26T123000Z.jsonl", "2026-11-26T123000Z-2.jsonl"} {
		text, err := os.ReadFile(filepath.Join(dir, "journal", name))
		if err != nil {
			t.Fatal(err)
		}
		// A runner may put the time before each line of a log.
		cut := strings.ReplaceAll("\n"+string(text), "\n{", "\n2026-11-26T12:30:00.000000Z 00O {") + "\nno JSON\n" + `{"level":"INFO","msg":"a line of a log"}` + "\n" + `{"event":"deleted"}` + "\n" + string(text[len(text)/2:])
		header, unread, err := plan.ReadJournal(strings.NewReader(cut), func(r plan.Record) {
			if !slices.ContainsFunc(read, func(other plan.Record) bool { return cmp.Equal(r, other) }) {
				read = append(read, r)
			}
		})
		if err != nil || header.Instance != instance || header.Regime != "database" || unread != 1 {
			t.Errorf("header %+v, %d lines could not be read, %v", header, unread, err)
		}
	}
	if diff := cmp.Diff(written, read); diff != "" {
		t.Error(diff)
	}
}

// TestJournalOnAFullDisk loses the disk after the first record: nothing is written any more, not even when
// there is room again.
func TestJournalOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	j := newJournal(dir)
	record := plan.Record{Time: began, Event: plan.Deleting, Entry: entry(1)}
	if err := j.Record("legacy", record); err != nil {
		t.Fatal(err)
	}
	full, err := os.Open(j.Path()) // to be read only, so that each writing fails
	if err != nil {
		t.Fatal(err)
	}
	restore := plan.Swap(j, full)
	if err := j.Record("legacy", record); err == nil {
		t.Fatal("nobody noticed that the disk is full")
	}
	restore()
	if err := j.Record("legacy", record); err == nil {
		t.Error("a line was written behind one that may have been cut off")
	}
}

// TestJournalsInOneInput: those of one instance can be read together, those of two cannot, of which nobody
// could tell which record is of which.
func TestJournalsInOneInput(t *testing.T) {
	const header = `{"event":"started","journal":1,"gitlab_url":"https://%s.example"}` + "\n"
	for second, fine := range map[string]bool{"one": true, "two": false} {
		text := fmt.Sprintf(header, "one") + fmt.Sprintf(header, second)
		if _, _, err := plan.ReadJournal(strings.NewReader(text), func(plan.Record) {}); (err == nil) != fine {
			t.Errorf("%s: %v", second, err)
		}
	}
}

// TestJournalInALog writes among other lines. What cannot be made sure of ends it.
func TestJournalInALog(t *testing.T) {
	var log strings.Builder
	broken := errors.New("nobody reads it")
	var sync error
	j := plan.NewJournalIn(&log, func() error { return sync }, plan.JournalHeader{Time: began, Instance: instance}, same)
	record := plan.Record{Time: began, Event: plan.Deleting, Entry: entry(1)}
	err := j.Record("legacy", record)
	log.WriteString("12:30 INF another line\n")
	sync = broken
	again := j.Record("legacy", record)
	if err != nil || !errors.Is(again, broken) || j.Path() != "" || j.Close() != nil {
		t.Errorf("%v, %v", err, again)
	}
	n := 0
	header, unread, err := plan.ReadJournal(strings.NewReader(log.String()), func(plan.Record) { n++ })
	if err != nil || unread > 0 || n != 2 || header.Regime != "legacy" {
		t.Errorf("%+v, %d records, %d unread, %v:\n%s", header, n, unread, err, log.String())
	}
}
