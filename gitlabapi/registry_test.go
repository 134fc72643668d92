package gitlabapi

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestARegistryFromEndToEnd shows which requests are sent for what, and that they are
// counted apart.
func TestARegistryFromEndToEnd(t *testing.T) {
	body := string(fixture(t, "cache-oci-index.json"))
	h := &hub{serve: document(typeOCIIndex, body)}
	r := h.connect(t, Config{})
	m, err := r.Manifest(t.Context(), "group/app", "tag")
	if err != nil || m.Kind != KindCacheIndex || m.Digest != sha256Of(body) {
		t.Fatalf("Manifest() = %+v, %v", m, err)
	}
	d, err := r.Head(t.Context(), "group/app", "tag")
	if err != nil || d != (Descriptor{MediaType: typeOCIIndex, Digest: sha256Of(body)}) {
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

func TestConfigCreated(t *testing.T) {
	for body, want := range map[string]struct {
		created time.Time
		fails   bool
	}{
		string(fixture(t, "image-config-blob.json")): {created: time.Date(2026, 11, 23, 9, 8, 29, 576920831, time.UTC)},
		string(fixture(t, "cache-config-blob.json")): {},
		`{}`:                                 {},
		`{"created":null}`:                   {},
		`{"Created":"2026-11-23T09:08:29Z"}`: {},
		`{"config":{"created":"2026-11-23T09:08:29Z"}}`: {},
		`{"created":""}`:                                    {fails: true},
		`{"created":7}`:                                     {fails: true},
		`{"created":"yesterday"}`:                           {fails: true},
		`{"created":"0001-01-01T00:00:00Z"}`:                {fails: true},
		`{"created":null,"created":"2026-11-23T09:08:29Z"}`: {fails: true},
		`{"created":"2026-11-23T09:08:29Z"`:                 {fails: true},
		`[]`:                                                {fails: true},
		``:                                                  {fails: true},
		`{"created":"2026-11-23T09:08:29+01:00"}`: {created: time.Date(2026, 11, 23, 8, 8, 29, 0, time.UTC)},
		`{"created":"1970-01-01T00:00:00Z"}`:      {created: time.Unix(0, 0)},
	} {
		h := &hub{serve: document("application/octet-stream", body)}
		got, err := h.connect(t, Config{}).ConfigCreated(t.Context(), "group/app", sha256Of(body))
		if (err != nil) != want.fails || !got.Equal(want.created) {
			t.Errorf("%.60s: got %v, %v; want %+v", body, got, err, want)
		}
	}
}
