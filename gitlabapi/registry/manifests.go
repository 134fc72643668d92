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

// askForManifest asks for a tag's manifest of whatever type. There are registries that take a
// name such as sha256-<hex> for the digest: what they send then is not the tag's.
func (r *Registry) askForManifest(ctx context.Context, method, path, tag string) (request, *http.Response, error) {
	if err := errors.Join(checkPath(path), CheckTag(tag)); err != nil {
		return request{}, nil, err
	}
	q := requestFor(method, path, tag)
	q.tag = tag
	resp, err := r.do(ctx, q)
	if err == nil && manifest.NamesDigest(tag) && strings.Replace(tag, "-", ":", 1) == resp.Header.Get("Docker-Content-Digest") {
		err = q.failed(errTakenForDigest)
	}
	return q, resp, err
}

// askForDigest asks for a manifest by its digest. The name is that of what a 404 is about, if it is to
// be [ErrManifestNotFound].
func (r *Registry) askForDigest(ctx context.Context, path, digest, name string) (request, *http.Response, error) {
	if err := checkPath(path); err != nil {
		return request{}, nil, err
	}
	if !manifest.IsDigest(digest) {
		return request{}, nil, &throttle.FormatError{Problem: "this is no digest"}
	}
	q := requestFor(http.MethodGet, path, digest)
	q.tag, q.options.Immutable = name, true
	resp, err := r.do(ctx, q)
	return q, resp, err
}

// errTakenForDigest says why a tag's manifest could not be read. errLikeDigest is about a name that is not
// even asked for.
var (
	errTakenForDigest = &throttle.FormatError{Problem: "the registry takes the tag's name for a digest, and shows what has it"}
	errLikeDigest     = &throttle.FormatError{Problem: "the registry may take the tag's name for a digest"}
)

// requestFor returns a request for a manifest, by its tag or digest.
func requestFor(method, path, reference string) request {
	return request{
		method: method, repository: path, path: "/v2/" + path + "/manifests/" + reference, accept: manifestTypes,
		options: throttle.Request{MaxBody: manifest.MaxBytes, Accepts: throttle.AnyApplication},
	}
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
	return read(q, resp)
}

// read tells the kind of the manifest in an answer. The digest of Docker's first schema is not
// that of the bytes.
func read(q request, resp *http.Response) (m manifest.Manifest, err error) {
	body, digest := throttle.Body(resp), resp.Header.Get("Docker-Content-Digest")
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	known := err == nil && (manifest.IsType(kind) || manifest.IsSchema1(kind))
	switch {
	case !known:
		return manifest.Manifest{MediaType: kind, Digest: digest}, q.failed(&manifest.Error{Problem: "its media type is neither that of a manifest nor that of an index"})
	case !manifest.IsSchema1(kind) && !hasDigest(digest, body), !manifest.IsDigest(digest):
		return m, q.failed(&throttle.FormatError{Problem: "the manifest does not have the digest that the registry says"})
	}
	m, err = manifest.Classify(kind, body)
	m.Digest = digest
	if err != nil {
		return m, q.failed(err)
	}
	return m, nil
}

// maxChildren is how many manifests are read at most to find out how old an index is.
const maxChildren = 32

// Contents are what a manifest leads to.
type Contents struct {
	// Created is when the tag was made, and Dated whether anything says so.
	Created time.Time
	Dated   bool
	// Bytes is the size of the configs and layers, each counted once; 0 when nothing says it.
	Bytes int64
}

