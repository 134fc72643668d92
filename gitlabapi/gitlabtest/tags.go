package gitlabtest

import (
	"net/http"
	"slices"
	"sort"
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
