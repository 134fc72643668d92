package gitlabtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// askGraphQL asks GraphQL with the default token.
func askGraphQL(t *testing.T, s *gitlabtest.Server, text string, variables map[string]any) reply {
	t.Helper()
	sent, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return post(t, s, gitlabtest.DefaultToken, string(sent))
}

// post sends GraphQL a body.
func post(t *testing.T, s *gitlabtest.Server, token, sent string) reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, host+"/api/graphql", strings.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	got := reply{status: response.StatusCode, header: response.Header, text: string(text)}
	if err == nil && response.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(text, &got.body)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got
}

// wantAnswer fails unless GraphQL answers 200 and with this text.
func wantAnswer(t *testing.T, s *gitlabtest.Server, text, want string) {
	t.Helper()
	got := askGraphQL(t, s, text, nil)
	if got.status != http.StatusOK || got.text != want {
		t.Errorf("%s\ngot  %d %s\nwant 200 %s", text, got.status, got.text, want)
	}
}

func gidOf(r *gitlabtest.Repository) string {
	return fmt.Sprintf("gid://gitlab/ContainerRepository/%d", r.ID)
}

// ofAllSorts returns a world with one project of each sort.
func ofAllSorts() *gitlabtest.World {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	for _, name := range []string{"plain", "archived", "disabled", "forbidden", "public"} {
		p := w.AddProject("group/sub/" + name)
		p.Archived, p.RegistryDisabled = name == "archived", name == "disabled"
		p.Forbidden, p.NotMember = name == "forbidden", name == "public"
		p.AddRepository("web").AddTag("main", gitlabtest.KindImage)
	}
	w.AddProject("group/empty")
	return w
}

// Project and repository are seen as by REST; what may not be read is null, and
// counted all the same.
func TestGraphQLProjects(t *testing.T) {
	s := gitlabtest.New(ofAllSorts())
	wantAnswer(t, s, `{projects(sort: "id_asc") {nodes {
		id fullPath archived containerRegistryEnabled containerRepositoriesCount containerRepositories {nodes {path}}}}}`,
		`{"data":{"projects":{"nodes":[`+strings.Join([]string{
			`{"id":"gid://gitlab/Project/1001","fullPath":"group/sub/plain","archived":false,"containerRegistryEnabled":true,` +
				`"containerRepositoriesCount":1,"containerRepositories":{"nodes":[{"path":"group/sub/plain/web"}]}}`,
			`{"id":"gid://gitlab/Project/1002","fullPath":"group/sub/archived","archived":true,"containerRegistryEnabled":true,` +
				`"containerRepositoriesCount":1,"containerRepositories":{"nodes":[{"path":"group/sub/archived/web"}]}}`,
			`{"id":"gid://gitlab/Project/1003","fullPath":"group/sub/disabled","archived":false,"containerRegistryEnabled":false,` +
				`"containerRepositoriesCount":1,"containerRepositories":null}`,
			`{"id":"gid://gitlab/Project/1004","fullPath":"group/sub/forbidden","archived":false,"containerRegistryEnabled":true,` +
				`"containerRepositoriesCount":1,"containerRepositories":null}`,
			`{"id":"gid://gitlab/Project/1005","fullPath":"group/sub/public","archived":false,"containerRegistryEnabled":true,` +
				`"containerRepositoriesCount":1,"containerRepositories":{"nodes":[{"path":"group/sub/public/web"}]}}`,
			`{"id":"gid://gitlab/Project/1006","fullPath":"group/empty","archived":false,"containerRegistryEnabled":true,` +
				`"containerRepositoriesCount":0,"containerRepositories":{"nodes":[]}}`,
		}, ",")+`]}}}`)
	wantViolations(t, s, 0)
}

