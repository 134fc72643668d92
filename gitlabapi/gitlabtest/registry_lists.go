package gitlabtest

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"sort"
	"strconv"
)

// listTagNames answers GET /v2/:path/tags/list. A registry without a database sends all
// names at once, however few were asked for.
func (s *Server) listTagNames(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	if refused != nil {
		return refused
	}
	tags := c.view(r).live()
	page := tags[:c.shorten(len(tags))]
	if s.state.regime == Database {
		page = c.rows(tags, "")
	}
	var names []string // null when there are none: the registry keeps it so
	for i := range page {
		names = append(names, page[i].name)
	}
	return &answer{status: http.StatusOK, contentType: registryJSON, body: struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{r.path, names}}
}

// databaseBase answers GET /gitlab/v1/, by which clients find out whether the
// registry has a database.
func (s *Server) databaseBase(*call) *answer {
	return &answer{status: http.StatusOK, body: noBody{}}
}

// shownRow is a tag as the registry's database knows it.
type shownRow struct {
	Name         string  `json:"name"`
	Digest       string  `json:"digest"`
	ConfigDigest string  `json:"config_digest,omitempty"`
	MediaType    string  `json:"media_type"`
	SizeBytes    int64   `json:"size_bytes"`
	CreatedAt    string  `json:"created_at"`
	UpdatedAt    *string `json:"updated_at,omitempty"`
	PublishedAt  string  `json:"published_at"`
}

// listRows answers GET /gitlab/v1/repositories/:path/tags/list/.
func (s *Server) listRows(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	if refused != nil {
		return refused
	}
	var page []storedTag
	if c.query.Has("name_exact") && !s.options.oldRegistry {
		if t, found := c.view(r).find(c.query.Get("name_exact")); found {
			page = []storedTag{*t}
		}
	} else {
		page = c.rows(c.view(r).live(), c.origin())
	}
	shown := make([]shownRow, len(page))
	for i, t := range page {
		shown[i] = shownRow{
			Name: t.name, Digest: t.manifest.digest, ConfigDigest: t.manifest.config.Digest,
			MediaType: t.manifest.mediaType, SizeBytes: t.manifest.size(),
			CreatedAt: rowTime(t.createdAt()), PublishedAt: rowTime(t.pushedAt()),
		}
		if t.pushed != t.created {
			shown[i].UpdatedAt = &shown[i].PublishedAt
		}
	}
	return &answer{status: http.StatusOK, body: shown, contentType: registryJSON}
}

// rows returns the page of tags that the call asks a registry with a database for, and
// links to the pages beside it, below an address: first to the one before. /v2 gives no
// address.
func (c *call) rows(tags []storedTag, address string) []storedTag {
	tags = tags[:c.shorten(len(tags))]
	last, n := c.query.Get("last"), c.number("n", defaultRows)
	from := sort.Search(len(tags), func(i int) bool { return tags[i].name > last })
	if c.server.options.repeatPages {
		from = min(from, max(0, len(tags)-n))
	}
	to := min(from+n, len(tags))
	link := func(rel, parameter, name string) string {
		query := url.Values{parameter: {name}, "n": {strconv.Itoa(n)}}
		return "<" + cmp.Or(c.server.options.foreignURL, address) + c.request.URL.EscapedPath() + "?" + query.Encode() + `>; rel="` + rel + `"`
	}
	links := ""
	if from > 0 && from < to {
		links = link("previous", "before", tags[from].name)
	}
	if to > from && (to < len(tags) || c.server.options.repeatPages) {
		if links != "" {
			links += ", "
		}
		links += link("next", "last", tags[to-1].name)
	}
	if links != "" {
		c.header.Set("Link", links)
	}
	return tags[from:to]
}

// showStoredRepository answers GET /gitlab/v1/repositories/:path/.
func (s *Server) showStoredRepository(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	if refused != nil {
		return refused
	}
	shown := map[string]any{"name": path.Base(r.path), "path": r.path, "created_at": r.createdAt()}
	if c.query.Has("size") {
		shown["size_bytes"] = s.state.registry.deduplicatedSize(r.stored)
	}
	return &answer{status: http.StatusOK, body: shown, contentType: registryJSON}
}

// deduplicatedSize is the sum of all layers that tags need, each counted once.
func (g *registry) deduplicatedSize(r *storedRepository) int64 {
	layers, seen := map[string]int64{}, map[*manifest]bool{}
	var add func(m *manifest)
	add = func(m *manifest) {
		if m == nil || seen[m] {
			return
		}
		seen[m] = true
		for _, d := range m.layers {
			layers[d.Digest] = d.Size
		}
		for _, d := range m.children {
			if add(g.manifests[d.Digest]); g.manifests[d.Digest] == nil {
				layers[d.Digest] = d.Size
			}
		}
	}
	for i := range r.tags {
		add(r.tags[i].manifest)
	}
	var sum int64
	for _, size := range layers {
		sum += size
	}
	return sum
}
