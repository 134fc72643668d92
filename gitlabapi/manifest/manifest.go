// Package manifest tells what a tag is from the bytes of its manifest, see [Classify], and says
// that it does not know of all that is not beyond doubt. It is pure: it neither reads nor asks
// for anything.
package manifest

import (
	"errors"
	"fmt"
	"mime"
	"slices"
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
	KindMultiArch       Kind = "multi-arch"       // an index of several images, or of one that nothing attests
	KindImage           Kind = "image"            // a manifest with the config of an image
	KindArtifact        Kind = "artifact"         // surely none of the others: a Helm chart, a signature, an index of indexes
	KindMissingManifest Kind = "missing-manifest" // never the result of [Classify]
)

// Media types of manifests and of what they are told by: those of the image
// specification of OCI, of Docker's registry, and of BuildKit's cache exporter.
const (
	TypeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	TypeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"

	// Docker's first schema, with and without signatures in it. Requests do not accept it,
	// and registries send it all the same where they have nothing else.
	typeSchema1       = "application/vnd.docker.distribution.manifest.v1+json"
	typeSignedSchema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

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
	// Children are the digests of the children that an index is as old as, each once: of its
	// images, and without any of its other manifests and indexes. There can be thousands.
	Children []string
}

// IsIndex reports whether the manifest stands for several.
func (m Manifest) IsIndex() bool { return m.MediaType == TypeOCIIndex || m.MediaType == TypeDockerList }

// IsCache reports whether the manifest is a build cache of BuildKit's, in either form.
func (m Manifest) IsCache() bool { return m.Kind == KindCacheIndex || m.Kind == KindCacheManifest }

// An Error is a manifest that is of no kind that this package is sure of: one that is broken,
// contradicts itself, or could be read in two ways.
type Error struct{ Problem string }

// Error implements error.
func (e *Error) Error() string { return "the manifest is of no known kind: " + e.Problem }

// Classify tells the kind of a manifest from its bytes and the Content-Type with which
// it came. It returns an [Error], and a kind unknown, unless the manifest is well-formed:
//
//   - one of the four media types of Docker's and OCI's manifests and indexes, the one
//     inside the document, if any, being the same; Docker's have it always;
//   - schema version 2, and either a config and layers or children, never both;
//   - no name twice in one object, nothing after the document, at most 4 MiB;
//   - descriptors with a media type, a digest and a size, and dates that can be read.
//
// What is well-formed has a kind. Tags are deleted for theirs, so that a build cache or an
// attested image is only what has the form in which BuildKit writes it, without anything
// else in it; whatever differs is an artifact. The kinds of an index are told by its
// children, see [Kind]. Docker's first schema is an artifact, too: nothing is read of it.
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
	case IsSchema1(kind) && d.SchemaVersion == 1 && (d.MediaType == nil || *d.MediaType == kind):
		m.Kind = KindArtifact
		return m, nil
	case !IsType(kind):
		return m, errors.New("its media type is neither that of a manifest nor that of an index")
	case d.SchemaVersion != 2:
		return m, errors.New("its schema version is not 2")
	case d.MediaType != nil && *d.MediaType != kind, d.MediaType == nil && isDocker:
		return m, errors.New("its media type differs from the one in the answer's header")
	case m.IsIndex():
		return classifyIndex(m, d)
	default:
		return classifyManifest(m, d)
	}
}

// A Blob is what a manifest references.
type Blob struct {
	Digest string
	Size   int64
}

// Blobs returns the config and the layers of a manifest that [Classify] has taken, as it names them;
// none of an index, and none of Docker's first schema.
func Blobs(body []byte) []Blob {
	d, err := read[document](body)
	if err != nil || d.Config == nil || d.Config.Size == nil {
		return nil
	}
	blobs := []Blob{{d.Config.Digest, *d.Config.Size}}
	if d.Layers == nil {
		return blobs
	}
	for _, layer := range *d.Layers {
		if layer.Size != nil {
			blobs = append(blobs, Blob{layer.Digest, *layer.Size})
		}
	}
	return blobs
}

// IsType reports whether a media type is one of those that requests accept.
// Of others nothing is known, not even of which bytes they state the digest.
func IsType(kind string) bool {
	switch kind {
	case TypeOCIManifest, TypeOCIIndex, TypeDockerManifest, TypeDockerList:
		return true
	default:
		return false
	}
}

// IsSchema1 reports whether a media type is that of the first schema of Docker's manifests. The
// digest of one that is signed is that of its bytes without the signatures.
func IsSchema1(kind string) bool { return kind == typeSchema1 || kind == typeSignedSchema1 }

// classifyManifest tells the kind of a manifest by its config. Signatures and attestations have
// that of an image: what none of the layers of are an image's is none. kaniko's cached layers
// have the form of an image, and count as images.
func classifyManifest(m Manifest, d document) (Manifest, error) {
	switch {
	case d.Manifests != nil:
		return m, errors.New("it is a manifest but has children")
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
	all := append(layers, *d.Config)
	m.Bytes, _ = sum(all)
	plain := d.ArtifactType == nil && d.Subject == nil && d.Layers != nil && !slices.ContainsFunc(all, descriptor.isSpecial)
	isImage := len(layers) == 0 || slices.ContainsFunc(layers, func(l descriptor) bool { return isLayer(l.MediaType) })
	switch m.Kind = KindArtifact; d.Config.MediaType {
	case typeCacheConfig:
		if plain {
			m.Kind = KindCacheManifest
		}
	case typeOCIConfig, typeDockerConfig:
		if isImage && d.ArtifactType == nil && d.Subject == nil {
			m.Kind = KindImage
		}
	}
	return m, nil
}
