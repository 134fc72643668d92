//go:build realregistry

package gitlabtest_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// These tests hold the stand-in's /v2 against a real Docker registry 2.8 that wants no
// token and allows deletions:
//
//	go test -tags realregistry -run TestRealRegistry ./gitlabapi/gitlabtest -registry=http://127.0.0.1:5000
//
// Without the tag they do not exist. The registry must be fresh.
var registryURL = flag.String("registry", "", "`URL` of a real registry to compare with")

// elsewhere sends requests to another host than they were made for.
type elsewhere struct{ to *url.URL }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host, r.Host = e.to.Scheme, e.to.Host, ""
	return http.DefaultTransport.RoundTrip(r)
}

// both are the two registries, with the same in them.
type both struct {
	real    http.RoundTripper
	standin http.RoundTripper
}

// bothWith pushes a world's tags to the real registry.
func bothWith(t *testing.T, w *gitlabtest.World) both {
	t.Helper()
	to, err := url.Parse(*registryURL)
	if err != nil || to.Host == "" {
		t.Fatalf("-registry is %q, which is no URL of a registry", *registryURL)
	}
	s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
	if err := s.PushTo(t.Context(), *registryURL); err != nil {
		t.Fatal(err)
	}
	return both{elsewhere{to}, s.Transport()}
}

// shown is what has to be the same of an answer.
type shown struct {
	Status int
	Errors string
	Header map[string]string
	Body   string
}

func see(t *testing.T, h http.RoundTripper, q query) shown {
	t.Helper()
	got, err := q.send(h)
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	view := shown{Status: got.status, Errors: got.registryErrors(), Header: map[string]string{}}
	names := []string{"Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version", "Etag", "Link", "Cache-Control", "Accept-Ranges"}
	if got.status == http.StatusOK {
		names = append(names, "Content-Length")
		view.Body = strings.TrimSpace(got.text)
	}
	for _, name := range names {
		view.Header[name] = got.header.Get(name)
	}
	return view
}

// same fails unless both say the same to a request.
func (b both) same(t *testing.T, q query) {
	t.Helper()
	if diff := cmp.Diff(see(t, b.real, q), see(t, b.standin, q)); diff != "" {
		t.Errorf("%s %s, accepting %q: real (-), stand-in (+)\n%s", q.method, q.path, q.accept, diff)
	}
}

// differ fails unless each says what it is known to say.
func (b both) differ(t *testing.T, q query, real, standin string) {
	t.Helper()
	for i, h := range []http.RoundTripper{b.real, b.standin} {
		view, want := see(t, h, q), []string{real, standin}[i]
		if got := strings.TrimSpace(fmt.Sprint(view.Status, " ", view.Errors)); got != want {
			t.Errorf("%s %s: %s: got %s, want %s", q.method, q.path, []string{"real", "stand-in"}[i], got, want)
		}
	}
}

// allKinds has a tag of each kind that can be pushed, in a repository of its own.
func allKinds(project string) *gitlabtest.World {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("real/" + project)
	for kind := range kindsOnLegacy {
		if kind != gitlabtest.KindManifestMissing {
			p.AddRepository(string(kind)).AddTag("x", kind)
		}
	}
	return w
}

// acceptable are all combinations of media types that a client may accept.
func acceptable() []string {
	types := []string{dockerManifest, dockerList, ociManifest, ociIndex}
	var all []string
	for bits := range 1 << len(types) {
		var some []string
		for i, mediaType := range types {
			if bits&(1<<i) != 0 {
				some = append(some, mediaType)
			}
		}
		all = append(all, strings.Join(some, ", "))
	}
	return append(all, "*/*", "application/json", ociIndex+";q=0.5,"+ociManifest)
}

