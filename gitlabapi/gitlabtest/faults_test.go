package gitlabtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// statuses asks for two tags in turn and returns the statuses of each.
func statuses(t *testing.T, times int, fault gitlabtest.Fault) (a, b string) {
	t.Helper()
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("a.1", gitlabtest.KindImage)
	repository.AddTag("b.1", gitlabtest.KindImage)
	s := gitlabtest.New(w, gitlabtest.WithFaults(fault))
	for range times {
		a += fmt.Sprint(get(t, s, tagAt(repository, "a.1")).status, " ")
		b += fmt.Sprint(get(t, s, tagAt(repository, "b.1")).status, " ")
	}
	return strings.TrimSpace(a), strings.TrimSpace(b)
}

func TestWhichRequestsAFaultMatches(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault gitlabtest.Fault
		a, b  string
	}{
		{"all", gitlabtest.Fault{}, "500 500 500", "500 500 500"},
		{"skip and count", gitlabtest.Fault{Skip: 1, Count: 2}, "200 500 200", "500 200 200"},
		{"for each path", gitlabtest.Fault{Skip: 1, Count: 1, PerPath: true}, "200 500 200", "200 500 200"},
		{"decoded path", gitlabtest.Fault{Path: regexp.MustCompile(`/tags/a\.1$`)}, "500 500 500", "200 200 200"},
		{"another method", gitlabtest.Fault{Method: "DELETE"}, "200 200 200", "200 200 200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.fault.Effect = gitlabtest.Status(http.StatusInternalServerError)
			a, b := statuses(t, 3, test.fault)
			if diff := cmp.Diff([]string{test.a, test.b}, []string{a, b}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Draws depend on the seed, the path and how often it was asked for, not on
// which request comes first.
func TestProbabilityIsReproducible(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	for i := range 200 {
		repository.AddTag(fmt.Sprint("tag-", i), gitlabtest.KindImage)
	}
	struck := func(seed uint64, workers int) string {
		s := gitlabtest.New(w, gitlabtest.WithSeed(seed), gitlabtest.WithLog(),
			gitlabtest.WithFaults(gitlabtest.Fault{Probability: 0.25, Effect: gitlabtest.Status(500)}))
		var group sync.WaitGroup
		for first := range workers {
			group.Go(func() {
				for i := first; i < 200; i += workers {
					ask(t, s, tagAt(repository, fmt.Sprint("tag-", i)))
				}
			})
		}
		group.Wait()
		failed := make([]byte, 200)
		for _, r := range s.Requests() {
			var i int
			_, _ = fmt.Sscanf(r.Path[strings.LastIndex(r.Path, "tag-"):], "tag-%d", &i)
			failed[i] = '0' + byte(r.Status/500)
		}
		return string(failed)
	}
	one, many, other := struck(1, 1), struck(1, 16), struck(2, 1)
	if one != many {
		t.Errorf("16 workers saw other faults than one:\n%s\n%s", one, many)
	}
	if one == other {
		t.Error("two seeds gave the same faults")
	}
	if n := strings.Count(one, "1"); n < 30 || n > 70 {
		t.Errorf("%d of 200 requests failed, with a probability of 0.25", n)
	}
}

func TestWhatEffectsAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		status int
		header string
		body   string
	}{
		"status":       {gitlabtest.Status(502), 502, "Content-Type: application/json", `{"message":"502 Bad Gateway"}`},
		"refused, 403": {gitlabtest.Refuse(403), 403, "Retry-After: ", `{"message":"403 Forbidden"}`},
		"refused, 400": {gitlabtest.Refuse(400), 400, "Retry-After: ", `{"message":"400 Bad request"}`},
		"retry after":  {gitlabtest.RetryAfter(503, 7), 503, "Retry-After: 7", "Retry later\n"},
		"rate limited": {gitlabtest.RateLimited(), 429, "Retry-After: ", "Retry later\n"},
		"redirect":     {gitlabtest.Redirect("http://evil.example/"), 302, "Location: http://evil.example/", ""},
		"sign-in page": {gitlabtest.HTML(), 200, "Content-Type: text/html; charset=utf-8", "<!DOCTYPE html>"},
		"reply":        {gitlabtest.Reply(418, "{}", "X-Tea", "mint"), 418, "X-Tea: mint", "{}"},
	} {
		s := gitlabtest.New(gitlabtest.NewWorld(gitlabtest.Legacy), gitlabtest.WithFaults(gitlabtest.Fault{Effect: test.effect}))
		got := get(t, s, "/projects")
		header, value, _ := strings.Cut(test.header, ": ")
		if got.status != test.status || got.header.Get(header) != value || !strings.HasPrefix(got.text, test.body) {
			t.Errorf("%s: %d %v %q", name, got.status, got.header, got.text)
		}
	}
}

func TestCutLists(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	for i := range 10 {
		repository.AddTag(fmt.Sprint("tag-", i), gitlabtest.KindImage)
	}
	for want, effect := range map[int]gitlabtest.Effect{
		0:  gitlabtest.CutList(0),
		3:  gitlabtest.CutList(3),
		5:  gitlabtest.CutListTo(0.5),
		10: gitlabtest.CutList(99),
	} {
		s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: effect}))
		got := get(t, s, at(repository)+"/tags?per_page=5")
		seen := len(follow(t, s, at(repository)+"/tags?per_page=5", "name"))
		if got.header.Get("X-Total") != fmt.Sprint(want) || seen != want {
			t.Errorf("X-Total %s, %d tags, want %d", got.header.Get("X-Total"), seen, want)
		}
	}
}

// On a real connection and in the process, a cut is an error and never a short
// answer.
func TestCutConnections(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{"before": gitlabtest.Cut(), "within": gitlabtest.CutBody()} {
		s := gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithFaults(gitlabtest.Fault{Effect: effect}))
		if got, err := tryCall(s, http.MethodGet, host+"/api/v4/projects", gitlabtest.DefaultToken); err == nil {
			t.Errorf("%s, in the process: %v", name, got)
		}
		network := httptest.NewServer(s)
		r, err := http.NewRequest(http.MethodGet, network.URL+"/api/v4/projects", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("PRIVATE-TOKEN", gitlabtest.DefaultToken)
		if response, err := network.Client().Do(r); err == nil {
			if _, err = io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, on a connection: %v", name, err)
			}
			_ = response.Body.Close()
		}
		network.Close()
		// Go's client asks a second time when a connection ends before an answer.
		if stats := s.Stats(); stats.ByStatus[0]+stats.ByStatus[200] != stats.Total {
			t.Errorf("%s: %+v", name, stats)
		}
	}
}

func TestLatencyDelaysOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithFaults(
			gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
		start := time.Now()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { ask(t, s, "/projects") })
		}
		group.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("8 requests at once took %v", took)
		}
		if got := s.Stats().AverageInFlight; got != 8 {
			t.Errorf("in flight: %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, host+"/api/v4/projects", nil)
		if _, err := s.Transport().RoundTrip(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that was given up: %v", err)
		}
	})
}

func TestSetFaultsWhileServing(t *testing.T) {
	s := gitlabtest.New(gitlabtest.DemoWorld())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				ask(t, s, "/projects?simple=true")
			}
		})
	}
	for i := range 50 {
		s.SetFaults(gitlabtest.Fault{Effect: gitlabtest.Status(500 + i%4), PerPath: true})
		s.SetFaults()
	}
	group.Wait()
	if got := get(t, s, "/projects").status; got != http.StatusOK {
		t.Errorf("without faults: %d", got)
	}
}
