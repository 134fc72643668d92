package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// journal returns where a run writes its deletions down, nil where it deletes nothing: in the folder of
// the reports; without one in the user's own, where people look on at a terminal, or the log goes nowhere;
// and elsewhere among the lines of the log, whatever its form and level.
func (j *job) journal(ctx context.Context, started time.Time) *plan.Journal {
	header := plan.JournalHeader{Time: started.UTC(), Instance: j.config.instance(), Version: version, Rules: j.rulesName()}
	clean := func(text []byte) []byte { return report.CleanJSON(j.redactor, text) }
	switch dir := j.reportDir(); {
	case j.config.DryRun:
		return nil
	case dir != "":
		return plan.NewJournal(dir, header, clean)
	}
	if j.asked || j.format.terminal || j.format.discarded {
		if dir := stateDir(); dir != "" {
			return plan.NewJournal(dir, header, clean)
		}
	}
	return plan.NewJournalIn(j.logOutput.redacted, j.logOutput.isRead(ctx), header, clean)
}

// stateDir returns the folder in which programs keep what is the user's own, by the rules of
// freedesktop.org; "" where there is none.
func stateDir() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if home, err := os.UserHomeDir(); dir == "" && err == nil && home != "" {
		dir = filepath.Join(home, ".local", "state")
	}
	if !filepath.IsAbs(dir) {
		return ""
	}
	dir = filepath.Join(dir, "registry-gc")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// errLogUnread says that the log, which is where deletions are written down, is read by nobody.
var errLogUnread = errors.New("the log is not read, and there is no REPORT_DIR")

// isRead returns a function that waits until the log has been taken, of which nothing may be lost.
func (l *logOutput) isRead(ctx context.Context) func() error {
	return func() error {
		if err := l.outlet.flush(ctx, logPatience); err != nil {
			return fmt.Errorf("%w: %w", errLogUnread, err)
		}
		if l.outlet.lost() > 0 {
			return errLogUnread
		}
		return nil
	}
}