func TestRealRegistryManifests(t *testing.T) {
	w := allKinds("manifests")
	b := bothWith(t, w)
	requests := 0
	for _, r := range w.Projects[0].Repositories {
		base := "/v2/" + r.Path() + "/manifests/"
		digest := see(t, b.standin, query{method: "HEAD", path: base + "x", accept: allTypes}).Header["Docker-Content-Digest"]
		for _, accept := range acceptable() {
			for _, reference := range []string{"x", digest} {
				for _, method := range []string{"GET", "HEAD"} {
					if reference == "x" && schema1(r.Tags[0].Kind, accept) {
						continue
					}
					b.same(t, query{method: method, path: base + reference, accept: accept})
					requests++
				}
			}
		}
	}
	t.Logf("%d requests for manifests", requests)
}

// schema1 says whether the real registry makes a manifest of the first version, of which
// GitLab's knows nothing, for a client that does not accept Docker's second.
func schema1(kind gitlabtest.Kind, accept string) bool {
	if strings.Contains(accept, dockerManifest) {
		return false
	}
	return kind == gitlabtest.KindDockerImage || kind == gitlabtest.KindDockerList && !strings.Contains(accept, dockerList)
}

func TestRealRegistryReferences(t *testing.T) {
	w := allKinds("references")
	b := bothWith(t, w)
	for _, r := range w.Projects[0].Repositories {
		b.sameReferences(t, "/v2/"+r.Path(), "x")
	}
}

// sameReferences compares the children of a manifest and its blobs, small ones whole.
func (b both) sameReferences(t *testing.T, base, reference string) {
	t.Helper()
	got, err := query{method: "GET", path: base + "/manifests/" + reference, accept: allTypes}.send(b.standin)
	if err != nil {
		t.Fatal(err)
	}
	document := got.object(t)
	children, _ := document["manifests"].([]any)
	blobs, _ := document["layers"].([]any)
	if config := document["config"]; config != nil {
		blobs = append(blobs, config)
	}
	for _, part := range slices.Concat(children, blobs) {
		d := part.(map[string]any)
		digest := d["digest"].(string)
		if isManifest(d["mediaType"].(string)) {
			b.same(t, query{method: "GET", path: base + "/manifests/" + digest, accept: allTypes})
			b.sameReferences(t, base, digest)
			continue
		}
		b.same(t, query{method: "HEAD", path: base + "/blobs/" + digest})
		if d["size"].(float64) < 4096 {
			b.same(t, query{method: "GET", path: base + "/blobs/" + digest})
		}
	}
}

func TestRealRegistryErrors(t *testing.T) {
	w := allKinds("errors")
	b := bothWith(t, w)
	const none = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	base := "/v2/real/errors/image"
	digest := see(t, b.standin, query{method: "HEAD", path: base + "/manifests/x", accept: allTypes}).Header["Docker-Content-Digest"]
	for _, q := range []query{
		{method: "GET", path: base + "/manifests/gone"},
		{method: "HEAD", path: base + "/manifests/gone"},
		{method: "GET", path: base + "/manifests/" + none},
		{method: "GET", path: base + "/manifests/-x"},
		{method: "GET", path: "/v2/real/errors/none/manifests/x"},
		{method: "GET", path: "/v2/real/errors/none/manifests/" + none},
		{method: "GET", path: "/v2/real/errors/artifact/manifests/" + digest}, // it is in another
		{method: "GET", path: "/v2/real/errors/none/tags/list"},
		{method: "GET", path: base + "/blobs/" + none},
		{method: "GET", path: base + "/blobs/x"},
		{method: "GET", path: "/v2/real/errors/none/blobs/" + none},
		{method: "DELETE", path: base + "/tags/list"},
		{method: "POST", path: base + "/manifests/x"},
		{method: "PUT", path: base + "/manifests/y", contentType: ociManifest, body: "{garbage"},
		{method: "PUT", path: base + "/manifests/" + none, contentType: ociManifest, body: string(manifestBytes(t, b, base))},
	} {
		q.accept = allTypes
		b.same(t, q)
	}
}

func manifestBytes(t *testing.T, b both, base string) []byte {
	t.Helper()
	return []byte(see(t, b.standin, query{method: "GET", path: base + "/manifests/x", accept: allTypes}).Body)
}

