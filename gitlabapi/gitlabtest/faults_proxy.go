package gitlabtest

import (
	"net/http"
	"strings"
	"time"
)

// NotFoundCache is a proxy before the registry that remembers the first 404 of every
// manifest's URL for ever. Rails asks the registry past it.
type NotFoundCache struct {
	// Age: answers from memory say how old they are.
	Age bool
	// HonoursNoCache: a request with Cache-Control: no-cache reaches the registry, and
	// what it answers replaces what was remembered.
	HonoursNoCache bool
}

// WithNotFoundCache puts a proxy before the registry.
func WithNotFoundCache(c NotFoundCache) Option {
	return func(o *options) { o.notFoundCache = &c }
}

// rememberedAnswer is a 404 that a proxy keeps.
type rememberedAnswer struct {
	answer *answer
	header http.Header
	at     time.Time
}

// remembered returns what the proxy before the registry has kept for a call.
func (s *Server) remembered(c *call) *answer {
	proxy := s.options.notFoundCache
	if proxy == nil || !c.throughCache() {
		return nil
	}
	if proxy.HonoursNoCache && strings.Contains(c.request.Header.Get("Cache-Control"), "no-cache") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, found := s.notFound[c.request.URL.RequestURI()]
	if !found {
		return nil
	}
	c.header = kept.header.Clone()
	if proxy.Age {
		c.header.Set("Age", seconds(s.options.clock().Sub(kept.at)))
	}
	return kept.answer
}

// remember keeps the answer to a call if it is a 404, and forgets what was kept if not.
func (s *Server) remember(c *call, a *answer) {
	if s.options.notFoundCache == nil || !c.throughCache() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	address := c.request.URL.RequestURI()
	if a.status != http.StatusNotFound {
		delete(s.notFound, address)
		return
	}
	if s.notFound == nil {
		s.notFound = map[string]rememberedAnswer{}
	}
	s.notFound[address] = rememberedAnswer{answer: a, header: c.header.Clone(), at: s.options.clock()}
}

func (c *call) throughCache() bool {
	return c.registry && c.route != nil && c.route.template == manifestTemplate && !c.changes()
}
