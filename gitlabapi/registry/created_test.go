package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A store is what a fake registry serves by digest.
type store map[string]struct{ mediaType, body string }

func (s store) put(mediaType, body string) (digest string) {
	digest = sha256Of(body)
	s[digest] = struct{ mediaType, body string }{mediaType, body}
	return digest
}

func (s store) serve(req *http.Request) *http.Response {
	digest := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	found, ok := s[digest]
	if !ok {
		return reply(req, 404, fmt.Sprintf(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Name":"group/app","Revision":%q}}]}`, digest))
	}
	return document(found.mediaType, found.body)(req)
}

// image puts an image whose config has a date, or none.
func (s store) image(created string) string {
	text := `{}`
	if created != "" {
		text = fmt.Sprintf(`{"created":%q}`, created)
	}
	config := s.put("application/octet-stream", text)
	return s.put(manifest.TypeOCIManifest, fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":7},"layers":[]}`, config))
}

// index puts an index of children for different systems, or for none.
func (s store) index(mediaType string, platforms bool, children ...string) string {
	var list []string
	for i, digest := range children {
		platform := ""
		if platforms {
			platform = fmt.Sprintf(`,"platform":{"os":"linux","architecture":"a%d"}`, i)
		}
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7%s}`, mediaType, digest, platform))
	}
	return s.put(manifest.TypeOCIIndex, `{"schemaVersion":2,"manifests":[`+strings.Join(list, ",")+`]}`)
}

// readOf returns the manifest of a digest as it is read by a tag.
func (s store) readOf(t *testing.T, digest string) manifest.Manifest {
	t.Helper()
	m, err := manifest.Classify(s[digest].mediaType, []byte(s[digest].body))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCreated dates every kind of tag, and says what each costs.
func TestCreated(t *testing.T) {
	s := store{}
	const oci, index = manifest.TypeOCIManifest, manifest.TypeOCIIndex
	old, young, never := s.image("2020-01-01T00:00:00Z"), s.image("2026-01-01T00:00:00Z"), s.image("")
	first, epoch := s.image("0001-01-01T00:00:00Z"), s.image("1970-01-01T00:00:00Z")
	cache := func(created string) string {
		return s.put(index, `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"`+digestOf(1)+`","size":7`+created+`},`+
			`{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"`+digestOf(2)+`","size":7}]}`)
	}
	nested := s.index(index, false, s.index(oci, true, old, never), s.index(oci, true, young))
	for name, test := range map[string]struct {
		digest  string
		created string
		undated bool
		sent    int // of manifests and configs
	}{
		"an image":                      {young, "2026-01-01T00:00:00Z", false, 1},
		"an image without date":         {never, "", true, 1},
		"an image of the year 1":        {first, "0001-01-01T00:00:00Z", false, 1},
		"two images":                    {s.index(oci, true, young, old), "2026-01-01T00:00:00Z", false, 4},
		"one without date":              {s.index(oci, true, young, never), "0001-01-01T00:00:00Z", false, 4},
		"one of the year 1":             {s.index(oci, true, first, young), "0001-01-01T00:00:00Z", false, 4},
		"one of 1970":                   {s.index(oci, true, young, epoch), "0001-01-01T00:00:00Z", false, 4},
		"all without age":               {s.index(oci, true, first, epoch), "1970-01-01T00:00:00Z", false, 4},
		"all without date":              {s.index(oci, true, never), "", true, 2},
		"images without platforms":      {s.index(oci, false, old, young), "2026-01-01T00:00:00Z", false, 4},
		"an index of indexes":           {nested, "0001-01-01T00:00:00Z", false, 8},
		"an index of nothing":           {s.index(oci, true), "", true, 0},
		"a cache":                       {cache(`,"annotations":{"buildkit/createdat":"2026-02-02T00:00:00Z"}`), "2026-02-02T00:00:00Z", false, 0},
		"a cache of the year 1":         {cache(`,"annotations":{"buildkit/createdat":"0001-01-01T00:00:00Z"}`), "1970-01-01T00:00:00Z", false, 0},
		"a cache whose layers say none": {cache(""), "", true, 0},
	} {
		h := &fakeRegistry{serve: s.serve, open: true}
		r := h.connect(t, throttle.Config{})
		if _, err := r.Signs(t.Context()); err != nil { // finds out that no token is wanted
			t.Fatal(err)
		}
		h.requests()
		got, err := r.Contents(t.Context(), "group/app", s.readOf(t, test.digest))
		want, _ := time.Parse(time.RFC3339, test.created)
		if err != nil || got.Dated == test.undated || !got.Created.Equal(want) {
			t.Errorf("%s: got %v, %v; want %s", name, got, err, test.created)
		}
		if got := h.requests(); len(got) != test.sent {
			t.Errorf("%s: sent %q, want %d", name, got, test.sent)
		}
	}
}

// TestCreatedThatIsNotKnown is an error, and says nothing of the tag.
func TestCreatedThatIsNotKnown(t *testing.T) {
	s := store{}
	const oci = manifest.TypeOCIManifest
	young := s.image("2026-01-01T00:00:00Z")
	lost := digestOf(7)
	many := func(n int) []string {
		var all []string
		for i := range n {
			all = append(all, s.image(fmt.Sprintf("2026-01-01T00:00:%02dZ", i)))
		}
		return all
	}
	var nested []string
	for i := range 11 {
		nested = append(nested, s.index(oci, true, many(11)[i:i+2]...))
	}
	broken := s.put(oci, `{"schemaVersion":2}`)
	noConfig := s.put(oci, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+lost+`","size":7},"layers":[]}`)
	for name, m := range map[string]manifest.Manifest{
		"never read":          {},
		"no manifest":         {Kind: manifest.KindMissingManifest},
		"first schema":        {Kind: manifest.KindArtifact, MediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws"},
		"lost child":          s.readOf(t, s.index(oci, true, young, lost)),
		"broken child":        s.readOf(t, s.index(oci, true, young, broken)),
		"child without blob":  s.readOf(t, s.index(oci, true, young, noConfig)),
		"lost config":         s.readOf(t, noConfig),
		"33 children":         s.readOf(t, s.index(oci, true, many(33)...)),
		"33 in nested ones":   s.readOf(t, s.index(manifest.TypeOCIIndex, false, nested...)),
		"child of no digest":  {Kind: manifest.KindMultiArch, MediaType: manifest.TypeOCIIndex, Children: []string{"tag"}},
		"config of no digest": {Kind: manifest.KindImage, MediaType: oci},
	} {
		got, err := (&fakeRegistry{serve: s.serve}).connect(t, throttle.Config{}).Contents(t.Context(), "group/app", m)
		_, isLost := errors.AsType[*LostManifestError](err)
		if err == nil || got != (Contents{}) || errors.Is(err, ErrManifestNotFound) || errors.Is(err, ErrNoSuchTag) || isLost {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if _, err := (&fakeRegistry{serve: s.serve}).connect(t, throttle.Config{}).Contents(t.Context(), "group/app", s.readOf(t, s.index(oci, true, many(32)...))); err != nil {
		t.Errorf("32 children: %v", err)
	}
	elsewhere := (&fakeRegistry{serve: func(req *http.Request) *http.Response {
		if strings.Contains(req.URL.Path, "/blobs/") {
			return reply(req, 307, "", "Location", "https://store.example/x")
		}
		return s.serve(req)
	}}).connect(t, throttle.Config{})
	for _, digest := range []string{young, s.index(oci, true, young)} {
		got, err := elsewhere.Contents(t.Context(), "group/app", s.readOf(t, digest))
		if _, ok := errors.AsType[*ElsewhereError](err); !ok || got != (Contents{}) {
			t.Errorf("in an object store: %v, %v", got, err)
		}
	}
	another := (&fakeRegistry{serve: document(oci, s[young].body)}).connect(t, throttle.Config{})
	if _, err := another.Contents(t.Context(), "group/app", s.readOf(t, s.index(oci, true, lost))); !isFormat(err) {
		t.Errorf("another manifest than the child: %v", err)
	}
}

// TestSizes: the size of an index is that of what its images reference, layers that they share counted
// once, and not that of their manifests.
func TestSizes(t *testing.T) {
	s := store{}
	const oci = manifest.TypeOCIManifest
	config := s.put("application/octet-stream", `{"created":"2026-01-01T00:00:00Z"}`)
	image := func(layers ...int64) string {
		var list []string
		for _, size := range layers {
			list = append(list, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, digestOf(int(size)), size))
		}
		return s.put(oci, fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":7},"layers":[%s]}`, config, strings.Join(list, ",")))
	}
	one, other := image(10, 20, 10), image(20, 30)
	attestation := s.image("")
	attested := s.put(manifest.TypeOCIIndex, fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":5,"platform":{"os":"linux","architecture":"amd64"}},`+
		`{"mediaType":%q,"digest":%q,"size":5,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":%q}}]}`,
		oci, one, oci, attestation, one))
	const most = 1<<63 - 1
	for name, test := range map[string]struct {
		digest string
		want   int64
	}{
		"an image":             {other, 7 + 20 + 30},
		"an attested image":    {attested, 7 + 10 + 20},
		"two that share some":  {s.index(oci, true, one, other), 7 + 10 + 20 + 30},
		"an index of indexes":  {s.index(manifest.TypeOCIIndex, false, s.index(oci, true, one), s.index(oci, true, other)), 7 + 10 + 20 + 30},
		"an index of nothing":  {s.index(oci, true), 0},
		"a sum that cannot be": {s.index(oci, true, image(most), other, image(most-1)), 0},
	} {
		r := (&fakeRegistry{serve: s.serve}).connect(t, throttle.Config{})
		if got, err := r.Contents(t.Context(), "group/app", s.readOf(t, test.digest)); err != nil || got.Bytes != test.want {
			t.Errorf("%s: %d bytes, %v; want %d", name, got.Bytes, err, test.want)
		}
	}
}

// TestNamesThatARegistryTakesForDigests: what it sends for such a tag is the image, of which the
// tag was to be told apart.
func TestNamesThatARegistryTakesForDigests(t *testing.T) {
	body := string(fixture(t, "image-oci-manifest.json"))
	r := (&fakeRegistry{serve: document(manifest.TypeOCIManifest, body)}).connect(t, throttle.Config{})
	name := strings.Replace(sha256Of(body), ":", "-", 1)
	_, get := r.Manifest(t.Context(), "group/app", name)
	_, head := r.Head(t.Context(), "group/app", name)
	for method, err := range map[string]error{"Manifest": get, "Head": head, "Exists": r.Exists(t.Context(), "group/app", name)} {
		if !isFormat(err) {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, other := range []string{name + ".sig", "sha256-" + strings.Repeat("0", 64)} {
		if m, err := r.Manifest(t.Context(), "group/app", other); err != nil || m.Kind != manifest.KindImage {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// TestFirstSchema of Docker's is an artifact, whose digest is not that of its bytes.
func TestFirstSchema(t *testing.T) {
	const signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	for digest, fine := range map[string]bool{digestOf(1): true, "": false, "md5:0": false} {
		serve := always(200, `{"schemaVersion":1,"fsLayers":[]}`, "Content-Type", signed, "Docker-Content-Digest", digest)
		m, err := (&fakeRegistry{serve: serve}).connect(t, throttle.Config{}).Manifest(t.Context(), "group/app", "tag")
		if (err == nil && m.Kind == manifest.KindArtifact && m.Digest == digest) != fine {
			t.Errorf("%q: got %+v, %v", digest, m, err)
		}
	}
}
