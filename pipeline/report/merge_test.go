package report

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// firstStart is when the first shard began.
var firstStart = time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)

// sameFigures are what summaries are compared by. Deletions are measured anew from the decisions.
var sameFigures = cmp.Options{cmpopts.IgnoreFields(Summary{}, "Deletions", "Pullable"), cmpopts.IgnoreUnexported(StayingImages{})}

// fullSummary is a summary in which nothing is zero, of one deleted tag.
func fullSummary() *Summary {
	return &Summary{
		Schema: 1, Shard: &Shard{0, 1}, Started: firstStart, GitLabURL: "https://gitlab.example.com", JobURL: "https://gitlab.example.com/-/jobs/1", PipelineURL: "https://gitlab.example.com/-/pipelines/2", Version: "1.2.3", DryRun: true, Interrupted: true, Error: "interrupted by SIGTERM", ScopeMissing: true, MaxDeletions: 5, Refused: "403: read-only", Regime: "legacy", Verify: ByAPI,
		Projects: 2, Repositories: 3, Tags: 16, Kept: 4, Deleted: 1, Undecided: 5, Failed: 6,
		Rules:   &Rules{Name: "mine.yaml", Hash: "sha256:1", Rules: []Explanation{{"too-old", Deleted, "It is old."}}, AskDetails: true, AskKinds: true},
		Reasons: map[policy.Reason]int{policy.NoRule: 4}, NamingDiffers: []string{"g/p/app.cache"}, UndatableImages: 13,
		Deletions: Deletions{Measure: Measure{1, 1, 14, firstStart}, Projects: 1, Repositories: 1, ByReason: map[policy.Reason]*Measure{"too-old": {1, 1, 14, firstStart}}},
		Examples:  map[policy.Reason][]string{policy.NoRule: {"g/p/app:kept"}},
		Pullable:  Images{Measure: Measure{1, 1, 14, firstStart}, Kinds: map[string]int{"image": 1}, Largest: []Image{{Repository: "g/p/app", Tag: "a", Bytes: 14}}},
		PullableStay: StayingImages{Images: Images{Measure: Measure{2, 2, 15, firstStart}, Kinds: map[string]int{"multi-arch": 2}, Largest: []Image{{Repository: "g/p/app", Tag: "b", Bytes: 15}, {Repository: "g/p/app", Tag: "c", Bytes: 1}}},
			OlderThan: Seconds(time.Hour), AgeUnknown: 3},
		AdminModeLacking: true, ExcludeUnmatched: []string{"acme/x"}, InUse: &InUse{References: 12, ByDigest: 2, Seen: 3}, Skipped: map[SkipReason]int{ProjectArchived: 7},
		User: "root", Settings: map[string]string{"MIN_AGE": "1h"}, Applied: "a.jsonl", Plans: []string{"plan.jsonl"}, Journals: []string{"journal/1.jsonl"},
		WithoutDigest: 14, Ended: firstStart.Add(time.Minute),
		Unreadable: 8, Requests: Requests{API: 9, Registry: 10}, Retries: 11,
		Throttled: Seconds(12 * time.Millisecond), Duration: Seconds(93_254 * time.Millisecond),
	}
}

