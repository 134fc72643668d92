package gitlabtest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// afterDeletions returns an open registry with a clock that is wound by hand, in which the tag x, an
// index, and the tag y were deleted; y shares its manifest with z.
func afterDeletions(t *testing.T, regime gitlabtest.Regime, options ...gitlabtest.Option) (s *gitlabtest.Server, now *time.Time, x, y string) {
	t.Helper()
	now = new(gitlabtest.Created.AddDate(1, 0, 0))
	w, r := oneRepository(regime, "web")
	r.AddTag("x", gitlabtest.KindAttestedImage)
	r.AddTag("y", gitlabtest.KindDockerImage)
	r.AddTag("z", gitlabtest.KindDockerImage)
	s = gitlabtest.New(w, append(options, gitlabtest.WithoutRegistryAuth(), gitlabtest.WithClock(func() time.Time { return *now }))...)
	kept := s.Manifests()
	for _, tag := range []string{"x", "y"} {
		query{method: "DELETE", path: web + "/manifests/" + tag}.ask(t, s)
	}
	return s, now, kept["group/app/web:x"], kept["group/app/web:y"]
}

// TestWhenManifestsAreCollected: without a database when somebody does, with one a day after the last
// deletion. What the manifest refers to is there a day longer, so that its bytes bring the tag back.
func TestWhenManifestsAreCollected(t *testing.T) {
	s, now, x, y := afterDeletions(t, gitlabtest.Database)
	read := func(s *gitlabtest.Server, text string) int {
		return query{method: "GET", path: web + "/manifests/" + digestOf(text), accept: allTypes}.ask(t, s).status
	}
	put := func(s *gitlabtest.Server, text, mediaType string) int {
		return query{method: "PUT", path: web + "/manifests/back", contentType: mediaType, body: text}.ask(t, s).status
	}
	var got []int
	for _, passed := range []time.Duration{0, 24 * time.Hour, 2 * time.Minute} {
		*now = now.Add(passed)
		got = append(got, read(s, x), read(s, y))
	}
	got = append(got, put(s, x, ociIndex), read(s, x))
	query{method: "DELETE", path: web + "/manifests/back"}.ask(t, s)
	*now = now.Add(49 * time.Hour)
	got = append(got, read(s, x), put(s, x, ociIndex), put(s, y, dockerManifest))
	if shown := fmt.Sprint(got); shown != "[200 200 200 200 404 200 201 200 404 400 201]" {
		t.Errorf("with a database: %s", shown)
	}

	s, now, x, y = afterDeletions(t, gitlabtest.Legacy)
	*now = now.AddDate(1, 0, 0)
	got = []int{read(s, x), read(s, y)}
	s.CollectGarbage()
	got = append(got, read(s, x), read(s, y), put(s, x, ociIndex), put(s, y, dockerManifest))
	if shown := fmt.Sprint(got); shown != "[200 200 404 200 400 201]" {
		t.Errorf("without: %s", shown)
	}
}

// TestDroppedPushes are those that are answered 201, after which there is no such tag.
func TestDroppedPushes(t *testing.T) {
	s, _, x, _ := afterDeletions(t, gitlabtest.Legacy, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.DroppedPushes()}))
	put := query{method: "PUT", path: web + "/manifests/x", contentType: ociIndex, body: x}.ask(t, s)
	after := query{method: "GET", path: web + "/manifests/x", accept: allTypes}.ask(t, s)
	if put.status != http.StatusCreated || put.header.Get("Docker-Content-Digest") != digestOf(x) || after.status != http.StatusNotFound {
		t.Errorf("%d %v, then %d %s", put.status, put.header, after.status, after.text)
	}
}
