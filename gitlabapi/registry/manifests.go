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

// manifestTypes is what to accept as a manifest. Without an index among them a registry says
// of an index that there is nothing. They stand in one header, as there are proxies that pass
// on only the first of several.
var manifestTypes = strings.Join([]string{
	manifest.TypeOCIManifest, manifest.TypeOCIIndex, manifest.TypeDockerManifest, manifest.TypeDockerList,
}, ", ")

// askForManifest asks for a tag's manifest of whatever type.
func (r *Registry) askForManifest(ctx context.Context, method, path, tag string) (request, *http.Response, error) {
	if err := errors.Join(checkPath(path), CheckTag(tag)); err != nil {
		return request{}, nil, err
	}
	q := request{
		method: method, repository: path, path: "/v2/" + path + "/manifests/" + tag, tag: tag, accept: manifestTypes,
		options: throttle.Request{MaxBody: manifest.MaxBytes, Accepts: throttle.AnyApplication},
	}
	resp, err := r.do(ctx, q)
	return q, resp, err
}

// Head asks for no more of a tag's manifest than its media type and its digest. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
//
// An answer to HEAD has no body, and a 404 without one may be a proxy's: proxies before
// a registry are even known to add its own header to their errors. So a 404 is asked
// about once more by GET, and proves something only if that one says so.
func (r *Registry) Head(ctx context.Context, path, tag string) (m manifest.Manifest, err error) {
	defer wrap(&err, "asking for %s:%q", path, tag)
	q, resp, err := r.askForManifest(ctx, http.MethodHead, path, tag)
	if errors.Is(err, throttle.ErrNotFound) {
		q, resp, err = r.askForManifest(ctx, http.MethodGet, path, tag)
	}
	if err != nil {
		return m, err
	}
	digest := resp.Header.Get("Docker-Content-Digest")
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "" || !manifest.IsDigest(digest) {
		return m, q.failed(&throttle.FormatError{Problem: "the answer has no media type or no digest: is REGISTRY_URL the address of GitLab's registry?"})
	}
	return manifest.Manifest{MediaType: kind, Digest: digest}, nil
}

// Exists asks whether there is a tag, for a caller that expects that there is none: by GET
// at once, as the 404 of a HEAD would have to be asked about again. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
func (r *Registry) Exists(ctx context.Context, path, tag string) (err error) {
	defer wrap(&err, "asking for %s:%q", path, tag)
	_, _, err = r.askForManifest(ctx, http.MethodGet, path, tag)
	return err
}

// Manifest reads a tag's manifest, at most 4 MiB of it, and tells its kind. The error is
// [ErrManifestNotFound] when the registry itself says that there is none. Beside a
// [manifest.Error] it returns what is known: media type and digest.
func (r *Registry) Manifest(ctx context.Context, path, tag string) (m manifest.Manifest, err error) {
	defer wrap(&err, "reading the manifest of %s:%q", path, tag)
	q, resp, err := r.askForManifest(ctx, http.MethodGet, path, tag)
	if err != nil {
		return m, err
	}
	body, digest := throttle.Body(resp), resp.Header.Get("Docker-Content-Digest")
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || !manifest.IsType(kind) {
		return manifest.Manifest{MediaType: kind, Digest: digest}, q.failed(&manifest.Error{Problem: "its media type is none of a manifest or an index"})
	}
	if !hasDigest(digest, body) {
		return m, q.failed(&throttle.FormatError{Problem: "the manifest does not have the digest that the registry says"})
	}
	m, err = manifest.Classify(kind, body)
	m.Digest = digest
	if err != nil {
		return m, q.failed(err)
	}
	return m, nil
}

// ConfigCreated reads when an image was made from its config, a blob of the given digest, and
// whether the config says so at all; what it says may be the zero time. An [ElsewhereError]
// means that the registry does not keep the blob itself.
func (r *Registry) ConfigCreated(ctx context.Context, path, digest string) (created time.Time, dated bool, err error) {
	defer wrap(&err, "reading the config %q of an image in %s", digest, path)
	if err := checkPath(path); err != nil {
		return created, false, err
	}
	if !manifest.IsDigest(digest) {
		return created, false, &throttle.FormatError{Problem: "this is no digest"}
	}
	q := request{
		method: http.MethodGet, repository: path, path: "/v2/" + path + "/blobs/" + digest,
		options: throttle.Request{MaxBody: manifest.MaxBytes, Accepts: throttle.AnythingButHTML, Immutable: true},
	}
	resp, err := r.do(ctx, q)
	if redirect, ok := errors.AsType[*throttle.RedirectError](err); ok && redirect.Server == throttle.Registry {
		return created, false, q.failed(&ElsewhereError{redirect.To})
	}
	if err != nil {
		return created, false, err
	}
	if !hasDigest(digest, throttle.Body(resp)) {
		return created, false, q.failed(&throttle.FormatError{Problem: "the blob does not have the digest that was asked for"})
	}
	if created, dated, err = manifest.Created(throttle.Body(resp)); err != nil {
		return created, false, q.failed(&throttle.FormatError{Problem: "the config: " + err.Error()})
	}
	return created, dated, nil
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
