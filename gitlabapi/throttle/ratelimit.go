package throttle

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// reserve is the part of a limit that is left to others who share the token's user: a tenth.
// It is so large because a run that spreads what remains does not know what others are going
// to take: where they steadily use up to half of a limit, the run comes down to the reserve in
// the last sixth of the window, and a tenth lasts them to its end. Limits below 10 are used up.
const reserve = 10

// rateLimits are GitLab's limits as far as the headers of answers told about them. Each counts
// requests in a window of time that ends with its Reset. A request is held by the one limit
// that the last answer of its endpoint named.
type rateLimits struct {
	of       [endpoints]*rateLimit // nil: nothing is known
	inFlight [endpoints]int
}

// A rateLimit is one limit in its current window of time.
type rateLimit struct {
	rateLimitHeaders           // with the least that was said to remain
	last             time.Time // when a request last passed that counts against it
	short            bool      // it has held a request since then
}

// delay returns how long a request of an endpoint has to wait at least.
func (ls *rateLimits) delay(now time.Time, e endpoint, ownLimit rate.Limit) time.Duration {
	l := ls.of[e]
	if l == nil {
		return 0
	}
	inFlight := 0
	for other, n := range ls.inFlight {
		if ls.of[other] == l {
			inFlight += n
		}
	}
	delay := l.delay(now, int64(inFlight), ownLimit)
	l.short = l.short || delay > 0
	return delay
}

// pass notes that a request passes, and returns whether its limit held requests before.
func (ls *rateLimits) pass(now time.Time, e endpoint) (wasHeld bool) {
	ls.inFlight[e]++
	l := ls.of[e]
	if l == nil {
		return false
	}
	wasHeld = l.short
	l.last, l.short = now, false
	return wasHeld
}

// observe takes over what the headers of an answer say. Within one window the lowest figure is
// the latest, whatever the order in which answers come: what remains only ever falls. A later
// Reset is a new window, an earlier one a late answer.
func (ls *rateLimits) observe(now time.Time, e endpoint, h http.Header) {
	if e == atRegistry {
		return
	}
	said, ok := readHeaders(h, now, e)
	if !ok {
		return
	}
	if l := ls.of[e]; l == nil || l.identity != said.identity {
		ls.of[e] = ls.find(now, said)
	}
	switch l := ls.of[e]; {
	case said.epoch > l.epoch:
		l.rateLimitHeaders = said
	case said.epoch == l.epoch:
		l.remaining = min(l.remaining, said.remaining)
		// Every answer puts the end too late by what is lost in its Date, which has whole
		// seconds, and on its way.
		if said.reset.Before(l.reset) {
			l.reset = said.reset
		}
	}
}

// find returns the limit that another endpoint is known to count against, or a new one.
func (ls *rateLimits) find(now time.Time, said rateLimitHeaders) *rateLimit {
	for _, l := range ls.of {
		if l != nil && l.identity == said.identity {
			return l
		}
	}
	return &rateLimit{rateLimitHeaders: said, last: now}
}

// delay spreads what remains over the time to the reset, where that is less than the rate of
// our own uses up. The lowest figure counts every request of ours that has been answered, as
// each answer had a figure of its own: only those in flight may be missing in it.
func (l *rateLimit) delay(now time.Time, inFlight int64, ownLimit rate.Limit) time.Duration {
	left := l.reset.Sub(now)
	if left <= 0 {
		return 0
	}
	usable := l.remaining - inFlight - l.size/reserve
	if usable <= 0 {
		return left
	}
	if float64(usable) >= float64(ownLimit)*left.Seconds() {
		return 0
	}
	interval := l.reset.Sub(l.last) / time.Duration(usable)
	return max(l.last.Add(interval).Sub(now), 0)
}
