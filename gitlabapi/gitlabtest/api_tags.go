package gitlabtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
)

// shownTag is a tag as lists show it: no date and no digest.
type shownTag struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Location string `json:"location"`
}

// listTags answers GET /projects/:id/registry/repositories/:rid/tags.
func (s *Server) listTags(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case c.query.Get("pagination") == "keyset" && !s.options.noTagKeyset:
		return s.tagsByKeyset(c, r)
	case c.registryUnreachable:
		return registryUnreachable()
	}
	tags := s.tagsSeen(c, r)
	from, to := c.offsetPage(len(tags))
	return ok(c.presentTags(r, tags[from:to]))
}

// tagsSeen is what Rails makes of the registry's list of tags: an error counts
// as no tags at all. The server is locked.
func (s *Server) tagsSeen(c *call, r *repository) []storedTag {
	if s.registryFails(c) || c.registryUnreachable {
		return nil
	}
	tags := c.view(r).live()
	return tags[:c.shorten(len(tags))]
}

// tagsByKeyset answers a page of a registry that has a database.
func (s *Server) tagsByKeyset(c *call, r *repository) *answer {
	if s.state.regime == Legacy {
		return failure(http.StatusMethodNotAllowed, "Method Not Allowed")
	}
	if c.registryUnreachable {
		return registryUnreachable()
	}
	tags := s.tagsSeen(c, r)
	if c.query.Get("sort") == "desc" {
		return c.tagsDescending(r, tags)
	}
	return c.tagsAscending(r, tags)
}

func (c *call) tagsAscending(r *repository, tags []storedTag) *answer {
	per, from := c.perPage(), 0
	if last := c.query.Get("last"); last != "" {
		from = sort.Search(len(tags), func(i int) bool { return tags[i].name > last })
	}
	if c.server.options.repeatPages {
		from = min(from, max(0, len(tags)-per))
	}
	to := min(from+per, len(tags))
	return c.tagsPage(r, tags[from:to], to < len(tags))
}

func (c *call) tagsDescending(r *repository, tags []storedTag) *answer {
	per, to := c.perPage(), len(tags)
	if last := c.query.Get("last"); last != "" {
		to = sort.Search(len(tags), func(i int) bool { return tags[i].name >= last })
	}
	if c.server.options.repeatPages {
		to = max(to, min(per, len(tags)))
	}
	from := max(0, to-per)
	page := slices.Clone(tags[from:to])
	slices.Reverse(page)
	return c.tagsPage(r, page, from > 0)
}

func (c *call) tagsPage(r *repository, page []storedTag, more bool) *answer {
	if len(page) > 0 && (more || c.server.options.repeatPages) {
		c.linkNext("last", page[len(page)-1].name)
	}
	return ok(c.presentTags(r, page))
}

func (c *call) presentTags(r *repository, tags []storedTag) []shownTag {
	shown := make([]shownTag, len(tags))
	for i := range tags {
		shown[i] = c.presentTag(r, tags[i].name)
	}
	return shown
}

func (c *call) presentTag(r *repository, name string) shownTag {
	path := r.path + ":" + name
	return shownTag{Name: name, Path: path, Location: c.registryHost() + "/" + path}
}

// deleteTag answers DELETE on a tag. Whether its manifest can be read does not
// matter; a tag that is gone counts as deleted.
func (s *Server) deleteTag(c *call) *answer {
	c.beginDeletion()
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case r.project.archived || r.project.notMember || s.protects(c.params["name"]):
		return forbidden()
	case s.registryFails(c) || c.registryUnreachable:
		return failure(http.StatusBadRequest, "Bad request")
	}
	if s.options.goneForbidden && s.state.regime == Database {
		if _, found := s.detailsFromRow(c, r, c.params["name"]); !found {
			return forbidden()
		}
	}
	if !s.removeTag(r, c.params["name"]) && s.options.goneIsMissing {
		return notFound("Tag")
	}
	return ok(http.StatusOK)
}

// shownDetails is a tag as its own endpoint shows it.
type shownDetails struct {
	shownTag
	Revision      *string `json:"revision"`
	ShortRevision *string `json:"short_revision"`
	Digest        string  `json:"digest"`
	CreatedAt     *string `json:"created_at"`
	TotalSize     int64   `json:"total_size"`
}

