package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// journalFor returns where a run writes its deletions down: a file in the folder of the reports, or
// without one the log, where that has lines that undo can read. Nil where there is neither.
func (j *job) journalFor(ctx context.Context, started time.Time) (file *plan.Journal, journal pipeline.Journal) {
	switch dir := j.reportDir(); {
	case j.config.DryRun:
		return nil, nil
	case dir != "":
		file = plan.NewJournal(dir, plan.JournalHeader{
			Time: started.UTC(), Instance: j.config.instance(), Version: version, Rules: j.rulesName(),
		}, j.cleanJSON)
		return file, file
	case j.format.json:
		format := j.format
		format.level = slog.LevelDebug // what is recorded does not hang on LOG_LEVEL
		return nil, &logJournal{ctx: ctx, log: slog.New(format.handler(j.logOutput.redacted)), output: j.logOutput}
	default:
		return nil, nil
	}
}

// A logJournal writes deletions down in the log.
type logJournal struct {
	ctx    context.Context
	log    *slog.Logger
	output *logOutput
}

// errLogUnread says that the log, which is where deletions are written down, is read by nobody.
var errLogUnread = errors.New("the log is not read, and there is no REPORT_DIR")

// Record implements [pipeline.Journal]. It waits until the log has been taken. What came of a deletion
// is a line of the log in any case.
func (l *logJournal) Record(_ string, records ...plan.Record) error {
	deleting, before := false, l.output.outlet.lost()
	for _, r := range records {
		if r.Event != plan.Deleting {
			continue
		}
		deleting = true
		l.log.Info("deleting", "event", string(r.Event), "project", r.Project, "project_id", r.ProjectID,
			"repository", r.Repository, "repository_id", r.RepositoryID, "tag", r.Tag, "digest", r.Digest, "media_type", r.MediaType,
			"reason", r.Reason)
	}
	if !deleting {
		return nil
	}
	err := l.output.outlet.flush(l.ctx, logPatience)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errLogUnread, err)
	case l.output.outlet.lost() != before:
		return errLogUnread
	default:
		return nil
	}
}
