package gitlabtest

import (
	"fmt"
)

// Kind says what a tag stands for.
type Kind string

// The kinds of tags, by what was pushed.
const (
	// KindImage is an OCI image whose config has a date.
	KindImage Kind = "image"
	// KindDockerImage is the same in Docker's own media types.
	KindDockerImage Kind = "docker-image"
	// KindAttestedImage is an index of one image and its provenance.
	KindAttestedImage Kind = "attested-image"
	// KindMultiArch is an index of images for two platforms.
	KindMultiArch Kind = "multi-arch"
	// KindCacheIndex is a classic BuildKit cache: an OCI index.
	KindCacheIndex Kind = "cache-index"
	// KindCacheList is a BuildKit cache as a Docker manifest list.
	KindCacheList Kind = "cache-list"
	// KindCacheManifest is a BuildKit cache as a manifest. It has no date.
	KindCacheManifest Kind = "cache-manifest"
	// KindArtifact is a Helm chart: a manifest without a date.
	KindArtifact Kind = "artifact"
	// KindManifestMissing is a tag whose manifest is gone. A registry with a
	// database cannot hold one, and a server of that regime leaves it out.
	KindManifestMissing Kind = "manifest-missing"
	// KindDockerList is a Docker manifest list with a linux/amd64 child.
	KindDockerList Kind = "docker-list"
)

// kinds numbers the kinds, and says what the details of a tag of that kind are
// on an instance of the LEGACY regime.
var kinds = []struct {
	kind    Kind
	missing bool // details are 404
	undated bool // created_at is null
}{
	{kind: KindImage},
	{kind: KindDockerImage},
	{kind: KindAttestedImage, missing: true},
	{kind: KindMultiArch, missing: true},
	{kind: KindCacheIndex, missing: true},
	{kind: KindCacheList, missing: true},
	{kind: KindCacheManifest, undated: true},
	{kind: KindArtifact, undated: true},
	{kind: KindManifestMissing, missing: true},
	{kind: KindDockerList},
}

// number returns the kind's place in kinds.
func (k Kind) number() uint8 {
	for i := range kinds {
		if kinds[i].kind == k {
			return uint8(i)
		}
	}
	panic(fmt.Sprintf("gitlabtest: no kind of tag is called %q", string(k)))
}
