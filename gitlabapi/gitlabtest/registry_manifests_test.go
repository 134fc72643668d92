package gitlabtest_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// oneTag returns an open registry with a tag of a kind.
func oneTag(t *testing.T, kind gitlabtest.Kind, options ...gitlabtest.Option) *gitlabtest.Server {
	t.Helper()
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", kind)
	return gitlabtest.New(w, append(options, gitlabtest.WithoutRegistryAuth())...)
}

const web = "/v2/group/app/web"

// What the registry makes of each kind of tag, by what the client accepts.
func TestAcceptDecidesOnManifests(t *testing.T) {
	const (
		noIndex    = "404 MANIFEST_UNKNOWN: OCI index found, but accept header does not support OCI indexes"
		noManifest = "404 MANIFEST_UNKNOWN: OCI manifest found, but accept header does not support OCI manifests"
		unknown    = "404 MANIFEST_UNKNOWN: manifest unknown"
	)
	rails := dockerManifest + ", " + ociManifest
	for kind, want := range map[gitlabtest.Kind]struct{ all, rails, nothing string }{
		gitlabtest.KindImage:           {"200 " + ociManifest, "200 " + ociManifest, noManifest},
		gitlabtest.KindCacheManifest:   {"200 " + ociManifest, "200 " + ociManifest, noManifest},
		gitlabtest.KindArtifact:        {"200 " + ociManifest, "200 " + ociManifest, noManifest},
		gitlabtest.KindDockerImage:     {"200 " + dockerManifest, "200 " + dockerManifest, "200 " + dockerManifest},
		gitlabtest.KindDockerList:      {"200 " + dockerList, "200 " + dockerManifest, "200 " + dockerManifest},
		gitlabtest.KindCacheList:       {"200 " + dockerList, unknown, unknown},
		gitlabtest.KindAttestedImage:   {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindMultiArch:       {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindCacheIndex:      {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindReferrers:       {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindBareIndex:       {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindNestedIndex:     {"200 " + ociIndex, noIndex, noIndex},
		gitlabtest.KindSignature:       {"200 " + ociManifest, "200 " + ociManifest, noManifest},
		gitlabtest.KindKanikoCache:     {"200 " + ociManifest, "200 " + ociManifest, noManifest},
		gitlabtest.KindManifestMissing: {unknown, unknown, unknown},
	} {
		s := oneTag(t, kind)
		for accept, want := range map[string]string{allTypes: want.all, rails: want.rails, "": want.nothing, "*/*": want.nothing} {
			got := query{method: "GET", path: web + "/manifests/x", accept: accept}.ask(t, s)
			shown := fmt.Sprint(got.status, " ", got.registryErrors())
			if got.status == http.StatusOK {
				shown = "200 " + got.header.Get("Content-Type")
				wantManifest(t, s, got)
			}
			if shown != want {
				t.Errorf("%s for %q: got %s, want %s", kind, accept, shown, want)
			}
		}
	}
}

// wantManifest fails unless a manifest has the headers it should and a HEAD by its
// digest says the same.
func wantManifest(t *testing.T, s *gitlabtest.Server, got reply) {
	t.Helper()
	digest := digestOf(got.text)
	want := http.Header{
		"Content-Type": {got.header.Get("Content-Type")}, "Content-Length": {fmt.Sprint(len(got.text))},
		"Docker-Content-Digest": {digest}, "Etag": {`"` + digest + `"`},
		"Docker-Distribution-Api-Version": {"registry/2.0"},
	}
	if diff := cmp.Diff(want, got.header); diff != "" {
		t.Error(diff)
	}
	head := query{method: "HEAD", path: web + "/manifests/" + digest, accept: allTypes}.ask(t, s)
	if diff := cmp.Diff(want, head.header); head.status != http.StatusOK || head.text != "" || diff != "" {
		t.Error(head.status, head.text, diff)
	}
}

// Everything that a manifest refers to is there, in the size that it says.
func TestEveryReferenceCanBeFollowed(t *testing.T) {
	for kind := range kindsOnLegacy {
		if kind == gitlabtest.KindManifestMissing {
			continue
		}
		s := oneTag(t, kind)
		followReferences(t, s, "x", "")
	}
}

// isManifest says whether a media type is that of a manifest or an index.
func isManifest(mediaType string) bool { return strings.Contains(allTypes, mediaType) }

func followReferences(t *testing.T, s *gitlabtest.Server, reference, mediaType string) {
	t.Helper()
	where := "/manifests/"
	if strings.HasPrefix(reference, "sha256:") && !isManifest(mediaType) {
		where = "/blobs/"
	}
	got := query{method: "GET", path: web + where + reference, accept: allTypes}.ask(t, s)
	if got.status != http.StatusOK || where == "/manifests/" && mediaType != "" && got.header.Get("Content-Type") != mediaType {
		t.Fatalf("%s%s: %d %s", where, reference, got.status, got.text)
	}
	if where == "/blobs/" {
		return
	}
	document := got.object(t)
	parts, _ := document["manifests"].([]any)
	layers, _ := document["layers"].([]any)
	if config := document["config"]; config != nil {
		layers = append(layers, config)
	}
	for _, part := range slices.Concat(parts, layers) {
		d := part.(map[string]any)
		digest, size := d["digest"].(string), d["size"].(float64)
		head := query{method: "HEAD", path: web + "/blobs/" + digest}.ask(t, s)
		if isManifest(d["mediaType"].(string)) {
			head = query{method: "HEAD", path: web + "/manifests/" + digest, accept: allTypes}.ask(t, s)
		}
		if head.status != http.StatusOK || head.header.Get("Content-Length") != fmt.Sprint(int(size)) {
			t.Errorf("%s of %s: %d, %s bytes, want %v", digest, reference, head.status, head.header.Get("Content-Length"), size)
		}
		followReferences(t, s, digest, d["mediaType"].(string))
	}
}

// The newest layer of a cache was made when its tag was.
func TestCachesSayWhenTheyWereMade(t *testing.T) {
	pushed := time.Date(2025, time.July, 8, 9, 10, 11, 120_000_000, time.UTC)
	for _, kind := range []gitlabtest.Kind{gitlabtest.KindCacheIndex, gitlabtest.KindCacheList, gitlabtest.KindCacheManifest} {
		w, r := oneRepository(gitlabtest.Legacy, "web")
		r.AddTagAt("x", kind, pushed)
		s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
		document := query{method: "GET", path: web + "/manifests/x", accept: allTypes}.ask(t, s).object(t)
		parts, _ := document["manifests"].([]any)
		layers, _ := document["layers"].([]any)
		var dates []string
		for _, layer := range slices.Concat(parts, layers) {
			if annotations, ok := layer.(map[string]any)["annotations"].(map[string]any); ok {
				dates = append(dates, annotations["buildkit/createdat"].(string))
			}
		}
		slices.Sort(dates)
		if len(dates) != 3 || dates[2] != "2025-07-08T09:10:11.120000000Z" || dates[0] == dates[2] {
			t.Errorf("%s: %v", kind, dates)
		}
	}
}

func TestWhatTheRegistryRefuses(t *testing.T) {
	const none = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	unknown := "404 MANIFEST_UNKNOWN: manifest unknown"
	for _, test := range []struct {
		method, path, want string
		violations         int
	}{
		{"GET", web + "/manifests/gone", unknown, 0},
		{"GET", web + "/manifests/" + none, unknown, 0},
		{"GET", "/v2/group/app/none/manifests/x", unknown, 0},
		{"GET", "/v2/group/app/none/manifests/" + none, unknown, 0},
		{"GET", "/v2/group/app/none/tags/list", "404 NAME_UNKNOWN: repository name not known to registry", 0},
		{"GET", "/v2/group/App/tags/list", "400 NAME_INVALID: invalid repository name", 0},
		{"GET", web + "/blobs/" + none, "404 BLOB_UNKNOWN: blob unknown to registry", 0},
		{"GET", web + "/blobs/x", "404 ", 0},
		{"GET", web + "/manifests/-x", "404 ", 0},
		{"DELETE", web + "/manifests/gone", unknown, 0},
		{"DELETE", web + "/manifests/" + none, "405 UNSUPPORTED: The operation is unsupported.", 1},
		{"DELETE", "/v2/group/app/none/manifests/x", unknown, 0},
		{"GET", web + "/tags/list?page=2", "400 INVALID_QUERY_PARAMETER_VALUE: the value of a query parameter is invalid", 1},
		{"GET", web + "/tags/list?n=0", "400 INVALID_QUERY_PARAMETER_VALUE: the value of a query parameter is invalid", 1},
		{"GET", web + "/manifests/x?n=1", "400 INVALID_QUERY_PARAMETER_VALUE: the value of a query parameter is invalid", 1},
		{"DELETE", web + "/tags/list", "405 ", 1},
		{"POST", web + "/manifests/x", "405 ", 1},
		{"POST", web + "/blobs/uploads/", "404 ", 1},
		{"GET", "/v2/_catalog", "404 ", 1},
		{"GET", "/v2", "404 ", 1},
		{"GET", "/gitlab/v1/", "404 ", 0}, // no database
		{"GET", "/gitlab/v1/repositories/group/app/web/tags/list/", "404 ", 0},
		{"GET", "/gitlab/v1/repositories/group/app/web/tags/list", "404 ", 1}, // no slash
	} {
		s := oneTag(t, gitlabtest.KindImage)
		got := query{method: test.method, path: test.path, accept: allTypes}.ask(t, s)
		if shown := fmt.Sprint(got.status, " ", got.registryErrors()); shown != test.want {
			t.Errorf("%s %s: got %s (%s), want %s", test.method, test.path, shown, got.text, test.want)
		}
		if len(s.Stats().Violations) != test.violations {
			t.Errorf("%s %s: violations %q", test.method, test.path, s.Stats().Violations)
		}
		if len(s.Remaining()) != 1 {
			t.Errorf("%s %s: the tag is gone", test.method, test.path)
		}
	}
}

func TestBaseOfTheRegistry(t *testing.T) {
	for name, test := range map[string]struct {
		regime gitlabtest.Regime
		option gitlabtest.Option
		want   string
		v1     int
	}{
		"legacy":   {gitlabtest.Legacy, gitlabtest.WithSeed(1), "false", 404},
		"database": {gitlabtest.Database, gitlabtest.WithSeed(1), "true", 200},
		"old":      {gitlabtest.Database, gitlabtest.WithOldRegistry(), "", 200},
	} {
		w, _ := oneRepository(test.regime, "web")
		s := gitlabtest.New(w, test.option)
		token := tokenFor(t, s)
		got := query{method: "GET", path: "/v2/", token: token}.ask(t, s)
		v1 := query{method: "GET", path: "/gitlab/v1/", token: token}.ask(t, s)
		if got.status != http.StatusOK || v1.status != test.v1 || got.header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
			t.Errorf("%s: %d, %d", name, got.status, v1.status)
		}
		if says := got.header.Get("Gitlab-Container-Registry-Database-Enabled"); says != test.want {
			t.Errorf("%s: database %q, want %q", name, says, test.want)
		}
	}
}

func TestDeletionByTag(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("a", gitlabtest.KindImage)
	r.AddTag("sibling", gitlabtest.KindImage) // of the same digest
	r.AddTag("gone", gitlabtest.KindManifestMissing)
	s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
	var got []int
	for _, tag := range []string{"a", "a", "gone"} {
		got = append(got, query{method: "DELETE", path: web + "/manifests/" + tag}.ask(t, s).status)
	}
	if diff := cmp.Diff([]int{202, 404, 202}, got); diff != "" {
		t.Error(diff)
	}
	if left := fmt.Sprint(s.Remaining()); left != "[group/app/web:sibling]" {
		t.Errorf("left: %s", left)
	}
	if stats := s.Stats(); stats.Changing != 3 || stats.Registry != 3 || stats.Total != 3 {
		t.Errorf("%+v", stats)
	}
}

// A deleted tag comes back with the bytes of its manifest, which can still be read by
// their digest.
func TestPutBringsATagBack(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		for kind := range kindsOnLegacy {
			if kind == gitlabtest.KindManifestMissing {
				continue
			}
			w, r := oneRepository(regime, "web")
			r.AddTag("x", kind)
			s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
			read := func(reference string) reply {
				return query{method: "GET", path: web + "/manifests/" + reference, accept: allTypes}.ask(t, s)
			}
			was, before := read("x"), s.Remaining()
			query{method: "DELETE", path: web + "/manifests/x"}.ask(t, s)
			gone, kept := read("x"), read(digestOf(was.text))
			put := query{method: "PUT", path: web + "/manifests/x", contentType: kept.header.Get("Content-Type"), body: kept.text}.ask(t, s)
			if gone.status != http.StatusNotFound || put.status != http.StatusCreated || put.header.Get("Docker-Content-Digest") != digestOf(was.text) ||
				put.header.Get("Location") != host+web+"/manifests/"+digestOf(was.text) {
				t.Errorf("%v, %s: %d, %d %v %s", regime, kind, gone.status, put.status, put.header, put.text)
			}
			if diff := cmp.Diff(was.text, read("x").text) + cmp.Diff(before, s.Remaining()); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestPutOfWhatIsNoManifestHere(t *testing.T) {
	s := oneTag(t, gitlabtest.KindImage)
	image := query{method: "GET", path: web + "/manifests/x", accept: allTypes}.ask(t, s).text
	stranger := strings.ReplaceAll(image, `"digest": "sha256:`, `"digest": "sha256:0000000000`)
	for name, test := range map[string]struct{ reference, contentType, body, want string }{
		"garbage":            {"y", ociManifest, "{garbage", "400 MANIFEST_INVALID"},
		"of another type":    {"y", dockerManifest, image, "400 MANIFEST_INVALID"},
		"without its blobs":  {"y", ociManifest, stranger, "400 MANIFEST_BLOB_UNKNOWN"},
		"by a wrong digest":  {digestOf("other"), ociManifest, image, "400 DIGEST_INVALID"},
		"by its digest":      {digestOf(image), ociManifest, image, "201 "},
		"under another name": {"y", ociManifest, image, "201 "},
		"too long":           {"y", ociManifest, image + strings.Repeat(" ", 4<<20), "400 MANIFEST_INVALID"},
	} {
		got := query{method: "PUT", path: web + "/manifests/" + test.reference, contentType: test.contentType, body: test.body}.ask(t, s)
		code, _, _ := strings.Cut(got.registryErrors(), ":")
		if shown := fmt.Sprint(got.status, " ", code); shown != test.want {
			t.Errorf("%s: got %s, want %s", name, shown, test.want)
		}
	}
	if left := fmt.Sprint(s.Remaining()); left != "[group/app/web:x group/app/web:y]" {
		t.Errorf("left: %s", left)
	}
}

// What is in one repository is not in another.
func TestDigestsBelongToRepositories(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", gitlabtest.KindImage)
	r.Project().AddRepository("api").AddTag("x", gitlabtest.KindDockerImage)
	s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
	digest := query{method: "GET", path: web + "/manifests/x", accept: allTypes}.ask(t, s).header.Get("Docker-Content-Digest")
	for _, path := range []string{web, "/v2/group/app/api"} {
		got := query{method: "HEAD", path: path + "/manifests/" + digest, accept: allTypes}.ask(t, s).status
		if want := map[bool]int{true: 200, false: 404}[path == web]; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
