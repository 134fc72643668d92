package throttle

import (
	"net/http"
	"strconv"
	"time"
)

// How long to hold everything after an answer that asks for it.
const (
	// firstPause is the pause after a 429 that does not say how long; each further
	// one that answers a request sent after the pause doubles it.
	firstPause = time.Second
	// maxOwnPause ends the doubling. GitLab's limits are counted by the minute.
	maxOwnPause = time.Minute
	// maxPause bounds what a server may ask for. No limit of GitLab's is counted
	// over more than an hour; a header that says more is mistaken.
	maxPause = time.Hour
)

// pauses are the times in which a server wants no request at all.
type pauses struct {
	until   time.Time     // no request before this
	doubled int           // pauses in a row whose length was our own choice
	total   time.Duration // sum of all pauses, each moment counted once
}

// left returns how long the pause lasts that is on.
func (p *pauses) left(now time.Time) time.Duration { return max(p.until.Sub(now), 0) }

// observe learns from an answer to a request that was sent at the given time. It
// returns the length of the pause that the answer began, or made longer.
func (p *pauses) observe(now, sent time.Time, resp *http.Response) time.Duration {
	wait, asked := askedPause(resp, now)
	switch {
	case asked:
		return p.hold(now, wait)
	case sent.Before(p.until): // belongs to the pause that is on
	case resp.StatusCode == http.StatusTooManyRequests:
		wait = min(firstPause<<p.doubled, maxOwnPause)
		p.doubled = min(p.doubled+1, 10)
		return p.hold(now, wait)
	default:
		p.doubled = 0
	}
	return 0
}

// hold holds every request for so long from now, and returns that, or 0 if they are
// held for as long already.
func (p *pauses) hold(now time.Time, length time.Duration) time.Duration {
	length = min(length, maxPause)
	left := p.left(now)
	if length <= left {
		return 0
	}
	p.total += length - left
	p.until = now.Add(length)
	return length
}

// askedPause returns how long an answer asks everybody to wait. Retry-After counts
// on any status that is no success, RateLimit-Reset on a 429 alone, since GitLab
// sends it with every answer.
func askedPause(resp *http.Response, now time.Time) (time.Duration, bool) {
	if resp.StatusCode < http.StatusBadRequest {
		return 0, false
	}
	if text := resp.Header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
			wait := time.Duration(min(seconds, int(maxPause/time.Second))) * time.Second
			return wait, wait > 0
		}
		if at, err := http.ParseTime(text); err == nil && at.After(now) {
			return at.Sub(now), true
		}
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		if _, left, ok := untilReset(resp.Header, now); ok && left > 0 {
			return left, true
		}
	}
	return 0, false
}