// ids are wanted of the projects that a query's first field lists.
func TestWhichProjectsGraphQLLists(t *testing.T) {
	s := gitlabtest.New(ofAllSorts())
	for query, want := range map[string]string{
		`{projects {nodes {id}}}`:                                    "1006 1005 1004 1003 1002 1001",
		`{projects(membership: true) {nodes {id}}}`:                  "1006 1004 1003 1002 1001",
		`{projects(membership: false, sort: "id_asc") {nodes {id}}}`: "1001 1002 1003 1004 1005 1006",
		`{projects(ids: ["gid://gitlab/Project/1005", "gid://gitlab/Project/7", "gid://gitlab/Project/1001",
			"gid://gitlab/Project/1005"], membership: false) {nodes {id}}}`: "1005 1001",
	} {
		got := askGraphQL(t, s, query, nil)
		var ids []string
		for _, found := range regexp.MustCompile(`"gid://gitlab/\w+/(\d+)"`).FindAllStringSubmatch(got.text, -1) {
			ids = append(ids, found[1])
		}
		if strings.Join(ids, " ") != want || strings.Contains(got.text, "errors") {
			t.Errorf("%s: got %s, want %s", query, got.text, want)
		}
	}
	wantViolations(t, s, 0)
}

func TestGraphQLRepositories(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Database, "a/b")
	repository.Status = "delete_failed"
	repository.AddTag("main", gitlabtest.KindImage)
	repository.Project().AddRepository("")
	s := gitlabtest.New(w, gitlabtest.WithRegistryHost("registry.example"))
	wantAnswer(t, s, `{projects {nodes {containerRepositories {nodes {id name path location status}}}}}`,
		`{"data":{"projects":{"nodes":[{"containerRepositories":{"nodes":[`+
			`{"id":"gid://gitlab/ContainerRepository/5000002","name":"","path":"group/app","location":"registry.example/group/app","status":null},`+
			`{"id":"gid://gitlab/ContainerRepository/5000001","name":"a/b","path":"group/app/a/b","location":"registry.example/group/app/a/b",`+
			`"status":"DELETE_FAILED"}]}}]}}}`)
}

// pages reads a list to its end and returns the sizes of its pages and what is on
// them. The query has a place for further arguments, and asks for pageInfo.
func pages(t *testing.T, s *gitlabtest.Server, query, item string) (sizes []int, items []string) {
	t.Helper()
	info := regexp.MustCompile(`"hasNextPage":(\w+),"endCursor":("[^"]*"|null)`)
	for more := "after: null"; ; {
		got := askGraphQL(t, s, strings.Replace(query, "MORE", more, 1), nil)
		found := regexp.MustCompile(`"`+item+`":"([^"]*)"`).FindAllStringSubmatch(got.text, -1)
		for _, one := range found {
			items = append(items, one[1])
		}
		sizes = append(sizes, len(found))
		at := info.FindStringSubmatch(got.text)
		if at == nil || len(sizes) > 20 {
			t.Fatalf("page %d: %s", len(sizes), got.text)
		}
		if at[1] == "false" {
			return sizes, items
		}
		more = "after: " + at[2]
	}
}

func TestGraphQLPages(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	var want []string
	for i := range 250 {
		p := w.AddProject(fmt.Sprintf("group/app-%03d", i))
		p.NotMember = i%2 == 1
		want = append(want, p.Path)
	}
	s := gitlabtest.New(w)
	members := slices.DeleteFunc(slices.Clone(want), func(path string) bool { return (path[len(path)-1]-'0')%2 == 1 })
	for _, test := range []struct {
		arguments string
		sizes     []int
		want      []string
	}{
		{`sort: "id_asc"`, []int{100, 100, 50}, want},
		{`sort: "id_asc", first: 1000`, []int{100, 100, 50}, want},
		{`sort: "id_asc", first: 125`, []int{100, 100, 50}, want},
		{`sort: "id_asc", first: 90`, []int{90, 90, 70}, want},
		{`sort: "id_asc", membership: true, first: 25`, []int{25, 25, 25, 25, 25}, members},
		{`membership: true`, []int{100, 25}, reversed(members)},
	} {
		sizes, paths := pages(t, s, `{projects(`+test.arguments+` MORE) {nodes {fullPath} pageInfo {hasNextPage endCursor}}}`, "fullPath")
		if diff := cmp.Diff(test.sizes, sizes) + cmp.Diff(test.want, paths); diff != "" {
			t.Errorf("%s: %s", test.arguments, diff)
		}
	}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
