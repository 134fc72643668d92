package gitlabtest

import "net/http"

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
	if r == nil || !ok || c.blobsLost || !c.view(r).holds(digest) {
		return blobUnknown("BLOB_UNKNOWN", digest)
	}
	c.header.Set("Accept-Ranges", "bytes")
	c.header.Set("Cache-Control", "max-age=31536000")
	c.header.Set("Docker-Content-Digest", digest)
	c.header.Set("Etag", `"`+digest+`"`)
	return &answer{status: http.StatusOK, body: body, contentType: "application/octet-stream"}
}
