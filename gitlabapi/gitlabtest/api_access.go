package gitlabtest

import (
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// granular is the scope that fine-grained tokens have in place of all others. Those here may do what the
// others can with scope api, but in GraphQL, where the type of repositories is closed to them.
const granular = "granular"

// authorize refuses a call that its token does not allow.
func (s *Server) authorize(c *call) *answer {
	scopes, known := s.options.tokens[c.token]
	switch {
	case !known:
		return failure(http.StatusUnauthorized, "Unauthorized")
	case slices.Contains(scopes, "api"), slices.Contains(scopes, granular), c.route.method == http.MethodGet && slices.Contains(scopes, "read_api"):
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
	return ok(map[string]any{
		"id": 1, "name": "registry-gc", "revoked": false, "active": true,
		"created_at": rowTime(Created), "last_used_at": nil,
		"expires_at": s.options.clock().AddDate(0, 6, 0).UTC().Format(time.DateOnly),
		"scopes":     s.options.tokens[c.token], "user_id": tokenUserID,
	})
}

// showUser answers GET /user. That its user is an administrator, an administrator alone is told.
func (s *Server) showUser(*call) *answer {
	shown := shownUser(TokenUser)
	if s.options.role == Administrator {
		shown["is_admin"] = true
	}
	return ok(shown)
}

// tokenUserID is the id of [TokenUser].
const tokenUserID = 2

// shownUser is a user as others show it. The id of one that has no token is made of the name.
func shownUser(name string) map[string]any {
	id := int64(tokenUserID)
	if name != TokenUser {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(name))
		id = 1000 + int64(hash.Sum32())
	}
	return map[string]any{"id": id, "username": name, "name": name, "state": "active"}
}

// rateLimiter is GitLab's own: so many requests in each minute of the clock.
type rateLimiter struct {
	mu      sync.Mutex
	windows map[string]*window // by token
}

// window is one token's current minute.
type window struct {
	start    time.Time
	observed int
}

// take counts a call, sets the headers that tell about it, and refuses it
// when there have been too many.
func (l *rateLimiter) take(c *call, perMinute int) *answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := c.at.Truncate(time.Minute)
	w := l.windows[c.token]
	if w == nil || !w.start.Equal(start) {
		w = &window{start: start}
		l.windows[c.token] = w
	}
	w.observed++
	reset := start.Add(time.Minute)
	set := func(name string, value int64) { c.header.Set(name, strconv.FormatInt(value, 10)) }
	c.header.Set("RateLimit-Name", "throttle_authenticated_api")
	set("RateLimit-Limit", int64(perMinute))
	set("RateLimit-Observed", int64(w.observed))
	set("RateLimit-Remaining", int64(max(0, perMinute-w.observed)))
	set("RateLimit-Reset", reset.Unix())
	if w.observed <= perMinute {
		return nil
	}
	set("Retry-After", int64((reset.Sub(c.at)+time.Second-1)/time.Second))
	return retryLater()
}

// retryLater is what stands in front of Rails and answers 429.
func retryLater() *answer {
	return &answer{status: http.StatusTooManyRequests, body: "Retry later\n", contentType: "text/plain"}
}
