package gitlabtest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"time"
)

//go:embed testdata/buildkit/*.json
var fixtureFiles embed.FS

// fixture returns a document that a real BuildKit pushed to a real registry.
func fixture(name string) []byte {
	body, err := fixtureFiles.ReadFile("testdata/buildkit/" + name + ".json")
	mustBe(err == nil, "%v", err)
	return body
}

const stampForm = "2006-01-02T15:04:05.000000000Z"

var (
	// stamp finds the dates in the fixtures.
	stamp = regexp.MustCompile(`2026-11-23T09:08:29\.\d{9}Z`)
	// newest is when the last layer of the fixtures was made.
	newest = time.Date(2026, time.November, 23, 9, 8, 29, 576_920_831, time.UTC)
)

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

// recorded returns a fixture as if its last layer had been made at a time, and with the
// layers that there are. The other dates keep their distance, and all are as long as before,
// so that the sizes in descriptors stay true.
func recorded(name string, created time.Time) []byte {
	shift := created.UTC().Sub(newest)
	body := stamp.ReplaceAllFunc(fixture(name), func(date []byte) []byte {
		at, err := time.Parse(stampForm, string(date))
		mustBe(err == nil, "%v", err)
		return at.Add(shift).AppendFormat(nil, stampForm)
	})
	for _, l := range layers() {
		body = bytes.ReplaceAll(body, []byte(l.recorded), []byte(l.digest))
	}
	return body
}

// common has the manifests of the dates that worlds draw, for all servers of the process: they are
// much of what a server costs. Nothing changes a manifest once it is made.
var common = struct {
	sync.Mutex
	*registry
}{registry: newRegistry(Legacy)}

// manifestOf stores what a tag of a kind and date refers to and returns its
// manifest, nil if it has none.
func (g *registry) manifestOf(kind Kind, created time.Time) *manifest {
	if !isDrawn(created) {
		return g.makeManifest(kind, created)
	}
	common.Lock()
	defer common.Unlock()
	m, known := common.made[pushed{kind.number(), created.UnixNano()}]
	if !known {
		m = common.makeManifest(kind, created)
		common.made[pushed{kind.number(), created.UnixNano()}] = m
	}
	return g.adopt(m, common.registry)
}

// adopt stores a manifest of another registry, with all it refers to.
func (g *registry) adopt(m *manifest, other *registry) *manifest {
	if m == nil {
		return nil
	}
	if own, ok := g.manifests[m.digest]; ok {
		return own
	}
	for _, part := range m.parts {
		g.adopt(part, other)
	}
	for _, digest := range m.references() {
		if body, ok := other.blobs[digest]; ok {
			g.blobs[digest] = body
		}
	}
	g.manifests[m.digest] = m
	return m
}

