package gitlabtest_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// What no client of GitLab should send is refused and noted.
func TestViolations(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	tests := []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/projects?memberships=true", 400, `{"error":"memberships is no parameter of this endpoint"}`},
		{"GET", "/projects?archived=no", 400, `{"error":"archived does not have a valid value"}`},
		{"GET", "/projects?page=0", 400, `{"error":"page does not have a valid value"}`},
		{"GET", "/projects?per_page=0", 400, `{"error":"per_page does not have a valid value"}`},
		{"GET", "/projects?page=1&page=2", 400, `{"error":"page is given more than once"}`},
		{"GET", "/projects?simple=%zz", 400, `{"error":"query string is malformed"}`},
		{"GET", "/groups/group/registry/repositories?tags_count=true", 400, `{"error":"tags_count is no parameter of this endpoint"}`},
		{"GET", tagAt(repository, "main") + "?page=1", 400, `{"error":"page is no parameter of this endpoint"}`},
		{"GET", "/projects/group/app", 404, `{"error":"404 Not Found"}`}, // not encoded
		{"GET", "/projects/", 404, `{"error":"404 Not Found"}`},
		{"GET", "/users", 404, `{"error":"404 Not Found"}`},
		{"POST", "/projects", 405, `{"error":"405 Not Allowed"}`},
		{"DELETE", at(repository) + "/tags", 405, `{"error":"405 Not Allowed"}`},
		{"GET", "/projects/1001/registry/repositories/web/tags", 400, `{"error":"repository_id is invalid"}`},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			s := gitlabtest.New(w)
			got := call(t, s, test.method, test.path)
			if got.status != test.status || got.text != test.body {
				t.Errorf("got %d %s, want %d %s", got.status, got.text, test.status, test.body)
			}
			wantViolations(t, s, 1)
		})
	}
}

// What a client may well ask for, and what GitLab says to it.
func TestErrorsThatAreNoViolations(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	off := w.AddProject("group/off")
	off.RegistryDisabled = true
	hidden := w.AddProject("group/hidden")
	hidden.Forbidden = true
	s := gitlabtest.New(w)
	for path, want := range map[string]string{
		"/projects/77":                        `404 {"message":"404 Project Not Found"}`,
		"/projects/group%2Fno%2Esuch":         `404 {"message":"404 Project Not Found"}`,
		"/groups/none":                        `404 {"message":"404 Group Not Found"}`,
		"/groups/none/projects":               `404 {"message":"404 Group Not Found"}`,
		"/projects/77/registry/repositories":  `404 {"message":"404 Project Not Found"}`,
		at(repository) + "0/tags":             `404 {"message":"404 Not found"}`,
		tagAt(repository, "gone"):             `404 {"message":"404 Tag Not Found"}`,
		registryOf(off):                       `403 {"message":"403 Forbidden"}`,
		registryOf(hidden):                    `403 {"message":"403 Forbidden"}`,
		at(repository) + "/tags?per_page=500": `200 []`,
	} {
		if got := get(t, s, path); fmt.Sprint(got.status, " ", got.text) != want {
			t.Errorf("%s: got %d %s, want %s", path, got.status, got.text, want)
		}
	}
	wantViolations(t, s, 0)
}

// A group's listing leaves out disabled registries, and nothing else.
func TestGroupListingOfProjectsOutOfReach(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	for name, set := range map[string]func(*gitlabtest.Project){
		"archived":  func(p *gitlabtest.Project) { p.Archived = true },
		"disabled":  func(p *gitlabtest.Project) { p.RegistryDisabled = true },
		"forbidden": func(p *gitlabtest.Project) { p.Forbidden = true },
	} {
		p := w.AddProject("group/" + name)
		set(p)
		p.AddRepository("")
	}
	got := map[any]bool{}
	for _, path := range get(t, gitlabtest.New(w), "/groups/group/registry/repositories").column(t, "path") {
		got[path] = true
	}
	if diff := cmp.Diff(map[any]bool{"group/archived": true, "group/forbidden": true}, got); diff != "" {
		t.Error(diff)
	}
}

func registryOf(p *gitlabtest.Project) string {
	return fmt.Sprintf("/projects/%d/registry/repositories", p.ID)
}

func TestProjectsAndGroupsByIDAndPath(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/sub.group/app.cache")
	s := gitlabtest.New(w)
	for path, want := range map[string]string{
		fmt.Sprint("/projects/", p.ID):              "path_with_namespace group/sub.group/app.cache",
		"/projects/group%2Fsub%2Egroup%2Fapp.cache": "path_with_namespace group/sub.group/app.cache",
		fmt.Sprint("/groups/", w.Groups[1].ID):      "full_path group/sub.group",
		"/groups/group%2Fsub%2Egroup":               "full_path group/sub.group",
	} {
		field, value, _ := strings.Cut(want, " ")
		if got := get(t, s, path).object(t)[field]; got != value {
			t.Errorf("%s: got %v, want %s", path, got, value)
		}
	}
}

