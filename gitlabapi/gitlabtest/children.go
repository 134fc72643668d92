package gitlabtest

import (
	"bytes"
	"fmt"
	"time"
)

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
