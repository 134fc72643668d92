package gitlabtest

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// defaultBanAfter is how many refused passwords within banWindow lead to a
	// ban.
	defaultBanAfter = 30
	banWindow       = 3 * time.Minute
	banTime         = time.Hour
)

// bans keeps count of refused passwords by the address they came from.
type bans struct {
	mu        sync.Mutex
	addresses map[string]*failures
}

type failures struct {
	since  time.Time // of the first that counts
	count  int
	banned time.Time // until when
}

// authenticate refuses passwords that nobody has, and everybody who sent too
// many of them. Nobody at all is let in: there may be public projects.
func (s *Server) authenticate(c *call) *answer {
	address, now := addressOf(c.request), s.options.clock()
	if s.bans.banned(address, now) {
		return &answer{status: http.StatusForbidden, body: "Forbidden\n", contentType: "text/plain"}
	}
	_, password, given := c.request.BasicAuth()
	_, known := s.options.tokens[password]
	switch {
	case !given && c.request.Header.Get("Authorization") == "":
		return nil
	case given && known:
		s.bans.forget(address)
		return nil
	}
	s.bans.fail(address, now, s.options.banAfter)
	return registryFailure(http.StatusUnauthorized, "UNAUTHORIZED", "HTTP Basic: Access denied. "+
		"The provided password or token is incorrect or your account has 2FA enabled "+
		"and you must use a personal access token instead of a password.", nil)
}

// addressOf is the client's address without its port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (b *bans) banned(address string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.addresses[address]
	return f != nil && now.Before(f.banned)
}

// fail counts a refused password, and bans the address when there were enough.
func (b *bans) fail(address string, now time.Time, enough int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addresses == nil {
		b.addresses = map[string]*failures{}
	}
	f := b.addresses[address]
	if f == nil || now.Sub(f.since) >= banWindow {
		f = &failures{since: now}
		b.addresses[address] = f
	}
	f.count++
	if f.count >= enough {
		f.banned = now.Add(banTime)
	}
}

// forget starts afresh after a password that was right.
func (b *bans) forget(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.addresses, address)
}
