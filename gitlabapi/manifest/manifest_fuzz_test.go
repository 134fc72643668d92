package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// FuzzClassify: whatever the bytes are, nothing panics; a kind and an error exclude
// each other; and a deletable kind is borne out by a second, simple reader.
func FuzzClassify(f *testing.F) {
	for _, name := range []string{
		"cache-oci-index.json", "cache-docker-list.json", "cache-oci-manifest.json", "image-provenance-index.json",
		"image-multiarch-index.json", "image-multiarch-provenance-index.json", "image-oci-manifest.json", "image-docker-manifest.json",
	} {
		text := fixture(f, name)
		f.Add(fixtureType(f, text), text)
	}
	for name := range oddKinds {
		text := oddFixture(f, name)
		f.Add(fixtureType(f, text), text)
	}
	for _, body := range []string{
		``, `{}`, indexOf(TypeOCIIndex), indexOf(TypeOCIIndex, amd64, attestation), indexOf(TypeOCIIndex, layer, cacheConfig),
		indexOf(TypeOCIIndex, child(TypeOCIIndex, 1)), indexOf(TypeOCIIndex, amd64, nowhere, attestation),
	} {
		f.Add(TypeOCIIndex, []byte(body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		m, err := Classify(contentType, body)
		if (err == nil) != (m.Kind != KindUnknown) {
			t.Fatalf("kind %q with error %v", m.Kind, err)
		}
		if err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), m.MediaType) {
			t.Fatalf("%q is taken for %q", contentType, m.MediaType)
		}
		if problem := contradiction(m, body); problem != "" {
			t.Fatalf("%s is no %s: %s", body, m.Kind, problem)
		}
	})
}

// plainIndex is an index to encoding/json.
type plainIndex struct {
	SchemaVersion int
	MediaType     string
	ArtifactType  any
	Subject       any
	Config        any
	Layers        any
	Manifests     []struct {
		MediaType    string
		ArtifactType string
		Digest       string
		Size         *int64
		Platform     *struct{ OS, Architecture string }
		Annotations  map[string]string
	}
}

// contradiction says why a document is not of the deletable kind that it was classed
// as; "" means that it is, or that its kind is not deletable by default.
func contradiction(m Manifest, body []byte) string {
	switch m.Kind {
	case KindCacheManifest:
		return noCacheManifest(body)
	case KindCacheIndex, KindAttestedImage:
	default:
		return ""
	}
	var x plainIndex
	if err := json.Unmarshal(body, &x); err != nil {
		return err.Error()
	}
	if x.SchemaVersion != 2 || x.MediaType != "" && x.MediaType != m.MediaType || x.Config != nil || x.Layers != nil || x.ArtifactType != nil || x.Subject != nil || len(body) > 4<<20 {
		return "it is no index"
	}
	images, attestations, caches, others := map[string]int{}, 0, 0, 0
	refers := map[string]int{}
	for _, c := range x.Manifests {
		isManifest := strings.Contains(c.MediaType, ".manifest.v") || strings.Contains(c.MediaType, ".index.v") || strings.Contains(c.MediaType, ".manifest.list.v")
		switch {
		case len(c.Digest) < 64 || c.Size == nil:
			return "a child has no digest or no size"
		case c.ArtifactType != "" && c.ArtifactType != "application/vnd.docker.attestation.manifest.v1+json":
			return "a child has an artifact type"
		case c.MediaType == "application/vnd.buildkit.cacheconfig.v0":
			caches++
		case !isManifest:
			others++
		case c.Platform == nil:
			return "a child has no platform"
		case c.Annotations["vnd.docker.reference.type"] == "attestation-manifest":
			attestations++
			refers[c.Annotations["vnd.docker.reference.digest"]]++
		default:
			images[c.Digest]++
		}
	}
	switch m.Kind {
	case KindCacheIndex:
		if caches != 1 || len(images)+attestations != 0 {
			return fmt.Sprintf("%d configs of caches, %d images, %d attestations", caches, len(images), attestations)
		}
	case KindAttestedImage:
		if len(images) != 1 || attestations == 0 || caches+others != 0 || len(refers) != 1 {
			return fmt.Sprintf("%d images, %d attestations of %d, %d others", len(images), attestations, len(refers), caches+others)
		}
		for digest, times := range images {
			if times != 1 || refers[digest] == 0 {
				return "the image is not the one attested"
			}
		}
	}
	return ""
}

// noCacheManifest says why a document is no cache in the form of a manifest.
func noCacheManifest(body []byte) string {
	var x struct {
		plainIndex
		Config *struct{ MediaType, ArtifactType string }
		Layers []struct {
			MediaType, ArtifactType string
			Platform                any
		}
	}
	switch err := json.Unmarshal(body, &x); {
	case err != nil:
		return err.Error()
	case x.Config == nil || x.Config.MediaType != "application/vnd.buildkit.cacheconfig.v0" || x.Layers == nil:
		return "it has not the config of a cache, or no layers"
	case x.ArtifactType != nil || x.Subject != nil || x.Manifests != nil:
		return "it has more than a config and layers"
	}
	for _, l := range x.Layers {
		if l.ArtifactType != "" || l.Platform != nil {
			return "a layer says more than a layer does"
		}
	}
	return ""
}
