package gitlabapi

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
)

// A Descriptor is what a registry says about a tag's manifest without showing it.
type Descriptor struct {
	MediaType string
	Digest    string // "sha256:…"
}

// IsIndex reports whether the manifest stands for several: GitLab asks for none that
// does, but for a Docker list.
func (d Descriptor) IsIndex() bool {
	return d.MediaType == typeOCIIndex || d.MediaType == typeDockerList
}

// Head asks for the media type and the digest of a tag's manifest. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
//
// An answer to HEAD has no body, and a 404 without one may be anybody's: proxies before
// a registry are even known to add its own header to their errors. So a 404 is asked
// about once more by GET, and proves something only if that one says so.
func (r *Registry) Head(ctx context.Context, path, tag string) (Descriptor, error) {
	q, err := r.aboutManifest(http.MethodHead, path, tag)
	if err != nil {
		return Descriptor{}, fmt.Errorf("asking for %s:%q: %w", path, tag, err)
	}
	resp, err := r.ask(ctx, q)
	if errors.Is(err, ErrNotFound) {
		q.method = http.MethodGet
		resp, err = r.ask(ctx, q)
	}
	if err != nil {
		return Descriptor{}, fmt.Errorf("asking for %s:%s: %w", path, tag, err)
	}
	d := Descriptor{Digest: resp.Header.Get("Docker-Content-Digest")}
	d.MediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if d.MediaType == "" || !isDigest(d.Digest) {
		err := &FormatError{"the answer has no media type or no digest: is REGISTRY_URL the address of GitLab's registry?"}
		return Descriptor{}, fmt.Errorf("asking for %s:%s: %w", path, tag, q.failed(err))
	}
	return d, nil
}

// Exists asks whether there is a tag, for those who expect that there is none: by GET
// at once, as the 404 of a HEAD would have to be asked about again. The error is
// [ErrManifestNotFound] when the registry itself says that there is none.
func (r *Registry) Exists(ctx context.Context, path, tag string) error {
	q, err := r.aboutManifest(http.MethodGet, path, tag)
	if err == nil {
		_, err = r.ask(ctx, q)
	}
	if err != nil {
		return fmt.Errorf("asking for %s:%q: %w", path, tag, err)
	}
	return nil
}

// Manifest reads a tag's manifest, at most 4 MiB of it, and tells its kind. The error is
// [ErrManifestNotFound] when the registry itself says that there is none. Beside a
// [ManifestError] it returns what is known: media type and digest.
func (r *Registry) Manifest(ctx context.Context, path, tag string) (Manifest, error) {
	m, err := r.manifest(ctx, path, tag)
	if err != nil {
		return m, fmt.Errorf("reading the manifest of %s:%q: %w", path, tag, err)
	}
	return m, nil
}

func (r *Registry) manifest(ctx context.Context, path, tag string) (Manifest, error) {
	q, err := r.aboutManifest(http.MethodGet, path, tag)
	if err != nil {
		return Manifest{}, err
	}
	resp, err := r.ask(ctx, q)
	if err != nil {
		return Manifest{}, err
	}
	body, digest := bytesOf(resp), resp.Header.Get("Docker-Content-Digest")
	m := Manifest{Digest: digest}
	if m.MediaType, _, err = mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || !isManifestType(m.MediaType) {
		return m, q.failed(&ManifestError{"its media type is none of a manifest or an index"})
	}
	if !isDigestOf(digest, body) {
		return Manifest{}, q.failed(&FormatError{"the manifest does not have the digest that the registry says"})
	}
	m, err = Classify(m.MediaType, body)
	m.Digest = digest
	if err != nil {
		return m, q.failed(err)
	}
	return m, nil
}

// aboutManifest makes a question about a tag's manifest of whatever type.
func (r *Registry) aboutManifest(method, path, tag string) (question, error) {
	if err := errors.Join(checkRepositoryPath(path), checkTagName(tag)); err != nil {
		return question{}, err
	}
	return question{
		method: method, repository: path, url: r.at("/v2/"+path+"/manifests/"+tag, ""),
		accept: manifestTypes, expect: aManifest, tag: true,
	}, nil
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
	if err := checkRepositoryPath(path); err != nil {
		return time.Time{}, err
	}
	if !isDigest(digest) {
		return time.Time{}, &FormatError{"this is no digest"}
	}
	q := question{method: http.MethodGet, repository: path, url: r.at("/v2/"+path+"/blobs/"+digest, ""), expect: aBlob}
	resp, err := r.ask(ctx, q)
	if redirect, ok := errors.AsType[*RedirectError](err); ok && redirect.from == registry {
		return time.Time{}, q.failed(&ElsewhereError{redirect.To})
	}
	if err != nil {
		return time.Time{}, err
	}
	if !isDigestOf(digest, bytesOf(resp)) {
		return time.Time{}, q.failed(&FormatError{"the blob does not have the digest that was asked for"})
	}
	created, err := createdOf(bytesOf(resp))
	if err != nil {
		return time.Time{}, q.failed(&FormatError{"the config: " + err.Error()})
	}
	return created, nil
}

// createdOf reads the date out of a config, zero if it has none. A config that says the
// zero time has a date all the same; since the two could not be told apart, it is an
// error.
func createdOf(config []byte) (time.Time, error) {
	parsed, err := parseDocument(config)
	if err != nil {
		return time.Time{}, err
	}
	document, ok := parsed.(map[string]any)
	if !ok {
		return time.Time{}, errors.New("it is no object")
	}
	if document["created"] == nil {
		return time.Time{}, nil
	}
	text, _ := document["created"].(string)
	created, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || created.IsZero() {
		return time.Time{}, errors.New("its date cannot be read")
	}
	return created, nil
}

// failed puts what is wrong with an answer to the question into an error.
func (q question) failed(err error) error { return &RequestError{q.method, q.url.EscapedPath(), err} }

// bytesOf returns the body of an answer, which is in memory.
func bytesOf(resp *http.Response) []byte {
	if body, ok := resp.Body.(*readBody); ok {
		return body.data
	}
	return nil
}

// isDigestOf reports whether bytes have a digest, by the algorithm that it names.
func isDigestOf(digest string, data []byte) bool {
	if !isDigest(digest) {
		return false
	}
	algorithm, sum, _ := strings.Cut(digest, ":")
	if algorithm == "sha512" {
		return sum == fmt.Sprintf("%x", sha512.Sum512(data))
	}
	return sum == fmt.Sprintf("%x", sha256.Sum256(data))
}
