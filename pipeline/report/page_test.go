package report

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// walkPage visits what a browser makes of a page.
func walkPage(t testing.TB, page []byte, visit func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for node := range root.Descendants() {
		visit(node)
	}
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TestPageNamesStayText: a page full of hostile names is made of the same elements and
// attributes as one without them, and says every name in full.
func TestPageNamesStayText(t *testing.T) {
	shapeOf := func(page []byte) (shape []string, text string) {
		var words strings.Builder
		walkPage(t, page, func(node *html.Node) {
			switch node.Type {
			case html.CommentNode:
				shape = append(shape, "comment")
			case html.TextNode:
				words.WriteString(node.Data)
			case html.ElementNode:
				for _, a := range node.Attr {
					shape = append(shape, node.Data+" "+a.Key)
				}
				shape = append(shape, node.Data)
			}
		})
		slices.Sort(shape)
		return slices.Compact(shape), words.String()
	}
	friendly := smallRun(t, true)
	friendly.Error = "stopped"
	want, _ := shapeOf(friendly.page(t))
	got, text := shapeOf(hostileRun(t, 200).page(t))
	for _, element := range got {
		if !slices.Contains(want, element) {
			t.Errorf("the page has a %q that a name brought in", element)
		}
	}
	for _, name := range hostileNames {
		if !strings.Contains(text, printable.Escape(name)) {
			t.Errorf("the page does not show %q", name)
		}
	}
}

// TestPageAllowsItselfOnly: the page's own policy names its style and script by what is
// in them, and allows nothing else.
func TestPageAllowsItselfOnly(t *testing.T) {
	var policies, styles, scripts []string
	walkPage(t, smallRun(t, false).page(t), func(node *html.Node) {
		switch {
		case node.Type != html.ElementNode:
		case node.Data == "meta" && attribute(node, "http-equiv") == "Content-Security-Policy":
			policies = append(policies, attribute(node, "content"))
		case node.Data == "style":
			styles = append(styles, contentHash(node.FirstChild.Data))
		case node.Data == "script" && attribute(node, "type") == "":
			scripts = append(scripts, contentHash(node.FirstChild.Data))
		}
	})
	if len(policies) != 1 || len(styles) != 1 || len(scripts) != 1 {
		t.Fatalf("%d policies, %d styles, %d scripts", len(policies), len(styles), len(scripts))
	}
	want := "default-src 'none'; style-src '" + styles[0] + "'; script-src '" + scripts[0] + "'; base-uri 'none'; form-action 'none'"
	if policies[0] != want {
		t.Errorf("policy %s\nwant   %s", policies[0], want)
	}
}

// TestPageSaysHowTheRunWent: what has to be known before any figure is believed.
func TestPageSaysHowTheRunWent(t *testing.T) {
	const dry, interrupted, stopped = "<strong>Dry run.", "<strong>Interrupted.", "<strong>Stopped by an error."
	const guard, unreadable, missing = "<strong>A guard stopped deletions.", "<strong>Not everything could be read.", "<strong>Some decisions are missing here."
	for name, c := range map[string]struct {
		change func(*pageRun)
		want   []string
	}{
		"done":        {func(*pageRun) {}, nil},
		"dry":         {func(r *pageRun) { r.DryRun = true }, []string{dry}},
		"interrupted": {func(r *pageRun) { r.Interrupted, r.Error = true, "signal" }, []string{interrupted, "before its time (signal): figures"}},
		"error":       {func(r *pageRun) { r.Error = "broken" }, []string{stopped, "broken"}},
		"outage":      {func(r *pageRun) { r.Reasons[policy.OutageSuspected] = 3 }, []string{guard, "3 tags"}},
		"unreadable":  {func(r *pageRun) { r.Unreadable = 2 }, []string{unreadable}},
		"cut off":     {func(r *pageRun) { r.decisions.WriteString(`{"project":"g/p","tag":"x`) }, []string{missing}},
	} {
		t.Run(name, func(t *testing.T) {
			run := newPageRun(false)
			c.change(run)
			page := string(run.page(t))
			for _, want := range c.want {
				if !strings.Contains(page, want) {
					t.Errorf("the page does not say %q", want)
				}
			}
			for _, notice := range []string{dry, interrupted, stopped, guard, unreadable, missing} {
				if strings.Contains(page, notice) && !slices.Contains(c.want, notice) {
					t.Errorf("the page says %q", notice)
				}
			}
		})
	}
}

// TestPageFigures: what did not happen has no colour, and what was skipped one line.
func TestPageFigures(t *testing.T) {
	run := newPageRun(false)
	run.tell(t, Skipped{"g/a", ProjectArchived, false}, Skipped{"g/b", RegistryDisabled, false}, dead("a", "", 0, Failed))
	page := string(run.page(t))
	for _, want := range []string{
		`<div class=""><dt>undecided</dt><dd>0</dd>`, `<div class="failed"><dt>failed</dt><dd>1</dd>`,
		`<dt>Passed over</dt><dd><bdi>1 archived project, 1 project without a container registry</bdi></dd>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestPageMemory: the page is written while the decisions are read.
func TestPageMemory(t *testing.T) {
	const rows, most = 50_000, 6 << 20
	run := hostileRun(t, rows)
	peak := &heapPeak{before: heap()}
	if err := WriteHTML(peak, run.Summary, bytes.NewReader(run.decisions.Bytes())); err != nil {
		t.Fatal(err)
	}
	if peak.looks < 5 || peak.most > most {
		t.Errorf("looked %d times, the heap grew by up to %d bytes for %d decisions", peak.looks, peak.most, rows)
	}
}

// A heapPeak is a writer that looks at the heap now and then.
type heapPeak struct {
	before, most   int64
	written, looks int
}

func (h *heapPeak) Write(p []byte) (int, error) {
	h.written += len(p)
	if h.written > h.looks*(256<<10) {
		h.looks++
		h.most = max(h.most, heap()-h.before)
	}
	return len(p), nil
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestPageErrors: a page that cannot be written, or whose decisions cannot be read, is
// an error.
func TestPageErrors(t *testing.T) {
	run := hostileRun(t, 1000)
	if err := WriteHTML(fullDisk{}, run.Summary, bytes.NewReader(run.decisions.Bytes())); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("writing: %v", err)
	}
	file, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := WriteHTML(io.Discard, run.Summary, file); err == nil {
		t.Error("a folder was read as decisions")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
