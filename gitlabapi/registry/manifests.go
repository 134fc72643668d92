package registry

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A Descriptor is what a registry says about a tag's manifest without showing it.
type Descriptor struct {
	MediaType string
	Digest    string // "sha256:…"
}

// IsIndex reports whether the manifest stands for several: GitLab asks for none that
// does, but for a Docker list.
func (d Descriptor) IsIndex() bool {
	return d.MediaType == manifest.TypeOCIIndex || d.MediaType == manifest.TypeDockerList
}

// Head asks for the media type and the digest of a tag's manifest. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
//
// An answer to HEAD has no body, and a 404 without one may be a proxy's: proxies before
// a registry are even known to add its own header to their errors. So a 404 is asked
// about once more by GET, and proves something only if that one says so.
func (r *Registry) Head(ctx context.Context, path, tag string) (Descriptor, error) {
	q, err := manifestRequest(http.MethodHead, path, tag)
	if err != nil {
		return Descriptor{}, fmt.Errorf("asking for %s:%q: %w", path, tag, err)
	}
	resp, err := r.do(ctx, q)
	if errors.Is(err, throttle.ErrNotFound) {
		q.method = http.MethodGet
		resp, err = r.do(ctx, q)
	}
	if err != nil {
		return Descriptor{}, fmt.Errorf("asking for %s:%s: %w", path, tag, err)
	}
	d := Descriptor{Digest: resp.Header.Get("Docker-Content-Digest")}
	d.MediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if d.MediaType == "" || !manifest.IsDigest(d.Digest) {
		err := &throttle.FormatError{Problem: "the answer has no media type or no digest: is REGISTRY_URL the address of GitLab's registry?"}
		return Descriptor{}, fmt.Errorf("asking for %s:%s: %w", path, tag, q.failed(err))
	}
	return d, nil
}

// Exists asks whether there is a tag, for a caller that expects that there is none: by GET
// at once, as the 404 of a HEAD would have to be asked about again. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
func (r *Registry) Exists(ctx context.Context, path, tag string) error {
	q, err := manifestRequest(http.MethodGet, path, tag)
	if err == nil {
		_, err = r.do(ctx, q)
	}
	if err != nil {
		return fmt.Errorf("asking for %s:%q: %w", path, tag, err)
	}
	return nil
}

// Manifest reads a tag's manifest, at most 4 MiB of it, and tells its kind. The error is
// [ErrManifestNotFound] when the registry itself says that there is none. Beside a
// [manifest.Error] it returns what is known: media type and digest.
func (r *Registry) Manifest(ctx context.Context, path, tag string) (manifest.Manifest, error) {
	m, err := r.manifest(ctx, path, tag)
	if err != nil {
		return m, fmt.Errorf("reading the manifest of %s:%q: %w", path, tag, err)
	}
	return m, nil
}

func (r *Registry) manifest(ctx context.Context, path, tag string) (manifest.Manifest, error) {
	q, err := manifestRequest(http.MethodGet, path, tag)
	if err != nil {
		return manifest.Manifest{}, err
	}
	resp, err := r.do(ctx, q)
	if err != nil {
		return manifest.Manifest{}, err
	}
	body, digest := throttle.Body(resp), resp.Header.Get("Docker-Content-Digest")
	m := manifest.Manifest{Digest: digest}
	if m.MediaType, _, err = mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || !manifest.IsType(m.MediaType) {
		return m, q.failed(&manifest.Error{Problem: "its media type is none of a manifest or an index"})
	}
	if !hasDigest(digest, body) {
		return manifest.Manifest{}, q.failed(&throttle.FormatError{Problem: "the manifest does not have the digest that the registry says"})
	}
	m, err = manifest.Classify(m.MediaType, body)
	m.Digest = digest
	if err != nil {
		return m, q.failed(err)
	}
	return m, nil
}

// manifestTypes is what to accept as a manifest. Without an index among them a registry says
// of an index that there is nothing. They stand in one header, as there are proxies that pass
// on only the first of several.
var manifestTypes = strings.Join([]string{
	manifest.TypeOCIManifest, manifest.TypeOCIIndex, manifest.TypeDockerManifest, manifest.TypeDockerList,
}, ", ")

// manifestRequest makes a request for a tag's manifest of whatever type.
func manifestRequest(method, path, tag string) (request, error) {
	return request{
		method: method, repository: path, path: "/v2/" + path + "/manifests/" + tag, tag: tag,
		accept: manifestTypes, maxBody: manifest.MaxBytes, mediaTypes: throttle.AnyApplication,
	}, errors.Join(checkPath(path), CheckTag(tag))
}

// ConfigCreated reads when an image was made from its config, a blob of the given
// digest. The time is zero when the config does not say, which is not the same as an
// error. An [ElsewhereError] means that the registry does not keep the blob itself.
func (r *Registry) ConfigCreated(ctx context.Context, path, digest string) (time.Time, error) {
	created, err := r.configCreated(ctx, path, digest)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the config %q of an image in %s: %w", digest, path, err)
	}
	return created, nil
}

func (r *Registry) configCreated(ctx context.Context, path, digest string) (time.Time, error) {
	if err := checkPath(path); err != nil {
		return time.Time{}, err
	}
	if !manifest.IsDigest(digest) {
		return time.Time{}, &throttle.FormatError{Problem: "this is no digest"}
	}
	q := request{
		method: http.MethodGet, repository: path, path: "/v2/" + path + "/blobs/" + digest,
		maxBody: manifest.MaxBytes, mediaTypes: throttle.AnythingButHTML, immutable: true,
	}
	resp, err := r.do(ctx, q)
	if redirect, ok := errors.AsType[*throttle.RedirectError](err); ok && redirect.Server == throttle.Registry {
		return time.Time{}, q.failed(&ElsewhereError{redirect.To})
	}
	if err != nil {
		return time.Time{}, err
	}
	if !hasDigest(digest, throttle.Body(resp)) {
		return time.Time{}, q.failed(&throttle.FormatError{Problem: "the blob does not have the digest that was asked for"})
	}
	created, err := manifest.Created(throttle.Body(resp))
	if err != nil {
		return time.Time{}, q.failed(&throttle.FormatError{Problem: "the config: " + err.Error()})
	}
	return created, nil
}

// hasDigest reports whether bytes have a digest, by the algorithm that it names.
func hasDigest(digest string, data []byte) bool {
	if !manifest.IsDigest(digest) {
		return false
	}
	algorithm, sum, _ := strings.Cut(digest, ":")
	if algorithm == "sha512" {
		return sum == fmt.Sprintf("%x", sha512.Sum512(data))
	}
	return sum == fmt.Sprintf("%x", sha256.Sum256(data))
}
