package gitlabtest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// clock is a clock that a test sets.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func TestStats(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("v1.x", gitlabtest.KindImage)
	at0 := time.Unix(1_700_000_000, 0).UTC()
	watch := &clock{now: at0}
	s := gitlabtest.New(w, gitlabtest.WithClock(watch.read), gitlabtest.WithLog())
	get(t, s, at(repository)+"/tags")
	watch.now = at0.Add(1500 * time.Millisecond)
	get(t, s, tagAt(repository, "v1.x"))
	get(t, s, "/nowhere")
	call(t, s, http.MethodDelete, tagAt(repository, "v1.x"))

	const tags = "GET /projects/:id/registry/repositories/:rid/tags"
	want := gitlabtest.Stats{
		Total: 4, Changing: 1,
		ByEndpoint: map[string]int{
			tags: 1, tags + "/:name": 1, "unknown": 1,
			"DELETE /projects/:id/registry/repositories/:rid/tags/:name": 1,
		},
		ByStatus:   map[int]int{200: 3, 404: 1},
		Violations: []string{"no endpoint for GET /nowhere"},
	}
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Error(diff)
	}
	first := gitlabtest.Request{
		Method: "GET", Path: at(repository) + "/tags", Endpoint: tags, Status: 200, Time: at0,
	}
	if diff := cmp.Diff(first, s.Requests()[0]); diff != "" {
		t.Error(diff)
	}
	if got := s.PathCount(at(repository) + "/tags/v1.x"); got != 2 {
		t.Errorf("the tag was asked for %d times", got)
	}
}

func TestPathCount(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Database, "web")
	for i := range 5 {
		repository.AddTag(fmt.Sprint("tag-", i), gitlabtest.KindImage)
	}
	s := gitlabtest.New(w)
	tags := at(repository) + "/tags"
	follow(t, s, tags+"?per_page=2", "name")
	follow(t, s, tags+"?per_page=2&pagination=keyset", "name")
	got := []int{s.PathCount(tags), s.PathCount(tags + "?page=1"), s.PathCount(tags + "?page=3"), s.PathCount(tags + "?page=4")}
	if diff := cmp.Diff([]int{6, 2, 1, 0}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRateLimit(t *testing.T) {
	minute := time.Unix(1_700_000_040, 0).UTC() // a whole minute
	watch := &clock{now: minute.Add(20*time.Second + 1)}
	s := gitlabtest.New(gitlabtest.NewWorld(gitlabtest.Legacy),
		gitlabtest.WithRateLimit(2), gitlabtest.WithClock(watch.read))
	type limits struct {
		Status                       int
		Limit, Observed, Rest, Reset string
		Retry                        string
	}
	ask := func() limits {
		r := get(t, s, "/projects")
		return limits{
			r.status, r.header.Get("RateLimit-Limit"), r.header.Get("RateLimit-Observed"),
			r.header.Get("RateLimit-Remaining"), r.header.Get("RateLimit-Reset"), r.header.Get("Retry-After"),
		}
	}
	reset, later := fmt.Sprint(minute.Unix()+60), fmt.Sprint(minute.Unix()+120)
	got := []limits{ask(), ask(), ask()}
	watch.now = minute.Add(time.Minute)
	got = append(got, ask())
	want := []limits{
		{200, "2", "1", "1", reset, ""},
		{200, "2", "2", "0", reset, ""},
		{429, "2", "3", "0", reset, "40"},
		{200, "2", "1", "1", later, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Errors count as well, and say so; but for one effect, which says nothing.
	s.SetFaults(gitlabtest.Fault{Effect: gitlabtest.Status(500), Count: 1}, gitlabtest.Fault{Effect: gitlabtest.RateLimited()})
	watch.now = minute.Add(2 * time.Minute)
	if diff := cmp.Diff([]limits{{500, "2", "1", "1", fmt.Sprint(minute.Unix() + 180), ""}, {429, "", "", "", "", ""}}, []limits{ask(), ask()}); diff != "" {
		t.Error(diff)
	}
}

// TestAverageInFlight: two requests of a second each, the second begun at half of the
// first, are 2 seconds within 1.5.
func TestAverageInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gitlabtest.NewWorld(gitlabtest.Legacy)
		w.AddProject("a/b")
		s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { get(t, s, "/projects") })
			time.Sleep(time.Second / 2)
		}
		both.Wait()
		if got := s.Stats().AverageInFlight; got != 2/1.5 {
			t.Errorf("%v requests in flight on average, want 1.33", got)
		}
	})
}
