// Package manifest tells what a tag is from the bytes of its manifest, see [Classify], and says
// that it does not know of all that is not beyond doubt. It is pure: it neither reads nor asks
// for anything.
package manifest

import (
	"errors"
	"fmt"
	"mime"
	"time"
)

// A Kind says what a tag's manifest is.
type Kind string

// The kinds of manifests. All but the last are read from a manifest's bytes; the last
// is that of a tag which has none.
const (
	KindUnknown         Kind = ""
	KindCacheIndex      Kind = "cache-index"      // a BuildKit cache exported as an index
	KindCacheManifest   Kind = "cache-manifest"   // a BuildKit cache exported as a manifest
	KindAttestedImage   Kind = "attested-image"   // an index of one image and what attests it
	KindMultiArch       Kind = "multi-arch"       // any other index of images
	KindImage           Kind = "image"            // a manifest with the config of an image
	KindArtifact        Kind = "artifact"         // a manifest with another config: a Helm chart, say
	KindMissingManifest Kind = "missing-manifest" // never the result of [Classify]
)

// Media types of manifests and of what they are told by: those of the image
// specification of OCI, of Docker's registry, and of BuildKit's cache exporter.
const (
	TypeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	TypeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"

	typeOCIConfig    = "application/vnd.oci.image.config.v1+json"
	typeDockerConfig = "application/vnd.docker.container.image.v1+json"
	typeCacheConfig  = "application/vnd.buildkit.cacheconfig.v0"
)

// A Manifest is what can be learned of a tag from the bytes of its manifest.
type Manifest struct {
	Kind      Kind
	MediaType string
	// Digest of the bytes; empty in the result of [Classify].
	Digest       string
	ConfigDigest string // of a manifest's config; empty for an index
	// Newest is the latest time at which BuildKit says that a layer was made: the age
	// of a cache. Zero when it says so of none.
	Newest time.Time
	// Bytes is the size of config and layers together, whether other manifests share
	// them or not. Zero for an index of images, whose layers are in its children.
	Bytes int64
	// Amd64 is the digest of a Docker manifest list's first child for linux/amd64, which
	// GitLab takes for the whole list. Empty if there is none, and for an OCI index.
	Amd64 string
}

// IsIndex reports whether the manifest stands for several.
func (m Manifest) IsIndex() bool { return m.MediaType == TypeOCIIndex || m.MediaType == TypeDockerList }

// An Error is a manifest that is of no kind that this package is sure of.
type Error struct{ Problem string }

// Error implements error.
func (e *Error) Error() string { return "the manifest is of no known kind: " + e.Problem }

// Classify tells the kind of a manifest from its bytes and the Content-Type with which
// it came. It returns an [Error], and a kind unknown, unless the manifest is
// well-formed and of one kind beyond doubt, since tags are deleted for their kind:
//
//   - one of the four media types of Docker's and OCI's manifests and indexes, the one
//     inside the document, if any, being the same; Docker's have it always;
//   - schema version 2, and either a config and layers or children, never both;
//   - no name twice in one object, nothing after the document, at most 4 MiB;
//   - descriptors with a media type, a digest and a size;
//   - neither subject nor artifact type in an index or a cache, which make it
//     something that BuildKit does not write.
//
// The kinds of an index are told by its children, see [Kind].
func Classify(contentType string, body []byte) (Manifest, error) {
	m, err := classify(contentType, body)
	if err != nil {
		return Manifest{MediaType: m.MediaType}, &Error{err.Error()}
	}
	return m, nil
}

func classify(contentType string, body []byte) (Manifest, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return Manifest{}, errors.New("it has no media type")
	}
	m := Manifest{MediaType: kind}
	d, err := read[document](body)
	isDocker := kind == TypeDockerManifest || kind == TypeDockerList
	switch {
	case err != nil:
		return m, err
	case !IsType(kind):
		return m, errors.New("its media type is none of a manifest or an index")
	case d.SchemaVersion != 2:
		return m, errors.New("its schema version is not 2")
	case d.MediaType != nil && *d.MediaType != kind, d.MediaType == nil && isDocker:
		return m, errors.New("its media type is not the one that it came with")
	case m.IsIndex():
		return classifyIndex(m, d)
	default:
		return classifyManifest(m, d)
	}
}

// IsType reports whether a media type is one of those that requests accept.
// Of others, the first schema of Docker's manifests among them, nothing is known, not
// even of which bytes they state the digest.
func IsType(kind string) bool {
	switch kind {
	case TypeOCIManifest, TypeOCIIndex, TypeDockerManifest, TypeDockerList:
		return true
	default:
		return false
	}
}

// classifyManifest tells the kind of a manifest by its config. Which media types the
// layers have is left open: an image with layers of a new type is an image.
func classifyManifest(m Manifest, d document) (Manifest, error) {
	switch {
	case d.Manifests != nil:
		return m, errors.New("it is a manifest with children")
	case d.Config == nil:
		return m, errors.New("it has no config")
	}
	if err := d.Config.check(); err != nil {
		return m, fmt.Errorf("its config: %w", err)
	}
	layers, err := checkAll(d.Layers)
	if err != nil {
		return m, fmt.Errorf("its layers: %w", err)
	}
	m.ConfigDigest = d.Config.Digest
	_, m.Newest = sum(layers)
	m.Bytes, _ = sum(append(layers, *d.Config))
	special := d.ArtifactType != nil || d.Subject != nil
	switch d.Config.MediaType {
	case typeCacheConfig:
		m.Kind = KindCacheManifest
		if special {
			return m, errors.New("it is a cache with a subject or an artifact type")
		}
	case typeOCIConfig, typeDockerConfig:
		m.Kind = KindImage
		if special {
			m.Kind = KindArtifact
		}
	default:
		m.Kind = KindArtifact
	}
	return m, nil
}
