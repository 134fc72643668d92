package throttle

import (
	"math"
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
	limit   rate.Limit // what RATE_LIMIT allows; [rate.Inf] for no limit
	burst   int
	limiter *rate.Limiter
	current rate.Limit // what the limiter allows just now
	target  rate.Limit // of a slow start: the limit, or without one the rate before the pause
	step    int        // of the slow start; len(slowStart) when there is none
	until   time.Time  // when the step ends
	meter   meter
}

func newOwnRate(perSecond float64, burst int) *ownRate {
	limit := rate.Limit(perSecond)
	if perSecond <= 0 {
		limit = rate.Inf
	}
	burst = max(burst, 1)
	return &ownRate{
		limit: limit, burst: burst, target: limit,
		limiter: rate.NewLimiter(limit, burst), current: limit, step: len(slowStart),
	}
}

// take takes the token for a request, or returns when to try again.
func (r *ownRate) take(now time.Time) time.Duration {
	for r.step < len(slowStart) && !now.Before(r.until) {
		r.nextStep()
	}
	if r.current == rate.Inf {
		r.meter.count(now)
		return 0
	}
	if r.limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - r.limiter.TokensAt(now)
	delay := max(time.Duration(math.Ceil(missing/float64(r.current)*float64(time.Second))), 1)
	if r.step < len(slowStart) { // the next step may have it sooner
		delay = min(delay, r.until.Sub(now))
	}
	return delay
}

// dropBurst gives up the burst: what gathered while something else held requests back must
// not let them go in a crowd.
func (r *ownRate) dropBurst(now time.Time) {
	if r.current != rate.Inf {
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
	r.current = r.target * slowStart[0].share
	r.limiter = rate.NewLimiter(r.current, r.burst)
	r.limiter.ReserveN(pauseEnds, r.burst-1)
}

// nextStep takes the next step of the slow start at the moment when it was due, not when a
// request comes.
func (r *ownRate) nextStep() {
	r.step++
	r.current = r.limit
	if r.step < len(slowStart) {
		r.current = r.target * slowStart[r.step].share
	}
	r.limiter.SetLimitAt(r.until, r.current)
	if r.step < len(slowStart) {
		r.until = r.until.Add(slowStart[r.step].lasts)
	}
}

// meter tells how fast a run is that has no limit. It counts by the second: long
// enough to mean something, short enough to be of now.
type meter struct {
	since time.Time
	n     int
	last  rate.Limit // in the span before
}

func (m *meter) count(now time.Time) {
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
