package gitlabtest

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"sort"
	"strconv"
)

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

func (t *storedTag) row() shownRow {
	shown := shownRow{
		Name: t.name, Digest: t.manifest.digest, ConfigDigest: t.manifest.config.Digest,
		MediaType: t.manifest.mediaType, SizeBytes: t.manifest.size(),
		CreatedAt: rowTime(t.createdAt()), PublishedAt: rowTime(t.pushedAt()),
	}
	if t.pushed != t.created {
		shown.UpdatedAt = &shown.PublishedAt
	}
	return shown
}

// databaseBase answers GET /gitlab/v1/, by which clients find out whether the
// registry has a database.
func (s *Server) databaseBase(*call) *answer {
	return &answer{status: http.StatusOK, body: noBody{}}
}

// listRows answers GET /gitlab/v1/repositories/:path/tags/list/.
func (s *Server) listRows(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	if refused != nil {
		return refused
	}
	if c.query.Has("name_exact") && !s.options.oldRegistry {
		return presentRows(c.view(r).only(c.query.Get("name_exact")))
	}
	page, more := c.rows(c.view(r).live())
	if more {
		c.header.Set("Link", c.nextRows(page, c.origin()))
	}
	return presentRows(page)
}

// only returns the tag of a name, or nothing.
func (r *storedRepository) only(name string) []storedTag {
	t, ok := r.find(name)
	if !ok {
		return nil
	}
	return []storedTag{*t}
}

func presentRows(tags []storedTag) *answer {
	shown := make([]shownRow, len(tags))
	for i := range tags {
		shown[i] = tags[i].row()
	}
	return &answer{status: http.StatusOK, body: shown, contentType: registryJSON}
}

// rows returns the page of tags that the call asks the registry for, and
// whether there are more.
func (c *call) rows(tags []storedTag) ([]storedTag, bool) {
	tags = tags[:c.shorten(len(tags))]
	last, n := c.query.Get("last"), c.number("n", defaultRows)
	from := sort.Search(len(tags), func(i int) bool { return tags[i].name > last })
	if c.server.options.repeatPages {
		from = min(from, max(0, len(tags)-n))
	}
	to := min(from+n, len(tags))
	return tags[from:to], to > from && (to < len(tags) || c.server.options.repeatPages)
}

// nextRows links to the page after one, below an address; /v2 gives none.
func (c *call) nextRows(page []storedTag, address string) string {
	query := url.Values{
		"last": {page[len(page)-1].name},
		"n":    {strconv.Itoa(c.number("n", defaultRows))},
	}
	address = cmp.Or(c.server.options.foreignURL, address)
	return "<" + address + c.request.URL.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
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
