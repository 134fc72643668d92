package pipeline

import (
	"errors"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

const (
	// outageMinimum is how many tags have to be inspected, none of them with details,
	// before that is taken for an outage and not for a small, neglected instance; and
	// how many have to have details, none of them with a date.
	outageMinimum = 20
	// maxHeld bounds the tags that wait for a sign of life; they take some 25 MiB. When
	// there is none among so many, there is taken to be an outage.
	maxHeld = 100_000
)

// errNoSign says why a guard keeps a tag.
var errNoSign = errors.New("no inspected tag has what this one lacks: the registry may be failing")

// An outageGuard stands between something missing and a deletion. While the registry
// behind GitLab fails, GitLab answers 404 for every tag there is, and while its config
// blobs cannot be read no tag has a date. So nothing is deleted because its details
// are missing before one tag of the run has shown that details can be had at all, and
// nothing because its date is missing before one has shown a date. Until then such
// tags are held. The guard is used by one goroutine.
//
// Waiting, and not deciding after the first twenty, is what makes the verdicts
// independent of which tags come first.
type outageGuard struct {
	inspected int // tags that were asked for
	detailed  int // of these, with details
	dated     int // of these, with a date

	forDetails, forDate waitingRoom
}

// A waitingRoom holds tags until it is known whether their verdicts can be believed.
type waitingRoom struct {
	held   []tag
	closed bool // by a suspicion that does not go away
}

// observe takes note of a tag. Those that nobody inspected say nothing.
func (g *outageGuard) observe(t tag) {
	if t.verdict.Reason == policy.Protected || t.verdict.Reason == policy.ListingIncomplete {
		return
	}
	g.inspected++
	switch hasDetails, hasDate := t.has(); {
	case hasDate:
		g.dated++
		g.detailed++
	case hasDetails:
		g.detailed++
	}
}

// hold keeps a tag that rests on something missing until release returns it. It
// returns false for a tag that need not wait.
func (g *outageGuard) hold(t tag, dateMatters bool) bool {
	hasDetails, hasDate := t.has()
	switch {
	case t.verdict.Action != policy.Delete:
		return false
	case !hasDetails:
		g.forDetails.held = append(g.forDetails.held, t)
	case !hasDate && dateMatters:
		g.forDate.held = append(g.forDate.held, t)
	default:
		return false
	}
	return true
}

// release returns the tags that need not wait any longer, with the verdicts that they
// have in the light of all others; last says that no more tags will come.
func (g *outageGuard) release(last bool) []tag {
	details := g.forDetails.release(g.detailed > 0, last, last && g.inspected >= outageMinimum)
	dates := g.forDate.release(g.dated > 0, last, last && g.detailed >= outageMinimum)
	return append(details, dates...)
}

// release empties the room after a sign of life, when it is full, and at the end.
func (w *waitingRoom) release(alive, last, suspicious bool) []tag {
	if !alive && (suspicious || len(w.held) >= maxHeld) {
		w.closed = true
	}
	if !alive && !last && !w.closed {
		return nil
	}
	released := w.held
	w.held = nil
	if w.closed {
		for i := range released {
			released[i].verdict = policy.Verdict{Action: policy.Undecided, Reason: policy.OutageSuspected}
			released[i].doubt = errNoSign
		}
	}
	return released
}
