package gitlabapi

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
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

// gate holds every request back until the rate limit allows it and no pause is on.
// It is the one place that knows the rate: in any second it lets pass at most the
// limit plus the burst, attempts of every stage together.
type gate struct {
	mu        sync.Mutex
	limiter   *rate.Limiter
	until     time.Time     // no request before this
	doubled   int           // pauses in a row whose length was our own choice
	throttled time.Duration // sum of all pauses, each moment counted once

	onPause func(time.Duration) // told of each pause that begins; nil for nobody
}

// newGate returns a gate for so many requests a second; 0 or less means no limit.
func newGate(perSecond float64, burst int) *gate {
	limit := rate.Limit(perSecond)
	if perSecond <= 0 {
		limit = rate.Inf
	}
	return &gate{limiter: rate.NewLimiter(limit, max(burst, 1))}
}

// wait returns when a request may be sent, or with the context's error.
func (g *gate) wait(ctx context.Context) error {
	for {
		delay, limiter := g.reserve(time.Now())
		if limiter != nil && delay == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		// A token that was being waited for is lost when a pause begins meanwhile,
		// even if it is due after the pause: by then another limiter gives tokens out,
		// and the two together would exceed the rate.
		if limiter != nil && g.inForce(limiter) {
			return nil
		}
	}
}

// reserve takes a token that is due after the returned delay, and says which limiter
// gave it. During a pause it takes none and returns what is left of the pause.
func (g *gate) reserve(now time.Time) (time.Duration, *rate.Limiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.until.Sub(now); left > 0 {
		return left, nil
	}
	return g.limiter.ReserveN(now, 1).DelayFrom(now), g.limiter
}

// inForce reports whether no pause has begun since the limiter gave its token.
func (g *gate) inForce(limiter *rate.Limiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limiter == limiter
}

// observe learns from an answer to a request that was sent at the given time.
func (g *gate) observe(sent time.Time, resp *http.Response) {
	now := time.Now()
	limited := resp.StatusCode == http.StatusTooManyRequests
	wait, asked := askedPause(resp, now)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case asked:
		g.pause(now, wait)
	case sent.Before(g.until): // belongs to the pause that is on
	case limited:
		g.pause(now, min(firstPause<<g.doubled, maxOwnPause))
		g.doubled = min(g.doubled+1, 10)
	default:
		g.doubled = 0
	}
}

// pause holds every request for so long from now. Afterwards the limiter starts
// without the burst that would have gathered meanwhile: the run goes on at its rate
// and not with a crowd.
func (g *gate) pause(now time.Time, length time.Duration) {
	until := now.Add(min(length, maxPause))
	from := now
	if g.until.After(now) {
		from = g.until
	}
	if !until.After(from) {
		return
	}
	if from.Equal(now) && g.onPause != nil {
		g.onPause(until.Sub(now))
	}
	g.throttled += until.Sub(from)
	g.until = until
	g.limiter = rate.NewLimiter(g.limiter.Limit(), g.limiter.Burst())
	g.limiter.ReserveN(until, g.limiter.Burst())
}

// throttledFor returns how long requests have been held back so far.
func (g *gate) throttledFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.throttled - max(g.until.Sub(now), 0)
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
		if epoch, err := strconv.ParseInt(resp.Header.Get("RateLimit-Reset"), 10, 64); err == nil {
			if left := time.Unix(epoch, 0).Sub(now); left > 0 {
				return left, true
			}
		}
	}
	return 0, false
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
