package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// shapeOf returns which elements and attributes a page is made of, how often, and all of its text.
func shapeOf(t testing.TB, page []byte) (shape map[string]int, text string) {
	t.Helper()
	shape = make(map[string]int)
	var words strings.Builder
	walkPage(t, page, func(node *html.Node) {
		switch node.Type {
		case html.CommentNode:
			shape["comment"]++
		case html.TextNode:
			words.WriteString(node.Data)
		case html.ElementNode:
			for _, a := range node.Attr {
				shape[node.Data+" "+a.Key]++
			}
			shape[node.Data]++
		}
	})
	return shape, words.String()
}

// TestPageNamesStayText: a page full of hostile names is made of the same elements and
// attributes as one without them, and has every name in full, with nothing in it that hides.
func TestPageNamesStayText(t *testing.T) {
	want, _ := shapeOf(t, smallRun(t, false).page(t))
	page := hostileRun(t, 200).page(t)
	got, text := shapeOf(t, page)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names brought in or took away (-want +got):\n%s", diff)
	}
	rows := unpacked(t, page, "rows")
	for _, name := range hostileNames {
		encoded, err := json.Marshal(shown(name))
		if err != nil {
			t.Fatal(err)
		}
		if inner := string(encoded[1 : len(encoded)-1]); !strings.Contains(text, inner) || !strings.Contains(rows, inner) {
			t.Errorf("the page does not have %q", name)
		}
	}
	for what, text := range map[string]string{"page": text, "rows": rows} {
		if at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && printable.Hidden(r) }); at >= 0 {
			t.Errorf("the %s has a hidden character: %q", what, text[max(0, at-30):at+10])
		}
	}
}

// FuzzPage: whatever a summary and a decision say, the page has the same elements.
func FuzzPage(f *testing.F) {
	page := func(t testing.TB, name string) (map[string]int, string) {
		run := newPageRun(true)
		run.Error, run.User, run.GitLabURL, run.Settings = name, name, name, map[string]string{name: name}
		run.Journals, run.Plans, run.NamingDiffers, run.JobURL = []string{name}, []string{name}, []string{name}, name
		run.tell(t, Decision{Project: name, Repository: name, RepositoryID: 1, Tag: "t" + name, Kind: name, Reason: policy.Reason(name), Detail: name, Outcome: Marked, Action: policy.Delete},
			Decision{Project: name, Repository: name, Tag: "t" + name, Kind: name, Reason: policy.Reason(name + "x"), Outcome: Kept},
			ImageStays{Image: Image{Project: name, Repository: name, Tag: name, Kind: name}})
		return shapeOf(t, run.page(t))
	}
	want, _ := page(f, "a")
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, _ := page(t, name); !maps.Equal(got, want) {
			t.Errorf("%q makes another page: %s", name, cmp.Diff(want, got))
		}
	})
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

// dataOf returns what the page's script draws.
func dataOf(t testing.TB, page []byte) (data pageData) {
	t.Helper()
	walkPage(t, page, func(node *html.Node) {
		if attribute(node, "id") == "data" {
			if err := json.Unmarshal([]byte(node.FirstChild.Data), &data); err != nil {
				t.Fatal(err)
			}
		}
	})
	return data
}

// TestPageSaysHowTheRunWent: what has to be known before any figure is believed.
func TestPageSaysHowTheRunWent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pageRun)
		want   []string
	}{
		"done":          {func(*pageRun) {}, nil},
		"dry":           {func(r *pageRun) { r.DryRun = true }, []string{"info: Nothing was changed. This is a plan."}},
		"interrupted":   {func(r *pageRun) { r.Interrupted, r.Error = true, "signal" }, []string{"stop: The run was interrupted. What is here is what it knew by then: signal", "warn: The list is incomplete"}},
		"error":         {func(r *pageRun) { r.Error = "broken" }, []string{"stop: The run was stopped by an error. broken", "warn: The list is incomplete"}},
		"outage":        {func(r *pageRun) { r.Reasons[policy.OutageSuspected] = 3 }, []string{"stop: A guard stopped the deletions. 3 tags", "warn: Look at the registry"}},
		"outage of one": {func(r *pageRun) { r.Reasons[policy.OutageSuspected] = 1 }, []string{"stop: A guard stopped the deletions. 1 tag looks dead", "warn: Look at the registry"}},
		"refused":       {func(r *pageRun) { r.Refused = "read-only" }, []string{"warn: Every deletion was refused alike"}},
		"MAX_DELETIONS": {func(r *pageRun) { r.MaxDeletions = 5 }, []string{"stop: Nothing was deleted.", "warn: 0 tags would be deleted, and MAX_DELETIONS allows 5"}},
		"unreadable":    {func(r *pageRun) { r.Unreadable = 2 }, []string{"warn: Not everything could be read. Groups, projects and repositories of whose tags nothing is known: 2."}},
		"cut off":       {func(r *pageRun) { r.decisions.WriteString(`{"project":"g/p","tag":"x`) }, []string{"warn: Some tags are missing here. Lines of decisions.jsonl that could not be read: 1."}},
		"names":         {func(r *pageRun) { r.NamingDiffers = []string{"g/p/a.cache"} }, []string{"info: Caches named by another convention than the images. Nothing is deleted there for a missing image: g/p/a.cache."}},
		"shard":         {func(r *pageRun) { r.Shard = &Shard{1, 3} }, []string{"info: A part of the run. This is shard 1 of 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			run := newPageRun(false)
			c.change(run)
			notices := dataOf(t, run.page(t)).Notices
			if len(notices) != len(c.want) {
				t.Fatalf("%d notices: %q; want %q", len(notices), notices, c.want)
			}
			for i, n := range notices {
				text := n.Level + ": " + strings.TrimSpace(string(n.Title+" "+n.Text))
				if !strings.HasPrefix(text, c.want[i]) {
					t.Errorf("notice %d is %q, want %q", i, text, c.want[i])
				}
			}
		})
	}
}

