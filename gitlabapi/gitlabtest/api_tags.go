package gitlabtest

import (
	"encoding/json"
	"net/http"
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

// listTags answers GET /projects/:id/registry/repositories/:rid/tags. In pages after a
// name only where the registry has a database.
func (s *Server) listTags(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	keyset := c.query.Get("pagination") == "keyset"
	switch {
	case refused != nil:
		return refused
	case keyset && s.state.regime == Legacy:
		return failure(http.StatusMethodNotAllowed, "Method Not Allowed")
	case c.registryUnreachable:
		return registryUnreachable()
	}
	var tags []storedTag // none when the registry fails: Rails makes an empty list of errors
	if !c.registryFails {
		tags = c.view(r).live()
		tags = tags[:c.shorten(len(tags))]
	}
	if !keyset {
		from, to := c.offsetPage(len(tags))
		return ok(c.presentTags(r, tags[from:to]))
	}
	per, from := c.perPage(), 0
	if last := c.query.Get("last"); last != "" {
		from = sort.Search(len(tags), func(i int) bool { return tags[i].name > last })
	}
	if s.options.repeatPages {
		from = min(from, max(0, len(tags)-per))
	}
	to := min(from+per, len(tags))
	if from < to && (to < len(tags) || s.options.repeatPages) {
		c.linkNext("last", tags[to-1].name)
	}
	return ok(c.presentTags(r, tags[from:to]))
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

// shownDetails is a tag as its own endpoint shows it.
type shownDetails struct {
	shownTag
	Revision      *string `json:"revision"`
	ShortRevision *string `json:"short_revision"`
	Digest        string  `json:"digest"`
	CreatedAt     *string `json:"created_at"`
	TotalSize     *int64  `json:"total_size"`
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
	case c.registryFails:
		return notFound("Tag")
	}
	stored := c.view(r)
	t, found := stored.find(c.params["name"])
	switch {
	case !found:
		return notFound("Tag")
	case s.state.regime == Legacy:
		return s.detailsOfManifest(c, r, t)
	case stored.hides(t.name):
		return notFound("Tag")
	}
	// With a database every tag has a date, that of its row.
	shown := c.details(r, t.name, t.manifest)
	shown.CreatedAt = new(configTime(t.createdAt()))
	return ok(shown)
}

// acceptedByRails are the only media types that Rails asks a registry for.
var acceptedByRails = []string{typeDockerManifest, typeOCIManifest}

// detailsOfManifest is what Rails makes of a registry without a database: whatever it
// cannot get in the two media types it knows is no tag, unless its version knows indexes.
// The date is that of the image's config, if it has one and can be read.
func (s *Server) detailsOfManifest(c *call, r *repository, t *storedTag) *answer {
	m := t.manifest
	if m == nil || c.losesTag(r, t.name) {
		return notFound("Tag")
	}
	if m.mediaType == typeOCIIndex || m.mediaType == typeDockerList {
		switch s.options.indexDetails {
		case IndexError:
			return failure(http.StatusInternalServerError, "Internal Server Error")
		case IndexEmpty:
			return ok(&shownDetails{shownTag: c.presentTag(r, t.name), Digest: m.digest})
		}
	}
	m, err := s.state.registry.negotiate(m, true, acceptedByRails)
	if err != nil {
		return notFound("Tag")
	}
	shown := c.details(r, t.name, m)
	if created, dated := dateIn(s.state.registry.blobs[m.config.Digest]); dated && !c.configUnreadable {
		shown.CreatedAt = new(configTime(created))
	}
	return ok(shown)
}

// details are those that the manifest gives.
func (c *call) details(r *repository, tag string, m *manifest) *shownDetails {
	shown := &shownDetails{shownTag: c.presentTag(r, tag), Digest: m.digest, TotalSize: new(m.size())}
	if _, revision, found := strings.Cut(m.config.Digest, ":"); found {
		shown.Revision, shown.ShortRevision = &revision, new(revision[:9])
	}
	return shown
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

const (
	// namesOnAPage is how many names Rails looks at when it looks for one.
	namesOnAPage = 100
	// shortName is the length of names that a hundred others may well contain.
	// Longer ones are taken to be found, which spares reading all names.
	shortName = 4
)

// hides says whether Rails cannot find a tag of a registry with a database: it asks for
// names that contain the one it wants, and looks at the first page only.
func (r *storedRepository) hides(tag string) bool {
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

// deleteTag answers DELETE on a tag. Whether its manifest can be read does not
// matter; a tag that is gone counts as deleted.
func (s *Server) deleteTag(c *call) *answer {
	c.beginDeletion()
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.deletable(c)
	if refused != nil {
		return refused
	}
	name := c.params["name"]
	if s.options.goneIsForbidden && s.state.regime == Database {
		if _, found := c.view(r).find(name); !found || c.view(r).hides(name) {
			return forbidden()
		}
	}
	if !s.removeTag(r, name) && s.options.goneIsMissing {
		return notFound("Tag")
	}
	return ok(http.StatusOK)
}

// deletable returns the repository of the call's path, or the answer that the tag may
// not, or cannot, be deleted.
func (s *Server) deletable(c *call) (*repository, *answer) {
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return nil, refused
	case r.project.archived || r.project.notMember || s.protects(c.params["name"]):
		return nil, forbidden()
	case c.registryFails || c.registryUnreachable:
		return nil, failure(http.StatusBadRequest, "Bad request")
	}
	return r, nil
}
