package gitlabtest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// digestForm is what a digest looks like. A tag never does: it has no colon.
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// storedAt returns the repository of the call's path, nil if there is none, or the
// answer that it has no valid name. The server is locked.
func (s *Server) storedAt(c *call) (*repository, *answer) {
	path := c.params["path"]
	if !validRepository(path) || path == "" {
		return nil, registryFailure(http.StatusBadRequest, "NAME_INVALID", "invalid repository name", path)
	}
	return s.reviewed(s.state.located[path]), nil
}

// knownAt is storedAt for endpoints to which a name without a repository is an error.
func (s *Server) knownAt(c *call) (*repository, *answer) {
	r, refused := s.storedAt(c)
	if refused == nil && r == nil {
		refused = registryFailure(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry",
			map[string]string{"name": c.params["path"]})
	}
	return r, refused
}

// showManifest answers GET and HEAD on a manifest by its tag or digest.
func (s *Server) showManifest(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest, m, unknown := s.manifestAt(c)
	switch {
	case c.manifest != nil:
		m = c.manifest
	case digest != "" && c.request.Header.Get("If-None-Match") == `"`+digest+`"`:
		// On LEGACY the manifest itself has not been looked for by then.
		return &answer{status: http.StatusNotModified, body: noBody{}}
	case unknown != nil:
		return unknown
	default:
		// The weights of media types mean nothing to the registry, and neither do wildcards.
		var accepted []string
		for item := range strings.SplitSeq(strings.Join(c.request.Header.Values("Accept"), ","), ",") {
			if mediaType, _, err := mime.ParseMediaType(item); err == nil {
				accepted = append(accepted, mediaType)
			}
		}
		served, why := s.state.registry.negotiate(m, !digestForm.MatchString(c.params["reference"]), accepted)
		if served == nil {
			return manifestUnknown(why, nil)
		}
		m = served
	}
	c.header.Set("Docker-Content-Digest", m.digest)
	c.header.Set("Etag", `"`+m.digest+`"`)
	return &answer{status: http.StatusOK, body: m.body, contentType: m.mediaType}
}

// manifestAt finds the manifest of the call's path. The digest is "" unless there is a
// manifest, or a tag that names one that cannot be found. The server is locked.
func (s *Server) manifestAt(c *call) (digest string, m *manifest, unknown *answer) {
	r, refused := s.storedAt(c)
	if refused != nil {
		return "", nil, refused
	}
	reference := c.params["reference"]
	if digest := strings.Replace(reference, "-", ":", 1); s.options.namesAreDigests && r != nil &&
		digestForm.MatchString(digest) && c.view(r).has(digest) {
		reference = digest
	}
	switch byDigest := digestForm.MatchString(reference); {
	case !byDigest && !validTag(reference):
		return "", nil, noRegistryPage(http.StatusNotFound)
	case r == nil && byDigest:
		return "", nil, revisionUnknown(c.params["path"], reference)
	case r == nil:
		return "", nil, tagUnknown(reference)
	case byDigest:
		m := s.state.registry.manifests[reference]
		if m == nil || !c.view(r).has(reference) || c.losesDigest(r, reference) {
			return "", nil, revisionUnknown(r.path, reference)
		}
		return m.digest, m, nil
	}
	t, found := c.view(r).find(reference)
	switch {
	case !found || c.isUnlinked(reference):
		return "", nil, tagUnknown(reference)
	case t.manifest == nil: // its tag names a digest all the same
		digest = digestOf([]byte(r.path + ":" + t.name))
	default:
		digest = t.manifest.digest
	}
	if t.manifest == nil || c.losesTag(r, t.name) {
		return digest, nil, revisionUnknown(r.path, digest)
	}
	return digest, t.manifest, nil
}

