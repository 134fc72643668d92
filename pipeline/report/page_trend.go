package report

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// How much of the journals is read for a trend: more runs than fit into a picture, and as much as takes a
// second or two.
const (
	mostJournals     = 60
	mostJournalBytes = 128 << 20
)

// A trend is what the runs have deleted of which there are journals, the earliest first.
type trend struct {
	Runs []trendRun `json:"runs"`
	More int        `json:"more,omitempty"` // journals that were not read
}

type trendRun struct {
	Began int64 `json:"began"` // in seconds
	Tags  int   `json:"tags"`
	Bytes int64 `json:"bytes"` // that they reference, each manifest once
}

// readTrend reads the journals in a folder of reports, the last ones first, as long as there is room. What is
// no journal, or one of another instance, is skipped: nothing hangs on a trend.
func readTrend(reports, instance string) *trend {
	names, _ := filepath.Glob(filepath.Join(reports, plan.FolderName, "*.jsonl"))
	slices.Sort(names) // by when the runs began
	t, room := &trend{}, int64(mostJournalBytes)
	for i, name := range slices.Backward(names) {
		size := int64(0)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		if room -= size; room < 0 || len(t.Runs) == mostJournals {
			t.More = i + 1
			break
		}
		if run, ok := readTrendRun(name, instance); ok {
			t.Runs = append(t.Runs, run)
		}
	}
	if len(t.Runs) == 0 {
		return nil
	}
	slices.Reverse(t.Runs)
	return t
}

// readTrendRun adds up the deletions in one journal.
func readTrendRun(name, instance string) (run trendRun, ok bool) {
	file, err := os.Open(name)
	if err != nil {
		return run, false
	}
	defer file.Close()
	var deleted Measure
	var counted manifests
	header, _, err := plan.ReadJournal(io.LimitReader(file, mostJournalBytes), func(r plan.Record) {
		if r.Event == plan.Deleted {
			deleted.add(r.Bytes, r.Made, r.Bytes > 0 && counted.again(r.Digest))
		}
	})
	if err != nil || header.Time.IsZero() || strings.TrimSuffix(header.Instance, "/") != strings.TrimSuffix(instance, "/") {
		return run, false
	}
	return trendRun{header.Time.Unix(), deleted.Tags, deleted.Bytes}, true
}
