package throttle

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTheRateComesBackAfterAPause has a run at ten a second refused after three
// seconds, and a crowd waiting. Without a limit of its own it comes back to the ten
// that it had been doing, and then to whatever it can do.
func TestTheRateComesBackAfterAPause(t *testing.T) {
	for rate, rest := range map[float64]func(i int) float64{
		10: func(i int) float64 { return 10.05 + 0.1*float64(i) },
		0:  func(int) float64 { return 10 },
	} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					n := d.Add()
					if n <= 30 {
						time.Sleep(100 * time.Millisecond)
					}
					if n == 30 {
						return reply(req, 429, "", "Retry-After", "7"), nil
					}
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{RateLimit: rate, RateBurst: 5, Concurrency: 200})
				for range 31 {
					send(t, c, "GET", aRead)
				}
				until := time.Since(d.Start)
				if want := 3100 * time.Millisecond; until != want {
					t.Fatalf("refused after %v, want %v", until, want)
				}
				var crowd sync.WaitGroup
				for range 80 {
					crowd.Go(func() { send(t, c, "GET", aRead) })
				}
				crowd.Wait()
				var want []time.Duration
				for i := range 26 { // five seconds at five a second, from the first moment on
					want = append(want, seconds(10.1+0.2*float64(i))...)
				}
				for i := range 37 { // five at seven and a half
					want = append(want, seconds(15.1+float64(i+1)/7.5)...)
				}
				for i := range 80 - 26 - 37 {
					want = append(want, seconds(10.1+rest(i))...)
				}
				if diff := cmp.Diff(want, d.Times()[31:]); diff != "" {
					t.Errorf("requests were sent at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestAPauseInASlowStartKeepsItsTarget: what a run without a limit did in a slow start is
// not what it is to come back to.
func TestAPauseInASlowStartKeepsItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(0, 1, 1000)
		for range 40 {
			if err := l.wait(t.Context(), everything, reads, Ordinary); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // in the pause, and in the slow start after it
			l.leave(everything, reads, time.Now(), reply(nil, 429, "", "Retry-After", "1"), nil)
			time.Sleep(600 * time.Millisecond)
		}
		start := time.Now()
		for range 11 {
			if err := l.wait(t.Context(), everything, reads, Ordinary); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := time.Since(start), 400*time.Millisecond+10*time.Second/20; got.Round(time.Millisecond) != want {
			t.Errorf("eleven requests took %v, want %v: half of 40 a second", got, want)
		}
	})
}

// TestFirstComeFirstServed has reads and deletions in endless loops at the limiter,
// more of them than may be in flight or not, with a pause in between or without. All
// take their turns, in one order from beginning to end.
func TestFirstComeFirstServed(t *testing.T) {
	for _, test := range []struct {
		name        string
		concurrency int
		pauseAt     int
		least       int // requests in the minute
	}{
		{"slots for all", 64, -1, 599}, // the 600th falls on the end
		{"slots for few", 2, -1, 599},
		{"a pause", 64, 250, 599 - 100 - 38}, // ten seconds, and what the slow start costs
		{"a pause and slots for few", 2, 250, 599 - 100 - 38},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var served []string
				network := wire(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					served = append(served, req.Method+" "+req.URL.Path)
					if len(served) == test.pauseAt {
						return reply(req, 429, "", "Retry-After", "10"), nil
					}
					return reply(req, 200, "[]"), nil
				})
				c := newTestClient(t, network, Config{RateLimit: 10, RateBurst: 1, Concurrency: test.concurrency})
				send(t, c, "GET", aRead) // all begin in the queue
				served = nil
				end := time.Now().Add(time.Minute)
				var loops sync.WaitGroup
				for i := range 20 {
					method := http.MethodGet
					if i%5 == 0 {
						method = http.MethodDelete
					}
					loops.Go(func() {
						for time.Now().Before(end) {
							send(t, c, method, fmt.Sprintf("%s/tag%d", aRead, i))
						}
					})
				}
				loops.Wait()
				served = served[:len(served)-20] // each loop ends with one more
				if len(served) < test.least {
					t.Errorf("%d requests, want at least %d", len(served), test.least)
				}
				round := slices.Compact(slices.Sorted(slices.Values(served[:20])))
				if len(round) != 20 {
					t.Fatalf("%d of 20 loops had a turn in the first round", len(round))
				}
				for i := 20; i < len(served); i++ {
					if served[i] != served[i-20] {
						t.Fatalf("request %d is %s, want %s, which has waited longest", i, served[i], served[i-20])
					}
				}
			})
		})
	}
}

// TestNoRequestOvertakesTheQueue sends a request when an earlier one is due that has not been
// admitted yet.
func TestNoRequestOvertakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1, 10)
		if !isAdmitted(l.enter(everything, reads, Ordinary)) {
			t.Fatal("the first has to wait")
		}
		early := l.enter(everything, reads, Ordinary)
		l.timer.Stop()
		time.Sleep(time.Second)
		late := l.enter(everything, reads, Ordinary)
		if !isAdmitted(early) {
			t.Error("the earlier request was not admitted")
		}
		if isAdmitted(late) {
			t.Error("the later request was admitted")
		}
	})
}

func isAdmitted(w *waiter) bool {
	select {
	case <-w.admitted:
		return true
	default:
		return false
	}
}

// TestGivingUpLeavesNoTrace: neither a request that still waits nor one that is admitted in
// the same moment takes the only slot with it.
func TestGivingUpLeavesNoTrace(t *testing.T) {
	for _, admitted := range []bool{false, true} {
		t.Run(fmt.Sprintf("admitted: %v", admitted), func(t *testing.T) {
			l := newLimiter(0, 1, 1)
			l.enter(everything, reads, Ordinary)
			w := l.enter(everything, writes, Ordinary)
			if admitted {
				l.leave(everything, reads, time.Now(), nil, nil)
				l.giveUp(w)
			} else {
				l.giveUp(w)
				l.leave(everything, reads, time.Now(), nil, nil)
			}
			if !isAdmitted(l.enter(everything, reads, Ordinary)) || l.limits.inFlight[writes] != 0 {
				t.Error("a request is still in the way")
			}
		})
	}
}
