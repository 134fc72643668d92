package gitlabtest_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// destroying returns a mutation under an alias.
func destroying(alias string, r *gitlabtest.Repository, names ...string) string {
	return fmt.Sprintf(`%s: destroyContainerRepositoryTags(input: {id: %q, tagNames: ["%s"]}) {errors deletedTagNames} `,
		alias, gidOf(r), strings.Join(names, `", "`))
}

// deletedBy returns what a server counts as deleted.
func deletedBy(s *gitlabtest.Server) []string {
	var names []string
	for _, tag := range s.Deleted() {
		names = append(names, tag.String())
	}
	return names
}

// threeTags returns a world with one repository, and a, b and c in it.
func threeTags() (*gitlabtest.World, *gitlabtest.Repository) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	for _, name := range []string{"a", "b", "c"} {
		r.AddTag(name, gitlabtest.KindImage)
	}
	return w, r
}

// Mutations run one after another: what one deleted is gone for the next, and one
// that cannot be does not hold up those after it.
func TestDestroyTags(t *testing.T) {
	w, r := threeTags()
	r.AddTag("v1.0.0", gitlabtest.KindImage)
	archived := w.AddProject("group/archived")
	archived.Archived = true
	none := &gitlabtest.Repository{ID: 7}
	const hidden = `{"message":"The resource that you are attempting to access does not exist or you don't have permission to perform this action","path":["%s"]}`
	s := gitlabtest.New(w, gitlabtest.WithProtectedTags(regexp.MustCompile(`^v`)))
	wantAnswer(t, s, "mutation {"+destroying("one", r, "a", "a", "none", "v1.0.0", "b")+destroying("two", archived.AddRepository("x"), "b")+
		destroying("three", none, "b")+destroying("four", r, "a", "c")+"}",
		`{"errors":[`+fmt.Sprintf(hidden, "two")+","+fmt.Sprintf(hidden, "three")+`],"data":{`+
			`"one":{"errors":[],"deletedTagNames":["a","none","b"]},"two":null,"three":null,"four":{"errors":[],"deletedTagNames":["a","c"]}}}`)
	if diff := cmp.Diff([]string{"group/app/web:a", "group/app/web:b", "group/app/web:c"}, deletedBy(s)); diff != "" {
		t.Error(diff)
	}
	wantViolations(t, s, 0)
	if got := call(t, s, http.MethodDelete, tagAt(r, "v1.0.0")); got.status != http.StatusForbidden {
		t.Errorf("a protected tag by REST: %d", got.status)
	}
	token := tokenFor(t, s, wholeKit(r.Path()))
	if got := (query{method: "DELETE", path: web + "/manifests/v1.0.0", token: token}).ask(t, s); got.status != http.StatusUnauthorized ||
		got.header.Get("WWW-Authenticate") != "" || !strings.Contains(got.text, "PROTECTED_TAG") {
		t.Errorf("a protected tag at the registry: %d %s", got.status, got.text)
	}
	wantAnswer(t, s, "mutation {"+destroying("a", r, "v1.0.0")+"}",
		`{"data":{"a":{"errors":["cannot delete protected tag(s)"],"deletedTagNames":[]}}}`)
}

// The same that REST refuses is out of reach here.
func TestDestroyTagsOutOfReach(t *testing.T) {
	w := ofAllSorts()
	s := gitlabtest.New(w)
	for _, p := range w.Projects[:5] {
		r := p.Repositories[0]
		got := askGraphQL(t, s, "mutation {"+destroying("a", r, "main")+"}", nil)
		rest := call(t, gitlabtest.New(w), http.MethodDelete, tagAt(r, "main")).status
		if refused := strings.Contains(got.text, `"data":{"a":null}`); refused != (rest == http.StatusForbidden) {
			t.Errorf("%s: REST says %d, GraphQL %s", p.Path, rest, got.text)
		}
	}
}

