package gitlabtest

import (
	"fmt"
	"strings"
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
	// KindStray is no tag at all, but an entry of the folder in which the storage keeps them, such
	// as .nfs0001: it is listed under a name that no tag can have. See [Repository.AddStray].
	KindStray Kind = "stray"
	// KindDockerList is a Docker manifest list with a linux/amd64 child.
	KindDockerList Kind = "docker-list"

	// What other tools push. None of it is a build cache of BuildKit's.

	// KindReferrers is an index of what refers to an image. It lies under a tag that is named
	// after the image's digest, see [ReferrersTag].
	KindReferrers Kind = "referrers"
	// KindSignature is a signature of cosign's, which lies under the same name with ".sig"
	// behind it: in the form of an image, with a date in the year 1.
	KindSignature Kind = "signature"
	// KindBareIndex is an index of two images that does not say for which platforms.
	KindBareIndex Kind = "bare-index"
	// KindNestedIndex is an index of two indexes.
	KindNestedIndex Kind = "nested-index"
	// KindKanikoCache is a layer that kaniko keeps: in the form of an image, with a date in
	// the year 1. Its tag is named by a hash.
	KindKanikoCache Kind = "kaniko-cache"
)

// A tagKind says what the details of a tag of a kind are on an instance of the LEGACY regime.
type tagKind struct {
	kind    Kind
	missing bool // details are 404
	undated bool // created_at is null
	cache   bool // a build cache of BuildKit's
}

// kinds numbers the kinds.
var kinds = []tagKind{
	{kind: KindImage},
	{kind: KindDockerImage},
	{kind: KindAttestedImage, missing: true},
	{kind: KindMultiArch, missing: true},
	{kind: KindCacheIndex, missing: true, cache: true},
	{kind: KindCacheList, missing: true, cache: true},
	{kind: KindCacheManifest, undated: true, cache: true},
	{kind: KindArtifact, undated: true},
	{kind: KindManifestMissing, missing: true},
	{kind: KindDockerList},
	{kind: KindReferrers, missing: true},
	{kind: KindSignature},
	{kind: KindBareIndex, missing: true},
	{kind: KindNestedIndex, missing: true},
	{kind: KindKanikoCache},
	{kind: KindStray, missing: true},
}

// ReferrersTag returns the name of the tag under which the referrers of a manifest are listed:
// its digest with a dash. Signatures, SBOMs and attestations of cosign's have more behind it.
func ReferrersTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// number returns the kind's place in kinds.
func (k Kind) number() uint8 {
	for i := range kinds {
		if kinds[i].kind == k {
			return uint8(i)
		}
	}
	panic(fmt.Sprintf("gitlabtest: no kind of tag is called %q", string(k)))
}
