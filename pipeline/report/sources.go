package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Source is a folder with the reports of one shard.
type Source struct {
	Dir     string
	Shard   Shard
	Summary *Summary // nil when the run was killed before it could write one
}

// OpenSources reads the summaries of shards. A folder is a shard's, or it holds folders
// that are, by their names; then whatever else lies in it does not matter. A run that was
// not shared out counts as the only one of its kind.
//
// All that makes it impossible to tell what one run would have reported is in the error:
// folders without reports, shards that come twice, or that are not of the same run.
func OpenSources(dirs []string) ([]Source, error) {
	var sources []Source
	var problems []error
	for _, dir := range dirs {
		for _, folder := range foldersIn(dir) {
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

// foldersIn returns the folders of shards in a folder, or itself if there are none.
func foldersIn(dir string) []string {
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

func openSource(dir string) (Source, error) {
	source := Source{Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, SummaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return source, source.byName()
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

// byName takes the shard from the folder's name, as there is no summary.
func (s *Source) byName() error {
	if info, err := os.Stat(s.Dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is no folder", s.Dir)
	}
	name, err := filepath.Abs(s.Dir)
	if err != nil {
		return err
	}
	shard, ok := shardOfFolder(filepath.Base(name))
	if !ok {
		return fmt.Errorf("%s has neither a summary nor folders of shards", s.Dir)
	}
	s.Shard = shard
	return nil
}

// disagreements returns why the sources, in order, are not the shards of one run.
func disagreements(sources []Source) (problems []error) {
	var first *Source // that has a summary
	for i := range sources {
		source := &sources[i]
		if source.Shard.Count != sources[0].Shard.Count {
			problems = append(problems, fmt.Errorf("%s has %v, and %s %v: they are not of the same run",
				sources[0].Dir, sources[0].Shard, source.Dir, source.Shard))
		} else if i > 0 && source.Shard == sources[i-1].Shard {
			problems = append(problems, fmt.Errorf("%s and %s are both %v", sources[i-1].Dir, source.Dir, source.Shard))
		}
		switch {
		case source.Summary == nil:
		case first == nil:
			first = source
		default:
			problems = append(problems, first.differences(source)...)
		}
	}
	return problems
}

// farthestStarts is how far apart the starts of one run's shards may lie. Some may have
// waited for others to end, but yesterday's of a daily schedule are none of today's.
const farthestStarts = 20 * time.Hour

// differences returns what shows that two shards with a summary are not of the same run.
// What agrees proves nothing: runs have no name of their own.
func (s *Source) differences(other *Source) (problems []error) {
	one, another := s.Summary, other.Summary
	if one.DryRun != another.DryRun {
		problems = append(problems, fmt.Errorf("of %s and %s one is a dry run and the other is not", s.Dir, other.Dir))
	}
	if one.GitLabURL != another.GitLabURL {
		problems = append(problems, fmt.Errorf("%s is of the instance %q, and %s of %q", s.Dir, one.GitLabURL, other.Dir, another.GitLabURL))
	}
	if one.Version != another.Version {
		problems = append(problems, fmt.Errorf("%s was written by version %q, and %s by %q", s.Dir, one.Version, other.Dir, another.Version))
	}
	if apart := one.Started.Sub(another.Started).Abs(); apart > farthestStarts {
		problems = append(problems, fmt.Errorf("%s and %s began more than %v apart: they are not of the same run", s.Dir, other.Dir, farthestStarts))
	}
	return problems
}
