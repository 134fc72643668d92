package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gitlab.com/registry-gc/registry-gc/internal/redact"
)

// unpacked returns what a page has packed into an element, "" where it has none such.
func unpacked(t testing.TB, page []byte, id string) string {
	t.Helper()
	var text []byte
	walkPage(t, page, func(node *html.Node) {
		if attribute(node, "id") != id {
			return
		}
		packed, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(node.FirstChild.Data)))
		if err == nil {
			text, err = io.ReadAll(packed)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return string(text)
}

// packedLines returns the lines of a plan that a page holds, the header first.
func packedLines(t testing.TB, page []byte) []string {
	t.Helper()
	return slices.Collect(strings.Lines(unpacked(t, page, "plan")))
}

// TestPagePlan: a page holds the header and every line of the run's plan, byte for byte, a line for each row
// that is marked, whatever names there are.
func TestPagePlan(t *testing.T) {
	for name, run := range map[string]*pageRun{"small": smallRun(t, true), "hostile": hostilePlanRun(t, 3000)} {
		t.Run(name, func(t *testing.T) {
			made := run.writePlan(t)
			page := run.pageOf(t, made)
			lines := packedLines(t, page)
			if len(lines) < 2 {
				t.Fatalf("%d lines", len(lines))
			}
			text, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Collect(strings.Lines(string(text)))
			if lines[0] != want[0] {
				t.Errorf("the header is %q, want %q", lines[0], want[0])
			}
			var marked []decisionLine
			if _, err := eachDecision(bytes.NewReader(run.decisions.Bytes()), func(d *decisionLine) error {
				if d.Outcome == Marked {
					marked = append(marked, *d)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(lines) != len(want) || len(marked) != len(lines)-1 {
				t.Fatalf("%d lines, the plan has %d; %d rows are marked", len(lines), len(want), len(marked))
			}
			for i, d := range marked {
				if line, err := EntryOf(Decision(d)).Line(planInstance); err != nil || string(line) != lines[i+1] {
					t.Fatalf("the line of row %d is %q, want %q (%v)", i, lines[i+1], line, err)
				}
			}
			slices.Sort(lines)
			slices.Sort(want)
			if !slices.Equal(lines, want) {
				t.Error("the lines are not those of the plan")
			}
		})
	}
}

// TestPageWithoutPlan: tags can be selected only where the run has marked some and written them into a
// plan, all of which is in the page as it stands there.
func TestPageWithoutPlan(t *testing.T) {
	const secret = "glpat-ABCDEFGHIJKLMNOPQRST"
	for name, c := range map[string]struct {
		change   func(*pageRun)
		redactor *redact.Redactor
		want     bool
	}{
		"dry run":            {func(*pageRun) {}, nil, true},
		"MAX_DELETIONS":      {func(r *pageRun) { r.DryRun, r.MaxDeletions = false, 1 }, nil, true},
		"deleted":            {func(r *pageRun) { r.DryRun = false }, nil, false},
		"nothing marked":     {func(r *pageRun) { r.Deleted = 0; r.decisions.Reset() }, nil, false},
		"redacted decision":  {func(r *pageRun) { r.tell(t, markedTag(redact.Mark, 1)) }, nil, false},
		"decision without":   {func(r *pageRun) { r.tell(t, markedTag("a", 0)) }, nil, false},
		"secret in header":   {func(*pageRun) {}, redact.New("sha256:1"), false},
		"secret not in here": {func(*pageRun) {}, redact.New(secret), true},
	} {
		t.Run(name, func(t *testing.T) {
			run := newPageRun(true)
			run.tell(t, markedTag("feature", 7))
			c.change(run)
			selection, err := readSelection(run.writePlan(t), c.redactor)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := (&page{Summary: run.Summary, selection: selection}).write(&text, bytes.NewReader(run.decisions.Bytes())); err != nil {
				t.Fatal(err)
			}
			if lines := packedLines(t, text.Bytes()); len(lines) > 0 != c.want {
				t.Errorf("%d lines; want them: %t", len(lines), c.want)
			}
		})
	}
}

func markedTag(tag string, repository int64) Decision {
	return Decision{Project: "g/p", ProjectID: 1, Repository: "g/p/a", RepositoryID: repository, Tag: tag, Outcome: Marked, Reason: undatable}
}

// TestPagePlanErrors: what is no plan is an error, and so is one that cannot be written.
func TestPagePlanErrors(t *testing.T) {
	none := filepath.Join(t.TempDir(), "plan.jsonl")
	if _, err := readSelection(none, nil); !os.IsNotExist(err) {
		t.Errorf("a plan that is not there: %v", err)
	}
	for _, text := range []string{"", "{}\n", "no JSON\n", strings.Repeat("x", 2<<20)} {
		if err := os.WriteFile(none, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := readSelection(none, nil); err == nil {
			t.Errorf("%.20q is a plan: %+v", text, s)
		}
	}
	run := hostilePlanRun(t, 1000)
	selection, err := readSelection(run.writePlan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := selection.write(fullDisk{}, bytes.NewReader(run.decisions.Bytes())); err == nil {
		t.Error("a full disk is no error")
	}
}

// TestFilesPlan: the page that is written with a run's reports has the run's plan.
func TestFilesPlan(t *testing.T) {
	run := newPageRun(true)
	dir := t.TempDir()
	files, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	decision := markedTag("</script>\u202e", 7)
	run.tell(t, decision)
	if err := files.Handle(decision); err != nil {
		t.Fatal(err)
	}
	files.Plan = run.writePlan(t)
	if err := files.Close(run.Summary); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(files.Plan)
	if err != nil {
		t.Fatal(err)
	}
	if lines := packedLines(t, page); strings.Join(lines, "") != string(made) {
		t.Errorf("the page has %q, the plan is %q", lines, made)
	}
}

// TestPagePlanMemory: the lines are packed while the decisions are read.
func TestPagePlanMemory(t *testing.T) {
	const rows, most = 15_000, 8 << 20
	run := hostilePlanRun(t, rows)
	selection, err := readSelection(run.writePlan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	peak := &heapPeak{before: heap()}
	if err := (&page{Summary: run.Summary, selection: selection}).write(peak, bytes.NewReader(run.decisions.Bytes())); err != nil {
		t.Fatal(err)
	}
	if peak.looks < 5 || peak.most > most {
		t.Errorf("looked %d times, the heap grew by up to %d bytes for %d decisions", peak.looks, peak.most, rows)
	}
}
