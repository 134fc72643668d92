package throttle

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A quota is a limit of GitLab's, counted in windows that begin at multiples of the
// period. It answers like GitLab: what remains, and a 429 beyond.
type quota struct {
	name   string
	size   int
	period time.Duration

	mu      sync.Mutex
	end     time.Time
	used    int
	refused int
}

// take counts one request and says what its answer is like.
func (q *quota) take() (status int, header []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if !now.Before(q.end) {
		q.end, q.used = now.Truncate(q.period).Add(q.period), 0
	}
	q.used++
	header = []string{
		"RateLimit-Limit", strconv.Itoa(q.size), "RateLimit-Remaining", strconv.Itoa(max(q.size-q.used, 0)),
		"RateLimit-Reset", strconv.FormatInt(q.end.Unix(), 10), "Date", now.UTC().Format(http.TimeFormat),
	}
	if q.name != "" {
		header = append(header, "RateLimit-Name", q.name)
	}
	if q.used <= q.size {
		return 200, header
	}
	q.refused++
	return 429, append(header, "Retry-After", strconv.Itoa(int(q.end.Sub(now)/time.Second)+1))
}

// send lets one request of a kind through the transport, without the layers above.
func send(t *testing.T, c *Client, method, path string) *http.Response {
	t.Helper()
	ctx, host := t.Context(), "gitlab.example"
	if strings.HasPrefix(path, "/v2/") {
		ctx, host = With(ctx, Request{Server: Registry}), "registry.example"
	}
	req := (&http.Request{Method: method, URL: &url.URL{Scheme: "https", Host: host, Path: path}, Header: http.Header{}}).WithContext(ctx)
	resp, err := c.RoundTrip(req)
	if err != nil {
		t.Error(err)
	}
	return resp
}

// The paths of requests of different kinds.
const (
	aRead         = "/api/v4/projects/1/registry/repositories/2/tags"
	aListing      = "/api/v4/projects"
	aManifestPath = "/v2/group/app/manifests/v1"
)

// TestASharedLimitIsNotExceeded has other jobs of the same user eat half of a limit,
// for three of its windows. The run must do as much as is left without one refusal,
// its own or theirs; a naive one, which is shown nothing but 429s, has refusals.
func TestASharedLimitIsNotExceeded(t *testing.T) {
	const size, minutes = 600, 3
	for _, test := range []struct {
		name    string
		naive   bool
		config  Config
		latency int // in milliseconds, at most; answers come out of order
	}{
		{name: "naive", naive: true, config: Config{RateLimit: 10, RateBurst: 20}, latency: 100},
		{name: "at a rate", config: Config{RateLimit: 10, RateBurst: 20}, latency: 100},
		{name: "slow answers", config: Config{RateLimit: 10, RateBurst: 20}, latency: 3000},
		{name: "without a rate of our own", config: Config{}, latency: 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, 2))
				q := &quota{name: "api", size: size, period: time.Minute}
				ours, refused := 0, 0
				network := wire(func(req *http.Request) (*http.Response, error) {
					q.mu.Lock()
					there, back := random.IntN(test.latency), random.IntN(test.latency)
					q.mu.Unlock()
					time.Sleep(time.Duration(there) * time.Millisecond / 2)
					status, header := q.take()
					q.mu.Lock()
					ours++
					if status == 429 {
						refused++
					}
					q.mu.Unlock()
					time.Sleep(time.Duration(back) * time.Millisecond / 2)
					resp := reply(req, status, "[]", header...)
					if test.naive {
						resp.Header.Del("RateLimit-Remaining")
					}
					return resp, nil
				})
				test.config.Concurrency = 16
				c := newTestClient(t, network, test.config)
				end := time.Now().Add(minutes * time.Minute)
				var jobs sync.WaitGroup
				for i := range 16 {
					jobs.Go(func() {
						for time.Now().Before(end) {
							send(t, c, []string{"GET", "DELETE"}[i%2], aRead)
						}
					})
				}
				jobs.Go(func() {
					for range minutes * size / 2 {
						q.take()
						time.Sleep(2 * time.Minute / size)
					}
				})
				jobs.Wait()
				if test.naive {
					if refused == 0 || q.refused == refused {
						t.Errorf("%d requests of ours and %d in all were refused: the others do not press", refused, q.refused)
					}
					return
				}
				if q.refused != 0 {
					t.Errorf("%d requests were refused, %d of them ours", q.refused, refused)
				}
				if least := minutes * size / 2 * 9 / 10; ours < least {
					t.Errorf("%d requests of ours, want at least %d: others used no more than half", ours, least)
				}
				if got := c.Stats().Throttled; got != 0 {
					t.Errorf("throttled for %v: no server asked for a pause", got)
				}
			})
		})
	}
}

