package throttle

import (
	"time"

	"golang.org/x/time/rate"
)

// slowStart is how the rate comes back after a pause: half of it for five seconds, three
// quarters for another five, then all. Requests that were refused come back in the same
// moment, those of other jobs of the same user too; at 20 a second this costs a run 3.75
// seconds a pause, and a server that is still struggling says so at half the load.
var slowStart = []struct {
	share rate.Limit
	lasts time.Duration
}{
	{0.5, 5 * time.Second},
	{0.75, 5 * time.Second},
}

// minTarget is the least rate that a slow start without a limit aims at: a pause in the first
// moments of a run must not have it begin with next to nothing.
const minTarget rate.Limit = 2

// ownRate is RATE_LIMIT: in any second at most the limit plus the burst. After a pause it
// begins with one request, without a burst, and a slow start.
type ownRate struct {
	limit   rate.Limit    // what RATE_LIMIT allows; [rate.Inf] for no limit
	limiter *rate.Limiter // of what is allowed just now
	target  rate.Limit    // of a slow start: the limit, or without one the rate before the pause
	step    int           // of the slow start; len(slowStart) when there is none
	until   time.Time     // when the step ends
	meter   meter
}

func newOwnRate(perSecond float64, burst int) *ownRate {
	limit := rate.Limit(perSecond)
	if perSecond <= 0 {
		limit = rate.Inf
	}
	return &ownRate{limit: limit, limiter: rate.NewLimiter(limit, max(burst, 1)), target: limit, step: len(slowStart)}
}

// take takes the token for a request, or returns when to try again. Steps of the slow start
// are taken at the moments when they were due, not when a request comes.
func (r *ownRate) take(now time.Time) time.Duration {
	for r.step < len(slowStart) && !now.Before(r.until) {
		due, limit := r.until, r.limit
		if r.step++; r.step < len(slowStart) {
			limit, r.until = r.target*slowStart[r.step].share, due.Add(slowStart[r.step].lasts)
		}
		r.limiter.SetLimitAt(due, limit)
	}
	if r.limiter.Limit() == rate.Inf {
		r.meter.countRequest(now)
		return 0
	}
	token := r.limiter.ReserveN(now, 1)
	delay := token.DelayFrom(now)
	if delay == 0 {
		return 0
	}
	token.CancelAt(now)
	delay++                      // it is rounded down to the nanosecond
	if r.step < len(slowStart) { // the next step may have it sooner
		delay = min(delay, r.until.Sub(now))
	}
	return delay
}

// dropBurst gives up the burst: what gathered while something else held requests back must
// not let them go all at once.
func (r *ownRate) dropBurst(now time.Time) {
	if r.limiter.Limit() != rate.Inf {
		r.limiter.AllowN(now, int(r.limiter.TokensAt(now)))
	}
}

// startSlowly empties the limiter up to the end of a pause and begins a slow start there.
// Without a limit its target is how fast the run was; a pause that is made longer, or that
// comes in the middle of a slow start, leaves it what it was.
func (r *ownRate) startSlowly(now, pauseEnds time.Time) {
	if r.step == len(slowStart) && r.limit == rate.Inf {
		r.target = max(r.meter.rate(now), minTarget)
	}
	r.step, r.until = 0, pauseEnds.Add(slowStart[0].lasts)
	r.limiter = rate.NewLimiter(r.target*slowStart[0].share, r.limiter.Burst())
	r.limiter.ReserveN(pauseEnds, r.limiter.Burst()-1)
}

// meter tells how fast a run is that has no limit. It counts by the second: long
// enough to mean something, short enough to be of now.
type meter struct {
	since time.Time
	n     int
	last  rate.Limit // in the span before
}

func (m *meter) countRequest(now time.Time) {
	if span := now.Sub(m.since); span >= time.Second {
		m.last = rate.Limit(float64(m.n) / span.Seconds())
		m.since, m.n = now, 0
	}
	m.n++
}

// rate returns the requests a second in the last one or two seconds.
func (m *meter) rate(now time.Time) rate.Limit {
	span := max(now.Sub(m.since), time.Second)
	return max(m.last, rate.Limit(float64(m.n)/span.Seconds()))
}