// Contents reads when a tag was made, of which m is the manifest, and how large it is:
//
//   - of a build cache its newest layer, which m knows already: nothing is sent;
//   - of an index the newest of what its [manifest.Manifest.Children] say, which are read by
//     their digests, indexes among them with their own, at most 32 in all; its size is what these
//     reference, and not the few kilobytes of their manifests;
//   - of everything else its config.
//
// Whether a date says how old the tag is, [manifest.SaysAge] tells: programs write fixed ones. An
// index of which one child says no age says none either, as that child may be the newest: such
// a date, or the zero time, is what is returned. That nothing says a date is certain where
// Dated is false: all was read. A child that cannot be found is an error, and so is what
// could not be read otherwise; an [ElsewhereError] as for [Registry.ConfigCreated]. An error of
// a child or config says nothing about the tag: it is no [ErrManifestNotFound].
func (r *Registry) Contents(ctx context.Context, path string, m manifest.Manifest) (Contents, error) {
	index := &reading{left: maxChildren, counted: make(map[string]bool)}
	created, dated, err := r.created(ctx, path, m, index)
	switch {
	case err != nil:
		return Contents{}, err
	case m.IsIndex() && !m.IsCache():
		return Contents{created, dated, index.bytes()}, nil
	default:
		return Contents{created, dated, m.Bytes}, nil
	}
}

// A reading is how far the children of an index have been read.
type reading struct {
	left    int // how many more may be
	counted map[string]bool
	sum     int64 // of the blobs that were counted; less than none for a sum that no registry holds
}

// count adds blobs that were not counted before.
func (r *reading) count(blobs ...manifest.Blob) {
	for _, blob := range blobs {
		if !r.counted[blob.Digest] && r.sum >= 0 {
			r.sum += blob.Size
		}
		r.counted[blob.Digest] = true
	}
}

// bytes returns the size of what was counted, 0 for one that no registry holds.
func (r *reading) bytes() int64 { return max(r.sum, 0) }

func (r *Registry) created(ctx context.Context, path string, m manifest.Manifest, index *reading) (created time.Time, dated bool, err error) {
	switch {
	case m.Kind == manifest.KindUnknown || m.Kind == manifest.KindMissingManifest:
		return created, false, errors.New("a manifest that was not read has no known age")
	case m.IsCache():
		return m.Newest, !m.Newest.IsZero(), nil
	case manifest.IsSchema1(m.MediaType):
		return created, false, errors.New("the date in a manifest of Docker's first schema is not read")
	case !m.IsIndex():
		return r.ConfigCreated(ctx, path, m.ConfigDigest)
	case len(m.Children) > index.left:
		return created, false, fmt.Errorf("the index has more than %d children that say how old it is", maxChildren)
	}
	index.left -= len(m.Children)
	found := ages{newest: m.Newest, dated: !m.Newest.IsZero()}
	for _, digest := range m.Children {
		child, blobs, err := r.child(ctx, path, digest)
		if err != nil {
			return time.Time{}, false, err
		}
		index.count(blobs...)
		at, says, err := r.created(ctx, path, child, index)
		if err != nil {
			return time.Time{}, false, err
		}
		found.add(at, says)
	}
	if found.silent && manifest.SaysAge(found.newest) {
		found.newest = time.Time{}
	}
	return found.newest, found.dated, nil
}

// ages are what the children of an index say of their age.
type ages struct {
	newest time.Time
	dated  bool // some date is said
	silent bool // some child says no age
}

func (a *ages) add(at time.Time, dated bool) {
	a.dated = a.dated || dated
	a.silent = a.silent || !dated || !manifest.SaysAge(at)
	if at.After(a.newest) {
		a.newest = at
	}
}

// child reads a manifest by its digest, and what it references.
func (r *Registry) child(ctx context.Context, path, digest string) (m manifest.Manifest, blobs []manifest.Blob, err error) {
	defer wrap(&err, "reading %s, a child of an index in %s", digest, path)
	q, resp, err := r.askForDigest(ctx, path, digest, "")
	if err != nil {
		return m, nil, err
	}
	if m, err = read(q, resp); err == nil && m.Digest != digest {
		err = q.failed(&throttle.FormatError{Problem: "the manifest is not the one that was asked for"})
	}
	if err != nil {
		return m, nil, err
	}
	return m, manifest.Blobs(throttle.Body(resp)), nil
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
