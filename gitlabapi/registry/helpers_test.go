package registry

import (
	"encoding/json"
	"fmt"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// secretToken is the token of these tests, to be looked for where it must not be.
const secretToken = "glpat-Very_Secret.Token-0123456789"

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
func newTestClient(t testing.TB, network http.RoundTripper, config throttle.Config) *throttle.Client {
	t.Helper()
	config.Transport = network
	if config.URL == "" {
		config.URL = "https://gitlab.example"
	}
	if config.Token.IsZero() {
		config.Token = throttle.NewSecret(secretToken)
	}
	c, err := throttle.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fixture reads a manifest that a real BuildKit pushed.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "gitlabtest", "testdata", "buildkit", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func quoteJSON(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
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
