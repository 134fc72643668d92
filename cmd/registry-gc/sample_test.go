package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// What differs from run to run in the sample.
var (
	sampleAddress = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
	sampleEffort  = regexp.MustCompile(`[0-9]+ requests \([0-9]+ to GitLab, [0-9]+ to the registry\) in [0-9.]+m?s`)
)

// TestSample: the plan that docs/running.md and README.md show is one that the program prints of the demo's
// instance.
func TestSample(t *testing.T) {
	t.Parallel()
	address := listen(t, gitlabtest.New(gitlabtest.DemoWorld()))
	command := ownCommand(t, address, "REPORT_DIR=reports", "LOG_LEVEL=error")
	command.Args = append(command.Args, "plan")
	command.Dir = t.TempDir()
	var stdout bytes.Buffer
	command.Stdout = &stdout
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	printed := sampleAddress.ReplaceAllString(stdout.String(), "https://gitlab.example.com")
	// A short address and a user leave the title on one line, as the real ones mostly are.
	printed = strings.Replace(printed, "\nchanged\n", " changed\n", 1)
	printed = sampleEffort.ReplaceAllString(printed, "135 requests (12 to GitLab, 123 to the registry) in 0.1s")

	path := filepath.Join(moduleRoot, "docs", "running.md")
	before, sample, found := strings.Cut(readText(t, path), "<!-- printed by a plan for the demo's instance -->\n```\n")
	sample, after, ended := strings.Cut(sample, "```\n")
	if !found || !ended {
		t.Fatal("docs/running.md has no sample")
	}
	if *update {
		text := before + "<!-- printed by a plan for the demo's instance -->\n```\n" + printed + "```\n" + after
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sample = printed
	}
	if sample != printed {
		t.Errorf("docs/running.md shows\n%s\nand the program prints\n%s\n(go test ./cmd/registry-gc -run TestSample -update writes it)", sample, printed)
	}
	_, excerpt, found := strings.Cut(readText(t, filepath.Join(moduleRoot, "README.md")), "```\nPlan for ")
	excerpt, _, ended = strings.Cut(excerpt, "```\n")
	if !found || !ended {
		t.Fatal("README.md has no sample")
	}
	for line := range strings.Lines("Plan for " + excerpt) {
		if line != "…\n" && !strings.Contains("\n"+sample, "\n"+line) {
			t.Errorf("README.md shows what the program does not print: %q", line)
		}
	}
}
