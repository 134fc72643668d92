package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fixture reads a manifest that a real BuildKit pushed.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "gitlabtest", "testdata", "buildkit", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fixtureType is the media type that a fixture was pushed with.
func fixtureType(t testing.TB, text []byte) string {
	t.Helper()
	var document struct{ MediaType string }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.MediaType
}

func TestClassifyWhatBuildKitPushed(t *testing.T) {
	const image = "sha256:9c60fd475d6572dbd9940bb57097f33081fc8ac1a5d00e1dc04f3dacd23c2eb4"
	newest := time.Date(2026, 11, 23, 9, 8, 29, 576920831, time.UTC)
	both := []string{
		"sha256:183d5588dbe472613eb23d2ead0d1ded6a332636f00baeea482ae8b800d74467",
		"sha256:f88c54cddac79acd7113ff359e4d66a770e6d95aa03cf0cb89bf3d0a6c78cdac",
	}
	for name, want := range map[string]Manifest{
		"cache-oci-index.json":   {Kind: KindCacheIndex, MediaType: TypeOCIIndex, Newest: newest, Bytes: 1065661},
		"cache-docker-list.json": {Kind: KindCacheIndex, MediaType: TypeDockerList, Newest: newest, Bytes: 1065661},
		"cache-oci-manifest.json": {Kind: KindCacheManifest, MediaType: TypeOCIManifest, Newest: newest,
			Bytes: 1065661, ConfigDigest: "sha256:2399045162110abbda669cd30c964630bd2d7cce873018cbad458ede822eb847"},
		"image-provenance-index.json": {Kind: KindAttestedImage, MediaType: TypeOCIIndex,
			Children: []string{"sha256:f89561c7d7a4bf5d15f9a73496396a5fcc47843aee0f39ee0b06b061ff07871e"}},
		"image-multiarch-index.json":            {Kind: KindMultiArch, MediaType: TypeOCIIndex, Children: both},
		"image-multiarch-provenance-index.json": {Kind: KindMultiArch, MediaType: TypeOCIIndex, Children: both},
		"image-oci-manifest.json":               {Kind: KindImage, MediaType: TypeOCIManifest, ConfigDigest: image, Bytes: 1065467},
		"image-docker-manifest.json":            {Kind: KindImage, MediaType: TypeDockerManifest, ConfigDigest: image, Bytes: 1065467},
		"image-inline-cache-manifest.json": {Kind: KindImage, MediaType: TypeOCIManifest,
			Bytes: 1066547, ConfigDigest: "sha256:6ea9caff8567f02c72982c2c8ec488ec5e8fb2e180438a48c5c4e6472697ba08"},
	} {
		text := fixture(t, name)
		got, err := Classify(fixtureType(t, text), text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	for _, name := range []string{"cache-config-blob.json", "image-config-blob.json"} {
		for _, kind := range []string{TypeOCIIndex, TypeOCIManifest, TypeDockerList, TypeDockerManifest, "application/json"} {
			mustBeUnknown(t, name, kind, string(fixture(t, name)))
		}
	}
}

func mustBeUnknown(t *testing.T, name, contentType, body string) {
	t.Helper()
	m, err := Classify(contentType, []byte(body))
	if _, ok := errors.AsType[*Error](err); !ok || m.Kind != KindUnknown {
		t.Errorf("%s: got %q, %v; want unknown and an Error", name, m.Kind, err)
	}
}

// The parts of hand-made manifests.
func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func child(mediaType string, n int, more ...string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7%s}`, mediaType, digestOf(n), strings.Join(append([]string{""}, more...), ","))
}

func on(os, architecture string) string {
	return fmt.Sprintf(`"platform":{"os":%q,"architecture":%q}`, os, architecture)
}

func attests(n int) string {
	return fmt.Sprintf(`%s,"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":%q}`, on("unknown", "unknown"), digestOf(n))
}

func indexOf(mediaType string, children ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, mediaType, strings.Join(children, ","))
}

func manifestOf(mediaType, config string, layers ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, mediaType, config, strings.Join(layers, ","))
}

const ociLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

var (
	amd64       = child(TypeOCIManifest, 1, on("linux", "amd64"))
	arm64       = child(TypeOCIManifest, 2, on("linux", "arm64"))
	attestation = child(TypeOCIManifest, 3, attests(1))
	nowhere     = child(TypeOCIManifest, 4, on("unknown", "unknown"))
	layer       = child(ociLayer, 5)
	cacheConfig = child(typeCacheConfig, 6)

	artifactType = `"artifactType":"x/y"`
)

// TestClassifyByChildren pins the kind of indexes by what is in them. What is neither what
// BuildKit writes nor an index of images is an artifact.
func TestClassifyByChildren(t *testing.T) {
	for name, test := range map[string]struct {
		children []string
		want     Kind
	}{
		"nothing":                              {nil, KindArtifact},
		"an image":                             {[]string{amd64}, KindMultiArch},
		"two images":                           {[]string{amd64, arm64}, KindMultiArch},
		"the same image twice":                 {[]string{amd64, amd64}, KindMultiArch},
		"an attested image":                    {[]string{amd64, attestation}, KindAttestedImage},
		"attested first":                       {[]string{attestation, amd64}, KindAttestedImage},
		"an image attested twice":              {[]string{amd64, attestation, child(TypeOCIManifest, 9, attests(1))}, KindAttestedImage},
		"a Docker image attested":              {[]string{child(TypeDockerManifest, 1, on("linux", "amd64")), attestation}, KindAttestedImage},
		"two images, one attested":             {[]string{amd64, arm64, attestation}, KindMultiArch},
		"an attestation of something else":     {[]string{amd64, child(TypeOCIManifest, 3, attests(2))}, KindArtifact},
		"one of two about something else":      {[]string{amd64, attestation, child(TypeOCIManifest, 9, attests(2))}, KindArtifact},
		"an attestation of nothing":            {[]string{amd64, child(TypeOCIManifest, 3, on("unknown", "unknown"), `"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`)}, KindArtifact},
		"an image that attests itself":         {[]string{amd64, child(TypeOCIManifest, 1, attests(1))}, KindArtifact},
		"attestations alone":                   {[]string{attestation}, KindArtifact},
		"unknown/unknown alone":                {[]string{nowhere}, KindArtifact},
		"unknown/unknown beside an image":      {[]string{amd64, nowhere}, KindArtifact},
		"unknown/unknown beside an attested":   {[]string{amd64, attestation, nowhere}, KindArtifact},
		"unknown/unknown beside two images":    {[]string{amd64, arm64, nowhere}, KindMultiArch},
		"unknown system":                       {[]string{amd64, child(TypeOCIManifest, 2, on("unknown", "arm64")), attestation}, KindArtifact},
		"unknown architecture":                 {[]string{child(TypeOCIManifest, 1, on("linux", "unknown")), attestation}, KindArtifact},
		"no platform":                          {[]string{child(TypeOCIManifest, 1), attestation}, KindArtifact},
		"no platform beside an image":          {[]string{amd64, child(TypeOCIManifest, 2), attestation}, KindArtifact},
		"an attestation without platform":      {[]string{amd64, child(TypeOCIManifest, 3, `"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"`+digestOf(1)+`"}`)}, KindArtifact},
		"an attestation for a platform":        {[]string{amd64, strings.ReplaceAll(attestation, `"unknown"`, `"linux"`)}, KindArtifact},
		"another kind of reference":            {[]string{amd64, strings.Replace(attestation, "attestation-manifest", "sbom", 1)}, KindArtifact},
		"a reference of no kind":               {[]string{amd64, attestation, child(TypeOCIManifest, 9, on("unknown", "unknown"), `"annotations":{"vnd.docker.reference.digest":"x"}`)}, KindArtifact},
		"an image for no system":               {[]string{child(TypeOCIManifest, 1, on("", "amd64")), attestation}, KindArtifact},
		"an image for half a platform":         {[]string{child(TypeOCIManifest, 1, `"platform":{"os":"linux"}`), attestation}, KindArtifact},
		"a platform of nothing":                {[]string{child(TypeOCIManifest, 1, `"platform":{}`)}, KindArtifact},
		"an attested WebAssembly module":       {[]string{child(TypeOCIManifest, 1, on("wasip1", "wasm")), attestation}, KindArtifact},
		"an image and a WebAssembly module":    {[]string{amd64, child(TypeOCIManifest, 2, on("wasi", "wasm"))}, KindArtifact},
		"an image with an artifact type":       {[]string{child(TypeOCIManifest, 1, on("linux", "amd64"), artifactType), attestation}, KindArtifact},
		"an attestation with its type":         {[]string{amd64, child(TypeOCIManifest, 3, attests(1), `"artifactType":"`+typeAttestation+`"`)}, KindAttestedImage},
		"an attestation with another type":     {[]string{amd64, child(TypeOCIManifest, 3, attests(1), artifactType)}, KindArtifact},
		"two images and an artifact":           {[]string{amd64, arm64, child(TypeOCIManifest, 8, artifactType)}, KindArtifact},
		"a cache with a typed layer":           {[]string{child(ociLayer, 1, artifactType), cacheConfig}, KindArtifact},
		"a cache with an artifact type":        {[]string{layer, child(typeCacheConfig, 6, artifactType)}, KindArtifact},
		"an index":                             {[]string{child(TypeOCIIndex, 1)}, KindArtifact},
		"an index beside an attested image":    {[]string{amd64, attestation, child(TypeOCIIndex, 8, on("linux", "arm64"))}, KindArtifact},
		"a list beside an attested image":      {[]string{amd64, attestation, child(TypeDockerList, 8)}, KindArtifact},
		"an index in a cache":                  {[]string{layer, cacheConfig, child(TypeOCIIndex, 8)}, KindArtifact},
		"a cache":                              {[]string{layer, layer, cacheConfig}, KindCacheIndex},
		"a cache without layers":               {[]string{cacheConfig}, KindCacheIndex},
		"layers alone":                         {[]string{layer}, KindArtifact},
		"two caches":                           {[]string{layer, cacheConfig, child(typeCacheConfig, 9)}, KindArtifact},
		"a cache with an image":                {[]string{layer, cacheConfig, amd64}, KindArtifact},
		"a cache with an attestation":          {[]string{layer, cacheConfig, attestation}, KindArtifact},
		"a cache with unknown/unknown":         {[]string{layer, cacheConfig, nowhere}, KindArtifact},
		"a cache with a manifest":              {[]string{layer, cacheConfig, child(TypeOCIManifest, 1)}, KindArtifact},
		"a cache with something else":          {[]string{layer, cacheConfig, child("application/octet-stream", 1)}, KindArtifact},
		"a layer for a platform":               {[]string{child(ociLayer, 1, on("linux", "amd64")), cacheConfig}, KindArtifact},
		"an attested image with a layer":       {[]string{amd64, attestation, layer}, KindArtifact},
		"an attested image and something else": {[]string{amd64, attestation, child("application/octet-stream", 1)}, KindArtifact},
	} {
		for _, mediaType := range []string{TypeOCIIndex, TypeDockerList} {
			m, err := Classify(mediaType, []byte(indexOf(mediaType, test.children...)))
			if m.Kind != test.want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", name, m.Kind, err, test.want)
			}
		}
	}
}