func TestProjectFilters(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	w.AddProject("g/plain")
	w.AddProject("g/archived").Archived = true
	w.AddProject("g/public").NotMember = true
	w.AddProject("g/disabled").RegistryDisabled = true
	s := gitlabtest.New(w)
	for query, want := range map[string]string{
		"":                                   "[plain archived public disabled]",
		"&archived=false":                    "[plain public disabled]",
		"&archived=true":                     "[archived]",
		"&membership=true&archived=false":    "[plain disabled]",
		"&min_access_level=30":               "[plain archived disabled]",
		"&min_access_level=40":               "[]",
		"&pagination=keyset&membership=true": "[plain archived disabled]",
	} {
		got := get(t, s, "/projects?order_by=id&sort=asc"+query).column(t, "path")
		if fmt.Sprint(got) != want {
			t.Errorf("%q: got %v, want %s", query, got, want)
		}
	}
	enabled := get(t, s, "/projects?order_by=id&sort=asc").column(t, "container_registry_enabled")
	if diff := cmp.Diff([]any{true, true, true, false}, enabled); diff != "" {
		t.Error(diff)
	}
	levels := get(t, s, "/projects?order_by=id&sort=asc").column(t, "container_registry_access_level")
	if diff := cmp.Diff([]any{"enabled", "enabled", "enabled", "disabled"}, levels); diff != "" {
		t.Error(diff)
	}
	simple := get(t, s, "/projects?simple=true").column(t, "container_registry_enabled")
	if diff := cmp.Diff([]any{nil, nil, nil, nil}, simple); diff != "" {
		t.Error(diff)
	}
}

func TestRepositoriesHaveGitLabsFields(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "a/b")
	repository.Status = "delete_failed"
	repository.AddTag("main", gitlabtest.KindImage)
	root := repository.Project().AddRepository("")
	s := gitlabtest.New(w)
	got := get(t, s, "/projects/group%2Fapp/registry/repositories").body.([]any)
	want := map[string]any{
		"id": float64(repository.ID), "name": "a/b", "path": "group/app/a/b",
		"project_id": float64(repository.Project().ID), "location": "gitlab.example/group/app/a/b",
		"created_at": "2023-03-01T12:01:00.000Z", "cleanup_policy_started_at": nil,
		"status":          "delete_failed",
		"delete_api_path": host + "/api/v4" + at(repository),
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
	plain := get(t, s, "/groups/group/registry/repositories").body.([]any)[1].(map[string]any)
	if plain["name"] != "" || plain["status"] != nil || plain["path"] != root.Path() {
		t.Errorf("root repository: %v", plain)
	}
}

func TestTokens(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	s := gitlabtest.New(w,
		gitlabtest.WithToken("full", "api"),
		gitlabtest.WithToken("reads", "read_api", "read_registry"),
		gitlabtest.WithToken("registry", "read_registry"))
	const refused = `{"error":"insufficient_scope","error_description":` +
		`"The request requires higher privileges than provided by the access token.","scope":"api"}`
	for _, test := range []struct {
		token, method string
		status        int
		body          string
	}{
		{"", "GET", 401, `{"message":"401 Unauthorized"}`},
		{gitlabtest.DefaultToken, "GET", 401, `{"message":"401 Unauthorized"}`},
		{"registry", "GET", 403, refused},
		{"reads", "GET", 200, ""},
		{"reads", "DELETE", 403, refused},
		{"full", "GET", 200, ""},
		{"full", "DELETE", 200, "200"},
	} {
		got, err := tryCall(s, test.method, host+"/api/v4"+tagAt(repository, "main"), test.token)
		if err != nil || got.status != test.status || test.body != "" && got.text != test.body {
			t.Errorf("%s with %q: %d %s, %v", test.method, test.token, got.status, got.text, err)
		}
	}
	self, err := tryCall(s, "GET", host+"/api/v4/personal_access_tokens/self", "reads")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"read_api", "read_registry"}, self.object(t)["scopes"]); diff != "" {
		t.Error(diff)
	}
}

func TestBearerToken(t *testing.T) {
	s := gitlabtest.New(gitlabtest.NewWorld(gitlabtest.Legacy))
	r, err := http.NewRequest(http.MethodGet, host+"/api/v4/projects", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+gitlabtest.DefaultToken)
	response, err := s.Transport().RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", response, err)
	}
}

// A type shared with the client would hide what both get wrong.
func TestNothingOfThisModuleIsImported(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			inTest := strings.HasSuffix(name, "_test.go") &&
				(strings.HasSuffix(path, "/gitlabapi/gitlabtest") || strings.HasPrefix(path, "github.com/google/go-cmp/"))
			if strings.Contains(path, ".") && !inTest && !strings.HasPrefix(path, "github.com/graph-gophers/graphql-go") {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
