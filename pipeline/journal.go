package pipeline

import (
	"errors"
	"fmt"

	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A Journal is where a run writes down what it is about to delete, and what came of it. It is safe for
// concurrent use.
type Journal interface {
	// Record writes records of a registry of a regime. It returns nil for those that say
	// [plan.Deleting] when nothing can take them back any more.
	Record(regime string, records ...plan.Record) error
}

// ErrJournal says that deletions could not be written down, so that none is sent any more.
var ErrJournal = errors.New("deletions cannot be written down, so that no more are sent")

// writeDown records that deletions of a batch are about to be sent. Without that none may be.
func (d *deleter) writeDown(batch []attempt) error {
	if d.options.Journal == nil || len(batch) == 0 {
		return nil
	}
	var records []plan.Record
	for i := range batch {
		if a := &batch[i]; !a.recorded {
			a.recorded = true
			records = append(records, d.record(plan.Deleting, a.decision()))
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := d.options.Journal.Record(batch[0].regime.String(), records...); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// writeOutcome records what came of a tag of which the journal says that it was about to be deleted. If
// that cannot be written, nothing further can, and no further deletion is sent.
func (r *run) writeOutcome(c candidate, d report.Decision) {
	if !c.recorded {
		return
	}
	why := string(d.Reason)
	if d.Detail != "" {
		why += ": " + d.Detail
	}
	d.Reason = c.verdict.Reason // for which it was to be deleted
	record := r.record(plan.Deleted, d)
	if d.Outcome != report.Deleted {
		record.Event, record.Detail = plan.Failed, why
	}
	_ = r.options.Journal.Record(c.regime.String(), record) // writeDown is going to fail then
}

// record returns a line of the journal.
func (r *run) record(event plan.Event, d report.Decision) plan.Record {
	return plan.Record{Time: r.client.Throttle().Now().UTC(), Event: event, Entry: report.EntryOf(d)}
}