func TestClassifyManifests(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want Kind
	}{
		"a Helm chart":               {manifestOf(TypeOCIManifest, child("application/vnd.cncf.helm.config.v1+json", 1), layer), KindArtifact},
		"no layers":                  {manifestOf(TypeOCIManifest, child(typeOCIConfig, 1)), KindImage},
		"without mediaType":          {strings.Replace(manifestOf(TypeOCIManifest, child(typeOCIConfig, 1), layer), `"mediaType":"`+TypeOCIManifest+`",`, "", 1), KindImage},
		"an artifact type":           {strings.Replace(manifestOf(TypeOCIManifest, child(typeOCIConfig, 1), layer), "{", `{"artifactType":"x/y",`, 1), KindArtifact},
		"a cache with artifact type": {strings.Replace(manifestOf(TypeOCIManifest, cacheConfig, layer), "{", `{"artifactType":"x/y",`, 1), KindArtifact},
		"a cache with a subject":     {strings.Replace(manifestOf(TypeOCIManifest, cacheConfig, layer), "{", `{"subject":`+amd64+`,`, 1), KindArtifact},
		"a cache for a platform":     {manifestOf(TypeOCIManifest, cacheConfig, child(ociLayer, 5, on("linux", "amd64"))), KindArtifact},
		"a cache with a typed layer": {manifestOf(TypeOCIManifest, cacheConfig, child(ociLayer, 5, artifactType)), KindArtifact},
		"a signature":                {manifestOf(TypeOCIManifest, child(typeOCIConfig, 1), child("application/vnd.dev.cosign.simplesigning.v1+json", 5)), KindArtifact},
		"a new kind of layer, too":   {manifestOf(TypeOCIManifest, child(typeOCIConfig, 1), layer, child("application/x", 5)), KindImage},
		"an image without list":      {`{"schemaVersion":2,"config":` + child(typeOCIConfig, 1) + `}`, KindImage},
		"no config":                  {`{"schemaVersion":2,"layers":[]}`, KindUnknown},
		"null config":                {`{"schemaVersion":2,"config":null,"layers":[]}`, KindUnknown},
		"null layers":                {`{"schemaVersion":2,"config":` + cacheConfig + `,"layers":null}`, KindArtifact},
		"no list of layers":          {`{"schemaVersion":2,"config":` + cacheConfig + `}`, KindArtifact},
		"children, too":              {strings.Replace(manifestOf(TypeOCIManifest, cacheConfig, layer), "{", `{"manifests":[],`, 1), KindUnknown},
		"a bad date":                 {manifestOf(TypeOCIManifest, cacheConfig, child(ociLayer, 1, `"annotations":{"buildkit/createdat":"yesterday"}`)), KindUnknown},
	} {
		m, err := Classify(TypeOCIManifest, []byte(test.body))
		if m.Kind != test.want || (err == nil) != (test.want != KindUnknown) {
			t.Errorf("%s: got %q, %v; want %q", name, m.Kind, err, test.want)
		}
	}
}

