package pipeline

import (
	"errors"
	"fmt"
	"sync"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

const (
	// refusedAlike is how many deletions that are refused alike, one after the other, end the
	// deletions of a project or of the run, and refusedOfOne how many of those of one project count
	// for the run: what ails one project must not end the others'.
	refusedAlike, refusedOfOne = 20, 10
	// refusedReadOnly is the same where the words are about the instance, as in maintenance mode.
	refusedReadOnly = 3
)

// deletionsStopped is the verdict on a tag whose deletion is not sent, as others were refused.
var deletionsStopped = policy.Verdict{Action: policy.Undecided, Reason: report.DeletionsStopped}

// A refusedError says why no more deletions are sent.
type refusedError struct {
	project string // its path; "" for the whole run
	n       int    // how many were refused
	err     error  // how
}

// Error implements error.
func (e *refusedError) Error() string {
	where := "in this run"
	if e.project != "" {
		where = "in " + e.project
	}
	return fmt.Sprintf("not sent, as %d deletions %s were refused alike: %s", e.n, where, wordsOf(e.err))
}

// wordsOf returns what a server said, without what it was asked for.
func wordsOf(err error) string {
	said, ok := errors.AsType[interface {
		error
		Words() string
	}](err)
	if !ok {
		return err.Error()
	}
	return said.Words()
}

// refusals end deletions that are all refused alike, with nothing that succeeds among them: an instance
// in maintenance, a registry that is not GitLab's or takes no deletions. Each of a hundred thousand would
// be tried else. All deleters share them.
type refusals struct {
	mu      sync.Mutex
	deleted bool // one has succeeded in this run
	run     streak
	in      map[int64]*streak // by project
}

// A streak is of deletions that were refused alike, one after the other.
type streak struct {
	kind   string // what they have in common
	last   error
	of     map[int64]int // how many, by project
	closed *refusedError
}

// count counts a refusal and returns how many there are, of one project no more than so many.
func (s *streak) count(kind string, err error, project int64, most int) (n int) {
	if s.of == nil || s.kind != kind {
		s.kind, s.of = kind, make(map[int64]int)
	}
	s.last = err
	s.of[project]++
	for _, of := range s.of {
		n += min(of, most)
	}
	return n
}

// closed returns why no more deletions are sent in a project, nil while they are.
func (r *refusals) closed(project int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run.closed != nil {
		return r.run.closed
	}
	if s := r.in[project]; s != nil && s.closed != nil {
		return s.closed
	}
	return nil
}

// succeeded takes note of a deletion that was confirmed.
func (r *refusals) succeeded(project int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted, r.run.of = true, nil
	if s := r.in[project]; s != nil {
		s.of = nil
	}
}

// refused takes note of a request to delete that was refused, and returns what is to be told when that
// ends the deletions of its project or of the run. No answer is no refusal, and what a token's user may
// not do in one project says nothing of another.
func (r *refusals) refused(of candidate, err error) report.Event {
	_, answered := errors.AsType[*throttle.StatusError](err)
	readOnly := errors.Is(err, throttle.ErrReadOnly)
	if !answered && !readOnly {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	words, enough, most := wordsOf(err), refusedAlike, refusedOfOne
	kind := words
	if readOnly { // GraphQL says it otherwise than REST
		kind, enough, most = throttle.ErrReadOnly.Error(), refusedReadOnly, refusedReadOnly
	}
	if !errors.Is(err, throttle.ErrForbidden) && r.run.closed == nil {
		if n := r.run.count(kind, err, of.ProjectID, most); n >= enough {
			r.run.closed = &refusedError{n: n, err: err}
			return report.DeletionsRefused{Err: errors.New(words)}
		}
	}
	if r.in == nil {
		r.in = make(map[int64]*streak)
	}
	s := r.in[of.ProjectID]
	if s == nil {
		s = new(streak)
		r.in[of.ProjectID] = s
	}
	if n := s.count(kind, err, of.ProjectID, refusedAlike); n >= refusedAlike && s.closed == nil && r.run.closed == nil {
		s.closed = &refusedError{project: of.projectPath, n: n, err: err}
		return report.DeletionsRefused{Project: of.projectPath, Err: errors.New(words)}
	}
	return nil
}

// reopen takes back that deletions were ended in a project or in the run: they were refused for another
// reason, which has passed.
func (r *refusals) reopen(project int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run = streak{}
	delete(r.in, project)
}

// end returns what is to be told at the end of a run of which nothing was deleted: all that it tried
// was of too few projects to say so before.
func (r *refusals) end() report.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deleted || r.run.closed != nil {
		return nil
	}
	if len(r.run.of) > 0 && errors.Is(r.run.last, throttle.ErrReadOnly) { // one is enough for that
		return report.DeletionsRefused{Err: errors.New(wordsOf(r.run.last))}
	}
	for _, s := range r.in {
		if s.closed != nil && !errors.Is(s.closed.err, throttle.ErrForbidden) {
			return report.DeletionsRefused{Err: errors.New(wordsOf(s.closed.err))}
		}
	}
	return nil
}
