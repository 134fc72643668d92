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

// realRegistry is a registry that is asked instead of the one in memory, which
// follows it in what is deleted and pushed, for [Server.Remaining].
type realRegistry struct{ url string }

// errRegistrySays is an answer of the registry that is no success.
var errRegistrySays = errors.New("the registry answers")

// fetch asks the registry for something. An error that is not errRegistrySays
// means that it cannot be reached.
func (g *realRegistry) fetch(ctx context.Context, path string, accept ...string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+path, nil)
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
func (g *realRegistry) names(ctx context.Context, path string) ([]storedTag, error) {
	body, _, err := g.fetch(ctx, "/v2/"+path+"/tags/list")
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
func (g *realRegistry) manifestOf(ctx context.Context, path, tag string) (*manifest, error) {
	body, header, err := g.fetch(ctx, "/v2/"+path+"/manifests/"+tag, acceptedByRails...)
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
func (g *realRegistry) deleteTag(ctx context.Context, path, tag string) (bool, error) {
	tags, err := g.names(ctx, path)
	if err != nil || !slices.ContainsFunc(tags, func(t storedTag) bool { return t.name == tag }) {
		return false, err
	}
	config := []byte(`{"config":{"Labels":{"deleted":"` + path + ":" + tag + `"}}}`)
	dummy := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":`+
		`"application/vnd.docker.container.image.v1+json","digest":%q,"size":%d},"layers":[]}`,
		typeDockerManifest, digestOf(config), len(config))
	to := newPusher(ctx, g.url)
	if err := to.pushBlob(path, digestOf(config), config); err != nil {
		return true, err
	}
	if err := to.putManifest(path, tag, &manifest{mediaType: typeDockerManifest, body: dummy}); err != nil {
		return true, err
	}
	_, err = to.send(http.MethodDelete, g.url+"/v2/"+path+"/manifests/"+digestOf(dummy), "", nil, http.StatusAccepted)
	return true, err
}

// answerByRealRegistry answers a call that nothing stands against. What the registry has
// beside tags and manifests is answered as without it.
func (s *Server) answerByRealRegistry(c *call) *answer {
	switch {
	case c.lost != nil && c.route.template == manifestTemplate:
		return c.route.handle(s, c)
	case c.registry && c.params["path"] != "":
		return s.forward(c)
	case c.route.template == tagsTemplate:
		return s.listRealTags(c)
	case c.route.template == tagTemplate && c.route.method == http.MethodGet:
		return s.showRealTag(c)
	case c.route.template == tagTemplate:
		return s.deleteRealTag(c)
	default:
		return c.route.handle(s, c)
	}
}

// listRealTags answers with a list of tags: an error of the registry is no tags,
// and one that cannot be reached is 503.
func (s *Server) listRealTags(c *call) *answer {
	r, refused := s.repository(c)
	switch {
	case refused != nil:
		return refused
	case c.query.Get("pagination") == "keyset":
		return failure(http.StatusMethodNotAllowed, "Method Not Allowed")
	case c.registryUnreachable:
		return registryUnreachable()
	}
	tags, err := s.real.names(c.request.Context(), r.path)
	if err != nil && !errors.Is(err, errRegistrySays) {
		return registryUnreachable()
	}
	if c.registryFails {
		tags = nil
	}
	tags = tags[:c.shorten(len(tags))]
	from, to := c.offsetPage(len(tags))
	return ok(c.presentTags(r, tags[from:to]))
}

// showRealTag answers with the details of a tag.
func (s *Server) showRealTag(c *call) *answer {
	r, refused := s.repository(c)
	tag := c.params["name"]
	switch {
	case refused != nil:
		return refused
	case c.registryUnreachable:
		return registryUnreachable()
	case c.registryFails, c.losesTag(r, tag):
		return notFound("Tag")
	}
	m, err := s.real.manifestOf(c.request.Context(), r.path, tag)
	switch {
	case errors.Is(err, errRegistrySays):
		return notFound("Tag")
	case err != nil:
		return registryUnreachable()
	}
	shown := c.details(r, tag, m)
	config, _, err := s.real.fetch(c.request.Context(), "/v2/"+r.path+"/blobs/"+m.config.Digest)
	if created, dated := dateIn(config); dated && err == nil && !c.configUnreadable {
		shown.CreatedAt = new(configTime(created))
	}
	return ok(shown)
}

// deleteRealTag deletes a tag there, and then here.
func (s *Server) deleteRealTag(c *call) *answer {
	r, refused := s.deletable(c)
	if refused != nil {
		return refused
	}
	switch there, err := s.removeRealTag(c, r, c.params["name"]); {
	case err != nil:
		return failure(http.StatusBadRequest, "Bad request")
	case !there && s.options.goneIsMissing:
		return notFound("Tag")
	default:
		return ok(http.StatusOK)
	}
}

func (s *Server) removeRealTag(c *call, r *repository, tag string) (bool, error) {
	c.beginDeletion()
	there, err := s.real.deleteTag(c.request.Context(), r.path, tag)
	if err != nil || !there {
		return there, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeTag(r, tag)
	return true, nil
}

// forward lets the registry answer a call to itself, and does here what was done there.
// A tag is not deleted by passing the request on, since it can delete by digest only.
func (s *Server) forward(c *call) *answer {
	r, refused := s.storedAt(c)
	reference := c.params["reference"]
	switch {
	case refused != nil:
		return refused
	case c.manifest != nil && c.route.template == manifestTemplate && c.route.method == http.MethodGet:
		return c.serveManifest(c.manifest)
	case c.route.method == http.MethodDelete && (r == nil || !validTag(reference)):
		return c.route.handle(s, c)
	case c.route.method == http.MethodDelete && s.protects(reference):
		return tagProtected()
	case c.route.method == http.MethodDelete:
		switch there, err := s.removeRealTag(c, r, reference); {
		case err != nil:
			return unavailable()
		case !there:
			return tagUnknown(reference)
		}
		return &answer{status: http.StatusAccepted, body: noBody{}}
	}
	var body []byte
	if c.request.Body != nil {
		text, err := io.ReadAll(c.request.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone away
		}
		body = text
	}
	a := s.real.answer(c, body)
	if r != nil && c.route.method == http.MethodPut && a.status == http.StatusCreated && validTag(reference) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.state.retag(r, reference, s.state.registry.putManifest(body), s.options.clock())
	}
	return a
}

// answer sends a call on to the registry and its answer back.
func (g *realRegistry) answer(c *call, body []byte) *answer {
	r, err := http.NewRequestWithContext(c.request.Context(), c.request.Method,
		g.url+c.request.URL.RequestURI(), bytes.NewReader(body))
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
			values = []string{strings.Replace(values[0], g.url, c.origin(), 1)}
		}
		c.header[name] = values
	}
	if c.request.Method == http.MethodHead {
		// Its body does not come, but is as long as it says.
		text = make([]byte, max(0, response.ContentLength))
	}
	return &answer{status: response.StatusCode, body: text}
}
