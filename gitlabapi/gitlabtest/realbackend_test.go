//go:build realregistry

package gitlabtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

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
