package report

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestKeptTags: where all tags are written, those that are kept are in the page, too, and in that of shards
// that were merged.
func TestKeptTags(t *testing.T) {
	var sources []Source
	for index := range 2 {
		dir := t.TempDir()
		files, err := OpenFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		files.Everything = true
		s := NewSummary(false)
		s.Shard = &Shard{index, 2}
		for i, outcome := range []Outcome{Kept, Deleted, Kept} {
			d := Decision{Project: "g/p", Repository: "g/p/a", RepositoryID: int64(index + 1), Tag: string(rune('a' + i)), Outcome: outcome, Reason: policy.NoRule}
			if err := (Handlers{files, s}).Handle(d); err != nil {
				t.Fatal(err)
			}
		}
		if err := files.Close(s); err != nil {
			t.Fatal(err)
		}
		if rows := pageRows(t, dir); len(rows) != 3 {
			t.Errorf("%d rows", len(rows))
		}
		sources = append(sources, Source{Dir: dir, Shard: *s.Shard, Summary: s})
	}
	dir := t.TempDir()
	files, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	files.Everything = true
	merged, err := Merge(t.Context(), sources, files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Close(merged); err != nil {
		t.Fatal(err)
	}
	if rows := pageRows(t, dir); len(rows) != 6 || merged.Kept != 4 || merged.Deleted != 2 {
		t.Errorf("%d rows, %d kept, %d deleted", len(rows), merged.Kept, merged.Deleted)
	}
}

// pageRows returns the rows of the page in a folder.
func pageRows(t *testing.T, dir string) [][]any {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil {
		t.Fatal(err)
	}
	return decodeRows(t, unpacked(t, bytes.TrimSpace(page), "rows"))
}
