package throttle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

func TestRateIsHeldToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		rate     float64
		burst    int
		requests int
		want     time.Duration
	}{
		{rate: 10, burst: 1, requests: 100, want: 9900 * time.Millisecond},
		{rate: 10, burst: 0, requests: 100, want: 9900 * time.Millisecond},
		{rate: 10, burst: 20, requests: 100, want: 8 * time.Second},
		{rate: 0.5, burst: 1, requests: 3, want: 4 * time.Second},
		{rate: 0, burst: 1, requests: 1000, want: 0},
		{rate: -1, burst: 1, requests: 1000, want: 0},
	} {
		t.Run(fmt.Sprintf("%v a second, burst %d", test.rate, test.burst), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// RateLimit-Limit must not bring a second limiter into play: GitLab's
				// own client would set one up of its own accord.
				network := answering(200, "[]", "RateLimit-Limit", "60")
				c := newTestClient(t, network, Config{RateLimit: test.rate, RateBurst: test.burst})
				start := time.Now()
				for range test.requests {
					if err := ask(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				if got := time.Since(start).Round(time.Millisecond); got != test.want {
					t.Errorf("took %v, want %v", got, test.want)
				}
				if got, want := c.Stats(), (Stats{Requests: int64(test.requests)}); got != want {
					t.Errorf("Stats() = %+v, want %+v", got, want)
				}
			})
		})
	}
}

// held is a time in which the server wanted no request.
type held struct{ from, until time.Duration }

// TestNoSecondSeesMoreThanRateAndBurst lets a crowd of goroutines loose on a server
// that fails at random, and looks at when requests arrived.
func TestNoSecondSeesMoreThanRateAndBurst(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		requested := []float64{3, 10, 37.5}[random.IntN(3)]
		burst := []int{1, 5, 20}[random.IntN(3)]
		concurrency := []int{4, 64}[random.IntN(2)]
		t.Run(fmt.Sprintf("seed %d, %v a second, burst %d, %d in flight", seed, requested, burst, concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				var mu sync.Mutex
				var pauses []held
				network := wire(func(req *http.Request) (*http.Response, error) {
					d.Add()
					mu.Lock()
					latency := time.Duration(random.IntN(400)) * time.Millisecond
					dice, pause := random.IntN(20), 1+random.IntN(3)
					mu.Unlock()
					time.Sleep(latency)
					now := time.Since(d.Start)
					hold := func(status int) *http.Response {
						mu.Lock()
						defer mu.Unlock()
						pauses = append(pauses, held{now, now + time.Duration(pause)*time.Second})
						return reply(req, status, "", "Retry-After", strconv.Itoa(pause))
					}
					switch dice {
					case 0:
						return hold(429), nil
					case 1:
						return hold(503), nil
					case 2:
						return reply(req, 500, ""), nil
					case 3:
						return nil, errors.New("cut")
					default:
						return reply(req, 200, "[]"), nil
					}
				})
				c := newTestClient(t, network, Config{
					RateLimit: requested, RateBurst: burst, Concurrency: concurrency, MaxRetries: 3,
				})
				var crowd sync.WaitGroup
				for range 64 {
					crowd.Go(func() {
						for range 4 {
							_ = ask(t.Context(), c) // failures are part of the game
						}
					})
				}
				crowd.Wait()
				times := d.Times()
				for i, from := range times {
					if n := within(times[i:], from, from+time.Second); n > int(requested)+burst {
						t.Errorf("%d requests in the second from %v, want at most %d", n, from, int(requested)+burst)
					}
				}
				for _, p := range merge(pauses) {
					if n := within(times, p.from+time.Millisecond, p.until.Round(time.Millisecond)); n > 0 {
						t.Errorf("%d requests in the pause from %v to %v", n, p.from, p.until)
					}
					if n := within(times, p.until, p.until+time.Second); n > int(requested)+1 {
						t.Errorf("%d requests in the second after the pause that ended at %v: a burst", n, p.until)
					}
				}
				if got := c.Stats().Requests; got != int64(len(times)) {
					t.Errorf("Stats() counts %d requests, the server %d", got, len(times))
				}
			})
		})
	}
}

