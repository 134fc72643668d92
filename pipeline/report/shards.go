package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// MaxShards is how many shards there may be. A rate limit has nothing left to share
// out long before.
const MaxShards = 1000

// A Shard says which of several runs, that share the projects out among them, a summary
// is of.
type Shard struct {
	Index int `json:"index"` // from 0
	Count int `json:"count"`
}

// String names the shard for people.
func (s Shard) String() string { return fmt.Sprintf("shard %d of %d", s.Index, s.Count) }

// Folder returns the name of the folder for the shard's reports. Shards write into one
// REPORT_DIR, on a shared volume or as artifacts that a later job unpacks over each other.
func (s Shard) Folder() string { return fmt.Sprintf("shard-%d-of-%d", s.Index, s.Count) }

// shardOfFolder returns the shard that a folder is for by its name.
func shardOfFolder(name string) (s Shard, ok bool) {
	_, err := fmt.Sscanf(name, "shard-%d-of-%d", &s.Index, &s.Count)
	return s, err == nil && s.Folder() == name && s.valid()
}

func (s Shard) valid() bool { return s.Index >= 0 && s.Index < s.Count && s.Count <= MaxShards }

// A Source is a folder with the reports of one shard.
type Source struct {
	Dir     string
	Shard   Shard
	Summary *Summary // nil when the run was killed before it could write one
}

// OpenSources reads the summaries of shards. A folder is a shard's, or it holds folders
// that are, by their names; then nothing else in it matters. A run that was not shared out
// counts as the only shard.
//
// All that makes it impossible to tell what one run would have reported is in the error:
// folders without reports, shards that come twice, or that are not of the same run.
func OpenSources(dirs []string) ([]Source, error) {
	var sources []Source
	var problems []error
	for _, dir := range dirs {
		for _, folder := range shardFolders(dir) {
			source, err := openSource(folder)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			sources = append(sources, source)
		}
	}
	slices.SortStableFunc(sources, func(a, b Source) int { return cmp.Compare(a.Shard.Index, b.Shard.Index) })
	if len(problems) == 0 {
		problems = disagreements(sources)
	}
	return sources, errors.Join(problems...)
}

// shardFolders returns the folders of shards in a folder, or itself if there are none.
func shardFolders(dir string) []string {
	var folders []string
	entries, _ := os.ReadDir(dir) // what is wrong with it shows when it is opened itself
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if _, ok := shardOfFolder(entry.Name()); !ok {
			continue
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() { // a link counts as what it leads to
			folders = append(folders, path)
		}
	}
	if len(folders) == 0 {
		return []string{dir}
	}
	return folders
}

// openSource reads a folder's summary. Where there is none the folder's name says which
// shard was killed.
func openSource(dir string) (Source, error) {
	source := Source{Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, SummaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		if info, err := os.Stat(dir); err != nil {
			return source, err
		} else if !info.IsDir() {
			return source, fmt.Errorf("%s is no folder", dir)
		}
		path, err := filepath.Abs(dir)
		if err != nil {
			return source, err
		}
		shard, ok := shardOfFolder(filepath.Base(path))
		if !ok {
			return source, fmt.Errorf("%s has neither a summary nor folders of shards", dir)
		}
		source.Shard = shard
		return source, nil
	}
	if err != nil {
		return source, err
	}
	source.Summary = NewSummary(false)
	if err := json.Unmarshal(text, source.Summary); err != nil {
		return source, fmt.Errorf("reading the summary in %s: %w", dir, err)
	}
	if schema := source.Summary.Schema; schema != NewSummary(false).Schema {
		return source, fmt.Errorf("the summary in %s has schema %d, which this version does not know", dir, schema)
	}
	source.Shard = Shard{Index: 0, Count: 1}
	if shard := source.Summary.Shard; shard != nil {
		source.Shard = *shard
	}
	if !source.Shard.valid() {
		return source, fmt.Errorf("the summary in %s is of a shard that there cannot be, %v", dir, source.Shard)
	}
	return source, nil
}

// maxStartGap is how far apart the starts of one run's shards may be. Some may have
// waited for others to end, but shards of yesterday's run on a daily schedule are not of today's.
const maxStartGap = 20 * time.Hour

// disagreements returns why the sources, in order, are not the shards of one run. Where
// there are none that proves nothing: runs have no name of their own.
func disagreements(sources []Source) (problems []error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	var first *Source // that has a summary
	for i := range sources {
		source := &sources[i]
		if source.Shard.Count != sources[0].Shard.Count {
			problem("%s has %v, and %s %v: they are not of the same run", sources[0].Dir, sources[0].Shard, source.Dir, source.Shard)
		} else if i > 0 && source.Shard == sources[i-1].Shard {
			problem("%s and %s are both %v", sources[i-1].Dir, source.Dir, source.Shard)
		}
		if source.Summary == nil {
			continue
		}
		if first == nil {
			first = source
		}
		a, b := first.Summary, source.Summary
		if a.DryRun != b.DryRun {
			problem("of %s and %s one is a dry run and the other is not", first.Dir, source.Dir)
		}
		if a.GitLabURL != b.GitLabURL {
			problem("%s is of the instance %q, and %s of %q", first.Dir, a.GitLabURL, source.Dir, b.GitLabURL)
		}
		if a.Version != b.Version {
			problem("%s was written by version %q, and %s by %q", first.Dir, a.Version, source.Dir, b.Version)
		}
		if a.Started.Sub(b.Started).Abs() > maxStartGap {
			problem("%s and %s began more than %v apart: they are not of the same run", first.Dir, source.Dir, maxStartGap)
		}
	}
	return problems
}

// usualStartGap is how far apart shards begin that nothing holds up.
const usualStartGap = time.Hour

// warnOfStartGap names the shards that began first and last if there is long between them:
// where runs are hours apart, one may be what an earlier run has left. That is a doubt,
// and no proof.
func warnOfStartGap(sources []Source, log *slog.Logger) {
	started := slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return s.Summary == nil || s.Summary.Started.IsZero() })
	if len(started) == 0 {
		return
	}
	byStart := func(a, b Source) int { return a.Summary.Started.Compare(b.Summary.Started) }
	first, last := slices.MinFunc(started, byStart), slices.MaxFunc(started, byStart)
	if last.Summary.Started.Sub(first.Summary.Started) > usualStartGap {
		log.Warn("shards began hours apart, are they of the same run?",
			"first", first.Dir, "started", first.Summary.Started, "last", last.Dir, "last_started", last.Summary.Started)
	}
}