// putReports writes the reports of a shard: its summary, unless that is nil, and decisions on so
// many tags.
func putReports(t *testing.T, dir string, s *Summary, decisions int) string {
	t.Helper()
	files, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range decisions {
		d := Decision{Repository: "g/p/app", Tag: fmt.Sprintf("%s-%d", filepath.Base(dir), n), Action: policy.Delete, Outcome: Deleted}
		if err := files.Handle(d); err != nil {
			t.Fatal(err)
		}
	}
	if s == nil {
		s = new(Summary)
		defer os.Remove(filepath.Join(dir, SummaryFile))
	}
	if err := files.Close(s); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shardSummary returns the summary of a shard that deleted some tags.
func shardSummary(index, count, deleted int) *Summary {
	s := NewSummary(false)
	s.Shard = &Shard{index, count}
	s.Tags, s.Deleted = deleted, deleted
	return s
}

// handed holds the names of the tags that were handed over.
type handed []string

// Handle implements [Handler].
func (h *handed) Handle(e Event) error {
	*h = append(*h, e.(Decision).Tag)
	return nil
}

// TestMergeForgetsNoField: a field that is new in Summary has to be merged, too.
func TestMergeForgetsNoField(t *testing.T) {
	want := fullSummary()
	for field, value := range reflect.ValueOf(want).Elem().Fields() {
		if value.IsZero() && field.Tag.Get("json") != "-" {
			t.Errorf("%s is zero, which proves nothing", field.Name)
		}
	}
	sources, err := OpenSources([]string{putReports(t, t.TempDir(), want, 12)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Merge(t.Context(), sources, new(handed), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Error(err)
	}
	want.Shard, want.Error = nil, "shard 0 of 1: interrupted by SIGTERM"
	if diff := cmp.Diff(want, got, sameFigures); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Deletions.Tags != 12 || got.Deletions.Top()[0].Path != "g/p/app" { // as the decisions have it
		t.Errorf("%+v", got.Deletions)
	}
}

// TestMergeSums: figures add up, times are those of the longest.
func TestMergeSums(t *testing.T) {
	dir := t.TempDir()
	for index := range 3 {
		s := fullSummary()
		s.Shard, s.Interrupted, s.Error = &Shard{index, 3}, false, ""
		s.Duration = Seconds(time.Duration(index) * time.Minute)
		s.Started = firstStart.Add(time.Duration((index+2)%3) * time.Hour) // the second is the first
		putReports(t, filepath.Join(dir, s.Shard.Folder()), s, 12)
	}
	sources, err := OpenSources([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	var names handed
	got, err := Merge(t.Context(), sources, &names, slog.New(slog.DiscardHandler))
	if err != nil || len(names) != 36 || names[0] != "shard-0-of-3-0" || names[35] != "shard-2-of-3-11" {
		t.Errorf("error %v, decisions %v", err, names)
	}
	want := fullSummary()
	want.Shard, want.Interrupted, want.Error, want.JobURL = nil, false, "", ""
	want.Projects, want.Repositories, want.Tags, want.Kept, want.Deleted, want.Undecided, want.Failed = 6, 9, 48, 12, 3, 15, 18
	want.Reasons[policy.NoRule], want.Skipped[ProjectArchived], want.Unreadable = 12, 21, 24
	want.UndatableImages, want.InUse.Seen, want.WithoutDigest = 39, 9, 42
	want.Plans, want.Journals = slices.Repeat(want.Plans, 3), slices.Repeat(want.Journals, 3)
	stay := &want.PullableStay
	stay.Tags, stay.Kinds["multi-arch"], stay.Sized, stay.Bytes, stay.AgeUnknown = 6, 6, 6, 45, 9
	stay.Largest = []Image{stay.Largest[0], stay.Largest[0], stay.Largest[0], stay.Largest[1], stay.Largest[1]} // five are named
	want.NamingDiffers = []string{"g/p/app.cache", "g/p/app.cache", "g/p/app.cache"}
	want.Examples[policy.NoRule] = slices.Repeat(want.Examples[policy.NoRule], 3)
	want.Requests, want.Retries, want.Duration = Requests{27, 30}, 33, Seconds(2*time.Minute)
	if diff := cmp.Diff(want, got, sameFigures); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMergeSaysWhatIsMissing: what there is is merged, and the summary says what is not.
func TestMergeSaysWhatIsMissing(t *testing.T) {
	failed, stopped := shardSummary(1, 3, 2), shardSummary(2, 3, 1)
	failed.Error = "GitLab does not accept the token"
	stopped.Error, stopped.Interrupted = "MAX_RUNTIME is over", true
	for name, test := range map[string]struct {
		shards []*Summary // a shard that is nil was killed, one without Shard is not there
		lines  int        // that lack in the reports of each
		text   string
		fails  bool
		tags   int
	}{
		"nothing":         {[]*Summary{shardSummary(0, 3, 1), shardSummary(1, 3, 2), shardSummary(2, 3, 3)}, 0, "", false, 6},
		"shards":          {[]*Summary{{}, shardSummary(1, 3, 2), {}}, 0, "shard 0 of 3: is missing; shard 2 of 3: is missing", true, 2},
		"a summary":       {[]*Summary{shardSummary(0, 3, 1), nil, shardSummary(2, 3, 1)}, 0, "shard 1 of 3: was killed, and only what it wrote down is counted", true, 7},
		"part of a shard": {[]*Summary{shardSummary(0, 3, 1), failed, shardSummary(2, 3, 1)}, 0, "shard 1 of 3: GitLab does not accept the token", true, 4},
		"time":            {[]*Summary{shardSummary(0, 3, 1), shardSummary(1, 3, 1), stopped}, 0, "shard 2 of 3: MAX_RUNTIME is over", false, 3},
		"decisions": {[]*Summary{shardSummary(0, 3, 0), shardSummary(1, 3, 2), shardSummary(2, 3, 0)}, 1,
			"shard 1 of 3: decisions.jsonl has 1 of 2 decisions", true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir, lines := t.TempDir(), 0
			for index, s := range test.shards {
				n := 5 // of one that was killed
				if s != nil {
					n = max(0, s.Deleted-test.lines)
				}
				if s == nil || s.Shard != nil {
					putReports(t, filepath.Join(dir, Shard{index, 3}.Folder()), s, n)
					lines += n
				}
			}
			sources, err := OpenSources([]string{dir})
			if err != nil {
				t.Fatal(err)
			}
			var names handed
			got, err := Merge(t.Context(), sources, &names, slog.New(slog.DiscardHandler))
			if got.Error != test.text || (err != nil) != test.fails || got.Interrupted != (name == "time") {
				t.Errorf("error %v, interrupted %t, summary: %q", err, got.Interrupted, got.Error)
			}
			if len(names) != lines || got.Tags != test.tags || got.Deleted != test.tags {
				t.Errorf("%d decisions, %d tags, %d deleted", len(names), got.Tags, got.Deleted)
			}
		})
	}
}

// TestMergeRegimes: a shard that had nothing to go by has no say.
func TestMergeRegimes(t *testing.T) {
	for regimes, want := range map[[3]string]string{
		{"legacy", "legacy", "legacy"}:    "legacy",
		{"unknown", "legacy", "unknown"}:  "legacy",
		{"unknown", "unknown", "unknown"}: "unknown",
		{"legacy", "database", "legacy"}:  "unknown",
		{"unknown", "legacy", "database"}: "unknown",
	} {
		var sources []Source
		var log bytes.Buffer
		for index, regime := range regimes {
			s := shardSummary(index, 3, 0)
			s.Regime = regime
			dir := putReports(t, filepath.Join(t.TempDir(), s.Shard.Folder()), s, 0)
			sources = append(sources, Source{dir, *s.Shard, s})
		}
		got, err := Merge(t.Context(), sources, new(handed), slog.New(slog.NewTextHandler(&log, nil)))
		differ := strings.Contains(fmt.Sprint(regimes), "legacy") && strings.Contains(fmt.Sprint(regimes), "database")
		if got.Regime != want || err != nil || strings.Contains(log.String(), "different regimes") != differ {
			t.Errorf("%v: regime %s, error %v, log %s", regimes, got.Regime, err, log.String())
		}
	}
}

// TestMergeRules: the rules of a shard that decided by others are added, which is said once.
func TestMergeRules(t *testing.T) {
	first := &Rules{Name: "a.yaml", Hash: "sha256:1", Rules: []Explanation{{"old", Deleted, "It is old."}}}
	same := &Rules{Name: "a.yaml", Hash: "sha256:1", Rules: first.Rules}
	changed := &Rules{Name: "a.yaml", Hash: "sha256:2", Rules: []Explanation{{"old", Kept, "It was kept."}, {"new", Kept, "It is new."}}}
	original := &Rules{Name: "original", Hash: "sha256:3", Rules: []Explanation{{"details-missing", Deleted, "Gone."}}, AskDetails: true}
	both := []Explanation{{"old", Deleted, "It is old."}, {"new", Kept, "It is new."}}
	for name, test := range map[string]struct {
		of   []*Rules
		want *Rules
	}{
		"the same":  {[]*Rules{first, same, first}, first},
		"killed":    {[]*Rules{nil, first, nil}, first},
		"unknown":   {[]*Rules{nil, nil, nil}, nil},
		"changed":   {[]*Rules{first, changed, first}, &Rules{Name: "a.yaml", Rules: both}},
		"all other": {[]*Rules{first, changed, original}, &Rules{Name: "a.yaml, original", Rules: append(both, original.Rules...), AskDetails: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []Source
			var log bytes.Buffer
			for index, rules := range test.of {
				s := shardSummary(index, 3, 0)
				s.Rules = rules
				dir := putReports(t, filepath.Join(t.TempDir(), s.Shard.Folder()), s, 0)
				sources = append(sources, Source{dir, *s.Shard, s})
			}
			got, err := Merge(t.Context(), sources, new(handed), slog.New(slog.NewTextHandler(&log, nil)))
			if diff := cmp.Diff(test.want, got.Rules); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
			warnings := 0
			if test.want != nil && test.want.Hash == "" {
				warnings = 1
			}
			if n := strings.Count(log.String(), "different rules"); n != warnings {
				t.Errorf("%d warnings: %s", n, log.String())
			}
			if len(first.Rules) != 1 || first.Name != "a.yaml" {
				t.Errorf("the rules of a shard were changed: %v", first)
			}
		})
	}
}

// TestTornLine: a run that is killed in the middle of a line leaves the others.
func TestTornLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shard-1-of-2")
	putReports(t, dir, nil, 3)
	path := filepath.Join(dir, DecisionsFile)
	text := read(t, dir, DecisionsFile)
	if err := os.WriteFile(path, text[:len(text)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var names handed
	other := putReports(t, t.TempDir(), shardSummary(0, 2, 1), 1)
	sources, err := OpenSources([]string{dir, other})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Merge(t.Context(), sources, &names, slog.New(slog.NewTextHandler(&log, nil)))
	if err == nil || got.Deleted != 3 || len(names) != 3 || !strings.Contains(log.String(), "lines=1") {
		t.Errorf("error %v, deleted %d, decisions %q, log %s", err, got.Deleted, names, log.String())
	}
}

// TestFullDiskWhileMerging: decisions that cannot be written down are an error.
func TestFullDiskWhileMerging(t *testing.T) {
	files, err := OpenFiles(t.TempDir())
	if err == nil {
		err = files.decisions.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := shardSummary(0, 1, 1)
	for deleted, summary := range map[int]*Summary{1: s, 3: nil} { // one that was killed is counted here
		got, err := Merge(t.Context(), []Source{{putReports(t, t.TempDir(), summary, deleted), *s.Shard, summary}}, files, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(got.Error, "writing the decision on g/p/app:") || got.Deleted != deleted {
			t.Errorf("error %v, summary %q, deleted %d", err, got.Error, got.Deleted)
		}
	}
}

// TestMergeEndsWithItsContext: what was not merged by then is not counted.
func TestMergeEndsWithItsContext(t *testing.T) {
	dir, asked := t.TempDir(), errors.New("asked to end")
	for index := range 2 {
		s := shardSummary(index, 2, 3)
		putReports(t, filepath.Join(dir, s.Shard.Folder()), s, 3)
	}
	sources, err := OpenSources([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	seen := 0
	got, err := Merge(ctx, sources, handlerFunc(func(Event) { seen++; cancel(asked) }), slog.New(slog.DiscardHandler))
	if !errors.Is(err, asked) || !got.Interrupted || got.Error != "merging the shards: asked to end" || got.Tags != 3 || seen != 1 {
		t.Errorf("error %v, summary: %q, %d tags, %d handed on", err, got.Error, got.Tags, seen)
	}
}

// A handlerFunc is a handler that always can do its work.
type handlerFunc func(Event)

// Handle implements [Handler].
func (f handlerFunc) Handle(e Event) error {
	f(e)
	return nil
}

// TestSourcesThatDoNotBelongTogether: without an answer to what a whole run would have
// reported there is none.
func TestSourcesThatDoNotBelongTogether(t *testing.T) {
	dryRun, future, impossible := shardSummary(1, 2, 0), shardSummary(1, 2, 0), shardSummary(2, 2, 0)
	dryRun.DryRun, future.Schema = true, 2
	begun := func(index, hours int) *Summary {
		s := shardSummary(index, 2, 0)
		s.Started = firstStart.Add(time.Duration(hours) * time.Hour)
		return s
	}
	here, there, newer := shardSummary(0, 2, 0), shardSummary(1, 2, 0), shardSummary(1, 2, 0)
	here.GitLabURL, there.GitLabURL, newer.Version = "https://a.example", "https://b.example", "2"
	newer.GitLabURL = here.GitLabURL
	for name, test := range map[string]struct {
		folders map[string]*Summary
		want    string
	}{
		"twice":       {map[string]*Summary{"a": shardSummary(0, 2, 0), "b": shardSummary(0, 2, 0)}, "a and b are both shard 0 of 2"},
		"counts":      {map[string]*Summary{"a": shardSummary(0, 2, 0), "b": shardSummary(1, 3, 0)}, "a has shard 0 of 2, and b shard 1 of 3: they are not of the same run"},
		"a dry run":   {map[string]*Summary{"a": shardSummary(0, 2, 0), "b": dryRun}, "of a and b one is a dry run and the other is not"},
		"instances":   {map[string]*Summary{"a": here, "b": there}, `a is of the instance "https://a.example", and b of "https://b.example"`},
		"versions":    {map[string]*Summary{"a": here, "b": newer}, `a was written by version "", and b by "2"`},
		"a day":       {map[string]*Summary{"a": begun(0, 0), "b": begun(1, 24)}, "a and b began more than 20h0m0s apart: they are not of the same run"},
		"a day ago":   {map[string]*Summary{"a": begun(0, 24), "b": begun(1, 0)}, "a and b began more than 20h0m0s apart: they are not of the same run"},
		"hours":       {map[string]*Summary{"a": begun(0, 0), "b": begun(1, 20)}, ""},
		"schema":      {map[string]*Summary{"a": shardSummary(0, 2, 0), "b": future}, "the summary in b has schema 2, which this version does not know"},
		"impossible":  {map[string]*Summary{"a": impossible}, "the summary in a is of a shard that there cannot be, shard 2 of 2"},
		"two wholes":  {map[string]*Summary{"a": NewSummary(false), "b": NewSummary(false)}, "a and b are both shard 0 of 1"},
		"all killed":  {map[string]*Summary{"shard-0-of-2": nil}, ""},
		"another":     {map[string]*Summary{"a": nil}, "a has neither a summary nor folders of shards"},
		"not a shard": {map[string]*Summary{"shard-2-of-2": nil}, "shard-2-of-2 has neither a summary nor folders of shards"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var dirs []string
			for _, dir := range []string{"a", "b", "shard-0-of-2", "shard-2-of-2"} {
				if s, ok := test.folders[dir]; ok {
					dirs = append(dirs, putReports(t, dir, s, 0))
				}
			}
			if _, err := OpenSources(dirs); fmt.Sprint(err) != stdcmp.Or(test.want, "<nil>") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzMerge: whatever lies in the files, merging ends, and hands on no more than lines
// that name a tag.
func FuzzMerge(f *testing.F) {
	summary, _ := json.Marshal(fullSummary())
	f.Add(summary, []byte(`{"tag":"a","outcome":"deleted"}`+"\n{\n"))
	f.Add([]byte(`{"schema":1,"shard":{"index":999,"count":1000},"reasons":null}`), []byte("null\n{}\n[]"))
	f.Add([]byte(`{"schema":1,"shard":null,"throttled_s":1e308}`), []byte{})
	f.Fuzz(func(t *testing.T, summary, decisions []byte) {
		dir := t.TempDir()
		for name, text := range map[string][]byte{SummaryFile: summary, DecisionsFile: decisions} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sources, err := OpenSources([]string{dir})
		if err != nil {
			return
		}
		var names handed
		if s, _ := Merge(t.Context(), sources, &names, slog.New(slog.DiscardHandler)); s == nil {
			t.Fatal("no summary")
		}
		if len(names) > 1+bytes.Count(decisions, []byte("\n")) {
			t.Errorf("%d decisions of %q", len(names), decisions)
		}
	})
}

// TestMergeUnmatched: what one shard has found is there, and what one has not counted may be.
func TestMergeUnmatched(t *testing.T) {
	merged := func(shards ...*Summary) *Summary {
		m := &merger{sum: NewSummary(false)}
		for _, s := range shards {
			m.mergeUnmatched(s)
		}
		return m.sum
	}
	counted := func(seen int, patterns ...string) *Summary {
		return &Summary{ExcludeUnmatched: patterns, InUse: &InUse{References: 5, Seen: seen}}
	}
	one, two := counted(0, "a", "b"), counted(4, "b", "c")
	s := merged(one, two, counted(2, "b", "d"))
	if diff := cmp.Diff([]string{"b"}, s.ExcludeUnmatched); diff != "" || *s.InUse != (InUse{References: 5, Seen: 5}) {
		t.Errorf("%v, %v", s.ExcludeUnmatched, s.InUse)
	}
	if len(one.ExcludeUnmatched) != 2 || one.ExcludeUnmatched[0] != "a" || one.InUse.Seen != 0 {
		t.Error("a shard's own summary was changed")
	}
	if s := merged(one, new(Summary)); s.InUse != nil || len(s.ExcludeUnmatched) != 0 {
		t.Errorf("%v, %v", s.ExcludeUnmatched, s.InUse)
	}
}
