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
