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

// Names asks which digest a tag names. It is a GET, as for [Registry.Exists]: the caller expects that
// there is no such tag. The error is [ErrNoSuchTag] when the registry itself says so. That the manifest
// cannot be found, or is none that is known here, is no error: the tag is there.
func (r *Registry) Names(ctx context.Context, path, tag string) (digest string, err error) {
	m, err := r.Manifest(ctx, path, tag)
	lost, isLost := errors.AsType[*LostManifestError](err)
	_, isOdd := errors.AsType[*manifest.Error](err)
	switch {
	case isLost:
		return lost.Digest, nil
	case isOdd && manifest.IsDigest(m.Digest):
		return m.Digest, nil
	case err != nil:
		return "", err
	}
	return m.Digest, nil
}

// Restore sets a tag to a manifest that the repository had. It overwrites whatever the tag names by
// then, since a registry knows no condition for that: the caller has to have seen just before that there
// is no such tag.
//
// So it is sent once, and not at all after a time ([throttle.ErrNotSent]); it is sent before others that
// wait. After any error but that it may have been done all the same. The error is [throttle.ErrForbidden]
// where the tag is protected, or the token may not push; [ErrCollected] where the registry has lost what
// the manifest refers to.
func (r *Registry) Restore(ctx context.Context, path, tag string, m RawManifest, before time.Time) (err error) {
	defer wrap(&err, "setting %s:%q to %s", path, tag, m.Digest)
	switch err := errors.Join(checkPath(path), CheckTag(tag)); {
	case err != nil:
		return fmt.Errorf("%w: %w", throttle.ErrNotSent, err)
	case manifest.NamesDigest(tag):
		return fmt.Errorf("%w: %w", throttle.ErrNotSent, errTakenForDigest)
	}
	soon, cancel := context.WithDeadline(ctx, before)
	defer cancel()
	q := requestFor(http.MethodPut, path, tag)
	q.accept, q.body, q.contentType = "", m.Bytes, m.MediaType
	q.options = throttle.Request{Accepts: throttle.AnythingButHTML, Priority: throttle.Deletion, Before: soon, Tries: new(1)}
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
