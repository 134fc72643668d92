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

// TestPageInBrowser opens pages in Chromium and looks at them as readers do. It needs
// what the part pages of .ci/run installs.
func TestPageInBrowser(t *testing.T) {
	for _, c := range []struct {
		name   string
		run    *pageRun
		needle string // a word of one tag
		plans  bool   // whether tags can be selected for a plan
	}{
		{"real", smallRun(t, false), "held-1", false},
		{"dry", smallRun(t, true), "held-1", false},
		{"plan", smallRun(t, true), "held-1", true},
		{"hostile-plan-100000", hostilePlanRun(t, 100_000), "feature-54321", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var made, download string
			if c.plans {
				made, download = c.run.writePlan(t), filepath.Join(t.TempDir(), "download.jsonl")
			}
			started := time.Now()
			page := c.run.pageOf(t, made)
			t.Logf("%d decisions, written in %v: %d bytes", c.run.Tags-c.run.Kept, time.Since(started).Round(time.Millisecond), len(page))
			path := filepath.Join(t.TempDir(), PageFile)
			if err := os.WriteFile(path, page, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"check.mjs", c.name, path, c.needle}
			if *screenshots != "" {
				args = append(args, "--screenshots", *screenshots)
			}
			if c.plans {
				args = append(args, "--plan", download)
			}
			node := exec.Command("node", args...)
			node.Dir = *checker
			node.Stdout, node.Stderr = os.Stdout, os.Stderr
			if err := node.Run(); err != nil {
				t.Fatalf("looking at the page: %v", err)
			}
			if c.plans {
				checkDownload(t, made, download)
			}
		})
	}
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
