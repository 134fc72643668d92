package gitlabtest

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ManifestsLost takes every manifest out of the registry's blob store, as where it is
// not mounted or was not restored: tags are listed as before, and each of their
// manifests is a 404 that names its digest, by tag as by digest. On LEGACY the details
// of such a tag are 404 as well. On DATABASE manifests are rows of the database, which
// a blob store takes nothing from: only blobs are 404 there.
//
// Skip, Count and Alternate of a [Fault] with this effect count reads of manifests and
// blobs alone, whichever way they come.
func ManifestsLost() Effect { return ManifestsLostOf(1) }

// ManifestsLostOf is [ManifestsLost] for a share of the tags, as while a store is being
// restored. A hash of their full names chooses them, so that they are the same ones in
// every run. By its digest a manifest is lost when one of its tags is.
func ManifestsLostOf(share float64) Effect {
	return effect{
		concerns: (*call).readsContent,
		do: func(c *call) *answer {
			c.lost = func(path, tag string) bool { return share >= 1 || fraction(path+":"+tag) < share }
			c.blobsLost = share >= 1
			return nil
		},
	}
}

// fraction maps a name to a number from 0 to 1, evenly.
func fraction(name string) float64 {
	hash := sha256.Sum256([]byte(name))
	return float64(binary.BigEndian.Uint32(hash[:])) / (1 << 32)
}

// readsContent says whether the call reads one manifest or blob: at the registry, or
// through the details that Rails makes of it.
func (c *call) readsContent() bool {
	if c.route == nil || c.changes() {
		return false
	}
	return c.route.template == manifestTemplate || c.route.template == blobTemplate || c.route.template == tagTemplate
}

// losesTag says whether the manifest of a tag cannot be found by this call.
func (c *call) losesTag(r *repository, tag string) bool {
	return c.lost != nil && c.server.state.regime == Legacy && c.lost(r.path, tag)
}

// losesDigest says the same of a manifest that is asked for by its digest.
func (c *call) losesDigest(r *repository, digest string) bool {
	if c.lost == nil {
		return false
	}
	return slices.ContainsFunc(c.view(r).live(), func(t storedTag) bool {
		return t.manifest != nil && t.manifest.digest == digest && c.losesTag(r, t.name)
	})
}

// StaleRegistry lets reads of the registry come from a copy of it that was made when the
// fault was set: what was pushed since is missing there, and what was deleted since is
// still there. Rails reads the copy as well, unless Path of the [Fault] lets only
// requests to the registry itself match. Whatever changes something reaches the real one.
// It does nothing to a registry behind the server ([WithRegistryBackend]).
func StaleRegistry() Effect { return staleRegistry{} }

type staleRegistry struct {
	repositories map[string]*storedRepository // by path
}

func (e staleRegistry) apply(c *call) *answer {
	c.stale = e.repositories
	return nil
}

// copied returns the effect with a copy of the registry as it is now.
func (e staleRegistry) copied(s *Server) Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.repositories = map[string]*storedRepository{}
	for path, r := range s.state.located {
		e.repositories[path] = r.stored.copy()
	}
	return e
}

// view is the repository as the call sees it in the registry.
func (c *call) view(r *repository) *storedRepository {
	if c.stale == nil {
		return r.stored
	}
	return c.stale[r.path]
}

// SlowDeletions lets the deletion of each tag take some time: a mutation of twenty tags
// takes twenty times as long. What has begun goes on when the client no longer waits.
func SlowDeletions(each time.Duration) Effect {
	return changing(func(c *call) { c.deletionTakes = each })
}

// beginDeletion waits as long as the deletion of a tag takes. The server must not be locked.
func (c *call) beginDeletion() {
	if c.deletionTakes > 0 {
		time.Sleep(c.deletionTakes)
	}
}

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
