package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// oddKinds are the kinds of what public registries hold and BuildKit does not push. A layer that
// kaniko keeps has the form of an image, which is kept as well.
var oddKinds = map[string]Kind{
	"artifact-empty-config":      KindArtifact,
	"helm-chart":                 KindArtifact,
	"index-attestation-artifact": KindAttestedImage,
	"index-empty":                KindArtifact,
	"index-of-indexes":           KindArtifact,
	"index-wasm":                 KindArtifact,
	"index-windows":              KindMultiArch, // two images, for two versions of Windows
	"index-with-artifact-type":   KindArtifact,
	"index-without-platforms":    KindArtifact,
	"kaniko-layer-cache":         KindImage,
	"referrers-index":            KindArtifact,
	"signature-manifest":         KindArtifact,
	"soci-index":                 KindArtifact,
}

func oddFixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "odd", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOddKinds holds what is beyond doubt no cache of BuildKit's and no attested image: such a
// tag is kept, and not undecided for ever.
func TestOddKinds(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "odd", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		text := oddFixture(t, name)
		if strings.HasPrefix(name, "404-") || strings.HasSuffix(name, "-config") && !strings.HasPrefix(name, "artifact-") {
			mustBeUnknown(t, name, TypeOCIManifest, string(text))
			mustBeUnknown(t, name, TypeOCIIndex, string(text))
			continue
		}
		want, known := oddKinds[name]
		m, err := Classify(fixtureType(t, text), text)
		if !known || err != nil || m.Kind != want {
			t.Errorf("%s: got %q, %v; want %q", name, m.Kind, err, want)
		}
	}
}

// TestDatesOfReproducibleImages are dates, and say no age.
func TestDatesOfReproducibleImages(t *testing.T) {
	for _, name := range []string{"signature-config", "kaniko-config"} {
		if created, dated, err := Created(oddFixture(t, name)); err != nil || !dated || !created.IsZero() || SaysAge(created) {
			t.Errorf("%s: %v, dated: %t, %v", name, created, dated, err)
		}
	}
}

// TestSpecialDocumentsAreArtifacts: documents of deletable kinds that say more than BuildKit
// says, or less, can be read without a doubt, and are none of BuildKit's.
func TestSpecialDocumentsAreArtifacts(t *testing.T) {
	documents := map[string]string{
		"null children": `{"schemaVersion":2,"manifests":null}`,
		"no children":   `{"schemaVersion":2}`,
	}
	for name, good := range map[string]string{
		"cache": indexOf(TypeOCIIndex, layer, cacheConfig), "attested": indexOf(TypeOCIIndex, amd64, attestation),
	} {
		for what, replacement := range map[string][2]string{
			"subject":          {`{"`, `{"subject":{},"`},
			"artifact type":    {`{"`, `{"artifactType":"x","`},
			"empty platform":   {`"size":7`, `"size":7,"platform":{}`},
			"platform of half": {`"size":7`, `"size":7,"platform":{"os":"linux"}`},
		} {
			if name == "attested" && strings.Contains(what, "platform") {
				continue // its children have one
			}
			documents[name+", "+what] = strings.Replace(good, replacement[0], replacement[1], 1)
		}
	}
	for name, body := range documents {
		if m, err := Classify(TypeOCIIndex, []byte(body)); err != nil || m.Kind != KindArtifact {
			t.Errorf("%s: got %q, %v", name, m.Kind, err)
		}
	}
}

func TestFirstSchema(t *testing.T) {
	const good = `{"schemaVersion":1,"name":"group/app","tag":"x","fsLayers":[],"history":[]}`
	for _, kind := range []string{typeSchema1, typeSignedSchema1} {
		if m, err := Classify(kind, []byte(good)); err != nil || m.Kind != KindArtifact || m.MediaType != kind {
			t.Errorf("%s: got %+v, %v", kind, m, err)
		}
		for name, body := range map[string]string{
			"version 2":          strings.Replace(good, `1`, `2`, 1),
			"no version":         strings.Replace(good, `"schemaVersion":1,`, ``, 1),
			"another media type": strings.Replace(good, `{`, `{"mediaType":"`+TypeOCIManifest+`",`, 1),
			"broken":             good[1:],
		} {
			mustBeUnknown(t, name, kind, body)
		}
	}
	mustBeUnknown(t, "first schema as an OCI manifest", TypeOCIManifest, good)
}