func within(times []time.Duration, from, until time.Duration) int {
	n := 0
	for _, at := range times {
		if at >= from && at < until {
			n++
		}
	}
	return n
}

// merge joins pauses, which are in the order of their beginnings, where they overlap.
func merge(pauses []held) []held {
	var merged []held
	for _, p := range pauses {
		if last := len(merged) - 1; last >= 0 && p.from <= merged[last].until {
			merged[last].until = max(merged[last].until, p.until)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}

// TestPauses lets the first answers be failures and looks at when one request is
// repeated, without a rate limit: only pauses part the attempts.
func TestPauses(t *testing.T) {
	in := func(d time.Duration) func() string {
		return func() string { return time.Now().UTC().Add(d).Format(http.TimeFormat) }
	}
	epoch := func(d time.Duration) func() string {
		return func() string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	}
	text := func(s string) func() string { return func() string { return s } }
	type header struct {
		name  string
		value func() string
	}
	for _, test := range []struct {
		name   string
		status int
		header []header
		want   []time.Duration
	}{
		{"429 without a header doubles", 429, nil, seconds(0, 1, 3, 7, 15, 31, 63, 123, 183)},
		{"429 in seconds", 429, []header{{"Retry-After", text("7")}}, seconds(0, 7, 14)},
		{"429 as a date", 429, []header{{"Retry-After", in(90 * time.Second)}}, seconds(0, 90, 180)},
		{"503 in seconds", 503, []header{{"Retry-After", text("7")}}, seconds(0, 7, 14)},
		{"503 as a date", 503, []header{{"Retry-After", in(7 * time.Second)}}, seconds(0, 7, 14)},
		{"500 in seconds", 500, []header{{"Retry-After", text("7")}}, seconds(0, 7, 14)},
		{"429 with the time of its reset", 429, []header{{"RateLimit-Reset", epoch(13 * time.Second)}}, seconds(0, 13, 26)},
		{"Retry-After is the better word", 429,
			[]header{{"RateLimit-Reset", epoch(50 * time.Second)}, {"Retry-After", text("7")}}, seconds(0, 7, 14)},
		{"429 with a reset that is past", 429, []header{{"RateLimit-Reset", epoch(-time.Minute)}}, seconds(0, 1, 3)},
		{"429 at once", 429, []header{{"Retry-After", text("0")}}, seconds(0, 1, 3)},
		{"429 with a date that is past", 429, []header{{"Retry-After", in(-time.Hour)}}, seconds(0, 1, 3)},
		{"429 with nonsense", 429, []header{{"Retry-After", text("soon")}}, seconds(0, 1, 3)},
		{"429 with a negative number", 429, []header{{"Retry-After", text("-5")}}, seconds(0, 1, 3)},
		{"429 for a week", 429, []header{{"Retry-After", text("604800")}}, seconds(0, 3600, 7200)},
		{"429 for longer than a Duration", 429, []header{{"Retry-After", text("9223372036854775807")}}, seconds(0, 3600, 7200)},
		{"429 for longer than a number", 429, []header{{"Retry-After", text("99999999999999999999")}}, seconds(0, 1, 3)},
		{"429 until the year 9999", 429, []header{{"Retry-After", text("Fri, 31 Dec 9999 23:59:59 GMT")}}, seconds(0, 3600, 7200)},
		{"429 with a reset in milliseconds", 429, []header{{"RateLimit-Reset", text("946684800000")}}, seconds(0, 3600, 7200)},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					if d.Add() == len(test.want)-1 {
						return reply(req, 200, "[]"), nil
					}
					resp := reply(req, test.status, "")
					for _, h := range test.header {
						resp.Header.Set(h.name, h.value())
					}
					return resp, nil
				})
				c := newTestClient(t, network, Config{MaxRetries: len(test.want)})
				if err := ask(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, d.Times()); diff != "" {
					t.Errorf("requests were sent at (-want +got):\n%s", diff)
				}
				last := len(test.want) - 1
				want := Stats{Requests: int64(last + 1), Retries: int64(last), Throttled: test.want[last]}
				if got := c.Stats(); got != want {
					t.Errorf("Stats() = %+v, want %+v", got, want)
				}
			})
		})
	}
}

