package gitlabapi

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// climb is how the rate comes back after a pause: half of it for five seconds, three
// quarters for another five, then all. Everybody who was refused comes back in the
// same moment, other jobs of the same user too; at 20 a second this costs a run 3.75
// seconds a pause, and a server that is still struggling says so at half the load.
var climb = []struct {
	share rate.Limit
	lasts time.Duration
}{
	{0.5, 5 * time.Second},
	{0.75, 5 * time.Second},
}

// slowest is the least rate from which a run without a limit of its own climbs back:
// a pause in its first moments must not have it begin with next to nothing.
const slowest rate.Limit = 2

// pace is the rate of our own: in any second at most the limit plus the burst. After
// a pause it begins with one request, without a burst, and climbs back to the limit.
type pace struct {
	limit   rate.Limit // what RATE_LIMIT allows; [rate.Inf] for no limit
	burst   int
	limiter *rate.Limiter
	current rate.Limit // what the limiter allows just now
	usual   rate.Limit // what it climbs back to: the limit, or without one the rate before the pause
	step    int        // in climb; at its end when there is no climbing
	until   time.Time  // when the step ends
	meter   meter
}

func newPace(perSecond float64, burst int) *pace {
	limit := rate.Limit(perSecond)
	if perSecond <= 0 {
		limit = rate.Inf
	}
	burst = max(burst, 1)
	return &pace{
		limit: limit, burst: burst, usual: limit,
		limiter: rate.NewLimiter(limit, burst), current: limit, step: len(climb),
	}
}

// take takes the token for a request, or returns when to try again.
func (p *pace) take(now time.Time) time.Duration {
	for p.step < len(climb) && !now.Before(p.until) {
		p.ascend()
	}
	if p.current == rate.Inf {
		p.meter.count(now)
		return 0
	}
	if p.limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - p.limiter.TokensAt(now)
	delay := max(time.Duration(math.Ceil(missing/float64(p.current)*float64(time.Second))), 1)
	if p.step < len(climb) { // the next step may have it sooner
		delay = min(delay, p.until.Sub(now))
	}
	return delay
}

// drain gives up the burst: what gathered while something else held requests back must
// not let them go in a crowd.
func (p *pace) drain(now time.Time) {
	if p.current != rate.Inf {
		p.limiter.AllowN(now, int(p.limiter.TokensAt(now)))
	}
}

// resumeAt empties the limiter up to the end of a pause and lets it climb from there.
// Without a limit the aim is how fast the run was; a pause that is made longer, or
// that comes in the middle of a climb, leaves it what it was.
func (p *pace) resumeAt(now, until time.Time) {
	if p.step == len(climb) && p.limit == rate.Inf {
		p.usual = max(p.meter.rate(now), slowest)
	}
	p.step, p.until = 0, until.Add(climb[0].lasts)
	p.current = p.usual * climb[0].share
	p.limiter = rate.NewLimiter(p.current, p.burst)
	p.limiter.ReserveN(until, p.burst-1)
}

// ascend takes the next step at the moment when it was due, not when somebody comes.
func (p *pace) ascend() {
	p.step++
	p.current = p.limit
	if p.step < len(climb) {
		p.current = p.usual * climb[p.step].share
	}
	p.limiter.SetLimitAt(p.until, p.current)
	if p.step < len(climb) {
		p.until = p.until.Add(climb[p.step].lasts)
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
