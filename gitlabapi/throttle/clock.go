package throttle

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A clock tells the time by which the age of tags is reckoned. A machine whose clock is ahead would
// take tags for old that were pushed just now.
type clock struct {
	behind atomic.Int64 // how far GitLab's clock is behind ours, by its last answer
	warn   sync.Once
}

// differsMuch is from when on a difference of clocks is worth a word.
const differsMuch = 5 * time.Minute

// observe takes note of the time that an answer of the instance says.
func (c *clock) observe(resp *http.Response, now time.Time, log *slog.Logger) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	behind := now.Sub(date)
	c.behind.Store(int64(behind))
	if behind.Abs() > differsMuch {
		c.warn.Do(func() {
			log.Warn("the clocks of GitLab and of this machine differ: the age of tags is reckoned by the one that is behind", "gitlab", date, "here", now.UTC().Truncate(time.Second))
		})
	}
}

// Now returns the time by GitLab's clock or by ours, whichever is behind: a doubt about the age of a
// tag makes it younger.
func (c *Client) Now() time.Time {
	return time.Now().Add(-max(time.Duration(c.clock.behind.Load()), 0))
}
