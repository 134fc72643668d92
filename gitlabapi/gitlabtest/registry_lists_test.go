package gitlabtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const webRows = "/gitlab/v1/repositories/group/app/web/tags/list/"

// withTags returns an open registry with so many tags.
func withTags(regime gitlabtest.Regime, n int, options ...gitlabtest.Option) *gitlabtest.Server {
	w, r := oneRepository(regime, "web")
	for i := range n {
		r.AddTag(fmt.Sprintf("tag-%d", n-i), gitlabtest.KindImage)
	}
	return gitlabtest.New(w, append(options, gitlabtest.WithoutRegistryAuth())...)
}

// namesOn returns the names on a page of the registry.
func namesOn(t *testing.T, page reply) []any {
	t.Helper()
	if object, ok := page.body.(map[string]any); ok {
		names, _ := object["tags"].([]any) // null where there are none
		return names
	}
	return page.column(t, "name")
}

// readAll reads a list of the registry to its end and returns the names on it,
// and how many requests that took.
func readAll(t *testing.T, s *gitlabtest.Server, path string) (names []string, requests int) {
	t.Helper()
	for path != "" {
		page := query{method: "GET", path: path}.ask(t, s)
		if page.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, page.status, page.text)
		}
		for _, name := range namesOn(t, page) {
			names = append(names, name.(string))
		}
		path = strings.TrimPrefix(page.next(), host)
		requests++
	}
	return names, requests
}

func TestListsOfTheRegistryAreComplete(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 2500} {
		for _, list := range []struct {
			regime gitlabtest.Regime
			path   string
		}{{gitlabtest.Legacy, web + "/tags/list"}, {gitlabtest.Database, web + "/tags/list"}, {gitlabtest.Database, webRows}} {
			s := withTags(list.regime, n)
			names, requests := readAll(t, s, list.path+"?n=1000")
			if len(names) != n || !slices.IsSorted(names) || len(slices.Compact(names)) != n {
				t.Errorf("%s: %d names of %d", list.path, len(names), n)
			}
			want := max(1, (n+999)/1000)
			if list.regime == gitlabtest.Legacy {
				want = 1 // it is never cut into pages
			}
			if requests != want {
				t.Errorf("%s: %d requests for %d tags, want %d", list.path, requests, n, want)
			}
			if names, _ := readAll(t, s, list.path); len(names) != n {
				t.Errorf("%s without a size: %d names of %d", list.path, len(names), n)
			}
			wantViolations(t, s, 0)
		}
	}
}

func TestLinksOfTheRegistry(t *testing.T) {
	for _, test := range []struct {
		path, want string
		options    []gitlabtest.Option
	}{
		{web + "/tags/list?n=2", `<` + web + `/tags/list?last=tag-2&n=2>; rel="next"`, nil},
		{webRows + "?n=2", `<` + host + webRows + `?last=tag-2&n=2>; rel="next"`, nil},
		{webRows + "?n=2&last=tag-1", `<` + host + webRows + `?before=tag-2&n=2>; rel="previous"`, nil},
		{webRows + "?n=1&last=tag-1", `<` + host + webRows + `?before=tag-2&n=1>; rel="previous", <` + host + webRows + `?last=tag-2&n=1>; rel="next"`, nil},
		{webRows + "?n=3", "", nil},
		{web + "/tags/list?n=2", `<http://evil.example` + web + `/tags/list?last=tag-2&n=2>; rel="next"`, []gitlabtest.Option{gitlabtest.WithForeignLinks("http://evil.example")}},
		{webRows + "?n=2", "", []gitlabtest.Option{gitlabtest.WithoutPaginationHeaders()}},
		{webRows + "?last=zzz", `<` + host + webRows + `?last=tag-3&n=100>; rel="next"`, []gitlabtest.Option{gitlabtest.WithRepeatedPages()}},
	} {
		got := query{method: "GET", path: test.path}.ask(t, withTags(gitlabtest.Database, 3, test.options...)).header.Get("Link")
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.path, got, test.want)
		}
	}
}

// A registry without a database lists by bytes here, one with it by its collation.
func TestOrderOfNames(t *testing.T) {
	for regime, want := range map[gitlabtest.Regime]string{
		gitlabtest.Legacy:   "[1 10 2 A B a a-b a_b ab b v1.10 v1.2]",
		gitlabtest.Database: "[1 10 2 a A a-b a_b ab b B v1.10 v1.2]",
	} {
		w, r := oneRepository(regime, "web")
		for _, name := range []string{"ab", "b", "B", "v1.2", "a-b", "2", "A", "v1.10", "a_b", "a", "10", "1"} {
			r.AddTag(name, gitlabtest.KindImage)
		}
		s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
		names, _ := readAll(t, s, web+"/tags/list?n=2")
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%v: %s, want %s", regime, got, want)
		}
		if got := fmt.Sprint(follow(t, s, at(r)+"/tags?per_page=5", "name")); got != want {
			t.Errorf("%v, by REST: %s, want %s", regime, got, want)
		}
	}
}

