package throttle

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// limiter holds every request back until it may be sent. It looks at five things in turn:
//
//   - a pause that a server has asked for holds everything (pause.go);
//   - no more than so many requests are in flight;
//   - a pause that is asked for one project, group or repository holds what is below it (holds.go);
//   - a limit of GitLab's that is running short holds the endpoints that count against it
//     (ratelimit.go);
//   - the rate of our own holds everything (rate.go).
//
// Requests pass by priority and, within one, in the order in which they came, so that no stage
// of a run starves another one. A request overtakes only those of a lower priority and those
// that are held by a limit that is not its own.
type limiter struct {
	mu    sync.Mutex
	queue []*waiter   // by priority, then by arrival
	timer *time.Timer // serves the queue when its next request is due

	slots  int // how many more requests may be in flight
	pauses pauses
	holds  holds
	limits rateLimits
	rate   *ownRate
}

// A waiter is a request in the queue.
type waiter struct {
	place    place
	endpoint endpoint
	priority Priority
	admitted chan struct{} // closed when it may be sent, or is refused
	refused  error
}

// untilAnAnswer is the delay of a request that waits for another one's answer and not for a
// time.
const untilAnAnswer = time.Duration(math.MaxInt64)

// newLimiter returns a limiter for so many requests a second, 0 or less meaning no limit, and
// so many in flight.
func newLimiter(perSecond float64, burst, inFlight int) *limiter {
	l := &limiter{slots: max(inFlight, 1), holds: make(holds), rate: newOwnRate(perSecond, burst)}
	l.timer = time.AfterFunc(untilAnAnswer, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.serve(time.Now())
	})
	l.timer.Stop()
	return l
}

// wait returns when a request may be sent, or with the context's error or a [HeldError]. After nil,
// [limiter.leave] must be called.
func (l *limiter) wait(ctx context.Context, at place, e endpoint, p Priority) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := l.enter(at, e, p)
	select {
	case <-w.admitted:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		l.giveUp(w)
		return err
	}
	return w.refused
}

// enter puts a request into the queue, and admits it if nothing holds it.
func (l *limiter) enter(at place, e endpoint, p Priority) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &waiter{place: at, endpoint: e, priority: p, admitted: make(chan struct{})}
	i := len(l.queue)
	for i > 0 && l.queue[i-1].priority < p {
		i--
	}
	l.queue = slices.Insert(l.queue, i, w)
	l.serve(time.Now())
	return w
}

// giveUp takes a request out of the queue that is not going to be sent.
func (l *limiter) giveUp(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, w); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	} else if w.refused == nil { // admitted in the very moment in which it gave up
		l.slots++
		l.limits.inFlight[w.endpoint]--
	}
	l.serve(time.Now())
}

// leave is told of every request that has passed, once its exchange is over: when it was sent
// and, unless it failed, its answer, with what that says where it asks for a pause of one place. It returns the length
// of a pause of everything that begins with that answer, else 0.
func (l *limiter) leave(at place, e endpoint, sent time.Time, resp *http.Response, said *StatusError) (began time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.slots++
	l.limits.inFlight[e]--
	if resp != nil {
		asked := askedPause(resp, now)
		// A 429 is about the user or the address, wherever it is said.
		if at != everything && resp.StatusCode != http.StatusTooManyRequests {
			l.holds.observe(now, at, asked, said)
			asked = 0
		}
		wasPaused := l.pauses.left(now) > 0
		if length := l.pauses.observe(now, sent, resp.StatusCode, asked); length > 0 {
			l.rate.startSlowly(now, now.Add(length))
			if !wasPaused {
				began = length
			}
		}
		// A 429 speaks through the pause that it asks for.
		if resp.StatusCode != http.StatusTooManyRequests {
			l.limits.observe(now, e, resp.Header)
		}
	}
	l.serve(now)
	return began
}

// serve admits all requests that may be sent, the first in the queue first, and sets the timer
// for the next. A timer that was set for an earlier moment finds nothing to do.
func (l *limiter) serve(now time.Time) {
	next := untilAnAnswer
	for i, alone := 0, true; alone && i < len(l.queue); {
		var delay time.Duration
		w := l.queue[i]
		if delay, alone = l.admit(now, w); delay > 0 {
			next = min(next, delay)
			i++
			continue
		}
		close(w.admitted)
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	if next < untilAnAnswer {
		l.timer.Reset(next)
	}
}

// admit lets a request pass or refuses it, or returns when to ask again. Requests behind one that is
// held may pass if it is held alone.
func (l *limiter) admit(now time.Time, w *waiter) (delay time.Duration, alone bool) {
	e := w.endpoint
	h, refusal := l.holds.holding(now, w.place)
	if refusal != nil {
		w.refused = refusal
		return 0, true
	}
	if left := l.pauses.left(now); left > 0 {
		return left, false
	}
	if h != nil {
		return h.until.Sub(now), true
	}
	if l.slots == 0 {
		return untilAnAnswer, false
	}
	if delay := l.limits.delay(now, e, l.rate.limit); delay > 0 {
		return delay, true
	}
	if delay := l.rate.take(now); delay > 0 {
		return delay, false
	}
	l.slots--
	if l.limits.pass(now, e) {
		l.rate.dropBurst(now)
	}
	return 0, true
}

// heldFor returns how long it is until the places that want to be left alone may be asked again.
func (l *limiter) heldFor(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holds.left(now)
}

// throttledFor returns how long servers have had everything held back so far.
func (l *limiter) throttledFor(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pauses.total - l.pauses.left(now)
}