func TestDestroyTagsDuringAnOutage(t *testing.T) {
	w, r := threeTags()
	for name, s := range map[string]*gitlabtest.Server{
		"errors":      gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.RegistryOutage()})),
		"unreachable": gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.RegistryUnreachable()})),
		"behind":      gitlabtest.New(w, gitlabtest.WithRealRegistry("http://127.0.0.1:1")),
	} {
		got := askGraphQL(t, s, "mutation {"+destroying("a", r, "a", "b")+"}", nil)
		want := "error while deleting tags"
		if name == "errors" {
			want = "could not delete tags: a, b"
		}
		if got.text != `{"data":{"a":{"errors":["`+want+`"],"deletedTagNames":[]}}}` || len(s.Deleted()) != 0 {
			t.Errorf("%s: %s", name, got.text)
		}
	}
}

// A mutation names tags that were gone before, so that one that is repeated confirms.
func TestGoneTagsAreNamed(t *testing.T) {
	w, r := threeTags()
	s := gitlabtest.New(w)
	wantAnswer(t, s, "mutation {"+destroying("a", r, "none", "a")+"}", `{"data":{"a":{"errors":[],"deletedTagNames":["none","a"]}}}`)
	if diff := cmp.Diff([]string{"group/app/web:a"}, deletedBy(s)); diff != "" {
		t.Error(diff)
	}
}

// Queries change nothing; what cannot be told might.
func TestGraphQLInStats(t *testing.T) {
	w, r := threeTags()
	s := gitlabtest.New(w, gitlabtest.WithLog(), gitlabtest.WithRateLimit(100))
	var seen []string
	s.OnRequest(func(r gitlabtest.Request) { seen = append(seen, r.Path+" "+r.Operation) })
	askGraphQL(t, s, `{projects {nodes {id}}}`, nil)
	askGraphQL(t, s, `{__typename}`, nil)
	askGraphQL(t, s, "mutation {"+destroying("a", r, "a")+"}", nil)
	last := askGraphQL(t, s, "mutation {none}", nil)
	get(t, s, "/projects")
	stats := s.Stats()
	want := map[string]int{
		"POST /api/graphql query": 2, "POST /api/graphql mutation": 1, "POST /api/graphql": 1, "GET /projects": 1,
	}
	if diff := cmp.Diff(want, stats.ByEndpoint); diff != "" || stats.Changing != 2 {
		t.Errorf("%d changing, %s", stats.Changing, diff)
	}
	if diff := cmp.Diff([]string{"/api/graphql query", "/api/graphql query", "/api/graphql mutation", "/api/graphql ", "/projects "}, seen); diff != "" {
		t.Error(diff)
	}
	if got := s.Requests()[2]; got.Endpoint != "POST /api/graphql mutation" || got.Path != "/api/graphql" {
		t.Errorf("%+v", got)
	}
	if last.header.Get("RateLimit-Observed") != "4" {
		t.Errorf("rate limit: %v", last.header)
	}
}

// By whichever way, a deletion by a name that a registry may take for a digest is held against
// the client: it may have been the image.
func TestDeletionsOfNamesLikeDigests(t *testing.T) {
	for _, name := range []string{"sha256-" + strings.Repeat("0", 64), "sha256-" + strings.Repeat("f", 64) + ".sig"} {
		w, r := oneRepository(gitlabtest.Legacy, "web")
		r.AddTag(name, gitlabtest.KindReferrers)
		for way, remove := range map[string]func(*gitlabtest.Server){
			"REST": func(s *gitlabtest.Server) { call(t, s, http.MethodDelete, tagAt(r, name)) },
			"GraphQL": func(s *gitlabtest.Server) {
				wantAnswer(t, s, "mutation {"+destroying("a", r, name)+"}", `{"data":{"a":{"errors":[],"deletedTagNames":["`+name+`"]}}}`)
			},
			"registry": func(s *gitlabtest.Server) { query{method: "DELETE", path: web + "/manifests/" + name}.ask(t, s) },
		} {
			s := gitlabtest.New(w, gitlabtest.WithoutRegistryAuth())
			remove(s)
			if got := s.Stats().Violations; len(got) != 1 || len(s.Remaining()) > 0 {
				t.Errorf("%s: %q, left %v", way, got, s.Remaining())
			}
		}
	}
}
