package gitlabtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// What GitLab's schema does not have is refused as GitLab does, with 200, and noted.
func TestGraphQLViolations(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	destroy := `mutation {destroyContainerRepositoryTags(input: {id: "` + gidOf(repository) + `", tagNames: [%s]}) {%s}}`
	for query, want := range map[string]string{
		`{projects {nodes {name}}}`:                                      `Field 'name' doesn't exist on type 'Project'`,
		`{projects(archived: false) {nodes {id}}}`:                       `Field 'projects' doesn't accept argument 'archived'`,
		`{projects(first: "ten") {nodes {id}}}`:                          `Int cannot represent non-integer value`,
		`{projects(sort: "stars_desc") {nodes {id}}}`:                    `\"stars_desc\" is no order of projects`,
		`{projects(sort: "ids") {nodes {id}}}`:                           `\"ids\" is no order of projects`,
		`{projects(first: -1) {nodes {id}}}`:                             `a page cannot have -1 nodes`,
		`{projects(after: "1001") {nodes {id}}}`:                         `Please provide a valid cursor`,
		`{projects(ids: [1001]) {nodes {id}}}`:                           `\"1001\" does not represent an instance of Project`,
		`query($p: [ID!]!) {projects(ids: $p) {nodes {id}}}`:             `invalid value null`,
		`query($x: Int) {projects {nodes {id}}}`:                         `Variable \"$x\" is never used.`,
		`{projects {nodes {id}}`:                                         `syntax error`,
		``:                                                               `no operations in query document`,
		`{projects {nodes}}`:                                             `must have a selection of subfields`,
		`{projects {nodes {tags {nodes {id}}}}}`:                         `Field 'tags' doesn't exist on type 'Project'`,
		`mutation {destroyContainerRepository(input: {id: 1}) {errors}}`: `Field 'destroyContainerRepository' doesn't exist on type 'Mutation'`,
		`subscription {projects {nodes {id}}}`:                           ``,
		fmt.Sprintf(destroy, `"main"`, "deleted"):                        `Field 'deleted' doesn't exist on type 'DestroyContainerRepositoryTagsPayload'`,
		fmt.Sprintf(destroy, `main`, "errors"):                           `String cannot represent a non string value: main`,
		fmt.Sprintf(destroy, strings.Repeat(`"main", `, 21), "errors"):   `Number of tags is greater than 20`,
	} {
		t.Run(query, func(t *testing.T) {
			s := gitlabtest.New(w)
			got := askGraphQL(t, s, query, nil)
			if got.status != http.StatusOK || !strings.HasPrefix(got.text, `{"errors":[{"message":"`) || !strings.Contains(got.text, want) {
				t.Errorf("got %d %s, want %s", got.status, got.text, want)
			}
			wantViolations(t, s, 1)
			if len(s.Deleted()) != 0 {
				t.Error("a tag was deleted")
			}
		})
	}
}