func TestListOfNames(t *testing.T) {
	for n, want := range map[int]string{0: `{"name":"group/app/web","tags":null}` + "\n", 2: `{"name":"group/app/web","tags":["tag-1","tag-2"]}` + "\n"} {
		if got := (query{method: "GET", path: web + "/tags/list"}).ask(t, withTags(gitlabtest.Legacy, n)); got.text != want {
			t.Errorf("got %s, want %s", got.text, want)
		}
	}
}

// sizeOf adds up the sizes of descriptors.
func sizeOf(list any) (sum float64) {
	for _, d := range list.([]any) {
		sum += d.(map[string]any)["size"].(float64)
	}
	return sum
}

// The dates of a row: that of the first push does not move, that of the last
// does, and a third is there once they differ.
func TestRowsHaveTheRegistrysFields(t *testing.T) {
	w, r := oneRepository(gitlabtest.Database, "web")
	r.AddTag("image", gitlabtest.KindImage)
	r.AddTag("index", gitlabtest.KindMultiArch)
	watch := &clock{now: gitlabtest.Created.Add(90 * time.Minute)}
	s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth(), gitlabtest.WithClock(watch.read))
	if err := s.Push("group/app", "web", "index", gitlabtest.KindMultiArch); err != nil {
		t.Fatal(err)
	}
	watch.now = gitlabtest.Created.Add(24 * time.Hour)
	got := query{method: "GET", path: webRows}.ask(t, s).body.([]any)
	image := query{method: "GET", path: web + "/manifests/image", accept: allTypes}.ask(t, s)
	index := query{method: "GET", path: web + "/manifests/index", accept: allTypes}.ask(t, s)
	config := image.object(t)["config"].(map[string]any)["digest"]
	want := []any{
		map[string]any{
			"name": "image", "digest": digestOf(image.text), "config_digest": config, "media_type": ociManifest,
			"size_bytes": float64(1064323 + 156 + 100),
			"created_at": "2024-03-01T12:00:00.000Z", "published_at": "2024-03-01T12:00:00.000Z",
		},
		map[string]any{
			"name": "index", "digest": digestOf(index.text), "media_type": ociIndex, "size_bytes": sizeOf(index.object(t)["manifests"]),
			"created_at": "2024-03-01T12:00:00.000Z", "updated_at": "2024-03-01T13:30:00.000Z", "published_at": "2024-03-01T13:30:00.000Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Push("group/app", "web", "image", gitlabtest.KindDockerImage); err != nil {
		t.Fatal(err)
	}
	pushed := query{method: "GET", path: webRows + "?n=1"}.ask(t, s).body.([]any)[0].(map[string]any)
	if pushed["created_at"] != "2024-03-01T12:00:00.000Z" || pushed["published_at"] != "2024-03-02T12:00:00.000Z" {
		t.Errorf("after another push: %v", pushed)
	}
}

// A tag of a world may have been pushed again after it was made.
func TestRowsOfTagsPushedAgain(t *testing.T) {
	w, r := oneRepository(gitlabtest.Database, "web")
	r.AddTag("main", gitlabtest.KindImage).Pushed = gitlabtest.Created.Add(time.Hour)
	row := query{method: "GET", path: webRows}.ask(t, gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())).body.([]any)[0].(map[string]any)
	got := fmt.Sprint(row["created_at"], row["updated_at"], row["published_at"])
	if want := "2024-03-01T12:00:00.000Z 2024-03-01T13:00:00.000Z 2024-03-01T13:00:00.000Z"; got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRowsByName(t *testing.T) {
	for _, test := range []struct {
		query, want string
		options     []gitlabtest.Option
	}{
		{"?name_exact=tag-2", "[tag-2]", nil},
		{"?name_exact=tag", "[]", nil},
		{"?name_exact=tag-2", "[tag-1 tag-2 tag-3]", []gitlabtest.Option{gitlabtest.WithOldRegistry()}},
	} {
		got := query{method: "GET", path: webRows + test.query}.ask(t, withTags(gitlabtest.Database, 3, test.options...))
		if shown := fmt.Sprint(got.column(t, "name")); shown != test.want {
			t.Errorf("%s: got %s, want %s", test.query, shown, test.want)
		}
	}
}

func TestRequestsForRowsThatAreRefused(t *testing.T) {
	const invalid = "400 INVALID_QUERY_PARAMETER_VALUE: the value of a query parameter is invalid"
	for path, want := range map[string]string{
		webRows + "?n=1001":                                 invalid,
		webRows + "?n=0":                                    invalid,
		webRows + "?name_exact=a/b":                         invalid,
		webRows + "?last=a/b":                               invalid,
		webRows + "?name=tag":                               invalid,
		"/gitlab/v1/repositories/group/app/none/tags/list/": "404 NAME_UNKNOWN: repository name not known to registry",
	} {
		s := withTags(gitlabtest.Database, 3)
		got := query{method: "GET", path: path}.ask(t, s)
		if shown := fmt.Sprint(got.status, " ", got.registryErrors()); shown != want {
			t.Errorf("%s: got %s, want %s", path, shown, want)
		}
		if noted := len(s.Stats().Violations) == 1; noted != (want == invalid) {
			t.Errorf("%s: violations %q", path, s.Stats().Violations)
		}
	}
}
