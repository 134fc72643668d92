package gitlabtest_test

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const advertisement = "/group/app.git/info/refs?service=git-upload-pack"

// withGit returns a world with a project that has a Git repository.
func withGit() *gitlabtest.World {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/app")
	p.Branches = []string{"main", "feature/x"}
	p.GitTags = []string{"v1.0", "v2.0"}
	w.AddProject("group/empty")
	return w
}

// What Git reads before it fetches, to the byte: lengths count themselves and the line break.
func TestAdvertisement(t *testing.T) {
	s := gitlabtest.New(withGit())
	got := query{method: "GET", path: advertisement, password: gitlabtest.DefaultToken}.ask(t, s)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/x-git-upload-pack-advertisement" {
		t.Fatalf("%d %v %s", got.status, got.header, got.text)
	}
	object := func(name string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(name))) }
	line := func(name, more string) string {
		text := object(name) + " " + name + more + "\n"
		return fmt.Sprintf("%04x%s", len(text)+4, text)
	}
	first, _, _ := strings.Cut(got.text[strings.Index(got.text, "\x00")+1:], "\n")
	want := "001e# service=git-upload-pack\n0000" + line("HEAD", "\x00"+first) + line("refs/heads/feature/x", "") + line("refs/heads/main", "") +
		line("refs/merge-requests/1/head", "") + line("refs/tags/v1.0", "") + line("refs/tags/v2.0", "") + line("refs/tags/v2.0^{}", "") + "0000"
	if got.text != want || !strings.Contains(first, "agent=git/") {
		t.Error(cmp.Diff(want, got.text))
	}
	empty := query{method: "GET", path: "/group/empty.git/info/refs?service=git-upload-pack", password: gitlabtest.DefaultToken}.ask(t, s)
	if text := strings.Repeat("0", 40) + " capabilities^{}\x00" + first + "\n"; empty.text != "001e# service=git-upload-pack\n0000"+fmt.Sprintf("%04x", len(text)+4)+text+"0000" {
		t.Errorf("%q", empty.text)
	}
	wantViolations(t, s, 0)
	if got := s.Stats().ByEndpoint["GET /:path/info/refs"]; got != 2 {
		t.Errorf("%v", s.Stats().ByEndpoint)
	}
}

// Who may read code, and what is no request for it.
func TestAccessToGit(t *testing.T) {
	tokens := []gitlabtest.Option{
		gitlabtest.WithToken("all", "api"), gitlabtest.WithToken("code", "read_repository"),
		gitlabtest.WithToken("registry", "read_registry"), gitlabtest.WithToken("reads", "read_api"),
	}
	for _, test := range []struct {
		path, password string
		opts           []gitlabtest.Option
		status         int
		violations     int
	}{
		{path: advertisement, password: "all", status: 200},
		{path: advertisement, password: "code", status: 200},
		{path: advertisement, password: "registry", status: 403},
		{path: advertisement, password: "reads", status: 403},
		{path: advertisement, password: "unknown", status: 401},
		{path: advertisement, status: 401},
		{path: advertisement, password: "all", opts: []gitlabtest.Option{gitlabtest.WithoutGit()}, status: 403},
		{path: "/group/none.git/info/refs?service=git-upload-pack", password: "all", status: 404},
		{path: "/gitlab" + advertisement, password: "all", opts: []gitlabtest.Option{gitlabtest.WithBasePath("/gitlab")}, status: 200},
		{path: advertisement, password: "all", opts: []gitlabtest.Option{gitlabtest.WithBasePath("/gitlab")}, status: 404, violations: 1},
		{path: "/group/app.git/info/refs", password: "all", status: 400, violations: 1},
		{path: "/group/app.git/info/refs?service=git-receive-pack", password: "all", status: 400, violations: 1},
		{path: advertisement + "&x=1", password: "all", status: 400, violations: 1},
		{path: "/group/app/info/refs?service=git-upload-pack", password: "all", status: 404, violations: 1},
	} {
		s := gitlabtest.New(withGit(), append(tokens[:len(tokens):len(tokens)], test.opts...)...)
		got := query{method: "GET", path: test.path, password: test.password}.ask(t, s)
		if got.status != test.status || (got.header.Get("WWW-Authenticate") != "") != (test.status == 401) {
			t.Errorf("%s with %q: %d %v %s", test.path, test.password, got.status, got.header, got.text)
		}
		wantViolations(t, s, test.violations)
	}
	// Its limit is not that of the API.
	s := gitlabtest.New(withGit(), gitlabtest.WithRateLimit(1))
	for range 3 {
		if got := (query{method: "GET", path: advertisement, password: gitlabtest.DefaultToken}).ask(t, s); got.status != 200 || got.header.Get("RateLimit-Limit") != "" {
			t.Errorf("%d %v", got.status, got.header)
		}
	}
}

func TestBranchesAndTagsOverREST(t *testing.T) {
	w := withGit()
	p := w.Projects[0]
	for i := range 230 {
		p.Branches = append(p.Branches, fmt.Sprintf("b-%03d", i))
	}
	s := gitlabtest.New(w)
	at := fmt.Sprintf("/projects/%d/repository", p.ID)
	branches := follow(t, s, at+"/branches?per_page=100", "name")
	tags := follow(t, s, at+"/tags", "name")
	if len(branches) != 232 || branches[0] != "b-000" || branches[231] != "main" || !cmp.Equal(tags, []any{"v1.0", "v2.0"}) {
		t.Errorf("%v %v", branches, tags)
	}
	if got := get(t, s, "/projects/group%2Fempty/repository/branches"); got.text != "[]" {
		t.Errorf("%d %s", got.status, got.text)
	}
	wantViolations(t, s, 0)
	for _, path := range []string{at + "/branches?pagination=keyset", at + "/commits"} {
		get(t, s, path)
	}
	wantViolations(t, s, 2)
}

