package pipeline

import (
	"sync/atomic"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A Progress counts what a run has found, has in hand and has done so far, to be
// shown while the run goes on. The zero value is ready for one run. The stages count
// by atomic additions, a few for each tag; any goroutine may read.
type Progress struct {
	projects, repositories, tags, dead gauge

	empty  atomic.Int64
	listed atomic.Bool

	deleted, undecided, failed, restored atomic.Int64
}

// Counts are a [Progress] at one moment.
type Counts struct {
	Projects     Stage // done when their repositories are known
	Repositories Stage // done when their tags are known
	Tags         Stage // in flight while they are inspected, done when they are decided
	Dead         Stage // the tags to be deleted; done when they are, or will not be

	// AllProjects says that the listing of projects has ended: no more will be found.
	AllProjects bool
	// Empty are the projects, done without a look, that cannot have a repository to
	// walk.
	Empty int64

	Deleted, Undecided, Failed int64 // decisions; marked counts as deleted
	Restored                   int64 // deletions that were taken back; Failed counts those that were not
}

// A Stage is how far the items of a kind have come. Those neither in flight nor done
// wait for their turn.
type Stage struct{ Found, InFlight, Done int64 }

// Counts returns what has been counted so far. The figures are read one after the other
// while the run goes on; still no stage has more in flight and done than it has found.
func (p *Progress) Counts() Counts {
	return Counts{
		Deleted:      p.deleted.Load(),
		Undecided:    p.undecided.Load(),
		Failed:       p.failed.Load(),
		Restored:     p.restored.Load(),
		Dead:         p.dead.read(),
		Tags:         p.tags.read(),
		Repositories: p.repositories.read(),
		AllProjects:  p.listed.Load(), // before the projects, which it calls complete
		Empty:        p.empty.Load(),
		Projects:     p.projects.read(),
	}
}

// skipped counts a project that has nothing to walk.
func (p *Progress) skipped() {
	p.projects.found.Add(1)
	p.projects.done.Add(1)
	p.empty.Add(1)
}

// decided counts the decision on a tag.
func (p *Progress) decided(outcome report.Outcome) {
	p.tags.done.Add(1)
	switch outcome {
	case report.Deleted, report.Marked:
		p.deleted.Add(1)
	case report.Undecided:
		p.undecided.Add(1)
	case report.Failed:
		p.failed.Add(1)
	}
}

// undone counts what became of a deletion that was to be taken back.
func (p *Progress) undone(outcome UndoOutcome) {
	p.tags.finish(1)
	switch outcome {
	case Restored:
		p.restored.Add(1)
	case ThereAlready:
	default:
		p.failed.Add(1)
	}
}

// A gauge is a [Stage] that is being counted. An item is found, then in flight, then
// done; whoever moves it on takes it away before adding it again, so that readers, who
// go the other way, never see it twice.
type gauge struct{ found, inFlight, done atomic.Int64 }

func (g *gauge) begin(n int) { g.inFlight.Add(int64(n)) }

func (g *gauge) finish(n int) {
	g.inFlight.Add(-int64(n))
	g.done.Add(int64(n))
}

func (g *gauge) read() Stage {
	done := g.done.Load()
	inFlight := g.inFlight.Load()
	return Stage{Found: g.found.Load(), InFlight: inFlight, Done: done}
}
