package report

import (
	"bufio"
	"bytes"
	"cmp"
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

// readTrend reads the journals in a folder of reports.
func readTrend(reports, instance string) *trend {
	return readTrendIn([]string{filepath.Join(reports, plan.FolderName)}, instance)
}

// readTrendOfShards reads the journals in the folders in which shards have written theirs.
func readTrendOfShards(journals []string, instance string) *trend {
	var folders []string
	for _, path := range journals {
		folders = append(folders, filepath.Dir(path))
	}
	slices.Sort(folders)
	return readTrendIn(slices.Compact(folders), instance)
}

// readTrendIn reads the journals in folders, the last ones first, as long as there is room. What is no
// journal, or one of another instance, is skipped: nothing hangs on a trend. Journals of several folders that
// began within an hour are of one run, as those of its shards.
func readTrendIn(folders []string, instance string) *trend {
	var names []string
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, "*.jsonl"))
		names = append(names, found...)
	}
	slices.SortFunc(names, func(a, b string) int { // by when the runs began
		return cmp.Or(strings.Compare(filepath.Base(a), filepath.Base(b)), strings.Compare(a, b))
	})
	t, room := &trend{}, int64(mostJournalBytes)
	var joined []string // folders whose journals are in the run that was read last
	for i, name := range slices.Backward(names) {
		size := int64(0)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		if room -= size; room < 0 {
			t.More = i + 1
			break
		}
		run, ok := readTrendRun(name, instance)
		if !ok {
			continue
		}
		folder, last := filepath.Dir(name), len(t.Runs)-1
		if last >= 0 && !slices.Contains(joined, folder) && t.Runs[last].Began-run.Began <= int64(usualStartGap/time.Second) {
			t.Runs[last].add(run)
			joined = append(joined, folder)
			continue
		}
		if len(t.Runs) == mostJournals {
			t.More = i + 1
			break
		}
		t.Runs, joined = append(t.Runs, run), []string{folder}
	}
	if len(t.Runs) == 0 {
		return nil
	}
	slices.Reverse(t.Runs)
	return t
}

// add adds what another shard of the run deleted. The run began with the first of them.
func (r *trendRun) add(shard trendRun) {
	r.Began = min(r.Began, shard.Began)
	r.Tags += shard.Tags
	r.Bytes += shard.Bytes
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
