package gitlabtest

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// defaultRows is how many tags a page has by default.
	defaultRows = 100
	// maxRows is how many tags a page of /gitlab/v1 can have.
	maxRows = 1000
)

func isPageOfRows(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n <= maxRows
}

// listTagNames answers GET /v2/:path/tags/list. A registry without a database sends all
// names at once, however few were asked for.
func (s *Server) listTagNames(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	if refused != nil {
		return refused
	}
	page := c.tags(r)
	if s.state.regime == Database {
		page = c.pageOfRows(page, "")
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
		page = c.pageOfRows(c.tags(r), c.origin())
	}
	shown := make([]shownRow, len(page))
	for i, t := range page {
		mediaType, config := t.manifest.asListed()
		shown[i] = shownRow{
			Name: t.name, Digest: t.manifest.digest, ConfigDigest: config,
			MediaType: mediaType, SizeBytes: t.manifest.size(),
			CreatedAt: rowTime(unixTime(t.created)), PublishedAt: rowTime(unixTime(t.pushed)),
		}
		if t.pushed != t.created {
			shown[i].UpdatedAt = &shown[i].PublishedAt
		}
	}
	return &answer{status: http.StatusOK, body: shown, contentType: registryJSON}
}

// pageOfRows returns the page of tags that the call asks a registry with a database for,
// and links to the pages beside it, below an address: first to the one before. /v2 gives no
// address.
func (c *call) pageOfRows(tags []storedTag, address string) []storedTag {
	n := c.number("n", defaultRows)
	from, to, more := c.keysetPage(tags, n)
	var links []string
	link := func(rel, parameter, name string) {
		query := url.Values{parameter: {name}, "n": {strconv.Itoa(n)}}
		links = append(links, "<"+cmp.Or(c.server.options.foreignURL, address)+c.request.URL.EscapedPath()+"?"+query.Encode()+`>; rel="`+rel+`"`)
	}
	if from > 0 && from < to {
		link("previous", "before", tags[from].name)
	}
	if more {
		link("next", "last", tags[to-1].name)
	}
	if links != nil {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	return tags[from:to]
}
