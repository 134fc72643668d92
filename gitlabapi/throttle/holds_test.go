package throttle

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPlaceOf: what a server's wish to be left alone is about.
func TestPlaceOf(t *testing.T) {
	for _, test := range []struct {
		server   Server
		priority Priority
		path     string
		want     place
	}{
		{path: "/api/v4/projects"},
		{path: "/api/graphql"},
		{path: "/jwt/auth"},
		{path: "/api/v4/personal_access_tokens/self"},
		{path: "/gitlab/api/v4/projects/7/registry/repositories/3/tags", want: place{path: "projects/7"}},
		{path: "/api/v4/projects/acme%2Fshop", want: place{path: "projects/acme%2Fshop"}},
		{path: "/api/v4/groups/9/projects", want: place{path: "groups/9"}},
		{path: "/acme/shop.git/info/refs", want: place{path: "/acme/shop"}},
		{priority: Recheck, path: "/api/v4/projects/7/registry/repositories/3/tags/a", want: place{path: "projects/7"}},
		{priority: Deletion, path: "/api/v4/projects/7/registry/repositories/3/tags/a", want: place{"projects/7", true}},
		{priority: Deletion, path: "/api/graphql", want: place{deletions: true}},
		{server: Registry, path: "/v2/"},
		{server: Registry, path: "/gitlab/v1/"},
		{server: Registry, path: "/v2/acme/shop/manifests/tags", want: place{path: "/v2/acme/shop"}},
		{server: Registry, path: "/gitlab/v1/repositories/acme/shop/tags/list/", want: place{path: "/gitlab/v1/repositories/acme/shop"}},
	} {
		req, err := http.NewRequest(http.MethodGet, "https://gitlab.example"+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := placeOf(req, Request{Server: test.server, Priority: test.priority}); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.path, got, test.want)
		}
	}
}

// TestAProjectThatWantsAPauseHoldsNoOther: a Retry-After below one project's path is about that one. A
// short one is waited for, as often as a request is repeated; during any other what it is about is
// turned away.
func TestAProjectThatWantsAPauseHoldsNoOther(t *testing.T) {
	const words = "the organization is in maintenance"
	const sick, well = "/api/v4/projects/1/registry/repositories/2/tags", "/api/v4/projects/3/registry/repositories/4/tags"
	for _, test := range []struct {
		pause, takes time.Duration
		sent         int
	}{{3 * time.Second, 9 * time.Second, 3 * 8}, {time.Minute, 0, 8}} {
		t.Run(test.pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path == sick {
						asked.Add()
						return reply(req, 503, fmt.Sprintf(`{"message":%q}`, words), "Retry-After", fmt.Sprint(test.pause.Seconds())), nil
					}
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{Concurrency: 16, MaxRetries: 2})
				start := time.Now()
				get := func(path string) error { return request(t.Context(), c, http.MethodGet, path, "", Request{}) }
				var waiting sync.WaitGroup
				for range 8 {
					waiting.Go(func() {
						said, ok := errors.AsType[*StatusError](get(sick))
						if !ok || said.Status != 503 || said.Message != words || time.Since(start) > test.takes {
							t.Errorf("after %v: %v", time.Since(start), said)
						}
					})
				}
				synctest.Wait()
				for range 100 {
					if err := get(well); err != nil {
						t.Error(err)
					}
				}
				if got := time.Since(start); got != 0 {
					t.Errorf("others were held for %v", got)
				}
				waiting.Wait()
				if n := len(asked.Times()); n > test.sent || c.HeldFor() != test.pause || c.Stats().Throttled != 0 {
					t.Errorf("%d requests, held for %v, everything for %v", n, c.HeldFor(), c.Stats().Throttled)
				}
				time.Sleep(c.HeldFor())
				sent := len(asked.Times())
				if err := get(sick); errors.Is(err, ErrNotSent) || len(asked.Times()) == sent {
					t.Errorf("not asked again: %v", err)
				}
				if test.pause < time.Minute {
					return
				}
				err := get(sick)
				held, ok := errors.AsType[*HeldError](err)
				if !ok || !errors.Is(err, ErrNotSent) || held.Place != "projects/1" || held.Err.Message != words || len(asked.Times()) != sent+1 {
					t.Errorf("%d requests: %v", len(asked.Times()), err)
				}
			})
		})
	}
}

// TestWhatIsSaidForAllHoldsAll: a 429 anywhere, and a Retry-After of a path that is no project's.
func TestWhatIsSaidForAllHoldsAll(t *testing.T) {
	for _, test := range []struct {
		path     string
		status   int
		priority Priority
		server   Server
		held     bool
	}{
		{"/api/v4/projects/1/registry/repositories", 429, Ordinary, Instance, true},
		{"/api/v4/projects/1/registry/repositories", 503, Ordinary, Instance, false},
		{"/api/v4/groups/1/projects", 503, Ordinary, Instance, false},
		{"/api/v4/projects", 503, Ordinary, Instance, true},
		{"/api/graphql", 503, Ordinary, Instance, true},
		{"/api/graphql", 503, Deletion, Instance, false},
		{"/jwt/auth", 503, Ordinary, Instance, true},
		{"/v2/", 503, Ordinary, Registry, true},
		{"/v2/a/manifests/x", 503, Ordinary, Registry, false},
		{"/v2/a/manifests/x", 429, Ordinary, Registry, true},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := wire(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path == test.path {
						return reply(req, test.status, "", "Retry-After", "7"), nil
					}
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{})
				if err := request(t.Context(), c, http.MethodGet, test.path, "", Request{Server: test.server, Priority: test.priority}); err == nil {
					t.Error("no error")
				}
				start := time.Now()
				if err := request(t.Context(), c, http.MethodGet, "/api/v4/projects/2", "", Request{}); err != nil {
					t.Error(err)
				}
				if held := time.Since(start) > 0; held != test.held {
					t.Errorf("held for %v", time.Since(start))
				}
			})
		})
	}
}

// TestTriesAreCountedOverALife: what several requests are about is sent no more often than it may be,
// but once by each.
func TestTriesAreCountedOverALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, answering(503, `{"message":"x"}`), Config{MaxRetries: 5})
		tries := 4
		for i, want := range []int64{4, 5} {
			if err := request(t.Context(), c, http.MethodDelete, aRead+"/tag", "", Request{Priority: Deletion, Tries: &tries}); err == nil {
				t.Error("no error")
			}
			if got := c.Stats().Requests; got != want {
				t.Errorf("request %d: sent %d times in all, want %d", i, got, want)
			}
		}
	})
}
