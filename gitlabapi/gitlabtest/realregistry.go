package gitlabtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// backend is a real registry that stands in the place of the one in memory. The
// one in memory follows it in what is deleted and pushed, for those who ask what
// is left.
type backend struct{ url string }

// errRegistrySays is an answer of the registry that is no success.
var errRegistrySays = errors.New("the registry answers")

// fetch asks the registry for something. An error that is not errRegistrySays
// means that it cannot be reached.
func (b *backend) fetch(ctx context.Context, path string, accept ...string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header["Accept"] = accept
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxManifest))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w %s", errRegistrySays, response.Status)
	}
	return body, response.Header, err
}

// names returns the tags of a repository in the order of their names, of which
// the registry keeps none.
func (b *backend) names(ctx context.Context, path string) ([]storedTag, error) {
	body, _, err := b.fetch(ctx, "/v2/"+path+"/tags/list")
	if err != nil {
		return nil, err
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	tags := make([]storedTag, len(list.Tags))
	for i, name := range list.Tags {
		tags[i].name = name
	}
	slices.SortFunc(tags, func(x, y storedTag) int { return cmp.Compare(x.name, y.name) })
	return tags, nil
}

// manifestOf reads a tag's manifest as Rails does: in two media types only.
func (b *backend) manifestOf(ctx context.Context, path, tag string) (*manifest, error) {
	body, header, err := b.fetch(ctx, "/v2/"+path+"/manifests/"+tag, acceptedByRails...)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRegistrySays, err)
	}
	m.digest = header.Get("Docker-Content-Digest")
	return m, nil
}

// deleteTag deletes a tag of a registry that deletes by digest only, as Rails
// did with such: the tag is set to a manifest that no other tag has, and that is
// deleted. It reports whether the tag was there.
func (b *backend) deleteTag(ctx context.Context, path, tag string) (bool, error) {
	tags, err := b.names(ctx, path)
	if err != nil || !slices.ContainsFunc(tags, func(t storedTag) bool { return t.name == tag }) {
		return false, err
	}
	config := []byte(`{"config":{"Labels":{"deleted":"` + path + ":" + tag + `"}}}`)
	dummy := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":`+
		`"application/vnd.docker.container.image.v1+json","digest":%q,"size":%d},"layers":[]}`,
		typeDockerManifest, digestOf(config), len(config))
	to := newPusher(ctx, b.url)
	if err := to.pushBlob(path, digestOf(config), config); err != nil {
		return true, err
	}
	if err := to.putManifest(path, tag, &manifest{mediaType: typeDockerManifest, body: dummy}); err != nil {
		return true, err
	}
	_, err = to.send(http.MethodDelete, b.url+"/v2/"+path+"/manifests/"+digestOf(dummy), "", nil, http.StatusAccepted)
	return true, err
}

// forward sends a call on to the registry and its answer back.
func (b *backend) forward(c *call, body []byte) *answer {
	r, err := http.NewRequestWithContext(c.request.Context(), c.request.Method,
		b.url+c.request.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return unavailable()
	}
	for _, name := range []string{"Accept", "Content-Type", "If-None-Match"} {
		if values := c.request.Header.Values(name); values != nil {
			r.Header[name] = values
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return unavailable()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return unavailable()
	}
	for name, values := range response.Header {
		if name == "Location" {
			values = []string{strings.Replace(values[0], b.url, c.origin(), 1)}
		}
		c.header[name] = values
	}
	if c.request.Method == http.MethodHead {
		// Its body does not come, but is as long as it says.
		text = make([]byte, max(0, response.ContentLength))
	}
	return &answer{status: response.StatusCode, body: text}
}

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
