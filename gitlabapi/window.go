package gitlabapi

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// reserve is the part of a limit that is left to others who share the token's user:
// a tenth. It is so large because a run that spreads what remains does not know what
// others are going to take: where they steadily use up to half of a limit, the run
// comes down to the reserve in the last sixth of the window, and a tenth lasts them to
// its end. Limits below 10 are used up.
const reserve = 10

// windows are GitLab's limits as far as answers told about them. Each counts requests
// in a window of time that ends with its Reset. A request is held by the one limit
// that the last answer of its kind named.
type windows struct {
	of       [kinds]*window // nil: nothing is known
	inFlight [kinds]int
}

// A window is one limit in its current window of time.
type window struct {
	limit allowance // with the least that was said to remain
	last  time.Time // when a request last passed that counts against it
	short bool      // it has held somebody since then
}

// delay returns how long a request of a kind has to wait at least.
func (ws *windows) delay(now time.Time, k kind, limit rate.Limit) time.Duration {
	w := ws.of[k]
	if w == nil {
		return 0
	}
	flying := 0
	for other, n := range ws.inFlight {
		if ws.of[other] == w {
			flying += n
		}
	}
	delay := w.delay(now, int64(flying), limit)
	w.short = w.short || delay > 0
	return delay
}

// pass notes that a request passes, and returns whether its limit held requests before.
func (ws *windows) pass(now time.Time, k kind) (wasHeld bool) {
	ws.inFlight[k]++
	w := ws.of[k]
	if w == nil {
		return false
	}
	wasHeld = w.short
	w.last, w.short = now, false
	return wasHeld
}

// observe learns from the headers of an answer.
func (ws *windows) observe(now time.Time, k kind, h http.Header) {
	if k == toRegistry {
		return
	}
	said, ok := allowanceOf(h, now, k)
	if !ok {
		return
	}
	if w := ws.of[k]; w == nil || w.limit.identity != said.identity {
		ws.of[k] = ws.find(now, said)
	}
	ws.of[k].learn(said)
}

// find returns the window that another kind is known to count against, or a new one.
func (ws *windows) find(now time.Time, said allowance) *window {
	for _, w := range ws.of {
		if w != nil && w.limit.identity == said.identity {
			return w
		}
	}
	return &window{limit: said, last: now}
}

// learn takes what an answer said. Within one window the lowest figure is the latest,
// whatever the order in which answers come: what remains only ever falls. A later
// Reset is a new window, an earlier one a late answer.
func (w *window) learn(said allowance) {
	switch {
	case said.epoch > w.limit.epoch:
		w.limit = said
	case said.epoch == w.limit.epoch:
		w.limit.remaining = min(w.limit.remaining, said.remaining)
		// Every answer puts the end too late by what is lost in its Date, which
		// has whole seconds, and on its way.
		if said.reset.Before(w.limit.reset) {
			w.limit.reset = said.reset
		}
	}
}

// delay spreads what remains over the time to the reset, where that is less than the
// rate of our own uses up. The lowest figure counts every request of ours that has
// been answered, as each answer had a figure of its own: only those in flight may be
// missing in it.
func (w *window) delay(now time.Time, inFlight int64, limit rate.Limit) time.Duration {
	left := w.limit.reset.Sub(now)
	if left <= 0 {
		return 0
	}
	usable := w.limit.remaining - inFlight - w.limit.size/reserve
	if usable <= 0 {
		return left
	}
	if float64(usable) >= float64(limit)*left.Seconds() {
		return 0
	}
	interval := w.limit.reset.Sub(w.last) / time.Duration(usable)
	return max(w.last.Add(interval).Sub(now), 0)
}