// TestAWindowIsSpreadToTheMillisecond joins a window of which 30 in 100 requests and
// ten seconds are left: 10 are the others', so the next 20 come every half second.
// After the reset the run goes on at its own rate, without the burst that gathered.
func TestAWindowIsSpreadToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		name string
		rate float64
		skew time.Duration // of the server's clock
		date bool
		then func(i int) float64
	}{
		{name: "at a rate", rate: 10, then: func(i int) float64 { return 10 + 0.1*float64(i) }},
		{name: "the server's clock is fast", rate: 10, skew: 50 * time.Minute, date: true, then: func(i int) float64 { return 10 + 0.1*float64(i) }},
		{name: "the server's clock is slow", rate: 10, skew: -50 * time.Minute, date: true, then: func(i int) float64 { return 10 + 0.1*float64(i) }},
		// Then all go whose window is over: no more than may be in flight.
		{name: "without a rate of our own", rate: 0, then: func(int) float64 { return 10 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					n := d.Add()
					remaining, reset := 30-n, d.Start.Add(10*time.Second)
					if n >= 20 {
						remaining, reset = 99-(n-20), d.Start.Add(15*time.Second)
					}
					resp := reply(req, 200, "[]", "RateLimit-Limit", "100", "RateLimit-Remaining", strconv.Itoa(remaining),
						"RateLimit-Reset", strconv.FormatInt(reset.Add(test.skew).Unix(), 10))
					if test.date {
						resp.Header.Set("Date", time.Now().UTC().Add(test.skew).Format(http.TimeFormat))
					}
					return resp, nil
				})
				c := newTestClient(t, network, Config{RateLimit: test.rate, RateBurst: 20, Concurrency: 8})
				var crowd sync.WaitGroup
				send(t, c, "GET", aRead)
				for range 8 {
					crowd.Go(func() {
						for range 3 {
							send(t, c, "GET", aRead)
						}
					})
				}
				crowd.Wait()
				var want []time.Duration
				for i := range 20 {
					want = append(want, seconds(0.5*float64(i))...)
				}
				for i := range 5 {
					want = append(want, seconds(test.then(i))...)
				}
				if diff := cmp.Diff(want, d.Times()); diff != "" {
					t.Errorf("requests were sent at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestAnEmptyWindowHoldsUntilItsReset, and only the requests that count against it.
func TestAnEmptyWindowHoldsUntilItsReset(t *testing.T) {
	for _, test := range []struct {
		method, path string
		want         time.Duration
	}{
		{"GET", aRead, 42 * time.Second},
		{"DELETE", aRead, 42 * time.Second}, // has been seen to count against the same limit
		{"GET", aListing, 0},
		{"POST", "/api/graphql", 0},
		{"GET", "/jwt/auth", 0},
		{"GET", aManifestPath, 0},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reset := strconv.FormatInt(time.Now().Add(42*time.Second).Unix(), 10)
				network := answering(200, "[]", "RateLimit-Name", "api", "RateLimit-Limit", "2000",
					"RateLimit-Remaining", "0", "RateLimit-Reset", reset)
				c := newTestClient(t, network, Config{Concurrency: 2})
				start := time.Now()
				var both sync.WaitGroup
				both.Go(func() { send(t, c, "GET", aRead) })
				both.Go(func() { send(t, c, "DELETE", aRead) })
				both.Go(func() { send(t, c, "GET", aManifestPath) })
				both.Wait()
				// Others that are held must not take up the room.
				for range 5 {
					both.Go(func() { send(t, c, "GET", aRead) })
				}
				synctest.Wait()
				send(t, c, test.method, test.path)
				if got := time.Since(start); got != test.want {
					t.Errorf("sent after %v, want %v", got, test.want)
				}
				both.Wait()
			})
		})
	}
}

// TestLimitsAreKeptApart: the listing of projects has a limit of its own, ten minutes
// long and as large as the one of everything else. It must slow nothing but itself.
func TestLimitsAreKeptApart(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprintf("named: %v", named), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listing, rest := newArrivals(), newArrivals()
				lists := &quota{name: "projects", size: 2000, period: 10 * time.Minute}
				api := &quota{name: "api", size: 2000, period: time.Minute}
				if !named {
					lists.name, api.name = "", ""
				}
				network := wire(func(req *http.Request) (*http.Response, error) {
					d, q := rest, api
					if req.URL.Path == aListing {
						d, q = listing, lists
					}
					d.Add()
					_, header := q.take()
					return reply(req, 200, "[]", header...), nil
				})
				c := newTestClient(t, network, Config{RateLimit: 20, RateBurst: 1, Concurrency: 4})
				end := time.Now().Add(time.Minute)
				var both sync.WaitGroup
				for _, path := range []string{aListing, aRead} {
					both.Go(func() {
						for time.Now().Before(end) {
							send(t, c, "GET", path)
						}
					})
				}
				both.Wait()
				// 1,800 in 600 s are 3 a second, less what they wait for a token then. All of them at 20 a second are 1,200.
				if got := len(listing.Times()); got < 170 || got > 182 {
					t.Errorf("%d listings in a minute, want 180", got)
				}
				if got := len(listing.Times()) + len(rest.Times()); got < 1200 || got > 1202 {
					t.Errorf("%d requests in a minute, want 1200", got)
				}
			})
		})
	}
}

