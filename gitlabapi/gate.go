package gitlabapi

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// gate holds every request back until it may be sent. It is the one place that knows
// the rate, attempts of every stage together, and it looks at four things in turn:
//
//   - a pause that the server has asked for holds everybody (pause.go);
//   - no more than so many requests are in flight;
//   - a limit of GitLab's that is running short holds the kinds of requests that
//     count against it (window.go);
//   - the rate of our own holds everybody (pace.go).
//
// Requests pass in the order in which they came, whatever they are and whatever
// happens while they wait, so that no stage starves another. A request overtakes
// only those that are held by a limit that is not its own. Whoever has passed must
// call [gate.leave].
type gate struct {
	mu    sync.Mutex
	queue []*waiter   // in the order of arrival
	alarm *time.Timer // lets go whoever is due next; nil until somebody had to wait

	room    int // how many more requests may be in flight
	pauses  pauses
	windows windows
	pace    *pace
}

// A waiter is a request in the queue.
type waiter struct {
	kind   kind
	called chan struct{} // closed when it may be sent
}

// untilAnAnswer is the delay of a request that waits for another one's answer and not
// for a time.
const untilAnAnswer = time.Duration(math.MaxInt64)

// newGate returns a gate for so many requests a second, 0 or less meaning no limit,
// and so many in flight.
func newGate(perSecond float64, burst, inFlight int) *gate {
	return &gate{room: max(inFlight, 1), pace: newPace(perSecond, burst)}
}

// wait returns when a request may be sent, or with the context's error.
func (g *gate) wait(ctx context.Context, k kind) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := g.enter(k)
	if w == nil {
		return nil
	}
	select {
	case <-w.called:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		g.giveUp(w)
		return err
	}
	return nil
}

// enter lets a request pass at once, or returns its place in the queue.
func (g *gate) enter(k kind) *waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.queue) == 0 {
		if delay, _ := g.admit(now, k); delay == 0 {
			return nil
		}
	}
	w := &waiter{kind: k, called: make(chan struct{})}
	g.queue = append(g.queue, w)
	g.serve(now)
	return w
}

// giveUp takes a request out of the queue that is not going to be sent.
func (g *gate) giveUp(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, w); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	} else { // called in the very moment in which it gave up
		g.depart(w.kind)
	}
	g.serve(time.Now())
}

// leave is told of every request that has passed, once its exchange is over: when it
// was sent and, unless it failed, its answer.
func (g *gate) leave(k kind, sent time.Time, resp *http.Response) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.depart(k)
	if resp != nil {
		g.observe(now, k, sent, resp)
	}
	g.serve(now)
}

func (g *gate) depart(k kind) {
	g.room++
	g.windows.inFlight[k]--
}

// observe learns from an answer to a request that was sent at the given time.
func (g *gate) observe(now time.Time, k kind, sent time.Time, resp *http.Response) {
	if length := g.pauses.observe(now, sent, resp); length > 0 {
		g.pace.resumeAt(now, now.Add(length))
	}
	// A 429 speaks through the pause that it asks for.
	if resp.StatusCode != http.StatusTooManyRequests {
		g.windows.observe(now, k, resp.Header)
	}
}

// serve lets everybody go who may, the first come first, and sets the alarm for the
// next.
func (g *gate) serve(now time.Time) {
	next := untilAnAnswer
	for i := 0; i < len(g.queue); {
		delay, alone := g.admit(now, g.queue[i].kind)
		switch {
		case delay == 0:
			close(g.queue[i].called)
			g.queue = slices.Delete(g.queue, i, i+1)
			continue
		case alone:
			i++
		default:
			i = len(g.queue)
		}
		next = min(next, delay)
	}
	g.setAlarm(next)
}

func (g *gate) setAlarm(next time.Duration) {
	switch {
	case next == untilAnAnswer: // an alarm that is set finds nothing to do
	case g.alarm == nil:
		g.alarm = time.AfterFunc(next, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.serve(time.Now())
		})
	default:
		g.alarm.Reset(next)
	}
}

// admit lets a request pass, or returns when to ask again, and whether others may
// pass meanwhile.
func (g *gate) admit(now time.Time, k kind) (delay time.Duration, alone bool) {
	if left := g.pauses.left(now); left > 0 {
		return left, false
	}
	if g.room == 0 {
		return untilAnAnswer, false
	}
	if delay := g.windows.delay(now, k, g.pace.limit); delay > 0 {
		return delay, true
	}
	if delay := g.pace.take(now); delay > 0 {
		return delay, false
	}
	g.room--
	if g.windows.pass(now, k) {
		g.pace.drain(now)
	}
	return 0, false
}

// throttledFor returns how long servers have had everything held back so far. That a
// short limit or the rate parted requests does not count: it is not the server that
// asked for it, and others may have gone meanwhile.
func (g *gate) throttledFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pauses.total - g.pauses.left(now)
}