func TestTopicsAndEnvironments(t *testing.T) {
	w := withGit()
	p := w.Projects[0]
	p.Topics = []string{"a", "b"}
	p.Environments = []gitlabtest.Environment{
		{Name: "production", Ref: "v1.0", SHA: "abc", Tag: true},
		{Name: "review/x"},
		{Name: "old", Ref: "gone", SHA: "def", Stopped: true},
	}
	s := gitlabtest.New(w)
	wantAnswer(t, s, `{project(fullPath: "group/app") {topics environments(states: "available") {nodes {name state lastDeployment(status: SUCCESS) {ref sha tag}} pageInfo {hasNextPage}}}}`,
		`{"data":{"project":{"topics":["a","b"],"environments":{"nodes":[{"name":"review/x","state":"available","lastDeployment":null},`+
			`{"name":"production","state":"available","lastDeployment":{"ref":"v1.0","sha":"abc","tag":true}}],"pageInfo":{"hasNextPage":false}}}}}`)
	wantAnswer(t, s, `{project(fullPath: "group/app") {environments {nodes {name lastDeployment(status: FAILED) {ref}}}}}`,
		`{"data":{"project":{"environments":{"nodes":[{"name":"old","lastDeployment":null},{"name":"review/x","lastDeployment":null},{"name":"production","lastDeployment":null}]}}}}`)
	wantAnswer(t, s, `{project(fullPath: "group/empty") {topics environments {nodes {name}}}}`, `{"data":{"project":{"topics":[],"environments":{"nodes":[]}}}}`)
	wantAnswer(t, s, `{project(fullPath: "group/none") {topics}}`, `{"data":{"project":null}}`)
	if got := get(t, s, "/projects").column(t, "topics"); !cmp.Equal(got, []any{[]any{}, []any{"a", "b"}}) {
		t.Errorf("%v", got)
	}
	wantViolations(t, s, 0)
	askGraphQL(t, s, `{project(fullPath: "group/app") {environments(states: "gone") {nodes {name}}}}`, nil)
	askGraphQL(t, s, `{project(fullPath: "group/app") {environments {nodes {lastDeployment {ref}}}}}`, nil)
	wantViolations(t, s, 2)
}

// An older schema lacks what is taken from it, and nothing else.
func TestWithoutFields(t *testing.T) {
	s := gitlabtest.New(withGit(), gitlabtest.WithoutFields("Project.topics", "Environment.lastDeployment"), gitlabtest.WithoutProtectionRules())
	for text, lacks := range map[string]string{
		`{projects {nodes {topics}}}`:                                                                                    "Field 'topics' doesn't exist on type 'Project'",
		`{projects {nodes {containerProtectionTagRules {nodes {immutable}}}}}`:                                           "Field 'containerProtectionTagRules' doesn't exist on type 'Project'",
		`{project(fullPath: "group/app") {environments {nodes {lastDeployment(status: SUCCESS) {ref}}}}}`:                "Field 'lastDeployment' doesn't exist on type 'Environment'",
		`{project(fullPath: "group/app") {fullPath archived environments {nodes {id name state}}}}`:                      "",
		`{projects {nodes {id containerRepositoriesCount containerRegistryEnabled containerRepositories {nodes {id}}}}}`: "",
	} {
		got := askGraphQL(t, s, text, nil)
		if lacks == "" && strings.Contains(got.text, "errors") || !strings.Contains(got.text, lacks) {
			t.Errorf("%s: %s", text, got.text)
		}
	}
	if got := get(t, s, "/projects/group%2Fapp/registry/protection/tag/rules"); got.status != 404 || got.text != `{"error":"404 Not Found"}` {
		t.Errorf("%d %s", got.status, got.text)
	}
	wantViolations(t, s, 0)
}

func TestHalve(t *testing.T) {
	s := gitlabtest.New(withGit())
	ask := query{method: "GET", path: advertisement, password: gitlabtest.DefaultToken}
	whole := ask.ask(t, s)
	s.SetFaults(gitlabtest.Fault{Effect: gitlabtest.Halve()})
	half := ask.ask(t, s)
	if half.text != whole.text[:len(whole.text)/2] || half.header.Get("Content-Length") != fmt.Sprint(len(half.text)) {
		t.Errorf("%q", half.text)
	}
}

// A branch that is pushed while the server serves is in the next answer, of this server alone.
func TestPushBranch(t *testing.T) {
	w := withGit()
	s := gitlabtest.New(w)
	for range 2 {
		if err := s.PushBranch("group/app", "late"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PushBranch("group/nowhere", "late"); err == nil {
		t.Error("a project that is not there took a branch")
	}
	for server, want := range map[*gitlabtest.Server]int{s: 1, gitlabtest.New(w): 0} {
		got := query{method: "GET", path: advertisement, password: gitlabtest.DefaultToken}.ask(t, server)
		if n := strings.Count(got.text, "refs/heads/late\n"); n != want {
			t.Errorf("the branch is there %d times, want %d", n, want)
		}
		if n := len(get(t, server, "/projects/group%2Fapp/repository/branches").column(t, "name")); n != 2+want {
			t.Errorf("%d branches over REST, want %d", n, 2+want)
		}
	}
}
