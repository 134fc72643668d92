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

// observe learns from the status of an answer to a request that was sent at the given time, and from
// how long a pause of everything it asks for. It returns the length of the pause that the answer began,
// or made longer; 0 if it did neither.
func (p *pauses) observe(now, sent time.Time, status int, length time.Duration) time.Duration {
	switch {
	case length > 0 || sent.Before(p.until): // what was sent before a pause belongs to it
	case status == http.StatusTooManyRequests:
		length = min(firstPause<<p.doubled, maxOwnPause)
		p.doubled = min(p.doubled+1, 10)
	default:
		p.doubled = 0
	}
	left := p.left(now)
	if length <= left {
		return 0
	}
	p.total += length - left
	p.until = now.Add(length)
	return length
}

// askedPause returns how long an answer asks its client to wait, 0 if it does not and an hour
// at most. Retry-After counts on any status that is no success, RateLimit-Reset on a 429
// alone, since GitLab sends it with every answer.
func askedPause(resp *http.Response, now time.Time) time.Duration {
	if resp.StatusCode < http.StatusBadRequest {
		return 0
	}
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int(maxPause/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxPause)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		_, left := untilReset(resp.Header, now)
		return min(max(left, 0), maxPause)
	}
	return 0
}