// TestRetryAfterThatAsksForNothingStillBacksOff holds a server's "come back at once"
// from turning the retries into a hail.
func TestRetryAfterThatAsksForNothingStillBacksOff(t *testing.T) {
	for _, value := range []string{"0", "soon", "-1", "Wed, 21 Oct 1998 07:28:00 GMT"} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, answering(503, "", "Retry-After", value), Config{MaxRetries: 2})
				start := time.Now()
				if err := ask(t.Context(), c); err == nil {
					t.Fatal("no error")
				}
				if got, least := time.Since(start), firstBackoff/2+firstBackoff; got < least {
					t.Errorf("three attempts within %v, want at least %v", got, least)
				}
				if got := c.Stats().Throttled; got != 0 {
					t.Errorf("throttled for %v by a header that asked for nothing", got)
				}
			})
		})
	}
}

// TestCancelEndsTheWaitForASlot while the only request in flight goes on.
func TestCancelEndsTheWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := wire(func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return reply(req, 200, "[]"), nil
		})
		c := newTestClient(t, network, Config{Concurrency: 1})
		var holder sync.WaitGroup
		holder.Go(func() {
			if err := ask(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := ask(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("returned after %v, want 1s", got)
		}
		holder.Wait()
	})
}

// TestResetCountsOnA429Alone: GitLab sends it with every answer.
func TestResetCountsOnA429Alone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)
		c := newTestClient(t, answering(503, "", "RateLimit-Reset", reset), Config{MaxRetries: 1})
		if err := ask(t.Context(), c); err == nil {
			t.Error("no error")
		}
		if got := c.Stats().Throttled; got != 0 {
			t.Errorf("throttled for %v", got)
		}
	})
}

func TestHeadersOfASuccessHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)
		c := newTestClient(t, answering(200, "[]", "RateLimit-Reset", reset, "Retry-After", "30"), Config{})
		start := time.Now()
		for range 3 {
			if err := ask(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("took %v", got)
		}
	})
}

// TestSiblingsOfA429DoNotLengthenItsPause has five requests in flight that are all
// refused, one after the other: together they are one event.
func TestSiblingsOfA429DoNotLengthenItsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		network := wire(func(req *http.Request) (*http.Response, error) {
			n := d.Add()
			time.Sleep(time.Duration(1+n%5) * 10 * time.Millisecond)
			if n < 6 {
				return reply(req, 429, ""), nil
			}
			return reply(req, 200, "[]"), nil
		})
		c := newTestClient(t, network, Config{MaxRetries: 5, Concurrency: 5})
		var siblings sync.WaitGroup
		for range 5 {
			siblings.Go(func() {
				if err := ask(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		siblings.Wait()
		// One tries after the first pause. After the second they come at half of what
		// the run had sent in its one second.
		want := seconds(0, 0, 0, 0, 0, 1.01, 3.02, 3.42, 3.82, 4.22, 4.62)
		if diff := cmp.Diff(want, d.Times()); diff != "" {
			t.Errorf("requests were sent at (-want +got):\n%s", diff)
		}
		if got, want := c.Stats().Throttled, 3*time.Second; got != want {
			t.Errorf("throttled for %v, want %v", got, want)
		}
	})
}

func TestASuccessEndsTheDoubling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		network := wire(func(req *http.Request) (*http.Response, error) {
			if d.Add() == 3 {
				return reply(req, 200, "[]"), nil
			}
			return reply(req, 429, ""), nil
		})
		c := newTestClient(t, network, Config{MaxRetries: 3})
		if err := ask(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := ask(t.Context(), c); err == nil {
			t.Fatal("no error of a request that is refused for ever")
		}
		if diff := cmp.Diff(seconds(0, 1, 3, 7, 8, 9, 11, 15), d.Times()); diff != "" {
			t.Errorf("requests were sent at (-want +got):\n%s", diff)
		}
	})
}

