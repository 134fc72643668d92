package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

const instance = "https://gitlab.example.com"

var began = time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC)

// entry returns an entry of a number.
func entry(n int) plan.Entry {
	return plan.Entry{
		Project: fmt.Sprintf("acme/p%d", n%7), ProjectID: int64(n%7 + 1),
		Repository: fmt.Sprintf("acme/p%d/app-%d", n%7, n%3), RepositoryID: int64(n%21 + 1),
		Tag: fmt.Sprintf("feature-%06d", n), Digest: fmt.Sprintf("sha256:%064x", n), MediaType: "application/vnd.oci.image.index.v1+json",
		Reason: "counterpart-tag-missing", Kind: "cache-index", Bytes: int64(n) * 1000, Made: began.AddDate(0, 0, -n%900), RestsOn: "a <b> & c",
	}
}

// write writes a plan of entries and returns its text.
func write(t *testing.T, entries []plan.Entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reports", "plan.jsonl")
	w, err := plan.NewWriter(path, instance)
	for _, e := range entries {
		err = errors.Join(err, w.Add(e))
	}
	if err = errors.Join(err, w.Close(header())); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder of the plan has %v, %v", left, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func header() plan.Header {
	return plan.Header{
		Time: began, Version: "1.2.3", User: "root", Rules: plan.Rules{Name: "default", Hash: "sha256:1"},
		Settings: map[string]string{"GITLAB_GROUPS": "acme", "MIN_AGE": "24h"}, Regime: "legacy",
	}
}

// TestPlan writes and reads a plan, of more entries than are held in memory, too: whatever the order in
// which they come, the file is the same.
func TestPlan(t *testing.T) {
	for _, n := range []int{0, 1, 17, 10_003} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var entries []plan.Entry
			for i := range n {
				entries = append(entries, entry(i))
			}
			text := write(t, entries)
			rand.Shuffle(n, func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			if again := write(t, entries); again != text {
				t.Error("in another order of the entries the file is another")
			}
			p, err := plan.Read(strings.NewReader(text), "plan.jsonl", instance)
			if err != nil {
				t.Fatal(err)
			}
			want := header()
			want.Plan, want.Instance, want.Tags = 1, instance, n
			if diff := cmp.Diff(want, p.Header); diff != "" {
				t.Error(diff)
			}
			key := func(e plan.Entry) string { return e.Project + "\x00" + e.Repository + "\x00" + e.Tag }
			slices.SortFunc(entries, func(a, b plan.Entry) int { return strings.Compare(key(a), key(b)) })
			if diff := cmp.Diff(entries, p.Entries); diff != "" {
				t.Errorf("the entries are not what was written, in their order: %.2000s", diff)
			}
		})
	}
}

// TestPlanThatWasChanged takes lines out of a plan, which is allowed, and changes it in other ways, which
// is not: each wrong line is named by its number, and nothing of the plan stands.
func TestPlanThatWasChanged(t *testing.T) {
	text := write(t, []plan.Entry{entry(0), entry(1), entry(2)})
	lines := strings.SplitAfter(text, "\n")
	other := strings.Replace(text, instance, "https://other.example.com", 1)
	for name, change := range map[string]struct {
		text, want string
	}{
		"without its second line": {lines[0] + lines[2] + lines[3], ""},
		"in another order":        {lines[0] + lines[3] + lines[1], ""},
		"without entries":         {lines[0], ""},
		"with lines of Windows":   {strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"with an empty line":      {lines[0] + "\n" + lines[1], ""},
		"without its last end":    {strings.TrimSuffix(text, "\n"), ""},

		"without its header":          {lines[1] + lines[2], "plan.jsonl:1: this is no plan"},
		"of nothing":                  {"", "plan.jsonl:1: the plan is empty"},
		"of another instance":         {other, "plan.jsonl:1: the plan is of another instance"},
		"with another time":           {strings.Replace(text, "2026-11-26T12:30", "2026-11-27T12:30", 1), "plan.jsonl:1: the line was changed"},
		"of another format":           {strings.Replace(text, `"plan":1`, `"plan":2`, 1), "plan.jsonl:1: the plan was written by another version"},
		"with another tag":            {strings.Replace(text, "feature-000001", "main", 1), "plan.jsonl:3: the line was changed"},
		"with another digest":         {strings.Replace(text, "0001", "0009", 1), "plan.jsonl:3: the line was changed"},
		"with another size":           {strings.Replace(text, `"bytes":2000`, `"bytes":1`, 1), "plan.jsonl:4: the line was changed"},
		"with a field more":           {strings.Replace(text, `"tag":"feature-000002"`, `"tag":"feature-000002","x":1`, 1), "plan.jsonl:4: the line was changed"},
		"with a tag twice in a line":  {strings.Replace(text, `"tag":"feature-000002"`, `"tag":"main","tag":"feature-000002"`, 1), "plan.jsonl:4: the line was changed"},
		"with a line twice":           {text + lines[1], "plan.jsonl:5: the tag stands in a line before"},
		"with a line that is cut off": {text[:len(text)-9], "plan.jsonl:4: this is no line of JSON"},
		"with two wrong lines":        {strings.ReplaceAll(text, "acme/p1", "acme/p2"), "plan.jsonl:3: the line was changed"},
		"with a line without a tag":   {lines[0] + `{"project":"a"}` + "\n", "plan.jsonl:2: it lacks project, repository or tag"},
		"with a line without an end":  {lines[0] + strings.Repeat("x", 2<<20), "plan.jsonl:2: the line is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Read(strings.NewReader(change.text), "plan.jsonl", instance)
			switch {
			case change.want == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case change.want != "" && (err == nil || !strings.Contains(err.Error(), change.want)):
				t.Errorf("%v\nwant %s", err, change.want)
			}
		})
	}
}

// FuzzPlan reads what is no plan, or nearly one: nothing that is accepted says anything that was not
// written.
func FuzzPlan(f *testing.F) {
	dir := f.TempDir()
	w, _ := plan.NewWriter(filepath.Join(dir, "plan.jsonl"), instance)
	written := map[plan.Entry]bool{entry(1): true, entry(2): true}
	for e := range written {
		_ = w.Add(e)
	}
	_ = w.Close(header())
	text, err := os.ReadFile(filepath.Join(dir, "plan.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := plan.Read(strings.NewReader(string(text)), "plan.jsonl", instance)
		if err != nil {
			return
		}
		for _, e := range p.Entries {
			if !written[e] {
				t.Errorf("it has %+v, which was not written", e)
			}
		}
	})
}

// TestHeaderLine reads the header alone, as it stands in the file; and what is none is an error.
func TestHeaderLine(t *testing.T) {
	text := write(t, []plan.Entry{entry(0), entry(1)})
	lines := strings.SplitAfter(text, "\n")
	line, of, err := plan.HeaderLine(strings.NewReader(text))
	if err != nil || string(line) != lines[0] || of != instance {
		t.Errorf("the header is %q of %s, %v; want %q", line, of, err, lines[0])
	}
	if line, err := entry(0).Line(instance); err != nil || string(line) != lines[1] {
		t.Errorf("the line of an entry is %q, %v; the file has %q", line, err, lines[1])
	}
	for name, text := range map[string]string{
		"nothing": "", "an entry": lines[1], "no JSON": "{", "a header that was changed": strings.Replace(lines[0], "root", "other", 1), "a long line": strings.Repeat("x", 2<<20),
	} {
		if line, _, err := plan.HeaderLine(strings.NewReader(text)); err == nil {
			t.Errorf("%s is a header: %q", name, line)
		}
	}
}