// TestAnswersOutOfOrder: what a late answer says does not bring back what is gone, an
// old window does not come back, and requests in flight count as sent.
func TestAnswersOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(0, 1, 100)
		now := time.Now()
		answer := func(remaining, after int) {
			l.leave(everything, reads, now, reply(nil, 200, "", "RateLimit-Limit", "5", "RateLimit-Remaining", strconv.Itoa(remaining),
				"RateLimit-Reset", strconv.FormatInt(now.Unix()+int64(after), 10)), nil)
		}
		for range 5 {
			if err := l.wait(t.Context(), everything, reads, Ordinary); err != nil {
				t.Fatal(err)
			}
		}
		delay := func() time.Duration { return l.limits.delay(time.Now(), reads, l.rate.limit) }
		steps := []struct {
			remaining, after int
			want             time.Duration
		}{
			{5, 60, 60 * time.Second},  // 4 in flight leave one, for the end
			{2, 60, 60 * time.Second},  // 3 in flight are more than 2
			{4, 60, 60 * time.Second},  // late: 2 remain, and 2 are in flight
			{5, 120, 30 * time.Second}, // another window, and one in flight: four in 120 s
			{0, 60, 24 * time.Second},  // late, of the window before: five in 120 s
		}
		for i, step := range steps {
			answer(step.remaining, step.after)
			if got := delay(); got != step.want {
				t.Errorf("after answer %d: %v, want %v", i+1, got, step.want)
			}
		}
	})
}

// TestRetryAfterIsABetterWordThanTheWindow: a 429 that says when to come back is taken
// at its word, whatever its reset.
func TestRetryAfterIsABetterWordThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		reset := strconv.FormatInt(d.Start.Add(50*time.Second).Unix(), 10)
		network := wire(func(req *http.Request) (*http.Response, error) {
			if d.Add() > 0 {
				return reply(req, 200, "[]"), nil
			}
			return reply(req, 429, "", "Retry-After", "7", "RateLimit-Remaining", "0", "RateLimit-Reset", reset), nil
		})
		c := newTestClient(t, network, Config{})
		send(t, c, "GET", aRead)
		send(t, c, "GET", aRead)
		if diff := cmp.Diff(seconds(0, 7), d.Times()); diff != "" {
			t.Errorf("requests were sent at (-want +got):\n%s", diff)
		}
	})
}

// TestTheEarliestResetCounts: a Date has whole seconds, so that an answer puts the
// reset up to a second too late.
func TestTheEarliestResetCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q := &quota{size: 1, period: 10 * time.Second}
		q.take()
		l := newLimiter(0, 1, 2)
		answer := func() {
			_, header := q.take()
			l.leave(everything, reads, start, reply(nil, 200, "", header...), nil)
		}
		for _, at := range []time.Duration{1900 * time.Millisecond, 2001 * time.Millisecond, 3500 * time.Millisecond} {
			time.Sleep(time.Until(start.Add(at)))
			l.limits.inFlight[reads]++
			answer()
		}
		if err := l.wait(t.Context(), everything, reads, Ordinary); err != nil {
			t.Fatal(err)
		}
		if got, want := time.Since(start), 10001*time.Millisecond; got != want {
			t.Errorf("waited until %v, want %v", got, want)
		}
	})
}

func TestEndpointOf(t *testing.T) {
	for path, want := range map[string]endpoint{
		"GET /api/v4/projects":                                       projectList,
		"GET /git/lab/api/v4/projects":                               projectList,
		"GET /api/v4/projects/7":                                     reads,
		"GET /api/v4/groups/a/b/projects":                            groupLists,
		"GET /api/v4/groups/7/registry/repositories":                 groupLists,
		"GET /api/v4/projects/7/registry/repositories/8/tags/groups": reads,
		"HEAD /api/v4/projects/7":                                    reads,
		"DELETE /api/v4/projects/7/registry/repositories/8/tags/v1":  writes,
		"POST /api/graphql":                                          graphQL,
		"GET /jwt/auth":                                              jwtAuth,
		"GET /group/app.git/info/refs":                               gitHTTP,
		"GET /gitlab/group/app.git/info/refs":                        gitHTTP,
		"GET /":                                                      reads,
	} {
		method, path, _ := strings.Cut(path, " ")
		req := &http.Request{Method: method, URL: &url.URL{Path: path}}
		if got := endpointOf(req, Instance); got != want {
			t.Errorf("%s %s is endpoint %d, want %d", method, path, got, want)
		}
		if got := endpointOf(req, Registry); got != atRegistry {
			t.Errorf("%s %s of the registry is endpoint %d", method, path, got)
		}
	}
}

