package registry

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A RawManifest is a manifest as it was pushed.
type RawManifest struct {
	MediaType string
	Digest    string // of the bytes
	Bytes     []byte
}

// RawManifest reads a manifest by its digest, which need not have a tag any more: a registry keeps it
// until it collects what no tag needs. Its bytes have the digest. The error is [ErrManifestNotFound] when
// the registry itself says that there is none.
func (r *Registry) RawManifest(ctx context.Context, path, digest string) (m RawManifest, err error) {
	defer wrap(&err, "reading the manifest %s in %s", digest, path)
	q, resp, err := r.askForDigest(ctx, path, digest, digest)
	if err != nil {
		return m, err
	}
	mediaType, body := resp.Header.Get("Content-Type"), throttle.Body(resp)
	kind, _, err := mime.ParseMediaType(mediaType)
	switch {
	case err != nil || !manifest.IsType(kind):
		return m, q.failed(&throttle.FormatError{Problem: "what has this digest came as no manifest and no index"})
	case !hasDigest(digest, body):
		return m, q.failed(&throttle.FormatError{Problem: "the manifest does not have the digest that was asked for"})
	}
	return RawManifest{MediaType: mediaType, Digest: digest, Bytes: body}, nil
}

// Names asks which digest a tag names, and says when that was asked: a tag may be set to something else at
// any time. It is a GET, as for [Registry.Exists]: the caller expects that there is no such tag. The error
// is [ErrNoSuchTag] when the registry itself says so, and a [*LostManifestError] where the tag is there and its
// manifest is not. That the manifest is none that is known here is no error: the tag is there.
func (r *Registry) Names(ctx context.Context, path, tag string) (digest string, asked time.Time, err error) {
	defer wrap(&err, "asking for %s:%q", path, tag)
	if err := checkName(path, tag); err != nil {
		return "", asked, err
	}
	q := requestFor(http.MethodGet, path, tag)
	q.tag, q.options.Sent = tag, &asked
	resp, err := r.do(ctx, q)
	if err != nil {
		return "", asked, err
	}
	m, err := read(q, resp)
	if _, isOdd := errors.AsType[*manifest.Error](err); isOdd && manifest.IsDigest(m.Digest) {
		err = nil
	}
	return m.Digest, asked, err
}

// checkName refuses what is no tag, or may be taken for a digest.
func checkName(path, tag string) error {
	err := errors.Join(checkPath(path), CheckTag(tag))
	if err == nil && manifest.NamesDigest(tag) {
		err = errLikeDigest
	}
	return err
}

// Restore sets a tag to a manifest that the repository had. It overwrites whatever the tag names by
// then, since a registry knows no condition for that: the caller has to have seen just before that there
// is no such tag.
//
// So it is sent once, and not at all once before has ended ([throttle.ErrNotSent]); it is sent before others
// that wait. After any error but that it may have been done all the same. The error is [throttle.ErrForbidden]
// where the tag is protected, or the token may not push; [ErrCollected] where the registry has lost what
// the manifest refers to.
func (r *Registry) Restore(ctx, before context.Context, path, tag string, m RawManifest) (err error) {
	defer wrap(&err, "setting %s:%q to %s", path, tag, m.Digest)
	if err := checkName(path, tag); err != nil {
		return fmt.Errorf("%w: %w", throttle.ErrNotSent, err)
	}
	q := requestFor(http.MethodPut, path, tag)
	q.accept, q.body, q.contentType = "", m.Bytes, m.MediaType
	q.options = throttle.Request{Accepts: throttle.AnythingButHTML, Priority: throttle.Deletion, Before: before, Tries: new(1)}
	resp, err := r.do(ctx, q)
	if err != nil {
		return err
	}
	if digest := resp.Header.Get("Docker-Content-Digest"); digest != "" && digest != m.Digest {
		return q.failed(&throttle.FormatError{Problem: "the registry gives what it was sent another digest"})
	}
	return nil
}

// Reach asks whether the registry is there, and wants the tokens of the instance's own /jwt/auth.
func (r *Registry) Reach(ctx context.Context) error {
	if _, err := r.open(ctx); err != nil {
		return fmt.Errorf("asking the registry at %s: %w", r.base.Host, err)
	}
	return nil
}
