package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// mostNamed is how many tags of an outcome the summary names; the log has all.
const mostNamed = 3

// An undoSummary counts what became of deletions that were to be undone.
type undoSummary struct {
	*deletionsFound
	instance string
	dryRun   bool
	all      bool // all tags that were not brought back are named, and not a few
	counts   map[pipeline.UndoOutcome]int
	named    map[pipeline.UndoOutcome][]pipeline.Restoration // the first few by name
}

func (s *undoSummary) add(r pipeline.Restoration) {
	if s.counts == nil {
		s.counts = make(map[pipeline.UndoOutcome]int)
		s.named = make(map[pipeline.UndoOutcome][]pipeline.Restoration)
	}
	s.counts[r.Outcome]++
	if s.all && (r.Outcome == pipeline.Restored || r.Outcome == pipeline.ThereAlready) {
		return // only counted
	}
	named := append(s.named[r.Outcome], r)
	slices.SortFunc(named, func(a, b pipeline.Restoration) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag))
	})
	if !s.all {
		named = named[:min(len(named), mostNamed)]
	}
	s.named[r.Outcome] = named
}

// incomplete reports whether something could not be brought back, or may be in lines that were not read.
func (s *undoSummary) incomplete() bool {
	done := s.counts[pipeline.Restored] + s.counts[pipeline.ThereAlready] + s.counts[pipeline.PointedToNothing]
	return done < len(s.records) || s.unread > 0
}

// undoOutcomes are the outcomes in the order of the summary, with what is said of each tag behind its name.
var undoOutcomes = []struct {
	outcome pipeline.UndoOutcome
	label   string
	says    func(pipeline.Restoration) string // nil: no tag is named
}{
	{pipeline.Restored, "restored", nil},
	{pipeline.ThereAlready, "there already", nil},
	{pipeline.TakenByOther, "taken by another image", func(r pipeline.Restoration) string { return " is " + r.Now + " now; left alone" }},
	{pipeline.Collected, "collected", func(pipeline.Restoration) string { return ": the registry has removed it" }},
	{pipeline.PointedToNothing, "pointed to nothing", func(pipeline.Restoration) string { return "" }},
	{pipeline.Protected, "protected", errorOf},
	{pipeline.NotRestored, "failed", errorOf},
	{pipeline.NoDigest, "no digest", func(pipeline.Restoration) string {
		return ": not restored for lack of a digest, the journal does not say what it pointed to"
	}},
	{pipeline.NotReached, "not reached", nil},
}

func errorOf(r pipeline.Restoration) string { return ": " + r.Err.Error() }

// write prints the summary. The first two outcomes always have a line.
func (s *undoSummary) write(out *bytes.Buffer, now time.Time) {
	first, last := s.times()
	what := "Undo"
	if s.dryRun {
		what = "Dry run of an undo"
	}
	when := ""
	if !first.IsZero() {
		when = " of " + first.Format(minutes)
		if last.Format(minutes) != first.Format(minutes) {
			when += " to " + last.Format(minutes)
		}
	}
	writeWrapped(out, "", 0, fmt.Sprintf("%s of %s%s at %s", what, plural(len(s.records), "deletion"), when, s.instance))
	out.WriteString("\n")
	width := len(fmt.Sprint(len(s.records)))
	for i, o := range undoOutcomes {
		n, label := s.counts[o.outcome], o.label
		if n == 0 && i > 1 {
			continue
		}
		if s.dryRun && o.outcome == pipeline.Restored {
			label = "would be restored"
		}
		begin := fmt.Sprintf("  %-22s  %*d  ", label, width, n)
		if o.says == nil || n == 0 {
			writeWrapped(out, begin, 4, "")
			continue
		}
		for _, r := range s.named[o.outcome] {
			writeWrapped(out, begin, 4, r.Repository+":"+r.Tag+o.says(r))
			begin = "    "
		}
		if n > mostNamed {
			writeWrapped(out, "    ", 4, fmt.Sprintf("and %d more, which the log names", n-mostNamed))
		}
	}
	if s.unread > 0 {
		out.WriteString("\n")
		writeWrapped(out, "  ", 2, plural(s.unread, "line")+" of the journals could not be read.")
	}
	if s.dryRun || s.incomplete() {
		out.WriteString("\n")
		writeWrapped(out, "  ", 2, s.until(first, last, now))
	}
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

const (
	minutes = "2 Jan 2006, 15:04 UTC"
	// keptFor is how long a registry with metadata database keeps what a deleted tag pointed to, and
	// somewhat more.
	keptFor = 24 * time.Hour
)

// times returns when the first and the last of the deletions were recorded, the zero time where no record
// says so.
func (s *undoSummary) times() (first, last time.Time) {
	for _, r := range s.records {
		at := r.Time.UTC()
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

// until says how long the registry keeps what was deleted.
func (s *undoSummary) until(first, last, now time.Time) string {
	aDay := "about a day after its deletion"
	switch end := first.Add(keptFor); {
	case first.IsZero():
	case now.Before(end):
		aDay = "until about " + end.Format(minutes) + ", a day after the first deletion"
	case now.Before(last.Add(keptFor)):
		aDay = "about a day after its deletion, of the last until about " + last.Add(keptFor).Format(minutes)
	default:
		aDay = "about a day after its deletion, which is over"
	}
	const legacy = "until the next registry-garbage-collect -m"
	switch s.regime {
	case registry.Database.String():
		return "What a deleted tag pointed to is kept " + aDay + "."
	case registry.Legacy.String():
		return "What a deleted tag pointed to is kept " + legacy + "."
	default:
		return "What a deleted tag pointed to is kept, with metadata database, " + aDay + "; without, " + legacy + "."
	}
}
