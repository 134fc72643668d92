//go:build browser

package report

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

var (
	checker     = flag.String("checker", "", "folder with check.mjs and the packages that it needs")
	screenshots = flag.String("screenshots", "", "folder for pictures of what was looked at, if any are wanted")
)

// A browserPage is a page that is looked at, as check.mjs is told of it.
type browserPage struct {
	Name     string `json:"name"`
	Page     string `json:"page"`
	Needle   string `json:"needle"`         // a word of one tag
	Download string `json:"plan,omitempty"` // where a plan is saved of what is selected; nothing can be without
	made     string // the plan of the run
}

// TestPageInBrowser opens pages in Chromium and looks at them as readers do. It needs
// what the part pages of .ci/run installs.
func TestPageInBrowser(t *testing.T) {
	dir := t.TempDir()
	var pages []*browserPage
	for _, c := range []struct {
		name   string
		run    *pageRun
		needle string
		plans  bool // whether tags can be selected for a plan
	}{
		{"empty", withOrigin(newPageRun(true)), "", false},
		{"real", withOrigin(smallRun(t, false)), "held-1", false},
		{"plan", withOrigin(smallRun(t, true)), "held-1", true},
		{"hostile-plan-100000", hostilePlanRun(t, 100_000), "feature-54321", true},
	} {
		page := &browserPage{Name: c.name, Page: filepath.Join(dir, c.name+".html"), Needle: c.needle}
		if c.plans {
			page.made, page.Download = c.run.writePlan(t), filepath.Join(dir, c.name+".jsonl")
		}
		started := time.Now()
		text := c.run.pageOf(t, page.made)
		t.Logf("%s: written in %v: %d bytes", c.name, time.Since(started).Round(time.Millisecond), len(text))
		if err := os.WriteFile(page.Page, text, 0o600); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
	}
	text, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"check.mjs", string(text)}
	if *screenshots != "" {
		args = append(args, "--screenshots", *screenshots)
	}
	node := exec.Command("node", args...)
	node.Dir, node.Stdout, node.Stderr = *checker, os.Stdout, os.Stderr
	if err := node.Run(); err != nil {
		t.Fatalf("looking at the pages: %v", err)
	}
	for _, page := range pages {
		if page.Download != "" {
			checkDownload(t, page.made, page.Download)
		}
	}
}

// withOrigin adds to a run what a page says of where it is from.
func withOrigin(r *pageRun) *pageRun {
	r.GitLabURL, r.User, r.JobURL = "https://gitlab.example.com", "root", "https://gitlab.example.com/ops/gc/-/jobs/7"
	r.Settings = map[string]string{"GITLAB_GROUPS": "acme"}
	if r.DryRun {
		r.Plans = []string{"reports/plan.jsonl"}
	} else {
		r.Ended, r.Journals = r.Started.Add(time.Minute), []string{"reports/journal/1.jsonl"}
	}
	return r
}

// checkDownload holds a plan that was downloaded from a page against the plan of the run and what the
// browser has selected: a list of repositories and tags, as they are shown, in a file beside it.
func checkDownload(t *testing.T, made, download string) {
	t.Helper()
	got, err := os.ReadFile(download)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Read(strings.NewReader(string(got)), "plan.jsonl", planInstance)
	if err != nil {
		t.Fatalf("the plan is refused: %v", err)
	}
	whole, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	downloaded, rest := strings.SplitAfter(string(got), "\n"), strings.SplitAfter(string(whole), "\n")
	if downloaded[0] != rest[0] {
		t.Errorf("the header is %s, that of the run's plan %s", downloaded[0], rest[0])
	}
	for _, line := range downloaded {
		at := slices.Index(rest, line)
		if at < 0 {
			t.Fatalf("this line is not in the run's plan, or another place there: %q", line)
		}
		rest = rest[at+1:]
	}
	text, err := os.ReadFile(download + ".selected")
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Entries {
		have = append(have, printable.Escape(e.Repository+":"+e.Tag))
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" || len(want) == 0 {
		t.Errorf("the plan does not have the %d tags that were selected: %.2000s", len(want), diff)
	}
}