// TestAPauseHoldsEverybody has a crowd waiting for tokens when the server asks for a
// pause, some of them for longer than the pause lasts.
func TestAPauseHoldsEverybody(t *testing.T) {
	for _, pause := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("%d s", pause), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					if d.Add() == 4 {
						return reply(req, 503, "", "Retry-After", strconv.Itoa(pause)), nil
					}
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{RateLimit: 2, RateBurst: 3, Concurrency: 16, MaxRetries: 1})
				var crowd sync.WaitGroup
				for range 16 {
					crowd.Go(func() {
						if err := ask(t.Context(), c); err != nil {
							t.Error(err)
						}
					})
				}
				crowd.Wait()
				// Three at once, two at the rate; the pause from 1 s on; then the other
				// eleven and the repeated one: five seconds at half the rate, and on
				// at three quarters.
				want := seconds(0, 0, 0, 0.5, 1)
				for _, after := range []float64{0, 1, 2, 3, 4, 5, 5 + 2./3, 5 + 4./3, 7, 7 + 2./3, 7 + 4./3, 9} {
					want = append(want, seconds(1+float64(pause)+after)...)
				}
				if diff := cmp.Diff(want, d.Times()); diff != "" {
					t.Errorf("requests were sent at (-want +got):\n%s", diff)
				}
				if got, want := c.Stats().Throttled, time.Duration(pause)*time.Second; got != want {
					t.Errorf("throttled for %v, want %v", got, want)
				}
			})
		})
	}
}

func TestThrottledCountsEachMomentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(0, 1, 1)
		told := 0
		asked := func(s string) {
			if l.leave(everything, reads, time.Now(), reply(nil, 503, "", "Retry-After", s), nil) > 0 {
				told++
			}
		}
		asked("10")
		asked("4") // within the first
		time.Sleep(6 * time.Second)
		if got := l.throttledFor(time.Now()); got != 6*time.Second {
			t.Errorf("in the pause: %v, want 6s", got)
		}
		asked("10") // to 16 s
		time.Sleep(time.Minute)
		if got := l.throttledFor(time.Now()); got != 16*time.Second {
			t.Errorf("after it: %v, want 16s", got)
		}
		if told != 1 {
			t.Errorf("told of %d pauses, want one that became longer", told)
		}
	})
}

// TestCancelEndsEveryWait cancels after five seconds whatever a request is waiting
// for. The bubble fails the test if a goroutine is left behind.
func TestCancelEndsEveryWait(t *testing.T) {
	hang := wire(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	for _, test := range []struct {
		name    string
		network wire
		config  Config
	}{
		{"for a pause", answering(429, "", "Retry-After", "3600"), Config{MaxRetries: 1}},
		{"for a token", answering(200, "[]"), Config{RateLimit: 0.001}},
		{"for a slot", hang, Config{Concurrency: 1}},
		{"for an answer", hang, Config{Concurrency: 8}},
		{"for another attempt", answering(500, ""), Config{MaxRetries: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, test.network, test.config)
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				var waiting sync.WaitGroup
				for range 3 {
					waiting.Go(func() {
						var err error
						for err == nil { // the first may have a token
							err = ask(ctx, c)
						}
						if !errors.Is(err, context.Canceled) {
							t.Errorf("got %v, want a cancelled context", err)
						}
					})
				}
				time.Sleep(5 * time.Second)
				cancel()
				waiting.Wait()
				if got := time.Since(start); got != 5*time.Second {
					t.Errorf("returned after %v, want 5s", got)
				}
				before := c.Stats().Requests
				if err := ask(ctx, c); !errors.Is(err, context.Canceled) {
					t.Errorf("asked with a cancelled context: %v", err)
				}
				if got := c.Stats().Requests; got != before {
					t.Error("a request with a cancelled context was sent")
				}
			})
		})
	}
}

