package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPriorities: deletions are sent before rechecks and those before everything else, in the
// order in which they came within one priority.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var served []string
		network := wire(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			served = append(served, req.URL.Path[1:])
			return reply(req, 200, "[]"), nil
		})
		c := newTestClient(t, network, Config{RateLimit: 1, RateBurst: 1})
		var all sync.WaitGroup
		for i, p := range []Priority{Ordinary, Ordinary, Recheck, Deletion, Ordinary, Recheck, Deletion} {
			all.Go(func() {
				if err := request(t.Context(), c, http.MethodGet, fmt.Sprint(i), "", Request{Priority: p}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // they come one after the other; the first passes at once
		}
		all.Wait()
		if diff := cmp.Diff([]string{"0", "3", "6", "2", "5", "1", "4"}, served); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	})
}

// TestNotSent: a request whose time to be sent has run out is not sent, and is told from one
// that was. Once sent it may take longer.
func TestNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		status := 200
		network := wire(func(req *http.Request) (*http.Response, error) {
			d.Add()
			time.Sleep(5 * time.Second)
			return reply(req, status, "[]"), nil
		})
		c := newTestClient(t, network, Config{RateLimit: 0.5, RateBurst: 1, Concurrency: 1, MaxRetries: 5})
		deletion := func() error {
			before, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return request(t.Context(), c, http.MethodDelete, "x", "", Request{Before: before})
		}
		if err := deletion(); err != nil {
			t.Errorf("in time: %v", err)
		}
		if err := deletion(); err != nil {
			t.Errorf("in time, too: %v", err)
		}
		var first sync.WaitGroup
		first.Go(func() { _ = ask(t.Context(), c) })
		synctest.Wait()
		if err := deletion(); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too late: %v", err)
		}
		first.Wait()
		status = 503
		_, answered := errors.AsType[*StatusError](deletion())
		if err := deletion(); errors.Is(err, ErrNotSent) || answered || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("not sent again: %v", err)
		}
		if got := len(d.Times()); got != 5 {
			t.Errorf("%d requests were sent", got)
		}
	})
}

// TestAnswersOutOfACache are no evidence, whatever they say. Blobs cannot change, and what is
// repeated anyway is.
func TestAnswersOutOfACache(t *testing.T) {
	for _, test := range []struct {
		method, age string
		status      int
		immutable   bool
		stale       bool
	}{
		{"GET", "1", 200, false, true}, {"HEAD", "1", 200, false, true}, {"GET", "86400", 404, false, true}, {"HEAD", "1", 404, false, true},
		{"GET", "0", 200, false, false}, {"GET", "", 200, false, false}, {"GET", "x", 200, false, false},
		{"GET", "1", 200, true, false}, {"POST", "1", 200, false, false}, {"DELETE", "1", 200, false, false}, {"GET", "1", 503, false, false},
	} {
		network := wire(func(req *http.Request) (*http.Response, error) {
			if got := req.Header.Get("Cache-Control"); got != "no-cache" {
				t.Errorf("%s with Cache-Control %q", req.Method, got)
			}
			return reply(req, test.status, "[]", "Age", test.age), nil
		})
		c := newTestClient(t, network, Config{})
		err := request(t.Context(), c, test.method, "x", "", Request{Immutable: test.immutable})
		if _, stale := errors.AsType[*FormatError](err); stale != test.stale {
			t.Errorf("%+v: got %v", test, err)
		}
	}
}

// blockingHandler is a log that hangs.
type blockingHandler struct{ blocked, release chan struct{} }

func (h blockingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h blockingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h blockingHandler) WithGroup(string) slog.Handler            { return h }
func (h blockingHandler) Handle(context.Context, slog.Record) error {
	h.blocked <- struct{}{}
	<-h.release
	return nil
}

// TestALogThatHangsHoldsNoRequest but the one about which it is told.
func TestALogThatHangsHoldsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		network := wire(func(req *http.Request) (*http.Response, error) {
			if d.Add() == 0 {
				return reply(req, 429, "", "Retry-After", "1"), nil
			}
			return reply(req, 200, "[]"), nil
		})
		h := blockingHandler{make(chan struct{}), make(chan struct{})}
		c := newTestClient(t, network, Config{MaxRetries: 1, Log: slog.New(h)})
		var first sync.WaitGroup
		first.Go(func() { _ = ask(t.Context(), c) })
		<-h.blocked
		if err := ask(t.Context(), c); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(seconds(0, 1), d.Times()); diff != "" {
			t.Errorf("requests were sent at (-want +got):\n%s", diff)
		}
		h.release <- struct{}{}
		<-h.blocked
		h.release <- struct{}{}
		first.Wait()
	})
}

// TestWhatNetHTTPRepeatsIsPaidForAndCounted has a server that takes a second request on a
// connection and closes it without an answer. Go's transport sends a GET again by itself then.
func TestWhatNetHTTPRepeatsIsPaidForAndCounted(t *testing.T) {
	const perSecond, requests = 40, 12
	var mu sync.Mutex
	var arrived []time.Time
	used := make(map[net.Conn]int)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		arrived = append(arrived, time.Now())
		conn := r.Context().Value(connKey{}).(net.Conn)
		used[conn]++
		again := used[conn] > 1
		mu.Unlock()
		if again {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "[]")
	}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	server.Start()
	defer server.Close()
	c := newTestClient(t, nil, Config{URL: server.URL, RateLimit: perSecond, RateBurst: 1, Concurrency: 1})
	for i := range requests {
		method := []string{http.MethodGet, http.MethodHead}[i%2]
		if err := request(t.Context(), c, method, aRead, "", Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(arrived) <= requests {
		t.Fatalf("%d requests arrived: net/http repeats nothing", len(arrived))
	}
	if got := c.Stats(); got.Requests != int64(len(arrived)) || got.Retries != int64(len(arrived)-requests) {
		t.Errorf("Stats() = %+v, where %d requests arrived", got, len(arrived))
	}
	least := time.Duration(len(arrived)-1) * time.Second / perSecond
	if took := arrived[len(arrived)-1].Sub(arrived[0]); took < least*9/10 {
		t.Errorf("%d requests arrived within %v, want at least %v", len(arrived), took, least)
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.limiter.slots != 1 {
		t.Errorf("%d requests may be in flight, want 1", c.limiter.slots)
	}
}

type connKey struct{}