// TestChildren: an index is as old as its images; what attests or describes them does not count
// unless there is nothing else.
func TestChildren(t *testing.T) {
	soci := child(TypeOCIManifest, 8, artifactType)
	for name, test := range map[string]struct {
		children []string
		want     []int
	}{
		"nothing":                     {nil, nil},
		"a cache":                     {[]string{layer, cacheConfig}, nil},
		"an attested image":           {[]string{attestation, amd64}, []int{1}},
		"two images":                  {[]string{arm64, amd64}, []int{2, 1}},
		"the same image twice":        {[]string{amd64, amd64}, []int{1}},
		"an image and what describes": {[]string{soci, amd64}, []int{1}},
		"referrers":                   {[]string{soci}, []int{8}},
		"no platforms":                {[]string{child(TypeOCIManifest, 1), child(TypeOCIManifest, 2)}, []int{1, 2}},
		"an image and an index":       {[]string{child(TypeOCIIndex, 7), amd64}, []int{1, 7}},
		"an image and nowhere":        {[]string{nowhere, amd64}, []int{1}},
		"nowhere":                     {[]string{nowhere}, []int{4}},
		"attestations":                {[]string{attestation}, []int{3}},
	} {
		var want []string
		for _, n := range test.want {
			want = append(want, digestOf(n))
		}
		m, err := Classify(TypeOCIIndex, []byte(indexOf(TypeOCIIndex, test.children...)))
		if err != nil || !slices.Equal(m.Children, want) {
			t.Errorf("%s: got %q, %v; want %q", name, m.Children, err, want)
		}
	}
}

// TestYearOneOfALayer is a date, which is not to be taken for none.
func TestYearOneOfALayer(t *testing.T) {
	old := child(ociLayer, 5, `"annotations":{"buildkit/createdat":"0001-01-01T00:00:00Z"}`)
	m, err := Classify(TypeOCIIndex, []byte(indexOf(TypeOCIIndex, old, cacheConfig)))
	if err != nil || m.Newest.IsZero() || SaysAge(m.Newest) {
		t.Errorf("newest %v, %v", m.Newest, err)
	}
}

func TestSaysAge(t *testing.T) {
	for text, want := range map[string]bool{
		"0001-01-01T00:00:00Z": false, "1970-01-01T00:00:00Z": false, "1970-01-01T00:00:01Z": false, "1980-01-01T00:00:01Z": false,
		"1985-10-26T08:15:00Z": false, "2012-12-31T23:59:59Z": false, "2013-01-01T00:00:00Z": true, "2026-11-23T09:08:29Z": true,
		"2013-01-01T00:30:00+01:00": false,
	} {
		created, err := time.Parse(time.RFC3339, text)
		if got := SaysAge(created); err != nil || got != want {
			t.Errorf("%s: %t, %v", text, got, err)
		}
	}
}

func TestNamesDigest(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for name, want := range map[string]bool{
		"sha256-" + hex: true, "sha256-" + hex + ".sig": true, "sha256-" + hex + ".att": true, "sha256-" + hex + "-x": true, "sha512-" + hex: true, "sha512-" + hex + hex: true,
		"sha256-" + hex[1:]: false, "sha256-" + strings.ToUpper(hex): false, "x-sha256-" + hex: false, "sha256": false, "sha256-main": false, hex: false, "": false,
		"sha384-" + hex: false, "sha256_" + hex: false,
	} {
		if got := NamesDigest(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
