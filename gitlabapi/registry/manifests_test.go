package registry

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	unknownManifest = `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"tag"}}]}`
	unknownName     = `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"group/app"}}]}`
	rejectedIndex   = `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"OCI index found, but accept header does not support OCI indexes"}]}`
)

// bothWays answers HEAD and GET of a manifest differently.
func bothWays(head, get func(*http.Request) *http.Response) func(*http.Request) *http.Response {
	return func(req *http.Request) *http.Response {
		if req.Method == http.MethodHead {
			return head(req)
		}
		return get(req)
	}
}

// TestWhatProvesThatAManifestIsMissing: only the registry's own words do, and a HEAD has
// none.
func TestWhatProvesThatAManifestIsMissing(t *testing.T) {
	header := []string{"Docker-Distribution-Api-Version", "registry/2.0"}
	gone := always(404, "", header...)
	for name, test := range map[string]struct {
		get    func(*http.Request) *http.Response
		proves bool
	}{
		"manifest unknown":             {always(404, unknownManifest), true},
		"repository unknown":           {always(404, unknownName), true},
		"both":                         {always(404, `{"errors":[{"code":"NAME_UNKNOWN"},{"code":"MANIFEST_UNKNOWN"}]}`), true},
		"an Accept that was lost":      {always(404, rejectedIndex), false},
		"another code beside":          {always(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"},{"code":"UNKNOWN"}]}`), false},
		"another code":                 {always(404, `{"errors":[{"code":"BLOB_UNKNOWN","message":"manifest unknown"}]}`), false},
		"no code":                      {always(404, `{"errors":[{"message":"manifest unknown"}]}`), false},
		"no errors":                    {always(404, `{"errors":[]}`), false},
		"an empty answer":              {always(404, ``), false},
		"a proxy's page":               {always(404, `<html>MANIFEST_UNKNOWN</html>`, "Content-Type", "text/html"), false},
		"a proxy's page with header":   {always(404, `<html></html>`, header...), false},
		"text":                         {always(404, "404 page not found\n", "Content-Type", "text/plain"), false},
		"GitLab's own":                 {always(404, `{"message":"404 Not Found"}`), false},
		"GitLab's own, of a tag":       {always(404, `{"message":"404 Tag Not Found"}`), false},
		"cut off":                      {always(404, unknownManifest[:40]), false},
		"with another status":          {always(400, unknownManifest), false},
		"with a passing status":        {always(503, unknownManifest), false},
		"with a success":               {always(200, unknownManifest), false},
		"forbidden":                    {always(403, unknownManifest), false},
		"gone":                         {always(410, unknownManifest), false},
		"in the wrong case":            {always(404, `{"errors":[{"code":"manifest_unknown"}]}`), false},
		"followed by something":        {always(404, unknownManifest+"x"), false},
		"at the end of something long": {always(404, strings.Repeat(" ", 64<<10)+unknownManifest), false},
	} {
		h := &fakeRegistry{serve: bothWays(gone, test.get)}
		r := h.connect(t, throttle.Config{})
		_, head := r.Head(t.Context(), "group/app", "tag")
		_, get := r.Manifest(t.Context(), "group/app", "tag")
		for method, err := range map[string]error{"Head": head, "Manifest": get} {
			if err == nil || errors.Is(err, ErrManifestNotFound) != test.proves {
				t.Errorf("%s, %s: %v", name, method, err)
			}
			if test.proves && !errors.Is(err, throttle.ErrNotFound) {
				t.Errorf("%s, %s: no throttle.ErrNotFound", name, method)
			}
		}
	}
}

// TestNoSuchTagAndLostManifest: a 404 of the registry's own says which of the two it is.
func TestNoSuchTagAndLostManifest(t *testing.T) {
	recorded := func(name string) string {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	unknown := func(detail string) string {
		return fmt.Sprintf(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":%s}]}`, detail)
	}
	lost := digestOf(7)
	for name, test := range map[string]struct {
		body  string
		noTag bool
		lost  string
	}{
		"recorded, no such tag":    {recorded("404-no-such-tag.json"), true, ""},
		"recorded, lost":           {recorded("404-manifest-lost.json"), false, "sha256:76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9"},
		"no such tag":              {unknown(`{"Tag":"feature-1"}`), true, ""},
		"lost":                     {unknown(`{"Name":"group/app","Revision":"` + lost + `"}`), false, lost},
		"in distribution's words":  {unknown(`"unknown tag=feature-1"`), true, ""},
		"of another tag, in these": {unknown(`"unknown tag=feature-10"`), false, ""},
		"another tag":              {unknown(`{"Tag":"feature-2"}`), false, ""},
		"both":                     {unknown(`{"Tag":"feature-1","Revision":"` + lost + `"}`), false, ""},
		"no digest":                {unknown(`{"Name":"group/app","Revision":"x"}`), false, ""},
		"neither":                  {unknown(`{"Name":"group/app"}`), false, ""},
		"no detail":                {unknown(`null`), false, ""},
		"text":                     {unknown(`"feature-1"`), false, ""},
		"a list":                   {unknown(`[{"Tag":"feature-1"}]`), false, ""},
		"two errors":               {`{"errors":[{"code":"MANIFEST_UNKNOWN","detail":{"Tag":"feature-1"}},{"code":"MANIFEST_UNKNOWN"}]}`, false, ""},
		"no repository":            {`{"errors":[{"code":"NAME_UNKNOWN","detail":{"Tag":"feature-1"}}]}`, false, ""},
	} {
		r := (&fakeRegistry{serve: always(404, test.body)}).connect(t, throttle.Config{})
		_, head := r.Head(t.Context(), "group/app", "feature-1")
		_, get := r.Manifest(t.Context(), "group/app", "feature-1")
		for method, err := range map[string]error{"Head": head, "Manifest": get, "Exists": r.Exists(t.Context(), "group/app", "feature-1")} {
			digest := ""
			if e, ok := errors.AsType[*LostManifestError](err); ok {
				digest = e.Digest
			}
			if errors.Is(err, ErrNoSuchTag) != test.noTag || digest != test.lost || !errors.Is(err, ErrManifestNotFound) || !errors.Is(err, throttle.ErrNotFound) {
				t.Errorf("%s, %s: %v", name, method, err)
			}
		}
	}
}

// TestOtherStatusesOfHead prove nothing and are not asked about again.
func TestOtherStatusesOfHead(t *testing.T) {
	for _, status := range []int{301, 400, 403, 405, 410, 429, 500, 502, 503, 504} {
		h := &fakeRegistry{serve: bothWays(always(status, ""), always(404, unknownManifest))}
		if _, err := h.connect(t, throttle.Config{}).Head(t.Context(), "group/app", "tag"); !isStatus(status)(err) || errors.Is(err, ErrManifestNotFound) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestATagThatComesBack between HEAD and GET is there.
func TestATagThatComesBack(t *testing.T) {
	h := &fakeRegistry{serve: bothWays(always(404, ""), plainImage(t))}
	d, err := h.connect(t, throttle.Config{}).Head(t.Context(), "group/app", "tag")
	if err != nil || d.MediaType != manifest.TypeOCIManifest || d.Digest == "" {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestManifestsThatAreNotWhatTheyShould are errors, whether of the package's kinds of
// errors or of documents.
func TestManifestsThatAreNotWhatTheyShould(t *testing.T) {
	good := string(fixture(t, "cache-oci-index.json"))
	const digest = "Docker-Content-Digest"
	large := good + strings.Repeat(" ", manifest.MaxBytes)
	for name, test := range map[string]struct {
		get      func(*http.Request) *http.Response
		manifest bool // a ManifestError, with the digest; else a throttle.FormatError
	}{
		"no digest":           {always(200, good, "Content-Type", manifest.TypeOCIIndex), false},
		"another's digest":    {always(200, good, "Content-Type", manifest.TypeOCIIndex, digest, digestOf(1)), false},
		"digest in capitals":  {always(200, good, "Content-Type", manifest.TypeOCIIndex, digest, strings.ToUpper(sha256Of(good))), false},
		"digest of no kind":   {always(200, good, "Content-Type", manifest.TypeOCIIndex, digest, "md5:d41d8cd98f00b204e9800998ecf8427e"), false},
		"cut off":             {always(200, good[:90], "Content-Type", manifest.TypeOCIIndex, digest, sha256Of(good)), false},
		"larger than 4 MiB":   {document(manifest.TypeOCIIndex, large), false},
		"a page":              {always(200, good, "Content-Type", "text/html", digest, sha256Of(good)), false},
		"an XHTML page":       {always(200, good, "Content-Type", "application/xhtml+xml", digest, sha256Of(good)), false},
		"text":                {always(200, good, "Content-Type", "text/plain", digest, sha256Of(good)), false},
		"Docker's old schema": {document("application/vnd.docker.distribution.manifest.v1+prettyjws", good), true},
		"another media type":  {document(manifest.TypeDockerList, good), true},
		"no media type":       {document("", good), true},
		"an index of no list": {document(manifest.TypeOCIIndex, `{"schemaVersion":2,"manifests":{}}`), true},
		"nothing":             {document(manifest.TypeOCIIndex, ``), true},
	} {
		m, err := (&fakeRegistry{serve: test.get}).connect(t, throttle.Config{MaxRetries: 3}).Manifest(t.Context(), "group/app", "tag")
		_, isManifest := errors.AsType[*manifest.Error](err)
		if m.Kind != manifest.KindUnknown || isManifest != test.manifest || isFormat(err) == test.manifest || (m.Digest != "") != test.manifest {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}

func TestHeadThatSaysTooLittle(t *testing.T) {
	const digest = "Docker-Content-Digest"
	for name, serve := range map[string]func(*http.Request) *http.Response{
		"no digest":         always(200, "", "Content-Type", manifest.TypeOCIIndex),
		"no media type":     always(200, "", "Content-Type", "", digest, digestOf(1)),
		"a page":            always(200, "", "Content-Type", "text/html", digest, digestOf(1)),
		"digest of no kind": always(200, "", "Content-Type", manifest.TypeOCIIndex, digest, "sha256:1"),
	} {
		if _, err := (&fakeRegistry{serve: serve}).connect(t, throttle.Config{MaxRetries: 3}).Head(t.Context(), "group/app", "tag"); !isFormat(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAllMediaTypesAreAccepted in one header; a registry denies an index to those who do
// not accept it.
func TestAllMediaTypesAreAccepted(t *testing.T) {
	image := plainImage(t)
	h := &fakeRegistry{serve: func(req *http.Request) *http.Response {
		accept := req.Header.Values("Accept")
		for _, want := range []string{manifest.TypeOCIIndex, manifest.TypeOCIManifest, manifest.TypeDockerList, manifest.TypeDockerManifest} {
			if len(accept) != 1 || !strings.Contains(accept[0], want) {
				t.Errorf("%s accepts %q", req.Method, accept)
			}
		}
		return image(req)
	}}
	r := h.connect(t, throttle.Config{})
	_, head := r.Head(t.Context(), "group/app", "tag")
	_, get := r.Manifest(t.Context(), "group/app", "tag")
	if err := errors.Join(head, get); err != nil {
		t.Error(err)
	}
}

// TestBlobsInAnObjectStore are told from other errors, and the store hears nothing.
func TestBlobsInAnObjectStore(t *testing.T) {
	for _, to := range []string{"https://store.example/bucket/x?signature=secret", "https://registry.example/elsewhere", "http://registry.example/v2/"} {
		h := &fakeRegistry{serve: always(307, "", "Location", to)}
		_, _, err := h.connect(t, throttle.Config{MaxRetries: 3}).ConfigCreated(t.Context(), "group/app", digestOf(1))
		elsewhere, ok := errors.AsType[*ElsewhereError](err)
		if !ok || strings.Contains(err.Error(), "signature") || !strings.HasPrefix(to, elsewhere.To) {
			t.Errorf("%s: got %v", to, err)
		}
		if got := h.requests(); len(got) != 3 {
			t.Errorf("%s: %q", to, got)
		}
	}
	h := &fakeRegistry{login: always(307, "", "Location", "https://evil.example/")}
	_, _, err := h.connect(t, throttle.Config{}).ConfigCreated(t.Context(), "group/app", digestOf(1))
	if _, ok := errors.AsType[*ElsewhereError](err); ok || err == nil {
		t.Errorf("a redirect of /jwt/auth: %v", err)
	}
	for name, serve := range map[string]func(*http.Request) *http.Response{
		"another blob": document("application/octet-stream", `{}`),
		"a page":       always(200, "<html>", "Content-Type", "text/html"),
		"too large":    document("application/octet-stream", strings.Repeat(" ", manifest.MaxBytes+1)),
	} {
		if _, _, err := (&fakeRegistry{serve: serve}).connect(t, throttle.Config{}).ConfigCreated(t.Context(), "group/app", digestOf(1)); !isFormat(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, _, err = (&fakeRegistry{serve: always(404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`)}).connect(t, throttle.Config{}).ConfigCreated(t.Context(), "group/app", digestOf(1))
	if !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, ErrManifestNotFound) {
		t.Errorf("a blob that is missing says of the manifest: %v", err)
	}
}

// TestNamesThatAreNeverSent could name another thing than they seem to.
func TestNamesThatAreNeverSent(t *testing.T) {
	h := &fakeRegistry{serve: plainImage(t)}
	r := h.connect(t, throttle.Config{})
	for _, path := range []string{"", "/", ".", "..", "../x", "a/../b", "a//b", "/a", "a/", "A", "a b", "a?b", "a#b", "a%2fb", "a:pull,push", "a:b", "a\n", "a@b", "_a", "a/-b", strings.Repeat("a", 256)} {
		_, tags := r.Tags(t.Context(), path)
		_, rows := allRows(r.TagRows(t.Context(), path, ""))
		_, head := r.Head(t.Context(), path, "tag")
		_, get := r.Manifest(t.Context(), path, "tag")
		_, _, blob := r.ConfigCreated(t.Context(), path, digestOf(1))
		for _, err := range []error{tags, rows, head, get, blob} {
			if !isFormat(err) {
				t.Errorf("%q: %v", path, err)
			}
		}
	}
	for _, tag := range []string{"", ".", "..", "a/b", "a?b", "a b", "sha256:" + strings.Repeat("0", 64), strings.Repeat("a", 129)} {
		if _, err := r.Head(t.Context(), "group/app", tag); !isFormat(err) {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
	for _, digest := range []string{"", "x", "sha256:", "sha256:../../..", "tag"} {
		if _, _, err := r.ConfigCreated(t.Context(), "group/app", digest); !isFormat(err) {
			t.Errorf("digest %q: %v", digest, err)
		}
	}
	if got := h.requests(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	for _, path := range []string{"a", "a/b/c", "group/my-app_1.x/web.cache", "a--b", "a__b", "1/2"} {
		if _, err := r.Head(t.Context(), path, "tag"); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestTheRegistrySharesTheLimiter: its 429 holds everything, the API's holds it, and the
// rate counts them all.
func TestTheRegistrySharesTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, image := true, plainImage(t)
		h := &fakeRegistry{serve: func(req *http.Request) *http.Response {
			if limited {
				limited = false
				return reply(req, 429, "", "Retry-After", "30")
			}
			return image(req)
		}}
		d := newArrivals()
		network := wire(func(req *http.Request) (*http.Response, error) {
			d.Add()
			if strings.HasPrefix(req.URL.Path, "/api/v4") {
				return reply(req, 200, "[]"), nil
			}
			return h.RoundTrip(req)
		})
		c := newTestClient(t, network, throttle.Config{Concurrency: 4, RateLimit: 1, RateBurst: 1, MaxRetries: 2})
		r, _ := New(c, "registry.example")
		if _, err := r.Head(t.Context(), "group/app", "tag"); err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://gitlab.example/api/v4/projects", nil)
		if _, err := c.Do(req, throttle.Request{}); err != nil {
			t.Fatal(err)
		}
		// Ping, token and HEAD at one a second; then the pause, and half the rate.
		want := seconds(0, 1, 2, 32, 34)
		got := d.Times()
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("sent at %v, want %v", got, want)
			}
		}
		if s := c.Stats(); s.Requests != 2 || s.RegistryRequests != 3 || s.Retries != 1 || s.Throttled != 30*time.Second {
			t.Errorf("Stats() = %+v", s)
		}
	})
}

// TestWhatIsRepeatedAtTheRegistry: HEAD and GET after failures that pass, nothing else.
func TestWhatIsRepeatedAtTheRegistry(t *testing.T) {
	for status, repeats := range map[int]bool{400: false, 403: false, 405: false, 429: true, 500: true, 502: true, 503: true, 504: true, 200: false} {
		synctest.Test(t, func(t *testing.T) {
			h := &fakeRegistry{serve: always(status, "<html>", "Content-Type", "text/html")}
			r := h.connect(t, throttle.Config{MaxRetries: 3})
			_, head := r.Head(t.Context(), "group/app", "tag")
			_, list := allRows(r.TagRows(t.Context(), "group/app", ""))
			want := int64(1 + 2)
			if repeats {
				want += 2 * 3
			}
			if got := r.client.Stats().RegistryRequests; got != want || head == nil || list == nil {
				t.Errorf("%d: %d requests, want %d: %v, %v", status, got, want, head, list)
			}
		})
	}
}
