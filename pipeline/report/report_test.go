package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// events are a run in which everything happens once.
func events() []Event {
	decision := func(tag string, action policy.Action, outcome Outcome, reason policy.Reason) Decision {
		return Decision{Project: "g/p", ProjectID: 3, Repository: "g/p/app", RepositoryID: 7, Tag: tag, Action: action, Outcome: outcome, Reason: reason}
	}
	failed := decision("d", policy.Delete, Failed, DeleteForbidden)
	failed.Detail = "a\nb \x1b[31m"
	return []Event{
		RegimeFound{registry.Legacy},
		Skipped{"g/old", ProjectArchived, true},
		ProjectScanned{"g/p"},
		RepositoryScanned{"g/p", "g/p/app", 5},
		NamingDiffers{"g/p", "g/p/b.cache", 6},
		Unreadable{Name: "g/q", Err: errors.New("forbidden")},
		decision("a", policy.Keep, Kept, policy.NoRule),
		decision("b", policy.Delete, Deleted, undatable),
		decision("c", policy.Undecided, Undecided, policy.DetailsUnknown),
		failed,
		decision("e", policy.Delete, Marked, undatable),
	}
}

// TestFiles pins the form of both files, which is part of the contract with users.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "reports")
	files, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	summary := NewSummary(false)
	summary.Started, summary.GitLabURL, summary.Version = time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC), "https://gitlab.example.com", "1.2.3"
	for _, event := range events() {
		if err := (Handlers{summary, files}).Handle(event); err != nil {
			t.Fatal(err)
		}
	}
	summary.Rules = &Rules{Name: "mine.yaml", Hash: "sha256:1", Rules: []Explanation{{undatable, Deleted, "It is old."}}}
	summary.Requests, summary.Retries = Requests{API: 3400, Registry: 1200}, 3
	summary.Throttled, summary.Duration = Seconds(1500*time.Millisecond), Seconds(93_200_400*time.Microsecond)
	if err := files.Close(summary); err != nil {
		t.Fatal(err)
	}
	want := `{"schema":1,"started":"2026-03-01T02:30:00Z","gitlab_url":"https://gitlab.example.com","without_digest":2,"version":"1.2.3","dry_run":false,"interrupted":false,"rules":{"name":"mine.yaml","hash":"sha256:1","rules":[{"reason":"undatable","outcome":"deleted","text":"It is old."}],"ask_details":false,"ask_delete_kinds":false},"regime":"legacy","verify":"registry","projects":1,"repositories":1,` +
		`"tags":5,"kept":1,"deleted":2,"undecided":1,"failed":1,` +
		`"reasons":{"delete-forbidden":1,"details-unknown":1,"no-rule":1,"undatable":2},` +
		`"skipped":{"project-archived":1},"unreadable":1,"undatable_images":0,"deletions":{"tags":2,"sized":0,"bytes":0,"projects":1,"repositories":1,"by_reason":{"undatable":{"tags":2,"sized":0,"bytes":0}}},"examples":{"delete-forbidden":["g/p/app:d"],"details-unknown":["g/p/app:c"],"no-rule":["g/p/app:a"]},"pullable":{"tags":0,"sized":0,"bytes":0},"pullable_stay":{"tags":0,"sized":0,"bytes":0,"older_than_s":0,"age_unknown":0},"naming_differs":["g/p/b.cache"],"requests":{"api":3400,"registry":1200},` +
		`"retries":3,"throttled_s":1.5,"duration_s":93.2}`
	var compact bytes.Buffer
	if err := json.Compact(&compact, read(t, dir, SummaryFile)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, compact.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", SummaryFile, diff)
	}
	const common = `{"project":"g/p","project_id":3,"repository":"g/p/app","repository_id":7,`
	lines := []string{
		common + `"tag":"b","action":"delete","outcome":"deleted","reason":"undatable"}`,
		common + `"tag":"c","action":"undecided","outcome":"undecided","reason":"details-unknown"}`,
		common + `"tag":"d","action":"delete","outcome":"failed","reason":"delete-forbidden","detail":"a\nb \u001b[31m"}`,
		common + `"tag":"e","action":"delete","outcome":"marked","reason":"undatable"}`,
	}
	if diff := cmp.Diff(strings.Join(lines, "\n")+"\n", string(read(t, dir, DecisionsFile))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", DecisionsFile, diff)
	}
	var again bytes.Buffer
	if err := (&page{Summary: summary}).write(&again, bytes.NewReader(read(t, dir, DecisionsFile))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), read(t, dir, PageFile)) {
		t.Errorf("%s is not the page of the other files", PageFile)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, error %v", left, err)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKilledRunLeavesReadableLines: each line is in the file as soon as it was handed
// over, and an earlier run's summary does not stand beside them.
func TestKilledRunLeavesReadableLines(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{SummaryFile, MetricsFile, PageFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events() {
		if err := files.Handle(event); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(read(t, dir, DecisionsFile))) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a line of JSON: %q", line)
		}
	}
	for _, name := range []string{SummaryFile, MetricsFile, PageFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s of an earlier run is still there: %v", name, err)
		}
	}
}

