package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

const (
	// redrawInterval is how often the display is drawn, and so how soon it fits a terminal
	// that has been resized.
	redrawInterval = 100 * time.Millisecond
	// logInterval is how often there is a log line of progress where there is no display.
	logInterval = 15 * time.Second
	// displayWindow is the time that the rates in the display are averages of.
	displayWindow = 5 * time.Second
)

// showProgress shows how far a run has come, on a terminal by a display and elsewhere by
// log lines, until the returned function is called. After that nothing of it is left,
// neither a goroutine nor a display.
func (j *job) showProgress(ctx context.Context, progress *pipeline.Progress, client *gitlabapi.Client) (stop func()) {
	take := func(now time.Time) sample {
		return sample{at: now, counts: progress.Counts(), stats: client.Stats(), stopping: ctx.Err() != nil}
	}
	screen := j.logOutput.screen
	if screen == nil {
		if j.undoes {
			return logProgress(j.log, take, status.undoAttrs)
		}
		return logProgress(j.log, take, status.attrs)
	}
	tracker := &tracker{started: time.Now(), window: displayWindow}
	display := &display{rateLimit: j.client().RateLimit, dryRun: j.config.DryRun, undo: j.undoes, color: j.logOutput.color}
	stopDrawing := every(redrawInterval, func(now time.Time) {
		width, height := screen.room()
		screen.draw(display.rows(tracker.update(take(now)), width, height))
	})
	return func() {
		stopDrawing()
		screen.clear()
	}
}

// logProgress writes log lines of progress until the returned function is called.
func logProgress(log *slog.Logger, take func(time.Time) sample, attrs func(status) []any) (stop func()) {
	tracker := &tracker{started: time.Now(), window: logInterval}
	tracker.update(take(tracker.started))
	return every(logInterval, func(now time.Time) { log.Info("progress", attrs(tracker.update(take(now)))...) })
}

// every calls a function at intervals, in a goroutine of its own, until the returned
// function is called, which waits for its end.
func every(interval time.Duration, do func(now time.Time)) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				do(now)
			case <-stopping:
				return
			}
		}
	}()
	return func() {
		close(stopping)
		<-stopped
	}
}

// A sample is what was counted at one moment of a run.
type sample struct {
	at       time.Time
	counts   pipeline.Counts
	stats    throttle.Stats
	stopping bool
}

func (s sample) requests() int64 { return s.stats.Requests + s.stats.RegistryRequests }

// A status is how far a run has come, as people are shown it.
type status struct {
	pipeline.Counts
	Requests    int64
	RequestRate float64 // a second, lately
	TagRate     float64 // decided a second, lately
	Throttled   bool    // GitLab has just held requests back
	Stopping    bool
	Elapsed     time.Duration
	Share       float64       // of the work, that is done; 0 while that is not known
	TimeLeft    time.Duration // 0 while that is not known
}

// A tracker derives statuses from samples.
type tracker struct {
	started  time.Time
	window   time.Duration // that rates are averages of
	recent   []sample      // those in the window, and the last one before it
	timeLeft smoothedTime
}

// update returns the status after a further sample.
func (t *tracker) update(s sample) status {
	t.recent = append(t.recent, s)
	for len(t.recent) > 2 && s.at.Sub(t.recent[1].at) >= t.window {
		t.recent = slices.Delete(t.recent, 0, 1)
	}
	first := t.recent[0]
	result := status{
		Counts:    s.counts,
		Requests:  s.requests(),
		Throttled: s.stats.Throttled > t.recent[max(len(t.recent)-2, 0)].stats.Throttled,
		Stopping:  s.stopping,
		Elapsed:   s.at.Sub(t.started),
		Share:     shareDone(s.counts),
	}
	if seconds := s.at.Sub(first.at).Seconds(); seconds > 0 {
		result.RequestRate = float64(result.Requests-first.requests()) / seconds
		result.TagRate = float64(s.counts.Tags.Done-first.counts.Tags.Done) / seconds
	}
	// A run's speed says something after five seconds. It may go on at the speed that it
	// had so far, pauses included.
	if result.Share >= 0.01 && result.Elapsed >= minElapsed && !result.Stopping {
		estimate := time.Duration(float64(result.Elapsed) * (1 - result.Share) / result.Share)
		result.TimeLeft = t.timeLeft.follow(s.at, estimate)
	}
	return result
}

const minElapsed = 5 * time.Second

// shareDone returns which part of the tags is decided, including tags that are yet to be
// found: in what has not been read there will be as many as in what has. It is 0 as
// long as there is nothing to go by, and while projects are still being listed.
func shareDone(c pipeline.Counts) float64 {
	if c.Projects.Found == 0 && c.Tags.Found > 0 { // an undo knows all of them
		return float64(c.Tags.Done) / float64(c.Tags.Found)
	}
	read := c.Projects.Done - c.Empty
	if !c.AllProjects || read <= 0 || c.Repositories.Done == 0 || c.Tags.Found == 0 {
		return 0
	}
	repositories := float64(c.Repositories.Found) * float64(c.Projects.Found-c.Empty) / float64(read)
	tags := float64(c.Tags.Found) * repositories / float64(c.Repositories.Done)
	return min(float64(c.Tags.Done)/tags, 1)
}

// A smoothedTime is a time left that does not jump about: it runs down with the clock, and
// follows a new estimate the sooner the less is left.
type smoothedTime struct {
	at   time.Time
	left time.Duration
}

// follow takes most of an estimate over within a quarter of it, but in one second at least
// and in ten at most.
func (s *smoothedTime) follow(at time.Time, estimate time.Duration) time.Duration {
	if s.at.IsZero() {
		s.left = estimate
	} else {
		passed := at.Sub(s.at)
		smoothing := min(max(estimate/4, time.Second), 10*time.Second)
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

// undoAttrs returns the status of an undo for a log line.
func (s status) undoAttrs() []any {
	return []any{
		"tags", s.Tags.Done, "tags_total", s.Tags.Found, "tags_in_flight", s.Tags.InFlight, "restored", s.Restored, "not_restored", s.Failed,
		"requests", s.Requests, "throttled", s.Throttled, "elapsed_s", s.Elapsed.Round(time.Second).Seconds(),
	}
}

// attrs returns a status for a log line. What is not known yet is left out.
func (s status) attrs() []any {
	found := "projects_found"
	if s.AllProjects {
		found = "projects_total"
	}
	oneDecimal := func(rate float64) float64 { return math.Round(rate*10) / 10 }
	attrs := []any{
		"projects", s.Projects.Done, found, s.Projects.Found, "projects_in_flight", s.Projects.InFlight,
		"repositories", s.Repositories.Done, "repositories_found", s.Repositories.Found, "repositories_in_flight", s.Repositories.InFlight,
		"tags", s.Tags.Done, "tags_found", s.Tags.Found, "tags_in_flight", s.Tags.InFlight,
		"dead", s.Dead.Found, "dead_in_flight", s.Dead.InFlight,
		"deleted", s.Deleted, "undecided", s.Undecided, "failed", s.Failed,
		"requests", s.Requests, "requests_per_second", oneDecimal(s.RequestRate), "tags_per_second", oneDecimal(s.TagRate),
		"throttled", s.Throttled, "elapsed_s", s.Elapsed.Round(time.Second).Seconds(),
	}
	if s.TimeLeft > 0 {
		attrs = append(attrs, "left_s", s.TimeLeft.Round(time.Second).Seconds())
	}
	return attrs
}
