package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// TestShareDone: what is done of a run is known when its projects are listed and something
// has been decided, and takes what has not been read for as much as what has.
func TestShareDone(t *testing.T) {
	stage := func(found, done int64) pipeline.Stage { return pipeline.Stage{Found: found, Done: done} }
	for _, test := range []struct {
		name   string
		counts pipeline.Counts
		want   float64
	}{
		{"nothing yet", pipeline.Counts{}, 0},
		{"projects are being listed", pipeline.Counts{Projects: stage(10, 10), Repositories: stage(5, 5), Tags: stage(100, 50)}, 0},
		{"all is found", pipeline.Counts{AllProjects: true, Projects: stage(10, 10), Repositories: stage(5, 5), Tags: stage(100, 50)}, 0.5},
		{"half of the repositories read", pipeline.Counts{AllProjects: true, Projects: stage(10, 10), Repositories: stage(10, 5), Tags: stage(100, 50)}, 0.25},
		{"half of the projects read", pipeline.Counts{AllProjects: true, Projects: stage(20, 10), Repositories: stage(10, 5), Tags: stage(100, 50)}, 0.125},
		{"empty projects do not count", pipeline.Counts{AllProjects: true, Empty: 90, Projects: stage(110, 100), Repositories: stage(10, 5), Tags: stage(100, 50)}, 0.125},
		{"no project read", pipeline.Counts{AllProjects: true, Empty: 5, Projects: stage(10, 5), Repositories: stage(3, 3), Tags: stage(7, 7)}, 0},
		{"no tags", pipeline.Counts{AllProjects: true, Projects: stage(10, 10), Repositories: stage(3, 3)}, 0},
	} {
		if got := shareDone(test.counts); got != test.want {
			t.Errorf("%s: share %v, want %v", test.name, got, test.want)
		}
	}
}

// TestTimeLeft: a run whose speed changes, and that finds more than it expected, has a time left that is never negative, does
// not jump, and comes to what it turns out to be.
func TestTimeLeft(t *testing.T) {
	start := time.Now()
	tracker := &tracker{started: start, window: displayWindow}
	counts := pipeline.Counts{AllProjects: true, Projects: pipeline.Stage{Found: 1, Done: 1}, Repositories: pipeline.Stage{Found: 1, Done: 1}, Tags: pipeline.Stage{Found: 10_000}}
	last := time.Duration(0)
	for at := time.Duration(0); counts.Tags.Done < counts.Tags.Found; at += 100 * time.Millisecond {
		if counts.Tags.Done += 10; at > 30*time.Second {
			counts.Tags.Done += 40 // five times as fast
		}
		if at == 20*time.Second {
			counts.Tags.Found *= 2
		}
		status := tracker.update(sample{at: start.Add(at), counts: counts})
		switch {
		case at < minElapsed && status.TimeLeft != 0:
			t.Fatalf("after %v there are %v left already", at, status.TimeLeft)
		case at > minElapsed && (status.TimeLeft < 0 || last > 0 && (status.TimeLeft-last).Abs() > 2*time.Second):
			t.Fatalf("after %v there are %v left, and just before %v", at, status.TimeLeft, last)
		}
		last = status.TimeLeft
	}
	if last > 2*time.Second {
		t.Errorf("at the end there are %v left", last)
	}
	if status := tracker.update(sample{at: start.Add(time.Hour), counts: counts, stopping: true}); status.TimeLeft != 0 {
		t.Errorf("%v are left of a run that is stopping", status.TimeLeft)
	}
}

// TestRates: rates are those of the last seconds and not of the whole run.
func TestRates(t *testing.T) {
	start := time.Now()
	tracker := &tracker{started: start, window: 5 * time.Second}
	var got status
	for i := range 20 {
		at := sample{at: start.Add(time.Duration(i) * time.Second)}
		at.stats.Requests = int64(min(i, 10) * 20)
		at.stats.RegistryRequests = int64(i)
		at.counts.Tags.Done = int64(i * i)
		at.stats.Throttled = time.Duration(max(i-18, 0)) * time.Second
		got = tracker.update(at)
		if got.Throttled != (i == 19) {
			t.Errorf("after %d seconds held is %t", i, got.Throttled)
		}
	}
	if got.RequestRate != 1 || got.TagRate != (19*19-14*14)/5. || got.Requests != 219 {
		t.Errorf("requests %d, %v/s, tags %v/s", got.Requests, got.RequestRate, got.TagRate)
	}
}

func TestRoughly(t *testing.T) {
	for left, want := range map[time.Duration]string{
		2 * time.Second:                 "some seconds",
		34 * time.Second:                "about 30 s",
		99 * time.Second:                "about 100 s",
		100 * time.Second:               "about 2 min",
		59*time.Minute + 59*time.Second: "about 60 min",
		62 * time.Minute:                "about 1 h 00 min",
		100 * time.Hour:                 "about 100 h 00 min",
	} {
		if got := roughly(left); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
}

// TestEveryWaits: what was begun when the end came has ended when stop returns, and
// nothing is begun after it.
func TestEveryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ended := 0, 0
		stop := every(time.Second, func(time.Time) {
			begun++
			time.Sleep(500 * time.Millisecond)
			ended++
		})
		time.Sleep(2200 * time.Millisecond)
		stop()
		atStop := ended
		time.Sleep(time.Minute)
		if begun != 2 || atStop != 2 || ended != 2 {
			t.Errorf("%d begun, %d ended, %d of them before stop returned", begun, ended, atStop)
		}
	})
}

// TestProgressLines: where there is no display there is a line every 15 seconds, from the
// fifteenth on, and none after the end.
func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
		later := midway.Counts
		later.Tags = pipeline.Stage{Found: 6000, InFlight: 16, Done: 1500}
		run := map[time.Duration]sample{
			0:                {},
			15 * time.Second: {counts: pipeline.Counts{Projects: pipeline.Stage{Found: 100, InFlight: 10}}, stats: throttle.Stats{Requests: 30}},
			30 * time.Second: {counts: later, stats: throttle.Stats{Requests: 60, Throttled: time.Second}},
		}
		started := time.Now()
		stop := logProgress(log, func(now time.Time) sample {
			r, expected := run[now.Sub(started)]
			if !expected {
				t.Errorf("a line after %v", now.Sub(started))
			}
			r.at = now
			return r
		}, status.attrs)
		time.Sleep(45*time.Second - 1)
		stop()
		time.Sleep(time.Hour)

		want := []string{
			`{"msg":"progress","projects":0,"projects_found":100,"projects_in_flight":10,"repositories":0,"repositories_found":0,"repositories_in_flight":0,` +
				`"tags":0,"tags_found":0,"tags_in_flight":0,"dead":0,"dead_in_flight":0,"deleted":0,"undecided":0,"failed":0,` +
				`"requests":30,"requests_per_second":2,"tags_per_second":0,"throttled":false,"elapsed_s":15}`,
			`{"msg":"progress","projects":1204,"projects_total":2000,"projects_in_flight":16,"repositories":400,"repositories_found":412,"repositories_in_flight":4,` +
				`"tags":1500,"tags_found":6000,"tags_in_flight":16,"dead":812,"dead_in_flight":12,"deleted":778,"undecided":3,"failed":2,` +
				`"requests":60,"requests_per_second":2,"tags_per_second":100,"throttled":true,"elapsed_s":30,"left_s":175}`,
		}
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
