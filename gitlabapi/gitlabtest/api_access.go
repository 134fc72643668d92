package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokenOf returns the token of a request, "" if it has none.
func tokenOf(r *http.Request) string {
	if token := r.Header.Get("PRIVATE-TOKEN"); token != "" {
		return token
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// authorize refuses a call that its token does not allow.
func (s *Server) authorize(c *call) *answer {
	scopes, known := s.options.tokens[c.token]
	if !known {
		return failure(http.StatusUnauthorized, "Unauthorized")
	}
	reads := c.route.method == http.MethodGet
	if slices.Contains(scopes, "api") || reads && slices.Contains(scopes, "read_api") {
		return nil
	}
	return &answer{status: http.StatusForbidden, body: problem{
		Error:       "insufficient_scope",
		Description: "The request requires higher privileges than provided by the access token.",
		Scope:       "api",
	}}
}

// showToken answers GET /personal_access_tokens/self.
func (s *Server) showToken(c *call) *answer {
	return ok(struct {
		ID         int64    `json:"id"`
		Name       string   `json:"name"`
		Revoked    bool     `json:"revoked"`
		CreatedAt  string   `json:"created_at"`
		Scopes     []string `json:"scopes"`
		UserID     int64    `json:"user_id"`
		LastUsedAt *string  `json:"last_used_at"`
		Active     bool     `json:"active"`
		ExpiresAt  string   `json:"expires_at"`
	}{
		ID: 1, Name: "registry-gc", CreatedAt: rowTime(Created),
		Scopes: s.options.tokens[c.token], UserID: 2, Active: true,
		ExpiresAt: s.options.clock().AddDate(0, 6, 0).UTC().Format("2006-01-02"),
	})
}

// rateLimiter is GitLab's own: so many requests in each minute of the clock.
type rateLimiter struct {
	perMinute int
	mu        sync.Mutex
	windows   map[string]*window // by token
}

// window is one token's current minute.
type window struct {
	start    time.Time
	observed int
}

// take counts a call, sets the headers that tell about it, and refuses it
// when there have been too many.
func (l *rateLimiter) take(c *call, now time.Time) *answer {
	start := now.Truncate(time.Minute)
	observed := l.observe(c.token, start)
	reset := start.Add(time.Minute)
	set := func(name string, value int64) { c.header.Set(name, strconv.FormatInt(value, 10)) }
	c.header.Set("RateLimit-Name", "throttle_authenticated_api")
	set("RateLimit-Limit", int64(l.perMinute))
	set("RateLimit-Observed", int64(observed))
	set("RateLimit-Remaining", int64(max(0, l.perMinute-observed)))
	set("RateLimit-Reset", reset.Unix())
	if observed <= l.perMinute {
		return nil
	}
	set("Retry-After", int64(reset.Sub(now)+time.Second-1)/int64(time.Second))
	return retryLater()
}

func (l *rateLimiter) observe(token string, start time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[token]
	if w == nil || !w.start.Equal(start) {
		w = &window{start: start}
		l.windows[token] = w
	}
	w.observed++
	return w.observed
}

// retryLater is what stands in front of Rails and answers 429.
func retryLater() *answer {
	return &answer{status: http.StatusTooManyRequests, body: "Retry later\n", contentType: "text/plain"}
}