func TestConcurrencyBoundsRequestsInFlight(t *testing.T) {
	for _, test := range []struct{ concurrency, most int }{{7, 7}, {1, 1}, {0, 1}, {-3, 1}} {
		t.Run(strconv.Itoa(test.concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				inFlight, most := 0, 0
				network := wire(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					inFlight++
					most = max(most, inFlight)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					inFlight--
					mu.Unlock()
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{Concurrency: test.concurrency})
				start := time.Now()
				var crowd sync.WaitGroup
				for range 14 {
					crowd.Go(func() {
						if err := ask(t.Context(), c); err != nil {
							t.Error(err)
						}
					})
				}
				crowd.Wait()
				if most != test.most {
					t.Errorf("%d in flight, want %d", most, test.most)
				}
				if got, want := time.Since(start), time.Duration(14/test.most)*time.Second; got != want {
					t.Errorf("took %v, want %v", got, want)
				}
			})
		})
	}
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	// slow answers the first n requests never and the others at once.
	slow := func(d *wiretest.Arrivals, n int) wire {
		return func(req *http.Request) (*http.Response, error) {
			if d.Add() < n {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return reply(req, 200, "[]"), nil
		}
	}
	t.Run("ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			c := newTestClient(t, slow(newArrivals(), 1), Config{RequestTimeout: 3 * time.Second})
			err := ask(t.Context(), c)
			timeout, ok := errors.AsType[*TimeoutError](err)
			if !ok || timeout.After != 3*time.Second {
				t.Errorf("got %v, want a TimeoutError", err)
			}
			if got := time.Since(start); got != 3*time.Second {
				t.Errorf("took %v, want 3s", got)
			}
		})
	})
	t.Run("ends a body that trickles", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			network := wire(func(req *http.Request) (*http.Response, error) {
				resp := reply(req, 200, "")
				resp.Body = trickle{req.Context()}
				return resp, nil
			})
			c := newTestClient(t, network, Config{RequestTimeout: 3 * time.Second})
			if _, ok := errors.AsType[*TimeoutError](ask(t.Context(), c)); !ok {
				t.Error("not a TimeoutError")
			}
			if got := time.Since(start); got != 3*time.Second {
				t.Errorf("took %v, want 3s", got)
			}
		})
	})
	t.Run("is repeated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newTestClient(t, slow(newArrivals(), 2), Config{RequestTimeout: time.Second, MaxRetries: 2})
			if err := ask(t.Context(), c); err != nil {
				t.Error(err)
			}
			if got := c.Stats(); got.Requests != 3 || got.Retries != 2 {
				t.Errorf("Stats() = %+v, want 3 requests and 2 retries", got)
			}
		})
	})
	t.Run("does not count the wait for the limiter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newArrivals()
			c := newTestClient(t, slow(d, 0), Config{RequestTimeout: time.Second, RateLimit: 0.1})
			for range 3 {
				if err := ask(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(seconds(0, 10, 20), d.Times()); diff != "" {
				t.Errorf("requests were sent at (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("is not that of the run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c := newTestClient(t, slow(newArrivals(), 9), Config{RequestTimeout: time.Minute, MaxRetries: 5})
			err := ask(ctx, c)
			if _, ok := errors.AsType[*TimeoutError](err); ok || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the context's own error", err)
			}
			if got := c.Stats().Requests; got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	})
}

// trickle is a body that never comes to an end.
type trickle struct{ ctx context.Context }

func (b trickle) Read(p []byte) (int, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		p[0] = '['
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (trickle) Close() error { return nil }
