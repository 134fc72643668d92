package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// A view is how far a run has come, as it is shown to people.
type view struct {
	pipeline.Counts
	Requests    int64
	RequestRate float64 // a second, lately
	TagRate     float64 // decided a second, lately
	Held        bool    // GitLab has just held requests back
	Stopping    bool
	Elapsed     time.Duration
	Share       float64       // of the work, that is done; 0 while that is not known
	Left        time.Duration // 0 while that is not known
}

// A reading is what the views of a run are made of.
type reading struct {
	at       time.Time
	counts   pipeline.Counts
	stats    throttle.Stats
	stopping bool
}

func (r reading) requests() int64 { return r.stats.Requests + r.stats.RegistryRequests }

// A viewer makes views out of readings.
type viewer struct {
	started time.Time
	window  time.Duration // that rates are averages of
	recent  []reading     // those in the window, and the last one before it
	left    smoothed
}

// next returns the view after a further reading.
func (v *viewer) next(r reading) view {
	v.recent = append(v.recent, r)
	for len(v.recent) > 2 && r.at.Sub(v.recent[1].at) >= v.window {
		v.recent = slices.Delete(v.recent, 0, 1)
	}
	first := v.recent[0]
	view := view{
		Counts:   r.counts,
		Requests: r.requests(),
		Held:     r.stats.Throttled > v.recent[max(len(v.recent)-2, 0)].stats.Throttled,
		Stopping: r.stopping,
		Elapsed:  r.at.Sub(v.started),
		Share:    share(r.counts),
	}
	if seconds := r.at.Sub(first.at).Seconds(); seconds > 0 {
		view.RequestRate = float64(view.Requests-first.requests()) / seconds
		view.TagRate = float64(r.counts.Tags.Done-first.counts.Tags.Done) / seconds
	}
	if left, known := timeLeft(view); known {
		view.Left = v.left.next(r.at, left)
	}
	return view
}

// share returns which part of the tags is decided, those included that are yet to be
// found: in what has not been read there will be as much as in what has. It is 0 as
// long as there is nothing to go by, and while projects are still being listed.
func share(c pipeline.Counts) float64 {
	read := c.Projects.Done - c.Empty
	if !c.AllProjects || read <= 0 || c.Repositories.Done == 0 || c.Tags.Found == 0 {
		return 0
	}
	repositories := float64(c.Repositories.Found) * float64(c.Projects.Found-c.Empty) / float64(read)
	tags := float64(c.Tags.Found) * repositories / float64(c.Repositories.Done)
	return min(float64(c.Tags.Done)/tags, 1)
}

// minElapsed is how long a run lasts before its speed says something.
const minElapsed = 5 * time.Second

// timeLeft returns what is left of the run if it goes on at the speed that it had so
// far, pauses included.
func timeLeft(v view) (time.Duration, bool) {
	if v.Share < 0.01 || v.Elapsed < minElapsed || v.Stopping {
		return 0, false
	}
	return time.Duration(float64(v.Elapsed) * (1 - v.Share) / v.Share), true
}

// A smoothed is a time left that does not jump about: it runs down with the clock, and
// follows what is newly estimated the sooner the less is left.
type smoothed struct {
	at   time.Time
	left time.Duration
}

// In which time most of a new estimate is taken over.
const (
	minSmoothing = time.Second
	maxSmoothing = 10 * time.Second
)

func (s *smoothed) next(at time.Time, estimate time.Duration) time.Duration {
	if s.at.IsZero() {
		s.left = estimate
	} else {
		passed := at.Sub(s.at)
		smoothing := min(max(estimate/4, minSmoothing), maxSmoothing)
		weight := 1 - math.Exp(-passed.Seconds()/smoothing.Seconds())
		due := max(s.left-passed, 0)
		s.left = due + time.Duration(weight*float64(estimate-due))
	}
	s.at = at
	return s.left
}

// roughly says a time left no more exactly than it is known.
func roughly(left time.Duration) string {
	switch {
	case left >= time.Hour:
		left = left.Round(5 * time.Minute)
		return fmt.Sprintf("about %d h %02d min", left/time.Hour, left%time.Hour/time.Minute)
	case left >= 100*time.Second:
		return fmt.Sprintf("about %d min", left.Round(time.Minute)/time.Minute)
	case left >= 10*time.Second:
		return fmt.Sprintf("about %d s", left.Round(10*time.Second)/time.Second)
	default:
		return "some seconds"
	}
}
