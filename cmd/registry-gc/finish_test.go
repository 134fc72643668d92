package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// TestSlowPage: the page is left out after a signal only, and only if it is long; of the plan's lines in it the
// same is true at half the length.
func TestSlowPage(t *testing.T) {
	signal := &signalError{syscall.SIGTERM}
	for name, test := range map[string]struct {
		err       error
		undecided int
		page      bool
		plan      bool
		kept      bool // they are kept, and written
	}{
		"a signal, and many decisions": {signal, maxPageDecisions, false, false, false},
		"a signal, and fewer":          {signal, maxPageDecisions - 1, true, false, false},
		"a signal, and half as many":   {signal, maxPageDecisions/2 - 1, true, true, false},
		"a signal, and many kept":      {signal, maxPageDecisions, false, false, true},
		"time is over":                 {errMaxRuntime, maxPageDecisions, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files, err := report.OpenFiles(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out, log bytes.Buffer
			output := newLogOutput(&log, logFormat{}, nil)
			j := &job{stdout: &out, logOutput: output, log: slog.New(slog.NewTextHandler(output.redacted, nil))}
			ended := &metrics.Run{Summary: report.NewSummary(false)}
			ended.Summary.Deleted, ended.Summary.Undecided = 1, test.undecided
			if test.kept {
				files.Everything, ended.Summary.Kept, ended.Summary.Undecided = true, test.undecided, 0
			}
			files.Plan = writtenPlan(t)
			code := j.finish(t.Context(), ended, files, test.err)
			if plan := files.Plan != ""; plan != test.plan {
				t.Errorf("a plan is in the page: %t", plan)
			}
			output.close(t.Context())
			if code != exitCode(test.err, ended.Summary) {
				t.Errorf("exit code %d\n%s", code, &log)
			}
			_, err = os.Stat(filepath.Join(dir, report.PageFile))
			named, told := strings.Contains(out.String(), report.PageFile), strings.Contains(log.String(), "report.html is left out")
			if (err == nil) != test.page || named != test.page || told == test.page {
				t.Errorf("page: %v, named: %t\n%s", err, named, &log)
			}
		})
	}
}

// writtenPlan writes a plan without tags.
func writtenPlan(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), planFileName)
	w, err := plan.NewWriter(path, "https://gitlab.example.com")
	if err == nil {
		err = w.Close(plan.Header{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
