package gitlabtest

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"time"
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

//go:embed testdata/buildkit/*.json
var fixtureFiles embed.FS

// fixture returns a document that a real BuildKit pushed to a real registry.
func fixture(name string) []byte {
	body, err := fixtureFiles.ReadFile("testdata/buildkit/" + name + ".json")
	if err != nil {
		panic("gitlabtest: " + err.Error())
	}
	return body
}

// stamp finds the dates in the fixtures.
var stamp = regexp.MustCompile(`2026-11-23T09:08:29\.\d{9}Z`)

// dated returns a fixture with all its dates set to one. The new dates are as
// long as the old ones, so that the sizes in descriptors stay true.
func dated(name string, created time.Time) []byte {
	date := created.UTC().Format("2006-01-02T15:04:05.000000000Z")
	return stamp.ReplaceAll(fixture(name), []byte(date))
}

// relink returns a fixture that refers to another blob or manifest of the
// same size in place of one fixture.
func relink(body []byte, from, to string) []byte {
	return bytes.ReplaceAll(slices.Clone(body), []byte(digestOf(fixture(from))), []byte(to))
}

// manifestOf stores what a tag of a kind and date refers to and returns its
// manifest, nil if it has none.
func (g *registry) manifestOf(kind Kind, created time.Time) *manifest {
	switch kind {
	case KindImage:
		return g.putImage("image-oci-manifest", created)
	case KindDockerImage:
		return g.putImage("image-docker-manifest", created)
	case KindAttestedImage:
		image := g.putImage("image-oci-manifest", created)
		return g.putManifest(relink(fixture("image-provenance-index"), "image-oci-manifest", image.digest))
	case KindMultiArch:
		return g.putManifest(fixture("image-multiarch-index"))
	case KindCacheIndex:
		return g.putCache("cache-oci-index", created)
	case KindCacheList:
		return g.putCache("cache-docker-list", created)
	case KindCacheManifest:
		return g.putCache("cache-oci-manifest", created)
	case KindArtifact:
		return g.putChart()
	case KindDockerList:
		return g.putList(g.putImage("image-docker-manifest", created))
	case KindManifestMissing:
		return nil
	}
	panic(fmt.Sprintf("gitlabtest: no kind of tag is called %q", string(kind)))
}

func (g *registry) putImage(name string, created time.Time) *manifest {
	config := g.putBlob(dated("image-config-blob", created))
	return g.putManifest(relink(fixture(name), "image-config-blob", config))
}

func (g *registry) putCache(name string, created time.Time) *manifest {
	body := dated("cache-config-blob", created)
	config := g.putBlob(body)
	return g.putManifest(relink(dated(name, created), "cache-config-blob", config))
}

func (g *registry) putChart() *manifest {
	config := []byte(`{"name":"app","version":"1.4.2","description":"A Helm chart","apiVersion":"v2"}`)
	chart := []byte("app-1.4.2.tgz")
	return g.putManifest(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,`+
		`"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":%q,"size":%d}]}`,
		typeOCIManifest, g.putBlob(config), len(config), g.putBlob(chart), len(chart)))
}

func (g *registry) putList(image *manifest) *manifest {
	return g.putManifest(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[`+
		`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"architecture":"amd64","os":"linux"}}]}`,
		typeDockerList, image.mediaType, image.digest, len(image.body)))
}