// TestDoubtfulDocumentsAreUnknown spoils documents of deletable kinds.
func TestDoubtfulDocumentsAreUnknown(t *testing.T) {
	type spoilt struct{ contentType, body string }
	documents := map[string]spoilt{
		"empty": {TypeOCIIndex, ""}, "blank": {TypeOCIIndex, " "}, "null": {TypeOCIIndex, "null"}, "list": {TypeOCIIndex, "[]"}, "object": {TypeOCIIndex, "{}"},
		"text": {TypeOCIIndex, `"x"`}, "deep": {TypeOCIIndex, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)}, "HTML": {TypeOCIIndex, "<html>"},
		"children object": {TypeOCIIndex, `{"schemaVersion":2,"manifests":{}}`},
	}
	for kind, good := range map[string]string{
		"cache":    indexOf(TypeOCIIndex, layer, cacheConfig),
		"attested": indexOf(TypeOCIIndex, amd64, attestation),
	} {
		if m, err := Classify(TypeOCIIndex, []byte(good)); err != nil {
			t.Fatalf("%s is %q, %v before it is spoilt", kind, m.Kind, err)
		}
		replace := func(old, new string) spoilt {
			if !strings.Contains(good, old) {
				t.Fatalf("%s has no %s", kind, old)
			}
			return spoilt{TypeOCIIndex, strings.Replace(good, old, new, 1)}
		}
		for name, s := range map[string]spoilt{
			"trailing garbage":      {TypeOCIIndex, good + "x"},
			"a second document":     {TypeOCIIndex, good + good},
			"cut off":               {TypeOCIIndex, good[:len(good)-1]},
			"byte order mark":       {TypeOCIIndex, "\ufeff" + good},
			"invalid UTF-8":         replace(`"size":7`, "\"size\":7,\"x\":\"\xff\""),
			"schema version 1":      replace(`"schemaVersion":2`, `"schemaVersion":1`),
			"schema version text":   replace(`"schemaVersion":2`, `"schemaVersion":"2"`),
			"schema version 2.0":    replace(`"schemaVersion":2`, `"schemaVersion":2.0`),
			"no schema version":     replace(`"schemaVersion":2,`, ``),
			"another case":          replace(`"schemaVersion"`, `"schemaversion"`),
			"children in capitals":  replace(`"manifests"`, `"Manifests"`),
			"two versions":          replace(`{"`, `{"schemaVersion":2,"`),
			"two lists of children": replace(`{"`, `{"manifests":[],"`),
			"two digests":           replace(`"digest":`, `"digest":"`+digestOf(77)+`","digest":`),
			"another Content-Type":  {TypeOCIManifest, good},
			"Docker's Content-Type": {TypeDockerList, good},
			"no Content-Type":       {"", good},
			"JSON's Content-Type":   {"application/json", good},
			"media type of another": replace(TypeOCIIndex, TypeDockerList),
			"config":                replace(`{"`, `{"config":{},"`),
			"layers":                replace(`{"`, `{"layers":[],"`),
			"short digest":          replace(`"digest":"sha256:0`, `"digest":"sha256:`),
			"digest of no kind":     replace(`"digest":"sha256:`, `"digest":"md5:`),
			"no size":               replace(`"size":7`, `"sizes":7`),
			"negative size":         replace(`"size":7`, `"size":-7`),
			"child null":            replace(`[{`, `[null,{`),
			"child list":            replace(`[{`, `[[],{`),
			"platform text":         replace(`"size":7`, `"size":7,"platform":"linux/amd64"`),
			"annotations text":      replace(`"size":7`, `"size":7,"annotations":"x"`),
			"annotation number":     replace(`"size":7`, `"size":7,"annotations":{"x":7}`),
			"larger than 4 MiB":     {TypeOCIIndex, good + strings.Repeat(" ", MaxBytes)},
			"too many children":     replace(`[{`, `[`+strings.Repeat(layer+",", maxDescriptors)+`{`),
			"too many objects":      replace(`{"`, `{"x":[`+strings.Repeat("{},", maxObjects)+`{}],"`),
		} {
			documents[kind+", "+name] = s
		}
	}
	for name, s := range documents {
		mustBeUnknown(t, name, s.contentType, s.body)
	}
	exact := indexOf(TypeOCIIndex, layer, cacheConfig)
	exact += strings.Repeat(" ", MaxBytes-len(exact))
	if m, err := Classify(TypeOCIIndex+"; charset=utf-8", []byte(exact)); err != nil || m.Kind != KindCacheIndex {
		t.Errorf("a document of 4 MiB is %q, %v", m.Kind, err)
	}
}

func TestAmd64OfADockerList(t *testing.T) {
	arm := child(TypeDockerManifest, 2, on("linux", "arm64"))
	windows := child(TypeDockerManifest, 3, on("windows", "amd64"))
	first, second := child(TypeDockerManifest, 4, on("linux", "amd64")), child(TypeDockerManifest, 5, on("linux", "amd64"))
	for want, children := range map[string][]string{
		digestOf(4): {arm, windows, first, second},
		"":          {arm, windows},
	} {
		m, err := Classify(TypeDockerList, []byte(indexOf(TypeDockerList, children...)))
		if err != nil || m.Amd64 != want {
			t.Errorf("got %+v, %v; want %q", m, err, want)
		}
	}
	if m, _ := Classify(TypeOCIIndex, []byte(indexOf(TypeOCIIndex, amd64, arm64))); m.Amd64 != "" {
		t.Errorf("an OCI index has %q, which GitLab would not look for", m.Amd64)
	}
}
