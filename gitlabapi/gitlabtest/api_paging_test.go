package gitlabtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// sizes of lists around the size of a page.
var sizes = []int{0, 1, 100, 101, 250}

// manyProjects returns a world of so many projects, each with a repository of
// its own, and their ids.
func manyProjects(n int) (*gitlabtest.World, []any) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	var ids []any
	w.AddProject("other/app").AddRepository("web")
	for i := range n {
		p := w.AddProject(fmt.Sprintf("group/sub/app-%d", i))
		p.AddRepository("web")
		ids = append(ids, float64(p.ID))
	}
	return w, ids
}

func TestProjectsByOffsetAndKeyset(t *testing.T) {
	for _, n := range sizes {
		w, ids := manyProjects(n)
		ids = append([]any{float64(w.Projects[0].ID)}, ids...)
		s := gitlabtest.New(w)
		const query = "/projects?order_by=id&sort=asc&per_page=100"
		if diff := cmp.Diff(ids, follow(t, s, query, "id")); diff != "" {
			t.Errorf("offset, %d: %s", n, diff)
		}
		if diff := cmp.Diff(ids, follow(t, s, query+"&pagination=keyset", "id")); diff != "" {
			t.Errorf("keyset, %d: %s", n, diff)
		}
		slices.Reverse(ids)
		if diff := cmp.Diff(ids, follow(t, s, "/projects?per_page=100", "id")); diff != "" {
			t.Errorf("descending, %d: %s", n, diff)
		}
		wantViolations(t, s, 0)
	}
}

func TestKeysetOfProjectsSaysIDAfterAndNoMore(t *testing.T) {
	w, _ := manyProjects(1)
	got := get(t, gitlabtest.New(w), "/projects?pagination=keyset&order_by=id&sort=asc&per_page=1")
	want := host + "/api/v4/projects?id_after=1001&order_by=id&pagination=keyset&per_page=1&sort=asc"
	if diff := cmp.Diff(want, got.next()); diff != "" {
		t.Error(diff)
	}
	for _, header := range []string{"X-Page", "X-Next-Page", "X-Total", "X-Total-Pages"} {
		if got.header.Values(header) != nil {
			t.Errorf("%s: %q", header, got.header.Get(header))
		}
	}
}

func TestGroupsProjectsAndRepositories(t *testing.T) {
	for _, n := range sizes {
		w, ids := manyProjects(n)
		if n == 0 {
			w.AddProject("group/sub/tool")
			ids = []any{float64(w.Projects[1].ID)}
		}
		s := gitlabtest.New(w)
		got := follow(t, s, "/groups/group/projects?include_subgroups=true&order_by=id&sort=asc&per_page=100", "id")
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("projects, %d: %s", n, diff)
		}
		repositories := follow(t, s, "/groups/group%2Fsub/registry/repositories?per_page=100", "project_id")
		if len(repositories) != n {
			t.Errorf("repositories, %d: %v", n, repositories)
		}
		if own := follow(t, s, "/groups/group/projects", "id"); len(own) != 0 {
			t.Errorf("projects without subgroups: %v", own)
		}
	}
}

func TestTagsByOffsetAndKeyset(t *testing.T) {
	for _, n := range sizes {
		w, repository := oneRepository(gitlabtest.Database, "web")
		var names []any
		for i := range n {
			name := fmt.Sprintf("tag-%04d", i)
			names = append(names, name)
			repository.AddTag(name, gitlabtest.KindImage)
		}
		s := gitlabtest.New(w)
		for _, query := range []string{"per_page=100", "per_page=100&pagination=keyset&sort=asc", "per_page=7&pagination=keyset"} {
			if diff := cmp.Diff(names, follow(t, s, at(repository)+"/tags?"+query, "name")); diff != "" {
				t.Errorf("%d, %s: %s", n, query, diff)
			}
		}
	}
}

// Deletions between pages shift what comes after them: offset pages skip tags,
// keyset pages do not.
func TestDeletingWhileListing(t *testing.T) {
	for query, want := range map[string]int{"": 200, "&pagination=keyset": 250} {
		w, repository := oneRepository(gitlabtest.Database, "web")
		for i := range 250 {
			repository.AddTag(fmt.Sprintf("tag-%04d", i), gitlabtest.KindImage)
		}
		s := gitlabtest.New(w)
		first := get(t, s, at(repository)+"/tags?per_page=100"+query)
		for i := range 50 {
			call(t, s, http.MethodDelete, tagAt(repository, fmt.Sprintf("tag-%04d", i)))
		}
		seen := len(first.column(t, "name"))
		for address := first.next(); address != ""; {
			page, err := tryCall(s, http.MethodGet, address, gitlabtest.DefaultToken)
			if err != nil {
				t.Fatal(err)
			}
			seen += len(page.column(t, "name"))
			address = page.next()
		}
		if seen != want {
			t.Errorf("with %q: %d tags seen, want %d", query, seen, want)
		}
	}
}