// showTag answers GET on a tag.
func (s *Server) showTag(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case c.registryUnreachable:
		return registryUnreachable()
	}
	if s.stumbles(c, r) {
		return failure(http.StatusInternalServerError, "Internal Server Error")
	}
	details := s.detailsFromManifest
	if s.state.regime == Database {
		details = s.detailsFromRow
	}
	shown, found := details(c, r, c.params["name"])
	if !found || s.registryFails(c) {
		return notFound("Tag")
	}
	shown.shownTag = c.presentTag(r, c.params["name"])
	return ok(shown)
}

// stumbles says whether the call asks for what the server's version of GitLab
// cannot cope with.
func (s *Server) stumbles(c *call, r *repository) bool {
	if !s.options.multiArchFail || s.state.regime == Database || s.registryFails(c) {
		return false
	}
	t, ok := r.stored.find(c.params["name"])
	return ok && t.manifest != nil && t.manifest.platforms() > 1
}

// registryFails says whether the registry answers this call with errors.
func (s *Server) registryFails(c *call) bool { return c.registryFails || s.outage.Load() }

// acceptedByRails are the only media types that Rails asks a registry for.
var acceptedByRails = []string{typeDockerManifest, typeOCIManifest}

// detailsFromManifest is what Rails makes of a registry without a database:
// whatever it cannot get in the two media types it knows is no tag, and the
// date is that of the image's config, if it has one and can be read.
func (s *Server) detailsFromManifest(c *call, r *repository, tag string) (*shownDetails, bool) {
	t, found := c.view(r).find(tag)
	if !found || t.manifest == nil || c.losesTag(r, tag) {
		return nil, false
	}
	m, err := s.state.registry.negotiate(t.manifest, true, acceptedByRails)
	if err != nil {
		return nil, false
	}
	shown := &shownDetails{Digest: m.digest, TotalSize: m.size()}
	shown.setRevision(m)
	if created, ok := s.configDate(c, m); ok {
		text := configTime(created)
		shown.CreatedAt = &text
	}
	return shown, true
}

// configDate reads the date in a manifest's config.
func (s *Server) configDate(c *call, m *manifest) (time.Time, bool) {
	body, ok := s.state.registry.blobs[m.config.Digest]
	if !ok || c.configUnreadable {
		return time.Time{}, false
	}
	return dateIn(body)
}

// dateIn reads the date in a config.
func dateIn(body []byte) (time.Time, bool) {
	var config struct {
		Created *time.Time `json:"created"`
	}
	if err := json.Unmarshal(body, &config); err != nil || config.Created == nil {
		return time.Time{}, false
	}
	return *config.Created, true
}

// detailsFromRow is what Rails makes of a registry with a database: every tag
// has a date, that of its row.
func (s *Server) detailsFromRow(c *call, r *repository, tag string) (*shownDetails, bool) {
	stored := c.view(r)
	t, ok := stored.find(tag)
	if !ok || stored.crowdedOut(tag) {
		return nil, false
	}
	text := configTime(t.createdAt())
	shown := &shownDetails{Digest: t.manifest.digest, CreatedAt: &text, TotalSize: t.manifest.size()}
	shown.setRevision(t.manifest)
	return shown, true
}

func (d *shownDetails) setRevision(m *manifest) {
	_, revision, ok := strings.Cut(m.config.Digest, ":")
	if !ok {
		return
	}
	short := revision[:9]
	d.Revision, d.ShortRevision = &revision, &short
}

const (
	// namesOnAPage is how many names Rails looks at when it looks for one.
	namesOnAPage = 100
	// shortName is the length of names that a hundred others may well contain.
	// Longer ones are taken to be found, which spares reading all names.
	shortName = 4
)

// crowdedOut says whether a tag escapes Rails, which asks the registry for
// names that contain the one it wants and looks at the first page only.
func (r *storedRepository) crowdedOut(tag string) bool {
	if len(tag) > shortName {
		return false
	}
	before := 0
	for i := range r.tags {
		t := &r.tags[i]
		if t.name == tag || before == namesOnAPage {
			break
		}
		if !t.removed && strings.Contains(t.name, tag) {
			before++
		}
	}
	return before == namesOnAPage
}
