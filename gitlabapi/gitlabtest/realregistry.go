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
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

// realRegistry is a registry that is asked instead of the one in memory, which
// follows it in what is deleted and pushed, for [Server.Remaining].
type realRegistry struct{ url string }

var (
	// errRegistrySays is an answer of the registry that is no success.
	errRegistrySays = errors.New("the registry answers")
	// errUnreachable is no answer at all.
	errUnreachable = errors.New("the registry cannot be reached")
)

// answer answers a call that nothing stands against. Rails looks at what the registry is
// asked for it, in place of what is in memory; what is read from the registry is handed on.
// Everything else is answered as ever, and faults of manifests as without the registry.
func (g *realRegistry) answer(s *Server, c *call) *answer {
	content := c.route.template == manifestTemplate || c.route.template == blobTemplate
	switch {
	case c.changes() || content && (c.lost != nil || c.manifest != nil):
	case c.registry && c.params["path"] != "":
		return g.forward(c)
	case c.route.template == tagsTemplate || c.route.template == tagTemplate:
		if r, refused := s.repository(c); refused == nil {
			tags, err := g.read(c.request.Context(), r.path, c.params["name"])
			c.registryFails = c.registryFails || errors.Is(err, errRegistrySays)
			c.registryUnreachable = c.registryUnreachable || err != nil && !c.registryFails
			c.stale = map[string]*storedRepository{r.path: {tags: tags, compare: strings.Compare}}
		}
	}
	return c.route.handle(s, c)
}

// read returns the tags of a repository in the order of their names, of which the registry
// keeps none, or one of them with its manifest, in the media types that Rails knows.
func (g *realRegistry) read(ctx context.Context, path, tag string) ([]storedTag, error) {
	if tag != "" {
		body, header, err := g.fetch(ctx, path+"/manifests/"+tag, acceptedByRails...)
		if err != nil {
			return nil, err
		}
		m, err := readManifest(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRegistrySays, err)
		}
		m.digest = header.Get("Docker-Content-Digest")
		return []storedTag{{name: tag, manifest: m}}, nil
	}
	body, _, err := g.fetch(ctx, path+"/tags/list")
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", errRegistrySays, err)
	}
	tags := make([]storedTag, len(list.Tags))
	for i, name := range list.Tags {
		tags[i].name = name
	}
	slices.SortFunc(tags, func(x, y storedTag) int { return cmp.Compare(x.name, y.name) })
	return tags, nil
}

// fetch asks the registry for something of a repository. An error that is not
// errRegistrySays means that it cannot be reached.
func (g *realRegistry) fetch(ctx context.Context, path string, accept ...string) ([]byte, http.Header, error) {
	header := http.Header{"Accept": accept}
	body, response, err := newPusher(ctx, g.url).send(http.MethodGet, g.url+"/v2/"+path, header, nil, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	return body, response.Header, nil
}

// forward lets the registry answer a call that reads.
func (g *realRegistry) forward(c *call) *answer {
	to, err := url.Parse(g.url)
	mustBe(err == nil, "no address of a registry: %v", err)
	reached := true
	proxy := httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Authorization")
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { reached = false },
	}
	recorded := httptest.NewRecorder()
	proxy.ServeHTTP(recorded, c.request)
	if !reached {
		return unavailable()
	}
	c.header = recorded.Header()
	return &answer{status: recorded.Code, body: recorded.Body.Bytes()}
}

