package gitlabapi

import (
	"context"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// secretToken is the token of these tests, to be looked for where it must not be.
const secretToken = "glpat-Very_Secret.Token-0123456789"

// somewhere is a repository to ask about where it does not matter which.
var somewhere = Repository{ID: 2, ProjectID: 1, Path: "group/app"}

// wire is a network in which a function answers.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) { return w(req) }

// reply makes an answer; headers are given as names and values in turn.
func reply(req *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// answering is a network in which every request gets the same answer.
func answering(status int, body string, header ...string) wire {
	return func(req *http.Request) (*http.Response, error) { return reply(req, status, body, header...), nil }
}

// newTestClient returns a client of an instance that is behind the wire.
func newTestClient(t testing.TB, network http.RoundTripper, config Config) *Client {
	t.Helper()
	config.Transport = network
	if config.URL == "" {
		config.URL = "https://gitlab.example"
	}
	if config.Token.IsZero() {
		config.Token = throttle.NewSecret(secretToken)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends one GET.
func ask(ctx context.Context, c *Client) error {
	_, err := c.HasTags(ctx, somewhere)
	return err
}

// diary notes when requests were sent, counted from when it was made.
type diary struct {
	start time.Time
	mu    sync.Mutex
	sent  []time.Duration
}

func newDiary() *diary { return &diary{start: time.Now()} }

// note notes a request and returns how many there were before it.
func (d *diary) note() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = append(d.sent, time.Since(d.start))
	return len(d.sent) - 1
}

// times returns when requests were sent, to the millisecond, in order.
func (d *diary) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	times := make([]time.Duration, len(d.sent))
	for i, at := range d.sent {
		times[i] = at.Round(time.Millisecond)
	}
	slices.Sort(times)
	return times
}

// seconds makes durations.
func seconds(s ...float64) []time.Duration {
	times := make([]time.Duration, len(s))
	for i := range s {
		times[i] = time.Duration(s[i] * float64(time.Second)).Round(time.Millisecond)
	}
	return times
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