// makeManifest makes what a tag of a kind and date refers to.
func (g *registry) makeManifest(kind Kind, created time.Time) *manifest {
	for _, l := range layers() {
		g.blobs[l.digest] = l.body
	}
	switch kind {
	case KindImage:
		return g.putRecorded("image-oci-manifest", "image-config-blob", created)
	case KindDockerImage:
		return g.putRecorded("image-docker-manifest", "image-config-blob", created)
	case KindCacheIndex:
		return g.putRecorded("cache-oci-index", "cache-config-blob", created)
	case KindCacheList:
		return g.putRecorded("cache-docker-list", "cache-config-blob", created)
	case KindCacheManifest:
		return g.putRecorded("cache-oci-manifest", "cache-config-blob", created)
	case KindAttestedImage:
		image := g.makeManifest(KindImage, created)
		statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":`+
			`"https://slsa.dev/provenance/v0.2","subject":[{"name":"_","digest":{"sha256":%q}}]}`, image.digest[len("sha256:"):])
		config := []byte(`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
		layer := g.blob("application/vnd.in-toto+json", statement)
		layer.Annotations = map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
		return g.putIndex("image-provenance-index", image, g.putImage(config, layer))
	case KindMultiArch:
		return g.putIndex("image-multiarch-index", g.putImages(created)...)
	case KindDockerList:
		child := g.makeManifest(KindDockerImage, created).described()
		child.Platform = &platform{"amd64", "linux"}
		return g.put(document{MediaType: typeDockerList, Manifests: []descriptor{child}})
	case KindArtifact:
		config := g.blob("application/vnd.cncf.helm.config.v1+json",
			[]byte(`{"name":"app","version":"1.4.2","description":"A Helm chart","apiVersion":"v2"}`))
		chart := g.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", []byte("app-1.4.2.tgz"))
		return g.put(document{MediaType: typeOCIManifest, Config: &config, Layers: []descriptor{chart}})
	case KindManifestMissing, KindStray:
		return nil
	}
	return g.oddManifestOf(kind, created)
}

// oddManifestOf does the same for what BuildKit and Docker do not push.
func (g *registry) oddManifestOf(kind Kind, created time.Time) *manifest {
	const bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	children := func(all ...*manifest) *manifest {
		index := document{MediaType: typeOCIIndex}
		for _, m := range all {
			index.Manifests = append(index.Manifests, m.described())
		}
		return g.put(index)
	}
	switch kind {
	case KindReferrers:
		config := g.blob("application/vnd.oci.empty.v1+json", []byte("{}"))
		child := g.put(document{
			MediaType: typeOCIManifest, ArtifactType: bundle,
			Config: &config, Layers: []descriptor{g.blob(bundle, []byte(`{"mediaType":"`+bundle+`"}`))},
		}).described()
		child.ArtifactType = bundle
		return g.put(document{MediaType: typeOCIIndex, Manifests: []descriptor{child}})
	case KindSignature:
		payload := []byte(`{"critical":{"type":"cosign container image signature"}}`)
		return g.putImage(reproducible("", payload), g.blob("application/vnd.dev.cosign.simplesigning.v1+json", payload))
	case KindKanikoCache:
		body := layers()[1].body
		return g.putImage(reproducible("linux", body), g.blob("application/vnd.oci.image.layer.v1.tar+gzip", body))
	case KindBareIndex:
		return children(g.putImages(created)...)
	case KindNestedIndex:
		return children(g.makeManifest(KindMultiArch, created), g.makeManifest(KindAttestedImage, created))
	}
	panic(fmt.Sprintf("gitlabtest: no kind of tag is called %q", string(kind)))
}

// reproducible is a config that is the same however often it is made.
func reproducible(system string, layer []byte) []byte {
	return fmt.Appendf(nil, `{"architecture":"","created":"0001-01-01T00:00:00Z","os":%q,"config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`,
		system, digestOf(layer))
}

// putImages stores an image for each of two architectures.
func (g *registry) putImages(created time.Time) []*manifest {
	var images []*manifest
	for _, architecture := range []string{"amd64", "arm64"} {
		config := bytes.ReplaceAll(recorded("image-config-blob", created), []byte(`"amd64"`), []byte(`"`+architecture+`"`))
		images = append(images, g.putImage(config, g.blob("application/vnd.oci.image.layer.v1.tar+gzip", layers()[1].body)))
	}
	return images
}

// described refers to a manifest.
func (m *manifest) described() descriptor {
	return descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.body))}
}

// putRecorded stores a fixture with its config.
func (g *registry) putRecorded(name, config string, created time.Time) *manifest {
	digest := g.putBlob(recorded(config, created))
	return g.putManifest(bytes.ReplaceAll(recorded(name, created), []byte(digestOf(fixture(config))), []byte(digest)))
}

// putIndex stores an index of a fixture, whose own children were not kept: others take
// their places, the first of which the others may be about.
func (g *registry) putIndex(name string, children ...*manifest) *manifest {
	var index document
	mustBe(json.Unmarshal(fixture(name), &index) == nil, "%s is no index", name)
	for i, child := range children {
		d := &index.Manifests[i]
		d.Digest, d.Size = child.digest, int64(len(child.body))
		if d.Annotations["vnd.docker.reference.digest"] != "" {
			d.Annotations["vnd.docker.reference.digest"] = children[0].digest
		}
	}
	return g.put(index)
}

// putImage stores an image of one layer, or what has the form of one.
func (g *registry) putImage(config []byte, layer descriptor) *manifest {
	d := g.blob("application/vnd.oci.image.config.v1+json", config)
	return g.put(document{MediaType: typeOCIManifest, Config: &d, Layers: []descriptor{layer}})
}

// put stores a manifest or an index.
func (g *registry) put(d document) *manifest {
	d.SchemaVersion = 2
	body, err := json.MarshalIndent(d, "", "  ")
	mustBe(err == nil, "%v", err)
	return g.putManifest(body)
}

// blob stores a blob and describes it.
func (g *registry) blob(mediaType string, body []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: g.putBlob(body), Size: int64(len(body))}
}