// deleteTag deletes a tag of a registry that deletes by digest only, as Rails
// did with such: the tag is set to a manifest that no other tag has, and that is
// deleted. It reports whether the tag was there.
func (g *realRegistry) deleteTag(ctx context.Context, path, tag string) (bool, error) {
	tags, err := g.read(ctx, path, "")
	if err != nil || !slices.ContainsFunc(tags, func(t storedTag) bool { return t.name == tag }) {
		return false, err
	}
	config := []byte(`{"config":{"Labels":{"deleted":"` + path + ":" + tag + `"}}}`)
	dummy := &manifest{mediaType: typeDockerManifest, body: fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,`+
		`"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":%q,"size":%d},"layers":[]}`,
		typeDockerManifest, digestOf(config), len(config))}
	to := newPusher(ctx, g.url)
	if err := to.pushBlob(path, digestOf(config), config); err != nil {
		return true, err
	}
	if err := to.putManifest(path, tag, dummy); err != nil {
		return true, err
	}
	_, _, err = to.send(http.MethodDelete, g.url+"/v2/"+path+"/manifests/"+digestOf(dummy.body), nil, nil, http.StatusAccepted)
	return true, err
}

// PushTo pushes every tag that the server has into a real registry that wants
// no token, with all that the tags need. Tags whose manifest is gone cannot be
// pushed and are left out.
func (s *Server) PushTo(ctx context.Context, registryURL string) error {
	to := newPusher(ctx, strings.TrimSuffix(registryURL, "/"))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.state.located {
		for _, t := range r.stored.live() {
			if t.manifest == nil {
				continue
			}
			if err := to.push(s.state.registry, r.path, t.name, t.manifest); err != nil {
				return fmt.Errorf("pushing %s:%s: %w", r.path, t.name, err)
			}
		}
	}
	return nil
}

// pusher pushes to a real registry.
type pusher struct {
	ctx    context.Context
	url    string
	holder map[string]string // a repository that has the blob of a digest
	pushed map[string]bool   // repository@digest
}

func newPusher(ctx context.Context, url string) *pusher {
	return &pusher{ctx: ctx, url: url, holder: map[string]string{}, pushed: map[string]bool{}}
}

// push pushes a manifest after all that it needs, so that the registry takes it.
func (p *pusher) push(from *registry, repository, reference string, m *manifest) error {
	for _, digest := range m.references() {
		key := repository + "@" + digest
		if p.pushed[key] {
			continue
		}
		p.pushed[key] = true
		var err error
		if part := from.manifests[digest]; part != nil {
			err = p.push(from, repository, digest, part)
		} else {
			err = p.pushBlob(repository, digest, from.blobs[digest])
		}
		if err != nil {
			return err
		}
	}
	return p.putManifest(repository, reference, m)
}

func (p *pusher) putManifest(repository, reference string, m *manifest) error {
	header := http.Header{"Content-Type": {m.mediaType}}
	_, _, err := p.send(http.MethodPut, p.url+"/v2/"+repository+"/manifests/"+reference, header, m.body, http.StatusCreated)
	return err
}

// pushBlob takes a blob over from another repository, or uploads it.
func (p *pusher) pushBlob(repository, digest string, body []byte) error {
	address := p.url + "/v2/" + repository + "/blobs/uploads/"
	if holder := p.holder[digest]; holder != "" {
		address += "?" + url.Values{"mount": {digest}, "from": {holder}}.Encode()
	}
	_, started, err := p.send(http.MethodPost, address, nil, nil, http.StatusAccepted, http.StatusCreated)
	if err != nil || started.StatusCode == http.StatusCreated {
		return err
	}
	at, err := started.Location()
	if err != nil {
		return err
	}
	query := at.Query()
	query.Set("digest", digest)
	at.RawQuery = query.Encode()
	_, _, err = p.send(http.MethodPut, at.String(), http.Header{"Content-Type": {"application/octet-stream"}}, body, http.StatusCreated)
	p.holder[digest] = repository
	return err
}

// send sends a request and expects one of some statuses; any other is an errRegistrySays.
func (p *pusher) send(method, address string, header http.Header, body []byte, want ...int) ([]byte, *http.Response, error) {
	r, err := http.NewRequestWithContext(p.ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxManifest))
	if err == nil && !slices.Contains(want, response.StatusCode) {
		err = fmt.Errorf("%w %s to %s %s: %s", errRegistrySays, response.Status, method, address, text)
	}
	return text, response, err
}
