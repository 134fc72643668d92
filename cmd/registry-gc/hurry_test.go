package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// TestHurry: only whoever sent a signal is in a hurry, and only a long page takes time.
func TestHurry(t *testing.T) {
	signal := &signalError{syscall.SIGTERM}
	for name, test := range map[string]struct {
		err       error
		undecided int
		page      bool
	}{
		"a signal, and many decisions": {signal, mostInHurry, false},
		"a signal, and fewer":          {signal, mostInHurry - 1, true},
		"time is over":                 {errMaxRuntime, mostInHurry, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files, err := report.OpenFiles(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out, log bytes.Buffer
			j := &job{stdout: &out, log: slog.New(slog.NewTextHandler(&log, nil))}
			ended := &metrics.Run{Summary: report.NewSummary(false), Dead: new(report.Tally)}
			ended.Summary.Deleted, ended.Summary.Undecided = 1, test.undecided
			if code := j.finish(ended, files, test.err); code != exitCode(test.err, ended.Summary) {
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