func TestGraphQLBodies(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	w.AddProject("group/app")
	const query = `query One($n: Int = 1) {projects(first: $n) {nodes {id}}} query Two {currentUser {id}}`
	for body, want := range map[string]string{
		`{"query": "` + query + `", "operationName": "Two"}`:                        `200 {"data":{"currentUser":{"id":"gid://gitlab/User/1"}}}`,
		`{"query": "` + query + `", "operationName": "One"}`:                        `200 {"data":{"projects":{"nodes":[{"id":"gid://gitlab/Project/1001"}]}}}`,
		`{"query": "` + query + `", "operationName": "One", "variables": {"n": 0}}`: `200 {"data":{"projects":{"nodes":[]}}}`,
		`{"query": "{currentUser {id}}", "variables": null, "operationName": null}`: `200 {"data":{"currentUser":{"id":"gid://gitlab/User/1"}}}`,

		`{"query": "` + query + `"}`:                                         `200 {"errors":[{"message":"more than one operation in query document and no operation name given"}]}`,
		`{"query": "{currentUser {id}}", "variables": {"path": "x"}}`:        `200 {"errors":[{"message":"Variable $path is not declared by the operation"}]}`,
		`{"query": "{currentUser {id}}", "extensions": {}}`:                  `400 {"errors":[{"message":"extensions is no member of a request"}]}`,
		`[{"query": "{currentUser {id}}"}]`:                                  `400 {"errors":[{"message":"the body is no request: `,
		`{"Query": "{currentUser {id}}"}`:                                    `400 {"errors":[{"message":"Query is no member of a request"}]}`,
		`{"query": ["{currentUser {id}}"]}`:                                  `400 {"errors":[{"message":"the body is no request: `,
		`{"query": "{currentUser {id}}"} {}`:                                 `400 {"errors":[{"message":"the body is no request: `,
		`{"query": "{currentUser {id}}` + strings.Repeat(" ", 10_000) + `"}`: `400 {"errors":[{"message":"the query is longer than 10000 characters"}]}`,
		``: `400 {"errors":[{"message":"the body is no request: `,
	} {
		s := gitlabtest.New(w)
		got := post(t, s, gitlabtest.DefaultToken, body)
		if answer := fmt.Sprint(got.status, " ", got.text); !strings.HasPrefix(answer, want) {
			t.Errorf("%s: got %s, want %s", body, answer, want)
		}
		wantViolations(t, s, strings.Count(want, "errors"))
	}
	for method, path := range map[string]string{"GET": "/graphql", "DELETE": "/graphql", "POST": "/graphql?query=x"} {
		s := gitlabtest.New(w)
		if got, err := tryCall(s, method, host+"/api"+path, gitlabtest.DefaultToken); err != nil || got.status/100 != 4 {
			t.Errorf("%s %s: %v, %v", method, path, got, err)
		}
		wantViolations(t, s, 1)
	}
}

// A token that only reads sends queries; what it may not change, it is told like
// what is not there.
func TestGraphQLTokens(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	s := gitlabtest.New(w,
		gitlabtest.WithToken("full", "api"),
		gitlabtest.WithToken("reads", "read_api", "read_registry"),
		gitlabtest.WithToken("registry", "read_registry"))
	const (
		query    = `{"query":"{projects {nodes {id}}}"}`
		mutation = `{"query":"mutation {destroyContainerRepositoryTags(input: {id: \"gid://gitlab/ContainerRepository/5000001\", tagNames: [\"main\"]}) {errors}}"}`
		refused  = `401 {"errors":[{"message":"Invalid token"}]}`
		hidden   = `200 {"errors":[{"message":"The resource that you are attempting to access does not exist or you don't have permission ` +
			`to perform this action","path":["destroyContainerRepositoryTags"]}],"data":{"destroyContainerRepositoryTags":null}}`
		shown = `200 {"data":{"projects":{"nodes":[{"id":"gid://gitlab/Project/1001"}]}}}`
	)
	for _, test := range []struct{ token, body, want string }{
		{"", query, refused},
		{"wrong", query, refused},
		{"registry", query, refused},
		{"registry", mutation, refused},
		{"reads", query, shown},
		{"reads", mutation, hidden},
		{"full", query, shown},
		{"full", mutation, `200 {"data":{"destroyContainerRepositoryTags":{"errors":[]}}}`},
	} {
		got := post(t, s, test.token, test.body)
		if answer := fmt.Sprint(got.status, " ", got.text); answer != test.want {
			t.Errorf("%q: got %s, want %s", test.token, answer, test.want)
		}
	}
	wantViolations(t, s, 0)
}

// scoreOf finds out what a query costs where hardly anything is allowed.
func scoreOf(t *testing.T, w *gitlabtest.World, query string) string {
	t.Helper()
	s := gitlabtest.New(w, gitlabtest.WithComplexityLimit(1))
	_, after, _ := strings.Cut(askGraphQL(t, s, "{"+query+"}", nil).text, `Query has complexity of `)
	score, _, _ := strings.Cut(after, ",")
	return score
}

