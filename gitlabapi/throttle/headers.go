package throttle

import (
	"net/http"
	"strconv"
	"time"
)

// identity tells limits apart. One with a name is the same for all endpoints;
// without a name the size alone would not do, as gitlab.com has two of 2,000, for a
// minute and for ten: each endpoint then has its own.
type identity struct {
	name     string
	size     int64    // requests in a window; 0 if unknown
	endpoint endpoint // 0 where there is a name
}

// rateLimitHeaders is what the RateLimit headers of an answer say.
type rateLimitHeaders struct {
	identity
	remaining int64
	epoch     int64     // RateLimit-Reset as it came
	reset     time.Time // the same by our clock, at most a second late
}

// readHeaders reads the RateLimit headers of an answer of an endpoint. What
// makes no sense counts as not sent: no number, more left than the limit, a reset that
// is past or further ahead than any limit of GitLab's is counted over.
func readHeaders(h http.Header, now time.Time, e endpoint) (rateLimitHeaders, bool) {
	remaining, ok := number(h, "Ratelimit-Remaining")
	if !ok {
		return rateLimitHeaders{}, false
	}
	epoch, left, ok := untilReset(h, now)
	if !ok || left <= 0 || left > maxPause {
		return rateLimitHeaders{}, false
	}
	size, sized := number(h, "Ratelimit-Limit")
	if sized && remaining > size || !sized && h.Get("Ratelimit-Limit") != "" {
		return rateLimitHeaders{}, false
	}
	id := identity{name: h.Get("Ratelimit-Name"), size: size}
	if id.name == "" {
		id.endpoint = e
	}
	return rateLimitHeaders{id, remaining, epoch, now.Add(left)}, true
}

// untilReset returns RateLimit-Reset, which is a time by the server's clock, and how
// long it is until then. Where the answer says when it was made, that is the server's
// clock; else ours has to do.
func untilReset(h http.Header, now time.Time) (epoch int64, left time.Duration, ok bool) {
	epoch, ok = number(h, "Ratelimit-Reset")
	if !ok {
		return 0, 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return epoch, time.Unix(epoch, 0).Sub(now), true
}

// number reads a header that is a count or a time. Larger ones than 52 bits are no
// figures of GitLab's, and would not fit where they are reckoned with.
func number(h http.Header, name string) (int64, bool) {
	n, err := strconv.ParseUint(h.Get(name), 10, 52)
	return int64(n), err == nil
}
