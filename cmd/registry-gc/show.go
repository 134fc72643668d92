package main

import (
	"context"
	"log/slog"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

const (
	// redrawEvery is how often the display is drawn, and so how soon it fits a terminal
	// that has been resized.
	redrawEvery = 100 * time.Millisecond
	// tellEvery is how often there is a log line of progress where there is no display.
	tellEvery = 15 * time.Second
	// displayedRate is what the rates in the display are averages of.
	displayedRate = 5 * time.Second
)

// showProgress shows how a run is getting on, on a terminal by a display and elsewhere by
// log lines, until the returned function is called. After that nothing of it is left,
// neither a goroutine nor a display.
func (j *job) showProgress(ctx context.Context, progress *pipeline.Progress, client *gitlabapi.Client) (stop func()) {
	read := func(now time.Time) reading {
		return reading{at: now, counts: progress.Counts(), stats: client.Stats(), stopping: ctx.Err() != nil}
	}
	if j.screen == nil {
		return tellProgress(j.log, read)
	}
	viewer := &viewer{started: time.Now(), window: displayedRate}
	display := newDisplay(j.screen, wording{limit: j.client().RateLimit, dryRun: j.config.DryRun}, j.screen.color)
	onScreen.Store(j.screen)
	stopDrawing := every(redrawEvery, func(now time.Time) { display.show(viewer.next(read(now))) })
	return func() {
		stopDrawing()
		display.close()
		j.screen.clear()
		onScreen.Store(nil)
	}
}

// tellProgress writes log lines of progress until the returned function is called.
func tellProgress(log *slog.Logger, read func(time.Time) reading) (stop func()) {
	viewer := &viewer{started: time.Now(), window: tellEvery}
	viewer.next(read(viewer.started))
	return every(tellEvery, func(now time.Time) { log.Info("progress", attributes(viewer.next(read(now)))...) })
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

// attributes returns a view for a log line. What is not known yet is left out.
func attributes(v view) []any {
	attrs := []any{"projects", v.Projects.Done, "projects_found", v.Projects.Found}
	if v.AllProjects {
		attrs[2] = "projects_total"
	}
	attrs = append(attrs,
		"projects_in_flight", v.Projects.InFlight,
		"repositories", v.Repositories.Done, "repositories_found", v.Repositories.Found, "repositories_in_flight", v.Repositories.InFlight,
		"tags", v.Tags.Done, "tags_found", v.Tags.Found, "tags_in_flight", v.Tags.InFlight,
		"dead", v.Dead.Found, "dead_in_flight", v.Dead.InFlight,
		"deleted", v.Deleted, "undecided", v.Undecided, "failed", v.Failed,
		"requests", v.Requests, "requests_per_second", tenth(v.RequestRate), "tags_per_second", tenth(v.TagRate),
		"throttled", v.Held, "elapsed_s", v.Elapsed.Round(time.Second).Seconds())
	if v.Left > 0 {
		attrs = append(attrs, "left_s", v.Left.Round(time.Second).Seconds())
	}
	return attrs
}

// tenth cuts a rate to what one wants to read.
func tenth(rate float64) float64 { return float64(int64(rate*10+0.5)) / 10 }