// TestPageHasWhatTheSummaryHas: figures by reason are the summary's, rows the decisions', and without scripts
// the summary can be read as on a terminal.
func TestPageHasWhatTheSummaryHas(t *testing.T) {
	run := smallRun(t, true)
	run.GitLabURL, run.User, run.Settings = "https://gitlab.example.com/", "root", map[string]string{"MIN_AGE": "2d"}
	run.Rules = &Rules{Name: "default", Hash: "sha256:0123456789abcdef", Rules: []Explanation{{counterpartTagMissing, Deleted, "Build cache whose image is gone. Really."}}}
	run.JobURL, run.PipelineURL = "javascript:alert(1)", "https://gitlab.example.com/p/-/pipelines/2"
	page := run.page(t)
	data := dataOf(t, page)
	reasons := make(map[policy.Reason]int)
	for _, reason := range data.Reasons {
		reasons[policy.Reason(reason.Reason)] = reason.Tags
		if reason.Outcome == Kept && len(reason.Examples) == 0 {
			t.Errorf("%s has no example", reason.Reason)
		}
		if reason.Reason == "counterpart-tag-missing" && (reason.Words != "build cache whose image is gone" || reason.Outcome != Deleted) {
			t.Errorf("in words: %+v", reason)
		}
	}
	if diff := cmp.Diff(run.Reasons, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	want := []pageFact{{Text: "https://gitlab.example.com/"}, {Text: "all projects"}, {"default rules", "sha256:0123456789abcdef"}, {Text: "as @root"}, {Text: "1 Mar 2026, 02:30 UTC"}, {Text: "took 1m33.2s"},
		{Text: "verified by the registry"}, {Text: "registry without metadata database"}, {Text: "registry-gc"}}
	if diff := cmp.Diff(want, data.Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]pageLink{{"Pipeline", run.PipelineURL}}, data.Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if data.GitLab != "https://gitlab.example.com" || data.Settings[0] != [2]shown{"MIN_AGE", "2d"} {
		t.Errorf("instance %q, settings %q", data.GitLab, data.Settings)
	}
	rows := decodeRows(t, unpacked(t, page, "rows"))
	if n := run.Deleted + run.Undecided + run.Failed; len(rows) != n {
		t.Errorf("%d rows of %d decisions", len(rows), n)
	}
	var text strings.Builder
	if err := run.WriteText(&text, Text{Width: 100}); err != nil {
		t.Fatal(err)
	}
	walkPage(t, page, func(node *html.Node) {
		if attribute(node, "id") == "text" && strings.TrimSpace(node.FirstChild.Data) != strings.TrimSpace(text.String()) {
			t.Errorf("without scripts there is %s", node.FirstChild.Data)
		}
	})
}

// TestPageWithoutTags: what the script goes through is a list also where there is nothing in it.
func TestPageWithoutTags(t *testing.T) {
	for _, dryRun := range []bool{true, false} {
		run := newPageRun(dryRun)
		walkPage(t, run.page(t), func(node *html.Node) {
			if attribute(node, "id") == "data" && strings.Contains(node.FirstChild.Data, "null") {
				t.Errorf("nothing instead of a list: %s", node.FirstChild.Data)
			}
		})
		if rows := unpacked(t, run.page(t), "rows"); len(decodeRows(t, rows)) != 0 {
			t.Errorf("rows of no tags: %s", rows)
		}
	}
}

// TestWebAddress: only what leads to a page may become a link.
func TestWebAddress(t *testing.T) {
	for text, want := range map[string]string{
		"https://gitlab.example.com/a/-/jobs/1": "https://gitlab.example.com/a/-/jobs/1", "http://127.0.0.1:80": "http://127.0.0.1:80",
		"": "", "javascript:alert(1)": "", "data:text/html,x": "", "//example.com": "", "https://": "", "https://a:b@example.com": "", "gitlab.example.com": "", "https://a b": "",
	} {
		if got := WebAddress(text); got != want {
			t.Errorf("WebAddress(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestPageMemory: the page is written while the decisions are read.
func TestPageMemory(t *testing.T) {
	const rows, most = 50_000, 6 << 20
	run := hostileRun(t, rows)
	peak := &heapPeak{before: heap()}
	if err := (&page{Summary: run.Summary}).write(peak, bytes.NewReader(run.decisions.Bytes())); err != nil {
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
	if err := (&page{Summary: run.Summary}).write(fullDisk{}, bytes.NewReader(run.decisions.Bytes())); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("writing: %v", err)
	}
	file, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := (&page{Summary: run.Summary}).write(io.Discard, file); err == nil {
		t.Error("a folder was read as decisions")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