// The score says nothing of how much there is, nor of how large pages are.
func TestComplexity(t *testing.T) {
	w, _ := oneRepository(gitlabtest.Legacy, "web")
	empty := gitlabtest.NewWorld(gitlabtest.Legacy)
	for query, want := range map[string]string{
		`projects {nodes {id}}`:                                             "12",
		`projects(first: 1) {nodes {id}}`:                                   "12",
		`projects(first: 100) {nodes {id}}`:                                 "12",
		`projects(after: "none") {nodes {id}}`:                              "12",
		`projects {nodes {id fullPath archived}}`:                           "16",
		`projects {nodes {id containerRepositoriesCount}}`:                  "20",
		`projects {nodes {id __typename}} __schema {types {name}}`:          "12",
		`a: projects {nodes {id}} b: projects {nodes {id}}`:                 "24",
		`projects {nodes {...f}} b: projects {nodes {... on Project {id}}}`: "",
		`projects {nodes {id id}}`:                                          "12",
		`projects {nodes {containerRepositories {nodes {id}}}}`:             "34",
	} {
		got := []string{scoreOf(t, w, query), scoreOf(t, empty, query)}
		if diff := cmp.Diff([]string{want, want}, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

// What costs too much is not executed, and is no violation.
func TestGraphQLLimits(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	mutations := func(n int) string {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, `a%d: destroyContainerRepositoryTags(input: {id: "%s", tagNames: ["main"]}) {errors deletedTagNames}`, i, gidOf(repository))
		}
		return "mutation {" + text.String() + "}"
	}
	s := gitlabtest.New(w)
	wantAnswer(t, s, mutations(21), `{"errors":[{"message":"Query has complexity of 252, which exceeds max complexity of 250"}]}`)
	dear := gitlabtest.New(w, gitlabtest.WithComplexityLimit(11))
	wantAnswer(t, dear, mutations(1), `{"errors":[{"message":"Query has complexity of 12, which exceeds max complexity of 11"}]}`)
	if len(s.Deleted())+len(dear.Deleted()) != 0 {
		t.Error("a mutation was executed")
	}
	if got := askGraphQL(t, s, mutations(10), nil); strings.Contains(got.text, "message") || len(s.Deleted()) != 1 {
		t.Errorf("ten mutations: %s", got.text)
	}
	for _, server := range []*gitlabtest.Server{s, dear} {
		wantViolations(t, server, 0)
	}
}

func TestInstancesWithoutSomeGraphQL(t *testing.T) {
	w, _ := oneRepository(gitlabtest.Legacy, "web")
	none := gitlabtest.New(w, gitlabtest.WithoutGraphQL())
	if got := askGraphQL(t, none, `{projects {nodes {id}}}`, nil); got.status != http.StatusNotFound {
		t.Errorf("without GraphQL: %d %s", got.status, got.text)
	}
	old := gitlabtest.New(w, gitlabtest.WithoutRepositoriesCount())
	wantAnswer(t, old, `{projects {nodes {id containerRepositoriesCount}}}`,
		`{"errors":[{"message":"Field 'containerRepositoriesCount' doesn't exist on type 'Project'","locations":[{"line":1,"column":22}],`+
			`"extensions":{"code":"undefinedField"}}]}`)
	wantAnswer(t, old, `{projects {nodes {id}}}`, `{"data":{"projects":{"nodes":[{"id":"gid://gitlab/Project/1001"}]}}}`)
	wantViolations(t, none, 0)
	wantViolations(t, old, 0)
	if n := old.Stats().Changing; n != 0 {
		t.Errorf("%d queries changed something", n)
	}
}

// A relative root and a token in GitLab's own header.
func TestGraphQLBelowABasePath(t *testing.T) {
	s := gitlabtest.New(gitlabtest.NewWorld(gitlabtest.Legacy), gitlabtest.WithBasePath("/gitlab"))
	for path, want := range map[string]int{"/gitlab/api/graphql": 200, "/api/graphql": 404, "/gitlab/api/graphql/": 404} {
		r, err := http.NewRequest(http.MethodPost, host+path, strings.NewReader(`{"query":"{currentUser {id}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("PRIVATE-TOKEN", gitlabtest.DefaultToken)
		r.Header.Set("Content-Type", "application/json")
		if got, err := s.Transport().RoundTrip(r); err != nil || got.StatusCode != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
}
