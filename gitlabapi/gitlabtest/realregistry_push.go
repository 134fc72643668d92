package gitlabtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// PushTo pushes every tag that the server has into a real registry that wants
// no token, with all that the tags need. Tags whose manifest is gone cannot be
// pushed and are left out.
func (s *Server) PushTo(ctx context.Context, registryURL string) error {
	to := newPusher(ctx, strings.TrimSuffix(registryURL, "/"))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.state.projects {
		for _, r := range p.repositories {
			for _, t := range r.stored.live() {
				if err := to.pushTag(s.state.registry, r.path, &t); err != nil {
					return fmt.Errorf("pushing %s:%s: %w", r.path, t.name, err)
				}
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

func (p *pusher) pushTag(from *registry, repository string, t *storedTag) error {
	if t.manifest == nil {
		return nil
	}
	if err := p.pushReferences(from, repository, t.manifest); err != nil {
		return err
	}
	return p.putManifest(repository, t.name, t.manifest)
}

// pushReferences pushes what a manifest needs, so that the registry takes it.
func (p *pusher) pushReferences(from *registry, repository string, m *manifest) error {
	for _, digest := range m.references() {
		key := repository + "@" + digest
		if p.pushed[key] {
			continue
		}
		if err := p.pushReference(from, repository, digest); err != nil {
			return err
		}
		p.pushed[key] = true
	}
	return nil
}

func (p *pusher) pushReference(from *registry, repository, digest string) error {
	part := from.manifests[digest]
	if part == nil {
		return p.pushBlob(repository, digest, from.blobs[digest])
	}
	if err := p.pushReferences(from, repository, part); err != nil {
		return err
	}
	return p.putManifest(repository, digest, part)
}

func (p *pusher) putManifest(repository, reference string, m *manifest) error {
	_, err := p.send(http.MethodPut, p.url+"/v2/"+repository+"/manifests/"+reference, m.mediaType, m.body, http.StatusCreated)
	return err
}

// pushBlob takes a blob over from another repository, or uploads it.
func (p *pusher) pushBlob(repository, digest string, body []byte) error {
	address := p.url + "/v2/" + repository + "/blobs/uploads/"
	if holder := p.holder[digest]; holder != "" {
		address += "?" + url.Values{"mount": {digest}, "from": {holder}}.Encode()
	}
	started, err := p.send(http.MethodPost, address, "", nil, http.StatusAccepted, http.StatusCreated)
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
	if _, err := p.send(http.MethodPut, at.String(), "application/octet-stream", body, http.StatusCreated); err != nil {
		return err
	}
	p.holder[digest] = repository
	return nil
}

// send sends a request and expects one of some statuses.
func (p *pusher) send(method, address, contentType string, body []byte, want ...int) (*http.Response, error) {
	r, err := http.NewRequestWithContext(p.ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxManifest))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(want, response.StatusCode) {
		return nil, fmt.Errorf("%s %s: %s: %s", method, address, response.Status, text)
	}
	return response, nil
}
