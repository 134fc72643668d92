package gitlabtest

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"
)

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

const stampForm = "2006-01-02T15:04:05.000000000Z"

var (
	// stamp finds the dates in the fixtures.
	stamp = regexp.MustCompile(`2026-11-23T09:08:29\.\d{9}Z`)
	// newest is when the last layer of the fixtures was made.
	newest = time.Date(2026, time.November, 23, 9, 8, 29, 576_920_831, time.UTC)
)

// dated returns a fixture as if its last layer had been made at a time. The
// other dates keep their distance, and all are as long as before, so that the
// sizes in descriptors stay true.
func dated(name string, created time.Time) []byte {
	shift := created.UTC().Sub(newest)
	return stamp.ReplaceAllFunc(linked(name), func(date []byte) []byte {
		at, err := time.Parse(stampForm, string(date))
		if err != nil {
			panic("gitlabtest: " + err.Error())
		}
		return at.Add(shift).AppendFormat(nil, stampForm)
	})
}

// layer is a layer of the fixtures, whose bytes were not kept, and one of the
// same size that stands in for it.
type layer struct {
	recorded string
	digest   string
	body     []byte
}

// layers are those of all images and caches. They are made once, for they are
// the largest blobs by far.
var layers = sync.OnceValue(func() []layer {
	all := []layer{
		{recorded: "sha256:e9f433d62417673a8da18fbcc995daa85253940f3add2cbafb2856a95fef5008", body: make([]byte, 1_064_323)},
		{recorded: "sha256:3bfbe9409432d93660211ab1b17399ffd1f76764367eef26fde1352b376056aa", body: make([]byte, 156)},
		{recorded: "sha256:e0d8cc785a0051b36a75168f9c2379fc6b6eb7ea0db97be4b98312795c7a59c8", body: make([]byte, 100)},
	}
	for i := range all {
		all[i].digest = digestOf(all[i].body)
	}
	return all
})

// linked returns a fixture whose layers are those that there are.
func linked(name string) []byte {
	body := slices.Clone(fixture(name))
	for _, l := range layers() {
		body = bytes.ReplaceAll(body, []byte(l.recorded), []byte(l.digest))
	}
	return body
}

// relink returns a document that refers to another blob or manifest of the same
// size in place of one fixture.
func relink(body []byte, from, to string) []byte {
	return bytes.ReplaceAll(body, []byte(digestOf(fixture(from))), []byte(to))
}

// manifestOf stores what a tag of a kind and date refers to and returns its
// manifest, nil if it has none.
func (g *registry) manifestOf(kind Kind, created time.Time) *manifest {
	for _, l := range layers() {
		g.blobs[l.digest] = l.body
	}
	switch kind {
	case KindImage:
		return g.putImage("image-oci-manifest", created)
	case KindDockerImage:
		return g.putImage("image-docker-manifest", created)
	case KindAttestedImage:
		return g.putAttested(g.putImage("image-oci-manifest", created))
	case KindMultiArch:
		return g.putMultiArch(created)
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
	return g.putManifest(relink(linked(name), "image-config-blob", config))
}

func (g *registry) putCache(name string, created time.Time) *manifest {
	config := g.putBlob(dated("cache-config-blob", created))
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

// The children of indexes in the fixtures, which were not kept themselves, and
// how long they were.
const (
	recordedAMD64       = "sha256:183d5588dbe472613eb23d2ead0d1ded6a332636f00baeea482ae8b800d74467"
	recordedARM64       = "sha256:f88c54cddac79acd7113ff359e4d66a770e6d95aa03cf0cb89bf3d0a6c78cdac"
	recordedAttestation = "sha256:3f84b14af547d9afa8155d34ab91fc2327be6b603f54e7cb8c6d1d300cb9cbe5"

	childSize       = 668
	attestationSize = 836
)

// putAttested stores an index of an image and its provenance.
func (g *registry) putAttested(image *manifest) *manifest {
	body := relink(fixture("image-provenance-index"), "image-oci-manifest", image.digest)
	return g.putManifest(replace(body, recordedAttestation, g.putAttestation(image).digest))
}

// putMultiArch stores an index of images for two platforms.
func (g *registry) putMultiArch(created time.Time) *manifest {
	body := fixture("image-multiarch-index")
	body = replace(body, recordedAMD64, g.putChild("amd64", created).digest)
	return g.putManifest(replace(body, recordedARM64, g.putChild("arm64", created).digest))
}

// putChild stores an image for one platform.
func (g *registry) putChild(architecture string, created time.Time) *manifest {
	config := replace(dated("image-config-blob", created), `"architecture":"amd64"`, `"architecture":"`+architecture+`"`)
	base := layers()[1]
	return g.putManifest(padded(fmt.Appendf(nil, `{
  "schemaVersion": 2,
  "mediaType": %q,
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": %q,
    "size": %d
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": %q,
      "size": %d
    }
  ]
}`, typeOCIManifest, g.putBlob(config), len(config), base.digest, len(base.body)), childSize))
}

// putAttestation stores the provenance of an image: a manifest in form only.
func (g *registry) putAttestation(image *manifest) *manifest {
	config := []byte(`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":`+
		`"https://slsa.dev/provenance/v0.2","subject":[{"name":"_","digest":{"sha256":%q}}]}`, image.digest[len("sha256:"):])
	return g.putManifest(padded(fmt.Appendf(nil, `{
  "schemaVersion": 2,
  "mediaType": %q,
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": %q,
    "size": %d
  },
  "layers": [
    {
      "mediaType": "application/vnd.in-toto+json",
      "digest": %q,
      "size": %d,
      "annotations": {
        "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"
      }
    }
  ]
}`, typeOCIManifest, g.putBlob(config), len(config), g.putBlob(statement), len(statement)), attestationSize))
}

// padded makes a document as long as the one that it stands in for.
func padded(body []byte, size int) []byte {
	mustBe(len(body) <= size, "a document of %d bytes cannot stand in for one of %d", len(body), size)
	return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
}

func replace(body []byte, from, to string) []byte {
	return bytes.ReplaceAll(body, []byte(from), []byte(to))
}
