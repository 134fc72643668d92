//go:build browser

package report

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
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
	}{
		{"real", smallRun(t, false), "held-1"},
		{"dry", smallRun(t, true), "held-1"},
		{"hostile-100000", hostileRun(t, 100_000), "feature-54321"},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			page := c.run.page(t)
			t.Logf("%d decisions, written in %v: %d bytes", c.run.Tags-c.run.Kept, time.Since(started).Round(time.Millisecond), len(page))
			path := filepath.Join(t.TempDir(), PageFile)
			if err := os.WriteFile(path, page, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"check.mjs", c.name, path, c.needle}
			if *screenshots != "" {
				args = append(args, "--screenshots", *screenshots)
			}
			node := exec.Command("node", args...)
			node.Dir = *checker
			node.Stdout, node.Stderr = os.Stdout, os.Stderr
			if err := node.Run(); err != nil {
				t.Errorf("looking at the page: %v", err)
			}
		})
	}
}