// TestFullDisk: a decision that cannot be recorded is an error, which ends the run. What is
// decided until then is counted all the same, and nothing is written behind half a line.
func TestFullDisk(t *testing.T) {
	files, err := OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	writable, summary := files.decisions, NewSummary(false)
	if files.decisions, err = os.Open(writable.Name()); err != nil {
		t.Fatal(err)
	}
	for _, e := range events()[7:] {
		if err := (Handlers{files, summary}).Handle(e); err == nil || !strings.Contains(err.Error(), "g/p/app:b") {
			t.Errorf("error %v", err)
		}
		files.decisions = writable // there is room again
	}
	if summary.Tags != 4 || summary.Deleted != 2 {
		t.Errorf("%d tags and %d deleted are counted", summary.Tags, summary.Deleted)
	}
	if text := read(t, files.dir, DecisionsFile); len(text) > 0 {
		t.Errorf("written: %s", text)
	}
}

// TestNoHalfFileStays: neither one that could not be written, nor one of a run that was
// killed meanwhile.
func TestNoHalfFileStays(t *testing.T) {
	files, err := OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	half := func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return full }
	if err := files.replace(PageFile, half); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if got := entries(t, files.dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
	if err := os.WriteFile(filepath.Join(files.dir, PageFile+".tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFiles(files.dir); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, files.dir); len(got) != 1 {
		t.Errorf("left behind by the run before: %v", got)
	}
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestFilesAreClean: no file of a run has a secret in it, and decisions and summary have
// no character that would steer a terminal; they mean the same as without that.
func TestFilesAreClean(t *testing.T) {
	const token = "glpat-0123456789abcdef"
	files, err := OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files.Redactor = redact.New(token)
	hostile := Decision{Repository: "g/p", Tag: "a\u202eb\u009b1m\x7f", Outcome: Failed, Detail: "sent " + token}
	summary := NewSummary(false)
	summary.Error = "bad header " + token + " \u200b"
	if err := errors.Join(files.Handle(hostile), files.Close(summary)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{DecisionsFile, SummaryFile, PageFile} {
		text := string(read(t, files.dir, name))
		if strings.Contains(text, token) || !strings.Contains(text, "[redacted]") {
			t.Errorf("%s is %s", name, text)
		}
		if strings.ContainsAny(text, "\u202e\u009b\x7f\u200b") {
			t.Errorf("something hides in %s: %q", name, text)
		}
	}
	var decoded Decision
	if err := json.Unmarshal(read(t, files.dir, DecisionsFile), &decoded); err != nil || decoded.Tag != hostile.Tag {
		t.Errorf("the tag is read back as %q, error %v", decoded.Tag, err)
	}
}
