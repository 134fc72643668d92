package registry

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestARegistryFromEndToEnd shows which requests are sent for what, and that they are
// counted apart.
func TestARegistryFromEndToEnd(t *testing.T) {
	body := string(fixture(t, "cache-oci-index.json"))
	h := &fakeRegistry{serve: document(manifest.TypeOCIIndex, body)}
	r := h.connect(t, throttle.Config{})
	m, err := r.Manifest(t.Context(), "group/app", "tag")
	if err != nil || m.Kind != manifest.KindCacheIndex || m.Digest != sha256Of(body) {
		t.Fatalf("Manifest() = %+v, %v", m, err)
	}
	d, err := r.Head(t.Context(), "group/app", "tag")
	if err != nil || !cmp.Equal(d, manifest.Manifest{MediaType: manifest.TypeOCIIndex, Digest: sha256Of(body)}) {
		t.Fatalf("Head() = %+v, %v", d, err)
	}
	want := []string{
		"GET https://registry.example/v2/",
		"GET https://gitlab.example/jwt/auth?scope=repository%3Agroup%2Fapp%3Apull&service=container_registry",
		"GET https://registry.example/v2/group/app/manifests/tag",
		"HEAD https://registry.example/v2/group/app/manifests/tag",
	}
	if diff := cmp.Diff(want, h.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if s := r.client.Stats(); s.Requests != 1 || s.RegistryRequests != 3 || s.Retries != 0 {
		t.Errorf("Stats() = %+v", s)
	}
}

// TestSharedTokensAreBounded by how many repositories share one, and by how long their
// paths are; each repository has its part in one.
func TestSharedTokensAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		repositories, length int   // of each path
		want                 []int // how many share a token
	}{
		"none":          {0, 20, nil},
		"short paths":   {13, 20, []int{5, 5, 3}},
		"just fitting":  {6, 102, []int{5, 1}},
		"long paths":    {6, 103, []int{4, 2}},
		"longest paths": {3, 255, []int{2, 1}},
		"one long path": {1, 255, []int{1}},
	} {
		var paths []string
		for i := range test.repositories {
			paths = append(paths, fmt.Sprintf("group/%0*d", test.length-len("group/"), i))
		}
		groups := TokenGroups(paths)
		var got []int
		for left := paths; len(left) > 0; {
			together := groups[left[0]]
			for _, path := range together {
				if diff := cmp.Diff(together, groups[path]); diff != "" || path != left[0] {
					t.Fatalf("%s: %s stands for %s, which shares (-want +got):\n%s", name, path, left[0], diff)
				}
				left = left[1:]
			}
			got = append(got, len(together))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestConfigCreated(t *testing.T) {
	for body, want := range map[string]struct {
		created time.Time
		undated bool
		fails   bool
	}{
		string(fixture(t, "image-config-blob.json")): {created: time.Date(2026, 11, 23, 9, 8, 29, 576920831, time.UTC)},
		string(fixture(t, "cache-config-blob.json")): {undated: true},
		`{}`:                                 {undated: true},
		`{"created":null}`:                   {undated: true},
		`{"Created":"2026-11-23T09:08:29Z"}`: {fails: true}, // Docker would say that it has a date
		`{"config":{"created":"2026-11-23T09:08:29Z"}}`: {undated: true},
		`{"created":""}`:                                    {fails: true},
		`{"created":7}`:                                     {fails: true},
		`{"created":"yesterday"}`:                           {fails: true},
		`{"created":"0001-01-01T00:00:00Z"}`:                {}, // a date all the same
		`{"created":null,"created":"2026-11-23T09:08:29Z"}`: {fails: true},
		`{"created":"2026-11-23T09:08:29Z"`:                 {fails: true},
		`[]`:                                                {fails: true},
		``:                                                  {fails: true},
		`{"created":"2026-11-23T09:08:29+01:00"}`: {created: time.Date(2026, 11, 23, 8, 8, 29, 0, time.UTC)},
		`{"created":"1970-01-01T00:00:00Z"}`:      {created: time.Unix(0, 0)},
	} {
		h := &fakeRegistry{serve: document("application/octet-stream", body)}
		got, dated, err := h.connect(t, throttle.Config{}).ConfigCreated(t.Context(), "group/app", sha256Of(body))
		if (err != nil) != want.fails || !got.Equal(want.created) || dated == (want.undated || want.fails) {
			t.Errorf("%.60s: got %v, dated: %v, %v; want %+v", body, got, dated, err, want)
		}
	}
}

// TestRechecksGoFirst, and so do the requests for tokens that others wait for.
func TestRechecksGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeRegistry{serve: plainImage(t)}
		r := h.connect(t, throttle.Config{RateLimit: 1, RateBurst: 1})
		if err := r.Exists(t.Context(), "group/app", "first"); err != nil {
			t.Fatal(err)
		}
		h.requests()
		var all sync.WaitGroup
		for _, ask := range []struct {
			registry  *Registry
			path, tag string
		}{{r, "group/app", "a"}, {r, "group/app", "b"}, {r, "group/new", "c"}, {r.Recheck(), "group/app", "d"}} {
			all.Go(func() {
				if err := ask.registry.Exists(t.Context(), ask.path, ask.tag); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		want := []string{
			"GET https://gitlab.example/jwt/auth?scope=repository%3Agroup%2Fnew%3Apull&service=container_registry",
			"GET https://registry.example/v2/group/app/manifests/d",
			"GET https://registry.example/v2/group/app/manifests/a",
			"GET https://registry.example/v2/group/app/manifests/b",
			"GET https://registry.example/v2/group/new/manifests/c",
		}
		if diff := cmp.Diff(want, h.requests()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	})
}
