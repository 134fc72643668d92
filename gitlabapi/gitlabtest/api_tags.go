package gitlabtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// shownTag is a tag as lists show it: no date and no digest.
type shownTag struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Location string `json:"location"`
}

func (c *call) shownTag(r *repository, name string) shownTag {
	path := r.path + ":" + name
	return shownTag{Name: name, Path: path, Location: c.registryHost() + "/" + path}
}

// tags are those of a repository that the call sees.
func (c *call) tags(r *repository) []storedTag {
	tags := c.view(r).live()
	return tags[:c.shorten(len(tags))]
}

// listTags answers GET /projects/:id/registry/repositories/:rid/tags. In pages after a
// name only where the registry has a database.
func (s *Server) listTags(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	keyset := c.query.Get("pagination") == "keyset" && !s.options.noKeysetTags
	switch {
	case refused != nil:
		return refused
	case keyset && s.rails() == Legacy:
		return failure(http.StatusMethodNotAllowed, "Method Not Allowed")
	case c.registryUnreachable:
		return failure(http.StatusServiceUnavailable, "Service Unavailable")
	}
	var tags []storedTag // none when the registry fails: Rails makes an empty list of errors
	if !c.registryFails {
		tags = c.tags(r)
	}
	if keyset {
		from, to, more := c.keysetPage(tags, c.perPage())
		if more {
			c.header.Set("Link", c.link("next", "last", tags[to-1].name))
		}
		tags = tags[from:to]
	} else {
		tags = offsetPage(c, tags)
	}
	shown := make([]shownTag, len(tags))
	for i := range tags {
		shown[i] = c.shownTag(r, tags[i].name)
	}
	return ok(shown)
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

// acceptedByRails are the only media types that Rails asks a registry for.
var acceptedByRails = []string{typeDockerManifest, typeOCIManifest}

// showTag answers GET on a tag. With a database every tag has a date, that of its row.
// Without, whatever Rails cannot get in the two media types that it knows is no tag, unless
// its version knows indexes, and the date is that of the image's config, if it has one and
// can be read.
func (s *Server) showTag(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case c.registryUnreachable:
		return failure(http.StatusServiceUnavailable, "Service Unavailable")
	case c.registryFails:
		return notFound("Tag")
	}
	t, found := c.view(r).find(c.params["name"])
	legacy := s.rails() == Legacy
	switch {
	case !found, c.isUnlinked(t.name), legacy && (t.manifest == nil || c.losesTag(r, t.name)), !legacy && c.view(r).hides(t.name):
		return notFound("Tag")
	}
	m, created, dated := t.manifest, unixTime(t.created), true
	if legacy {
		index := m.mediaType == typeOCIIndex || m.mediaType == typeDockerList
		switch {
		case index && s.options.indexDetails == IndexError:
			return failure(http.StatusInternalServerError, "Internal Server Error")
		case index && s.options.indexDetails == IndexEmpty:
			return ok(shownDetails{shownTag: c.shownTag(r, t.name), Digest: m.digest})
		}
		if m, _ = s.state.registry.negotiate(m, true, acceptedByRails); m == nil {
			return notFound("Tag")
		}
		created, dated = s.state.registry.dateIn(m.config.Digest)
	}
	shown := shownDetails{shownTag: c.shownTag(r, t.name), Digest: m.digest, TotalSize: new(m.size())}
	if _, revision, found := strings.Cut(m.config.Digest, ":"); found {
		shown.Revision, shown.ShortRevision = &revision, new(revision[:9])
	}
	if dated && !(legacy && c.configUnreadable) {
		shown.CreatedAt = new(created.UTC().Format("2006-01-02T15:04:05.000-07:00"))
	}
	return ok(shown)
}

// dateIn reads the date in a config. It reads each once, for many tags have the same.
func (g *registry) dateIn(digest string) (time.Time, bool) {
	body, there := g.blobs[digest]
	if !there {
		return time.Time{}, false
	}
	date, read := g.dates[digest]
	if !read {
		var config struct {
			Created *time.Time `json:"created"`
		}
		if err := json.Unmarshal(body, &config); err == nil {
			date = config.Created
		}
		g.dates[digest] = date
	}
	if date == nil {
		return time.Time{}, false
	}
	return *date, true
}

const (
	// namesOnAPage is how many names Rails looks at when it looks for one.
	namesOnAPage = 100
	// shortName is the length of names that a hundred others may well contain.
	// Longer ones are taken to be found, so that not all names have to be read.
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

// canLookUp says whether Rails finds a tag of a registry with a database before it deletes it.
func (s *Server) canLookUp(c *call, r *repository, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := c.view(r).find(name)
	return s.state.regime != Database || found && !c.view(r).hides(name) && !c.registryFails
}

// deleteTag answers DELETE on a tag. Whether its manifest can be read does not
// matter; a tag that is gone counts as deleted.
func (s *Server) deleteTag(c *call) *answer {
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case r.project.readOnly() || r.project.NotMember || s.options.role < Developer || s.protects(r.project, c.params["name"]):
		return forbidden()
	case s.options.goneIsForbidden && !s.canLookUp(c, r, c.params["name"]):
		return forbidden()
	}
	switch there, err := s.removeTag(c, r, c.params["name"]); {
	case err != nil:
		return failure(http.StatusBadRequest, "Bad request")
	case !there && s.options.goneIsMissing:
		return notFound("Tag")
	}
	return ok(http.StatusOK)
}