func TestRealRegistryPut(t *testing.T) {
	w := allKinds("writes")
	b := bothWith(t, w)
	for _, r := range w.Projects[0].Repositories {
		base := "/v2/" + r.Path()
		was, err := query{method: "GET", path: base + "/manifests/x", accept: allTypes}.send(b.standin)
		if err != nil {
			t.Fatal(err)
		}
		b.same(t, query{method: "PUT", path: base + "/manifests/again", contentType: was.header.Get("Content-Type"), body: was.text, accept: allTypes})
		b.same(t, query{method: "GET", path: base + "/manifests/again", accept: allTypes})
	}
}

// What Debian's registry does otherwise than GitLab's, and the stand-in with that.
func TestRealRegistryDifferences(t *testing.T) {
	w := allKinds("differences")
	r := w.Projects[0].Repository("image")
	for _, name := range []string{"b", "d", "c", "a"} {
		r.AddTag(name, gitlabtest.KindImage)
	}
	b := bothWith(t, w)
	base := "/v2/real/differences/"

	t.Log("it does not delete by tag")
	b.differ(t, query{method: "DELETE", path: base + "image/manifests/none"},
		"400 DIGEST_INVALID: provided digest did not match uploaded content", "404 MANIFEST_UNKNOWN: manifest unknown")
	b.differ(t, query{method: "DELETE", path: base + "artifact/manifests/x"},
		"400 DIGEST_INVALID: provided digest did not match uploaded content", "202")

	t.Log("it does not sort names; all of them come at once from both")
	for _, path := range []string{"", "?n=2", "?n=2&last=b"} {
		for i, h := range []http.RoundTripper{b.real, b.standin} {
			got, err := query{method: "GET", path: base + "image/tags/list" + path}.send(h)
			if err != nil {
				t.Fatal(err)
			}
			names := namesOn(t, got)
			if i == 0 {
				slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
			if view := fmt.Sprint(names, got.header.Get("Link")); view != "[a b c d x]" {
				t.Errorf("%q: %s says %s", path, []string{"real", "stand-in"}[i], view)
			}
		}
	}

	t.Log("it makes manifests of the first version for those who do not accept Docker's second")
	for _, kind := range []string{"docker-image", "docker-list"} {
		q := query{method: "GET", path: base + kind + "/manifests/x", accept: ociManifest}
		first, second := see(t, b.real, q).Header["Content-Type"], see(t, b.standin, q).Header["Content-Type"]
		if first != "application/vnd.docker.distribution.manifest.v1+prettyjws" || second != dockerManifest {
			t.Errorf("%s: real %s, stand-in %s", kind, first, second)
		}
	}
}

// behind returns a server of a world with the registry in memory, and one with the real
// registry behind it.
func behind(t *testing.T, w *gitlabtest.World) (memory, real *gitlabtest.Server) {
	t.Helper()
	real = gitlabtest.New(w, gitlabtest.WithRealRegistry(*registryURL))
	if err := real.PushTo(t.Context(), *registryURL); err != nil {
		t.Fatal(err)
	}
	return gitlabtest.New(w), real
}

// The API says the same of a real registry as of that in memory, before and after tags
// were deleted by the API and at the registry.
func TestRealRegistryBehindTheAPI(t *testing.T) {
	w := allKinds("backend")
	p := w.Projects[0]
	for _, r := range p.Repositories {
		r.AddTag("twin", r.Tags[0].Kind) // shares its manifest
		r.AddTag("third", r.Tags[0].Kind)
	}
	memory, real := behind(t, w)
	compare := func(r *gitlabtest.Repository) {
		t.Helper()
		for _, path := range []string{at(r) + "/tags", at(r) + "/tags?pagination=keyset", tagAt(r, "x"), tagAt(r, "twin"), tagAt(r, "third"), tagAt(r, "gone")} {
			want, got := get(t, memory, path), get(t, real, path)
			if diff := cmp.Diff(fmt.Sprint(want.status, want.text), fmt.Sprint(got.status, got.text)); diff != "" {
				t.Errorf("%s of %s: %s", path, r.Name, diff)
			}
		}
	}
	for _, r := range p.Repositories {
		compare(r)
		for _, s := range []*gitlabtest.Server{memory, real} {
			if got := call(t, s, http.MethodDelete, tagAt(r, "x")); got.status != http.StatusOK {
				t.Errorf("%s: deletion by the API: %d %s", r.Name, got.status, got.text)
			}
			token := tokenFor(t, s, wholeKit(r.Path()))
			for _, want := range []int{http.StatusAccepted, http.StatusNotFound} {
				got := query{method: "DELETE", path: "/v2/" + r.Path() + "/manifests/third", token: token}.ask(t, s)
				if got.status != want {
					t.Errorf("%s: deletion at the registry: %d %s, want %d", r.Name, got.status, got.text, want)
				}
			}
		}
		compare(r)
	}
	for _, r := range p.Repositories {
		asked := "mutation {" + destroying("a", r, "twin", "gone") + "}"
		want, got := askGraphQL(t, memory, asked, nil), askGraphQL(t, real, asked, nil)
		if diff := cmp.Diff(want.text, got.text); diff != "" {
			t.Errorf("%s of %s: %s", asked, r.Name, diff)
		}
	}
	if diff := cmp.Diff(memory.Remaining(), real.Remaining()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(memory.Deleted(), real.Deleted()); diff != "" {
		t.Error(diff)
	}
}

func TestRealRegistryBehindV2(t *testing.T) {
	w := allKinds("proxied")
	memory, real := behind(t, w)
	for _, r := range w.Projects[0].Repositories {
		base := "/v2/" + r.Path()
		var answers [2][]string
		for i, s := range []*gitlabtest.Server{memory, real} {
			token := tokenFor(t, s, wholeKit(r.Path()))
			manifest := query{method: "GET", path: base + "/manifests/x", accept: allTypes, token: token}.ask(t, s)
			for _, q := range []query{
				{method: "GET", path: base + "/tags/list?n=1000"},
				{method: "HEAD", path: base + "/manifests/x"},
				{method: "DELETE", path: base + "/manifests/x"},
				{method: "GET", path: base + "/manifests/x"},
				{method: "PUT", path: base + "/manifests/x", contentType: manifest.header.Get("Content-Type"), body: manifest.text},
				{method: "GET", path: base + "/manifests/x"},
			} {
				q.accept = allTypes
				refused := q.ask(t, s).status // it has no token
				q.token = token
				got := q.ask(t, s)
				answers[i] = append(answers[i], fmt.Sprint(q.method, refused, got.status, got.text,
					got.header.Get("Content-Length"), got.header.Get("Docker-Content-Digest"), got.header.Get("Location")))
			}
			if left := s.Remaining(); !slices.ContainsFunc(left, func(tag gitlabtest.TagState) bool { return tag.Repository == r.Path() && tag.Kind == r.Tags[0].Kind }) {
				t.Errorf("%s did not come back", r.Path())
			}
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Errorf("%s: memory (-), real (+): %s", r.Path(), diff)
		}
	}
}

// A registry that is not there is what it is to Rails: unreachable.
func TestRealRegistryThatIsGone(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", gitlabtest.KindImage)
	s := gitlabtest.New(w, gitlabtest.WithRealRegistry("http://127.0.0.1:1"), gitlabtest.WithoutRegistryAuth())
	got := []int{
		get(t, s, tagAt(r, "x")).status, get(t, s, at(r)+"/tags").status, call(t, s, http.MethodDelete, tagAt(r, "x")).status,
		query{method: "GET", path: web + "/manifests/x"}.ask(t, s).status,
	}
	if diff := cmp.Diff([]int{503, 503, 400, 503}, got); diff != "" || len(s.Remaining()) != 1 {
		t.Error(diff, s.Remaining())
	}
}
