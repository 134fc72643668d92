package gitlabtest

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// RegistryOutage lets Rails see a registry that answers errors: details are
// 404, lists of tags empty with 200, deletions 400. A request to the registry
// itself is answered 503.
func RegistryOutage() Effect {
	return changing(func(c *call) { c.registryFails = true })
}

// RegistryUnreachable lets Rails see no registry at all: 503, and 400 for
// deletions. A connection to the registry itself is cut.
func RegistryUnreachable() Effect {
	return changing(func(c *call) { c.registryUnreachable = true })
}

// RegistryRefusesClients answers requests to the registry 503, while Rails reaches it as
// before.
func RegistryRefusesClients() Effect {
	return effect{do: func(c *call) *answer {
		if !c.registry {
			return nil
		}
		return unavailable()
	}}
}

// ManifestBytes serves bytes instead of every manifest that there is, with
// their own digest.
func ManifestBytes(body []byte, contentType string) Effect {
	served := &manifest{digest: digestOf(body), mediaType: contentType, body: body}
	return changing(func(c *call) { c.manifest = served })
}

// WrongRealm lets the registry send its clients elsewhere for a token.
func WrongRealm(url string) Effect {
	return changing(func(c *call) { c.realm = url })
}

// ConfigUnreadable takes the date from the details of an image, on LEGACY.
func ConfigUnreadable() Effect {
	return changing(func(c *call) { c.configUnreadable = true })
}

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
// It does nothing to a real registry behind the server ([WithRealRegistry]).
func StaleRegistry() Effect { return staleRegistry{} }

// EmptyRegistry is [StaleRegistry] with a copy that has nothing in it, as of a registry
// that was given an empty database: every tag is an honest 404, every repository unknown.
func EmptyRegistry() Effect { return staleRegistry{empty: true} }

type staleRegistry struct {
	empty        bool
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
		if e.empty {
			break
		}
		e.repositories[path] = r.stored.copy()
	}
	return e
}

// view is the repository as the call sees it in the registry.
func (c *call) view(r *repository) *storedRepository {
	switch copied := c.stale[r.path]; {
	case c.stale == nil:
		return r.stored
	case copied == nil:
		return &storedRepository{}
	default:
		return copied
	}
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
