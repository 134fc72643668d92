package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// How much of the journals is read for a trend: more runs than fit into a picture, and as much as takes a
// second.
const (
	mostJournals     = 60
	mostJournalBytes = 64 << 20
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

// readTrendRun adds up the deletions in one journal. It looks at no other lines, which are half of them.
func readTrendRun(name, instance string) (run trendRun, ok bool) {
	file, err := os.Open(name)
	if err != nil {
		return run, false
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, mostJournalBytes))
	lines.Buffer(nil, longestLine)
	lines.Scan()
	header, _, err := plan.ReadJournal(bytes.NewReader(lines.Bytes()), func(plan.Record) {})
	if err != nil || header.Time.IsZero() || strings.TrimSuffix(header.Instance, "/") != strings.TrimSuffix(instance, "/") {
		return run, false
	}
	var deleted Measure
	var counted manifests
	for lines.Scan() {
		var record struct {
			Event  plan.Event `json:"event"`
			Digest string     `json:"digest"`
			Bytes  int64      `json:"bytes"`
		}
		if bytes.Contains(lines.Bytes(), []byte(`"deleted"`)) && json.Unmarshal(lines.Bytes(), &record) == nil && record.Event == plan.Deleted {
			deleted.add(record.Bytes, time.Time{}, record.Bytes > 0 && counted.again("", record.Digest))
		}
	}
	return trendRun{header.Time.Unix(), deleted.Tags, deleted.Bytes}, lines.Err() == nil
}
