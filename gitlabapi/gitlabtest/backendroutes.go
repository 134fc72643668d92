package gitlabtest

import (
	"errors"
	"io"
	"net/http"
)

// handle answers a call that nothing stands against. Of a registry behind the
// server, the server itself only knows what was in it.
func (s *Server) handle(c *call) *answer {
	if s.backend == nil || c.lost != nil && c.route.template == manifestTemplate {
		return c.route.handle(s, c)
	}
	switch {
	case c.registry && c.params["path"] != "":
		return s.forward(c)
	case c.route.template == tagsTemplate:
		return s.listBehind(c)
	case c.route.template == tagTemplate && c.route.method == http.MethodGet:
		return s.showBehind(c)
	case c.route.template == tagTemplate:
		return s.deleteBehind(c)
	default:
		return c.route.handle(s, c)
	}
}

// locate finds the repository of a call to the API.
func (s *Server) locate(c *call) (*repository, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repository(c)
}

// listBehind answers with a list of tags: an error of the registry is no tags,
// and one that cannot be reached is 503.
func (s *Server) listBehind(c *call) *answer {
	r, refused := s.locate(c)
	switch {
	case refused != nil:
		return refused
	case c.query.Get("pagination") == "keyset" && !s.options.noTagKeyset:
		return failure(http.StatusMethodNotAllowed, "Method Not Allowed")
	case c.registryUnreachable:
		return registryUnreachable()
	}
	tags, err := s.backend.names(c.request.Context(), r.path)
	if err != nil && !errors.Is(err, errRegistrySays) {
		return registryUnreachable()
	}
	if s.registryFails(c) {
		tags = nil
	}
	tags = tags[:c.shorten(len(tags))]
	from, to := c.offsetPage(len(tags))
	return ok(c.presentTags(r, tags[from:to]))
}

// showBehind answers with the details of a tag.
func (s *Server) showBehind(c *call) *answer {
	r, refused := s.locate(c)
	switch {
	case refused != nil:
		return refused
	case c.registryUnreachable:
		return registryUnreachable()
	case s.registryFails(c), c.losesTag(r, c.params["name"]):
		return notFound("Tag")
	}
	m, err := s.backend.manifestOf(c.request.Context(), r.path, c.params["name"])
	switch {
	case errors.Is(err, errRegistrySays):
		return notFound("Tag")
	case err != nil:
		return registryUnreachable()
	}
	shown := &shownDetails{shownTag: c.presentTag(r, c.params["name"]), Digest: m.digest, TotalSize: m.size()}
	shown.setRevision(m)
	config, _, err := s.backend.fetch(c.request.Context(), "/v2/"+r.path+"/blobs/"+m.config.Digest)
	if created, ok := dateIn(config); ok && err == nil && !c.configUnreadable {
		text := configTime(created)
		shown.CreatedAt = &text
	}
	return ok(shown)
}

// deleteBehind deletes a tag there, and then here.
func (s *Server) deleteBehind(c *call) *answer {
	r, refused := s.locate(c)
	switch {
	case refused != nil:
		return refused
	case r.project.archived || r.project.notMember || s.protects(c.params["name"]):
		return forbidden()
	case s.registryFails(c) || c.registryUnreachable:
		return failure(http.StatusBadRequest, "Bad request")
	}
	there, err := s.removeBehind(c, r, c.params["name"])
	switch {
	case err != nil:
		return failure(http.StatusBadRequest, "Bad request")
	case !there && s.options.goneIsMissing:
		return notFound("Tag")
	default:
		return ok(http.StatusOK)
	}
}

func (s *Server) removeBehind(c *call, r *repository, tag string) (bool, error) {
	c.beginDeletion()
	there, err := s.backend.deleteTag(c.request.Context(), r.path, tag)
	if err != nil || !there {
		return there, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeTag(r, tag)
	return true, nil
}

// forward lets the registry answer a call to itself. A tag is deleted in its
// stead, since it cannot; whatever else changes is followed here.
func (s *Server) forward(c *call) *answer {
	s.mu.Lock()
	r, refused := s.storedAt(c)
	s.mu.Unlock()
	reference := c.params["reference"]
	switch {
	case refused != nil:
		return refused
	case c.manifest != nil && c.route.template == manifestTemplate && c.route.method == http.MethodGet:
		return c.serveManifest(c.manifest)
	case c.route.method == http.MethodDelete && r != nil && validTag(reference):
		return s.deleteTagBehind(c, r, reference)
	}
	var body []byte
	if c.request.Body != nil {
		text, err := io.ReadAll(c.request.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone away
		}
		body = text
	}
	a := s.backend.forward(c, body)
	s.follow(c, r, a.status, body)
	return a
}

func (s *Server) deleteTagBehind(c *call, r *repository, tag string) *answer {
	if s.protects(tag) {
		return tagProtected()
	}
	switch there, err := s.removeBehind(c, r, tag); {
	case err != nil:
		return unavailable()
	case !there:
		return tagUnknown(tag)
	default:
		return &answer{status: http.StatusAccepted, body: noBody{}}
	}
}

// follow does here what was done there.
func (s *Server) follow(c *call, r *repository, status int, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r == nil:
	case c.route.method == http.MethodDelete && status == http.StatusAccepted:
		s.deleteRevision(r, c.params["reference"])
	case c.route.method == http.MethodPut && status == http.StatusCreated && validTag(c.params["reference"]):
		s.state.retag(r, c.params["reference"], s.state.registry.putManifest(body), s.options.clock())
	}
}
