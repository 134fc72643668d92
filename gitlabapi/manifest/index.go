package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// index is the children of an index by what they are.
type index struct {
	runnable     []descriptor // an image for a platform
	attestations []descriptor
	nowhere      int // manifests for the platform unknown/unknown that attest nothing
	caches       int // configs of BuildKit caches
	layers       int
}

// classifyIndex tells the kind of an index by its children.
func classifyIndex(m Manifest, d document) (Manifest, error) {
	if d.Config != nil || d.Layers != nil || d.ArtifactType != nil || d.Subject != nil {
		return m, errors.New("it is an index with a config, layers, an artifact type or a subject")
	}
	children, err := checkAll(d.Manifests)
	if err != nil {
		return m, fmt.Errorf("its children: %w", err)
	}
	var idx index
	for _, child := range children {
		if err := idx.addChild(child); err != nil {
			return m, err
		}
	}
	if m.Kind, err = idx.kind(); err != nil {
		return m, err
	}
	var size int64
	if size, m.Newest = sum(children); m.Kind == KindCacheIndex {
		m.Bytes = size
	}
	if m.MediaType == TypeDockerList {
		m.Amd64 = idx.amd64()
	}
	return m, nil
}

// addChild sorts a child in. One that could be more than one thing makes the whole index
// doubtful: an index among the children hides how many images there are, and so does
// an image for a platform that is not said or half known.
func (idx *index) addChild(child descriptor) error {
	switch {
	case child.MediaType == TypeOCIIndex || child.MediaType == TypeDockerList:
		return errors.New("an index is among its children")
	case child.MediaType == TypeOCIManifest || child.MediaType == TypeDockerManifest:
		return idx.addManifest(child)
	case child.Platform != nil || child.Annotations[annotationReferenceType] != "":
		return errors.New("a child that is no manifest has a platform or a reference")
	case child.MediaType == typeCacheConfig:
		idx.caches++
	case strings.HasPrefix(child.MediaType, "application/vnd.oci.image.layer."), strings.HasPrefix(child.MediaType, "application/vnd.docker.image.rootfs."):
		idx.layers++
	default:
		return errors.New("a child is neither manifest nor layer nor the config of a cache")
	}
	return nil
}

func (idx *index) addManifest(child descriptor) error {
	reference, refersTo := child.Annotations[annotationReferenceType], child.Annotations[annotationReferenceDigest]
	nowhere := child.Platform != nil && child.Platform.is("unknown", "unknown")
	switch {
	case child.Platform == nil:
		return errors.New("a manifest among its children has no platform")
	case reference != "" && reference != attestationManifest, reference == "" && refersTo != "":
		return errors.New("a child refers to another in an unknown way")
	case reference != "" && !nowhere:
		return errors.New("an attestation among its children has a platform")
	case reference != "":
		idx.attestations = append(idx.attestations, child)
	case nowhere:
		idx.nowhere++
	case child.Platform.OS == "unknown" || child.Platform.Architecture == "unknown":
		return errors.New("the platform of a child is half known")
	default:
		idx.runnable = append(idx.runnable, child)
	}
	return nil
}

// kind tells the kind of the index.
//
// A cache has the config of a cache, once, and beside it layers only. Images are
// multi-arch from two on; a single one without attestations counts as multi-arch, too,
// since only its author knows what else is meant to join it. One image is
// attested if everything else in the index attests it. Without any image, an index is
// of no kind.
func (idx *index) kind() (Kind, error) {
	switch {
	case idx.caches == 1 && len(idx.runnable)+len(idx.attestations)+idx.nowhere == 0:
		return KindCacheIndex, nil
	case idx.caches+idx.layers > 0:
		return KindUnknown, errors.New("it mixes the parts of caches with others")
	case len(idx.runnable) == 0:
		return KindUnknown, errors.New("none of its children is an image")
	case len(idx.runnable) > 1:
		return KindMultiArch, nil
	case idx.nowhere > 0:
		return KindUnknown, errors.New("beside its image stands a manifest for no platform")
	case len(idx.attestations) == 0:
		return KindMultiArch, nil
	}
	image := idx.runnable[0].Digest
	for _, a := range idx.attestations {
		if a.Annotations[annotationReferenceDigest] != image || a.Digest == image {
			return KindUnknown, errors.New("an attestation is not about its image")
		}
	}
	return KindAttestedImage, nil
}

// amd64 returns the digest of the first image for linux/amd64, of any variant.
func (idx *index) amd64() string {
	for _, child := range idx.runnable {
		if child.Platform.is("linux", "amd64") {
			return child.Digest
		}
	}
	return ""
}