// showBlob answers GET and HEAD on a blob.
func (s *Server) showBlob(c *call) *answer {
	digest := c.params["digest"]
	if !digestForm.MatchString(digest) {
		return noRegistryPage(http.StatusNotFound)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.storedAt(c)
	if refused != nil {
		return refused
	}
	body, ok := s.state.registry.blobs[digest]
	if r == nil || !ok || c.blobsLost || !c.view(r).has(digest) {
		return registryFailure(http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry", digest)
	}
	c.header.Set("Accept-Ranges", "bytes")
	c.header.Set("Cache-Control", "max-age=31536000")
	c.header.Set("Docker-Content-Digest", digest)
	c.header.Set("Etag", `"`+digest+`"`)
	return &answer{status: http.StatusOK, body: body, contentType: "application/octet-stream"}
}

// deleteManifest answers DELETE by tag, which removes the tag and nothing else. By
// digest it would take every tag of the manifest along: that is a violation.
func (s *Server) deleteManifest(c *call) *answer {
	reference := c.params["reference"]
	if !validTag(reference) {
		c.violation = c.endpoint() + ": a deletion by digest takes other tags along"
		return registryFailure(http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.", nil)
	}
	r, refused := s.storedAt(c)
	kept := s.keeps(s.state.projectOf(c.params["path"]), reference, toDelete)
	switch {
	case refused != nil:
		return refused
	case kept != nil:
		return kept
	case r == nil:
		return tagUnknown(reference)
	}
	switch there, err := s.removeTag(c, r, reference); {
	case err != nil:
		return unavailable()
	case !there:
		return tagUnknown(reference)
	}
	return &answer{status: http.StatusAccepted, body: noBody{}}
}

// removeTag removes a tag, as long as that takes, and notes that it was asked for, if it was
// there. The server must not be locked. A name that a registry may take for a digest is a
// violation: what goes by it is the image.
func (s *Server) removeTag(c *call, r *repository, name string) (there bool, err error) {
	if !validTag(name) {
		c.violation = c.endpoint() + ": no tag can have this name"
	}
	if digestName.MatchString(name) {
		c.violation = c.endpoint() + ": a deletion by a name that may be taken for a digest"
	}
	switch time.Sleep(c.deletionTakes); {
	case c.registryUnreachable:
		return false, errUnreachable
	case c.registryFails:
		return false, errRegistrySays
	case c.isUnlinked(name):
		return true, nil
	case s.real != nil:
		if there, err = s.real.deleteTag(c.request.Context(), r.path, name); err != nil || !there {
			return there, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was, there := r.stored.remove(name, s.options.clock())
	if there {
		s.deleted = append(s.deleted, stateOf(r, &was))
	}
	return there, nil
}

// maxManifest is how long a manifest may be.
const maxManifest = 4 << 20

// putManifest answers PUT on a tag or a digest. What the manifest refers to must
// be there; blobs cannot be pushed, so that this brings tags back or adds to them.
func (s *Server) putManifest(c *call) *answer {
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.request.Body, maxManifest))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return manifestInvalid("manifest is too long")
	} else if err != nil {
		panic(http.ErrAbortHandler) // the client has gone away
	}
	m, err := readManifest(body)
	if err != nil || m.mediaType != c.request.Header.Get("Content-Type") {
		return manifestInvalid("not a document of its content type")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.knownAt(c)
	reference := c.params["reference"]
	byDigest := digestForm.MatchString(reference)
	kept := s.keeps(s.state.projectOf(c.params["path"]), reference, toPush)
	switch {
	case refused != nil:
		return refused
	case byDigest && reference != m.digest:
		return registryFailure(http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content", nil)
	case !byDigest && !validTag(reference):
		return noRegistryPage(http.StatusNotFound)
	case !byDigest && kept != nil:
		return kept
	}
	for _, digest := range m.references() {
		if !r.stored.has(digest) {
			return registryFailure(http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", digest)
		}
	}
	c.header.Set("Docker-Content-Digest", m.digest)
	c.header.Set("Location", c.origin()+"/v2/"+r.path+"/manifests/"+m.digest)
	if c.dropsPushes {
		return &answer{status: http.StatusCreated, body: noBody{}}
	}
	if s.real != nil {
		s.mu.Unlock()
		err := newPusher(c.request.Context(), s.real.url).putManifest(r.path, reference, m)
		if s.mu.Lock(); err != nil {
			return unavailable()
		}
	}
	m = s.state.registry.putManifest(m.body)
	now := s.options.clock()
	if r.stored.add(m); byDigest {
		r.stored.lost(m, now.UnixNano())
	} else {
		s.state.retag(r, reference, m, now)
	}
	return &answer{status: http.StatusCreated, body: noBody{}}
}
