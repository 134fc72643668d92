package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// index is the children of an index by what they are.
type index struct {
	runnable     []descriptor // an image for a platform
	attestations []descriptor
	nowhere      []descriptor // manifests for the platform unknown/unknown that attest nothing
	others       []descriptor // manifests and indexes that are none of these
	caches       int          // configs of BuildKit caches
	layers       int
	odd          bool // something is not what BuildKit writes
}

// classifyIndex tells the kind of an index by its children.
func classifyIndex(m Manifest, d document) (Manifest, error) {
	if d.Config != nil || d.Layers != nil {
		return m, errors.New("it is an index with a config or layers")
	}
	children, err := checkAll(d.Manifests)
	if err != nil {
		return m, fmt.Errorf("its children: %w", err)
	}
	idx := index{odd: d.ArtifactType != nil || d.Subject != nil}
	for _, child := range children {
		idx.addChild(child)
	}
	m.Kind = idx.kind()
	var size int64
	if size, m.Newest = sum(children); m.Kind == KindCacheIndex {
		m.Bytes = size
	}
	m.Children = idx.dated()
	if m.MediaType == TypeDockerList {
		m.Amd64 = firstAmd64(children)
	}
	return m, nil
}

// addChild sorts a child in. One that could be more than one thing, or is something else,
// makes the whole index odd: an index among the children hides how many images there are,
// and so does an image for a platform that is not said or half known.
func (idx *index) addChild(child descriptor) {
	switch {
	case child.MediaType == TypeOCIIndex || child.MediaType == TypeDockerList:
		idx.addOther(child)
	case child.MediaType == TypeOCIManifest || child.MediaType == TypeDockerManifest:
		idx.addManifest(child)
	case child.Platform != nil || child.ArtifactType != "" || child.Annotations[annotationReferenceType] != "":
		idx.odd = true
	case child.MediaType == typeCacheConfig:
		idx.caches++
	case isLayer(child.MediaType):
		idx.layers++
	default:
		idx.odd = true
	}
}

// addOther adds a manifest or an index of which it cannot be said what it is for.
func (idx *index) addOther(child descriptor) {
	idx.others, idx.odd = append(idx.others, child), true
}

func (idx *index) addManifest(child descriptor) {
	reference, refersTo := child.Annotations[annotationReferenceType], child.Annotations[annotationReferenceDigest]
	nowhere := child.Platform.is("unknown", "unknown")
	switch {
	case reference == attestationManifest && nowhere && (child.ArtifactType == "" || child.ArtifactType == typeAttestation):
		idx.attestations = append(idx.attestations, child)
	case reference != "" || refersTo != "" || child.ArtifactType != "":
		idx.addOther(child)
	case nowhere:
		idx.nowhere = append(idx.nowhere, child)
	case child.Platform.runsImages():
		idx.runnable = append(idx.runnable, child)
	default:
		idx.addOther(child)
	}
}

// kind tells the kind of the index.
//
// A cache has the config of a cache, once, and beside it layers only. Images are
// multi-arch from two on, whether for several architectures or for several versions of
// Windows; a single one without attestations counts as multi-arch, too, since only its
// author knows what else is meant to join it. One image is attested if everything else
// in the index attests it. All else is no cache and no image that BuildKit attests, and
// an artifact.
func (idx *index) kind() Kind {
	switch {
	case idx.odd:
		return KindArtifact
	case idx.caches == 1 && len(idx.runnable)+len(idx.attestations)+len(idx.nowhere) == 0:
		return KindCacheIndex
	case idx.caches+idx.layers > 0 || len(idx.runnable) == 0:
		return KindArtifact
	case len(idx.runnable) > 1:
		return KindMultiArch
	case len(idx.nowhere) > 0:
		return KindArtifact
	case len(idx.attestations) == 0:
		return KindMultiArch
	}
	image := idx.runnable[0].Digest
	for _, a := range idx.attestations {
		if a.Annotations[annotationReferenceDigest] != image || a.Digest == image {
			return KindArtifact
		}
	}
	return KindAttestedImage
}

// dated returns the digests of the children whose age is that of the index, each once: of the
// images and what may be some, and where there are none of all manifests.
func (idx *index) dated() []string {
	children := slices.Clone(idx.runnable)
	for _, child := range idx.others {
		if child.ArtifactType == "" && child.Annotations[annotationReferenceType] == "" {
			children = append(children, child)
		}
	}
	if len(children) == 0 {
		children = slices.Concat(idx.others, idx.nowhere, idx.attestations)
	}
	var digests []string
	seen := make(map[string]bool, len(children))
	for _, child := range children {
		if !seen[child.Digest] {
			seen[child.Digest] = true
			digests = append(digests, child.Digest)
		}
	}
	return digests
}

// firstAmd64 returns the digest of the first child for linux/amd64, of any variant.
func firstAmd64(children []descriptor) string {
	for _, child := range children {
		if child.Platform.is("linux", "amd64") {
			return child.Digest
		}
	}
	return ""
}

// isLayer reports whether a media type is that of an image's layer, in whatever compression.
func isLayer(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.") || strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.")
}
