// Package wiretest has networks for tests in which a function answers, and what such tests look
// at: when requests were sent, and whether a value shows a secret.
package wiretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Network is an [http.RoundTripper] in which a function answers.
type Network func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (n Network) RoundTrip(req *http.Request) (*http.Response, error) { return n(req) }

// Reply makes an answer of JSON; headers are given as names and values in turn.
func Reply(req *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// Answering returns a network in which every request gets the same answer.
func Answering(status int, body string, header ...string) Network {
	return func(req *http.Request) (*http.Response, error) { return Reply(req, status, body, header...), nil }
}

// Arrivals note when requests were sent, counted from Start.
type Arrivals struct {
	Start time.Time
	mu    sync.Mutex
	sent  []time.Duration
}

// NewArrivals starts now.
func NewArrivals() *Arrivals { return &Arrivals{Start: time.Now()} }

// Add notes a request and returns how many there were before it.
func (a *Arrivals) Add() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, time.Since(a.Start))
	return len(a.sent) - 1
}

// Times returns when requests were sent, to the millisecond, in order.
func (a *Arrivals) Times() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	times := make([]time.Duration, len(a.sent))
	for i, at := range a.sent {
		times[i] = at.Round(time.Millisecond)
	}
	slices.Sort(times)
	return times
}

// Seconds makes durations, to the millisecond.
func Seconds(s ...float64) []time.Duration {
	times := make([]time.Duration, len(s))
	for i := range s {
		times[i] = time.Duration(s[i] * float64(time.Second)).Round(time.Millisecond)
	}
	return times
}

// Shows returns the ways in which a value gives a secret away: by a verb of package fmt, as
// JSON, in a log.
func Shows(value any, secret string) []string {
	var ways []string
	look := func(how, text string) {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			ways = append(ways, how+": "+text)
		}
	}
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "b", "T", "p", "t", "z"} {
		look("%"+verb, fmt.Sprintf("%"+verb, value))
	}
	if text, err := json.Marshal(value); err == nil {
		look("JSON", string(text))
	}
	var logs bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
		logs.Reset()
		slog.New(handler).Info("x", "value", value, slog.Group("in", "value", []any{value}))
		look("slog", logs.String())
	}
	return ways
}
