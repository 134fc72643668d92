package gitlabtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// NotFoundCache is a proxy before the registry that remembers the first 404 of every
// manifest's URL for ever. Rails asks the registry past it. So that it remembers one of
// everything, lose each manifest once: a [Fault] with Path ^/v2/, PerPath, a Count of 1 and
// [ManifestsLost].
type NotFoundCache struct {
	// Age: answers from memory say how old they are.
	Age bool
	// HonoursNoCache: a request with Cache-Control: no-cache reaches the registry, and
	// what it answers replaces what was remembered.
	HonoursNoCache bool
}

// rememberedAnswer is a 404 that a proxy keeps.
type rememberedAnswer struct {
	answer *answer
	header http.Header
	at     time.Time
}

// answerByProxy answers as [Server.answer] does, from the memory of the proxy before the
// registry where there is one that remembers.
func (s *Server) answerByProxy(c *call) *answer {
	proxy := s.options.notFoundCache
	if proxy == nil || c.route == nil || c.route.template != manifestTemplate || c.changes() {
		return s.answer(c)
	}
	address := c.request.URL.RequestURI()
	if !proxy.HonoursNoCache || !strings.Contains(c.request.Header.Get("Cache-Control"), "no-cache") {
		s.mu.Lock()
		kept, found := s.notFound[address]
		s.mu.Unlock()
		if found {
			c.header = kept.header.Clone()
			if proxy.Age {
				c.header.Set("Age", strconv.Itoa(int(s.options.clock().Sub(kept.at).Seconds())))
			}
			return kept.answer
		}
	}
	a := s.answer(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.status == http.StatusNotFound {
		s.notFound[address] = rememberedAnswer{answer: a, header: c.header.Clone(), at: s.options.clock()}
	} else {
		delete(s.notFound, address)
	}
	return a
}