func TestOffsetHeaders(t *testing.T) {
	w, _ := manyProjects(249)
	got := get(t, gitlabtest.New(w), "/projects?simple=true&page=2&per_page=100")
	link := func(page int, rel string) string {
		return fmt.Sprintf(`<%s/api/v4/projects?page=%d&per_page=100&simple=true>; rel="%s"`, host, page, rel)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": got.header["Content-Length"],
		"X-Page": {"2"}, "X-Per-Page": {"100"}, "X-Prev-Page": {"1"}, "X-Next-Page": {"3"},
		"X-Total": {"250"}, "X-Total-Pages": {"3"},
		"Link": {link(1, "prev") + ", " + link(3, "next") + ", " + link(1, "first") + ", " + link(3, "last")},
	}
	if diff := cmp.Diff(want, got.header); diff != "" {
		t.Error(diff)
	}
}

func TestLongListsAreNotCounted(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	for i := range 10_001 {
		repository.AddTag(fmt.Sprintf("tag-%05d", i), gitlabtest.KindImage)
	}
	got := get(t, gitlabtest.New(w), at(repository)+"/tags?per_page=100")
	if got.header.Get("X-Next-Page") != "2" || got.header.Values("X-Total") != nil {
		t.Errorf("headers: %v", got.header)
	}
}

func TestOffsetEndsAt50000Projects(t *testing.T) {
	s := gitlabtest.New(gitlabtest.NewWorld(gitlabtest.Legacy))
	last, beyond := get(t, s, "/projects?page=500&per_page=100"), get(t, s, "/projects?page=501&per_page=100")
	if last.status != http.StatusOK || beyond.status != http.StatusMethodNotAllowed {
		t.Errorf("page 500: %d, page 501: %d", last.status, beyond.status)
	}
	const want = "Offset pagination has a maximum allowed offset of 50000 for requests that return objects of type Project. " +
		"Remaining records can be retrieved using keyset pagination."
	if diff := cmp.Diff(want, beyond.object(t)["error"]); diff != "" {
		t.Error(diff)
	}
	wantViolations(t, s, 0)
}

func TestKeysetWhereThereIsNone(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	s := gitlabtest.New(w)
	for _, path := range []string{at(repository) + "/tags?pagination=keyset&per_page=1", "/projects?pagination=keyset"} {
		if got := get(t, s, path); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	// Asking is how a client finds out.
	wantViolations(t, s, 0)
}

func TestRepeatedPagesNeverEnd(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Database, "web")
	for _, name := range []string{"a", "b", "c"} {
		repository.AddTag(name, gitlabtest.KindImage)
	}
	s := gitlabtest.New(w, gitlabtest.WithRepeatedPages())
	for query, want := range map[string]string{
		"":                   "[c]",
		"&pagination=keyset": "[b c]",
	} {
		page := get(t, s, at(repository)+"/tags?per_page=2"+query)
		for range 3 {
			var err error
			if page, err = tryCall(s, http.MethodGet, page.next(), gitlabtest.DefaultToken); err != nil {
				t.Fatalf("%q: %v", query, err)
			}
		}
		if got := fmt.Sprint(page.column(t, "name")); got != want || page.next() == "" {
			t.Errorf("%q: fourth page %s, want %s; next %q", query, got, want, page.next())
		}
	}
}

func TestLinksElsewhere(t *testing.T) {
	w, _ := manyProjects(1)
	const path = "/projects?per_page=1"
	for want, option := range map[string]gitlabtest.Option{
		"http://evil.example/api/v4/projects?page=2&per_page=1":        gitlabtest.WithForeignLinks("http://evil.example/"),
		"https://git.example/gitlab/api/v4/projects?page=2&per_page=1": gitlabtest.WithExternalURL("https://git.example/gitlab"),
		"": gitlabtest.WithoutPaginationHeaders(),
	} {
		if diff := cmp.Diff(want, get(t, gitlabtest.New(w, option), path).next()); diff != "" {
			t.Error(diff)
		}
	}
	s := gitlabtest.New(w, gitlabtest.WithBasePath("/gitlab"))
	below, err := tryCall(s, http.MethodGet, host+"/gitlab/api/v4"+path, gitlabtest.DefaultToken)
	if err != nil || below.next() != host+"/gitlab/api/v4/projects?page=2&per_page=1" {
		t.Errorf("below a base path: %v, %q", err, below.next())
	}
	if got := get(t, s, path).status; got != http.StatusNotFound {
		t.Errorf("beside the base path: %d", got)
	}
}
