package throttle

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// reserve is the part of a limit that is left to others who share the token's user: a tenth.
// It is so large because a run that spreads what remains does not know what others are going
// to take: where they steadily use up to half of a limit, the run comes down to the reserve in
// the last sixth of the period, and a tenth lasts them to its end. Limits below 10 are used up.
const reserve = 10

// rateLimits are GitLab's limits as far as the headers of answers told about them. A request
// is held by the one limit that the last answer of its endpoint named.
type rateLimits struct {
	of       [endpoints]*rateLimit // nil: nothing is known
	inFlight [endpoints]int
}

// A rateLimit is a number of requests in a period of time, and how much of it is left.
type rateLimit struct {
	identity
	remaining int64     // the least that was said
	epoch     int64     // RateLimit-Reset, the end of the period, as it came
	reset     time.Time // the same by our clock, at most a second late
	last      time.Time // when a request last passed that counts against it
	short     bool      // it has held a request since then
}

// identity tells limits apart. One with a name is the same for all endpoints;
// without a name the size alone would not do, as gitlab.com has two of 2,000, for a
// minute and for ten: each endpoint then has its own.
type identity struct {
	name     string
	size     int64    // requests in a period; 0 if unknown
	endpoint endpoint // 0 where there is a name
}

// delay returns how long a request of an endpoint has to wait at least. It spreads what remains
// over the time to the reset, where that is less than the rate of our own uses up. The lowest
// figure counts every request of ours that has been answered, as each answer had a figure of
// its own: only those in flight may be missing in it.
func (ls *rateLimits) delay(now time.Time, e endpoint, ownLimit rate.Limit) time.Duration {
	l := ls.of[e]
	if l == nil || !now.Before(l.reset) {
		return 0
	}
	usable := l.remaining - l.size/reserve
	for other, n := range ls.inFlight {
		if ls.of[other] == l {
			usable -= int64(n)
		}
	}
	delay := l.reset.Sub(now)
	switch {
	case usable <= 0:
	case float64(usable) >= float64(ownLimit)*delay.Seconds():
		return 0
	default:
		interval := l.reset.Sub(l.last) / time.Duration(usable)
		delay = max(l.last.Add(interval).Sub(now), 0)
	}
	l.short = l.short || delay > 0
	return delay
}

// pass notes that a request passes, and returns whether its limit held requests before.
func (ls *rateLimits) pass(now time.Time, e endpoint) (wasHeld bool) {
	ls.inFlight[e]++
	if l := ls.of[e]; l != nil {
		wasHeld, l.short, l.last = l.short, false, now
	}
	return wasHeld
}

// observe takes over what the headers of an answer say. Within one period the lowest figure is
// the latest, whatever the order in which answers come: what remains only ever falls. A later
// reset is a new period, an earlier one a late answer.
func (ls *rateLimits) observe(now time.Time, e endpoint, h http.Header) {
	said := readRateLimit(h, now, e)
	if said == nil || e == atRegistry {
		return
	}
	i := slices.IndexFunc(ls.of[:], func(l *rateLimit) bool { return l != nil && l.identity == said.identity })
	if i < 0 {
		ls.of[e] = said
		return
	}
	l := ls.of[i]
	ls.of[e] = l
	switch {
	case said.epoch > l.epoch:
		l.remaining, l.epoch, l.reset = said.remaining, said.epoch, said.reset
	case said.epoch == l.epoch:
		l.remaining = min(l.remaining, said.remaining)
		// Every answer puts the end too late by what is lost in its Date, which has whole
		// seconds, and on its way.
		if said.reset.Before(l.reset) {
			l.reset = said.reset
		}
	}
}

// readRateLimit reads the RateLimit headers of an answer of an endpoint. What makes no sense
// counts as not sent: no number, more left than the limit, a reset that is past or further
// ahead than any limit of GitLab's is counted over.
func readRateLimit(h http.Header, now time.Time, e endpoint) *rateLimit {
	remaining, ok := number(h, "Ratelimit-Remaining")
	epoch, left := untilReset(h, now)
	size, sized := number(h, "Ratelimit-Limit")
	if !ok || left <= 0 || left > maxPause || sized && remaining > size || !sized && h.Get("Ratelimit-Limit") != "" {
		return nil
	}
	id := identity{name: h.Get("Ratelimit-Name"), size: size}
	if id.name == "" {
		id.endpoint = e
	}
	return &rateLimit{identity: id, remaining: remaining, epoch: epoch, reset: now.Add(left), last: now}
}

// untilReset returns RateLimit-Reset, which is a time by the server's clock, and how
// long it is until then; 0 where it does not say. Where the answer says when it was made, that
// is the server's clock; else ours has to do.
func untilReset(h http.Header, now time.Time) (epoch int64, left time.Duration) {
	epoch, ok := number(h, "Ratelimit-Reset")
	if !ok {
		return 0, 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return epoch, time.Unix(epoch, 0).Sub(now)
}

// number reads a header that is a count or a time. Larger ones than 52 bits are no
// figures of GitLab's, and would not fit where they are reckoned with.
func number(h http.Header, name string) (int64, bool) {
	n, err := strconv.ParseUint(h.Get(name), 10, 52)
	return int64(n), err == nil
}