// oddHeaders are RateLimit headers that make no sense: limit, remaining, seconds to the
// reset or the reset itself, date.
var oddHeaders = [][4]string{
	{"100", "", "+30", ""},
	{"100", "0", "", ""},
	{"100", "-1", "+30", ""},
	{"100", "+0", "+30", ""},
	{"100", "0.5", "+30", ""},
	{"100", "none", "+30", ""},
	{"100", "101", "+30", ""},
	{"100", "99999999999999999999", "+30", ""},
	{"100", "9007199254740993", "+30", ""},
	{"many", "0", "+30", ""},
	{"-5", "0", "+30", ""},
	{"100", "0", "+0", ""},
	{"100", "0", "-1", ""},
	{"100", "0", "+3601", ""},
	{"100", "0", "-9223372036854775808", ""},
	{"100", "0", "9223372036854775807", ""},
	{"100", "0", "4503599627370495", ""},
	{"100", "0", "soon", ""},
	{"100", "0", "30", ""}, // seconds instead of a time
	{"100", "0", "+30", "Fri, 31 Dec 9999 23:59:59 GMT"},
	{"100", "0", "+30", "Mon, 01 Jan 0001 00:00:00 GMT"},
}

// oddly makes headers of a row; a sign before the reset counts from now.
func oddly(row [4]string, now time.Time) http.Header {
	h := http.Header{}
	if strings.HasPrefix(row[2], "+") || row[2] == "-1" {
		ahead, _ := strconv.ParseInt(row[2], 10, 64)
		row[2] = strconv.FormatInt(now.Unix()+ahead, 10)
	}
	for i, name := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Date"} {
		if row[i] != "" {
			h.Set(name, row[i])
		}
	}
	return h
}

func TestOddHeadersCountAsNotSent(t *testing.T) {
	for _, row := range oddHeaders {
		t.Run(strings.Join(row[:], "|"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					d.Add()
					resp := reply(req, 200, "[]")
					for name, values := range oddly(row, time.Now()) {
						resp.Header[name] = values
					}
					return resp, nil
				})
				c := newTestClient(t, network, Config{RateLimit: 10, RateBurst: 2})
				for range 5 {
					send(t, c, "GET", aRead)
				}
				if diff := cmp.Diff(seconds(0, 0, 0.1, 0.2, 0.3), d.Times()); diff != "" {
					t.Errorf("requests were sent at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// FuzzReadRateLimit: whatever the headers are, what is taken from them is sound, and no request
// is held for longer than an hour or let go while nothing is left.
func FuzzReadRateLimit(f *testing.F) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 5e8, time.UTC)
	f.Add("api", "2000", "1990", "1788264060", now.Format(http.TimeFormat), 16)
	for _, row := range oddHeaders {
		h := oddly(row, now)
		f.Add("", h.Get("RateLimit-Limit"), h.Get("RateLimit-Remaining"), h.Get("RateLimit-Reset"), h.Get("Date"), 0)
	}
	f.Fuzz(func(t *testing.T, name, size, remaining, reset, date string, inFlight int) {
		h := http.Header{}
		for _, field := range [][2]string{{"Name", name}, {"Limit", size}, {"Remaining", remaining}, {"Reset", reset}} {
			h.Set("RateLimit-"+field[0], field[1])
		}
		h.Set("Date", date)
		said := readRateLimit(h, now, reads)
		if said == nil {
			return
		}
		left := said.reset.Sub(now)
		if said.remaining < 0 || said.size < 0 || size != "" && said.remaining > said.size || left <= 0 || left > maxPause {
			t.Fatalf("%v gave %+v", h, said)
		}
		said.last = now.Add(-time.Second)
		limits := rateLimits{of: [endpoints]*rateLimit{reads: said}, inFlight: [endpoints]int{reads: inFlight & 0xff}}
		delay := limits.delay(now, reads, 20)
		if delay < 0 || delay > left || said.remaining == 0 && delay != left {
			t.Fatalf("%v holds for %v", h, delay)
		}
	})
}
