package gitlabtest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// The effects that are GraphQL's own, and what they leave alone.
func TestWhatGraphQLEffectsAnswer(t *testing.T) {
	const (
		projects = `{projects(sort: "id_asc") {nodes {fullPath}}}`
		counts   = `{projects(sort: "id_asc") {nodes {fullPath containerRepositoriesCount}}}`
		one      = `{projects(sort: "id_asc", first: 1) {nodes {fullPath containerRepositoriesCount}}}`
		lists    = `{projects(sort: "id_asc") {nodes {containerRepositories {nodes {name}}}}}`
	)
	w, r := threeTags()
	w.AddProject("group/b")
	both := "mutation {" + destroying("x", r, "a", "b", "c") + destroying("y", r, "a") + "}"
	for _, test := range []struct {
		name   string
		effect gitlabtest.Effect
		query  string
		want   string
	}{
		{"errors", gitlabtest.GraphQLErrors("Internal server error"), projects, `200 {"errors":[{"message":"Internal server error"}]}`},
		{"errors", gitlabtest.GraphQLErrors("Internal server error"), both, `200 {"errors":[{"message":"Internal server error"}]}`},
		{"timeout with 200", gitlabtest.GraphQLTimeout(200, 0), projects, `200 {"errors":[{"message":"Timeout on Query"}]}`},
		{"timeout with 503", gitlabtest.GraphQLTimeout(503, 0), both, `503 {"errors":[{"message":"Request timed out. Please try a less complex query or a smaller set of records."}]}`},
		{"counts", gitlabtest.CountTimeouts(1), counts, `200 {"errors":[{"message":"Timeout on Project.containerRepositoriesCount",` +
			`"path":["projects","nodes",1,"containerRepositoriesCount"]}],"data":{"projects":{"nodes":[{"fullPath":"group/app","containerRepositoriesCount":1},null]}}}`},
		{"all counts", gitlabtest.CountTimeouts(0), one, `200 {"errors":[{"message":"Timeout on Project.containerRepositoriesCount",` +
			`"path":["projects","nodes",0,"containerRepositoriesCount"]}],"data":{"projects":{"nodes":[null]}}}`},
		{"counts of few", gitlabtest.CountTimeouts(1), one, `200 {"data":{"projects":{"nodes":[{"fullPath":"group/app","containerRepositoriesCount":1}]}}}`},
		{"counts not asked for", gitlabtest.CountTimeouts(0), projects, `200 {"data":{"projects":{"nodes":[{"fullPath":"group/app"},{"fullPath":"group/b"}]}}}`},
		{"null projects", gitlabtest.NullProjects(2), projects, `200 {"data":{"projects":{"nodes":[{"fullPath":"group/app"},null]}}}`},
		{"null repositories", gitlabtest.NullRepositories(2), lists, `200 {"data":{"projects":{"nodes":[{"containerRepositories":{"nodes":[{"name":"web"}]}},{"containerRepositories":null}]}}}`},
		{"short lists", gitlabtest.CutList(1), lists, `200 {"data":{"projects":{"nodes":[{"containerRepositories":{"nodes":[{"name":"web"}]}}]}}}`},
		{"no page", gitlabtest.HTML(), projects, "200 <!DOCTYPE html>"},
		{"mutations", gitlabtest.MutationTimeouts(1), both, `200 {"errors":[{"message":"Timeout on Mutation.destroyContainerRepositoryTags","path":["y"]}],` +
			`"data":{"x":{"errors":[],"deletedTagNames":["a","b","c"]},"y":null}}`},
		{"foreign names", gitlabtest.ExtraDeletedNames("latest"), both, `200 {"data":{"x":{"errors":[],"deletedTagNames":["a","b","c","latest"]},"y":{"errors":[],"deletedTagNames":["a","latest"]}}}`},
		{"skipped", gitlabtest.SkipDeletions(2), both, `200 {"data":{"x":{"errors":[],"deletedTagNames":["a","c"]},"y":{"errors":[],"deletedTagNames":["a"]}}}`},
		{"unnamed", gitlabtest.UnnamedDeletions(2), both, `200 {"data":{"x":{"errors":[],"deletedTagNames":["a","c"]},"y":{"errors":[],"deletedTagNames":["a"]}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: test.effect}))
			got := askGraphQL(t, s, test.query, nil)
			if answer := fmt.Sprint(got.status, " ", got.text); !strings.HasPrefix(answer, test.want) {
				t.Errorf("got %s\nwant %s", answer, test.want)
			}
			wantViolations(t, s, 0)
			if rest := get(t, s, "/projects").text; strings.Contains(rest, "errors") {
				t.Errorf("REST: %s", rest)
			}
		})
	}
}

// What is not named may be gone all the same, and what is named may be there.
func TestWhatMutationsReallyDeleted(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		want   []string
	}{
		"errors":   {gitlabtest.GraphQLErrors("no"), nil},
		"timeout":  {gitlabtest.GraphQLTimeout(503, 0), nil},
		"the rest": {gitlabtest.MutationTimeouts(0), nil},
		"foreign":  {gitlabtest.ExtraDeletedNames("b"), []string{"group/app/web:a", "group/app/web:c"}},
		"skipped":  {gitlabtest.SkipDeletions(2), []string{"group/app/web:a"}},
		"unnamed":  {gitlabtest.UnnamedDeletions(2), []string{"group/app/web:a", "group/app/web:c"}},
	} {
		w, r := threeTags()
		s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: test.effect}))
		askGraphQL(t, s, "mutation {"+destroying("x", r, "a", "c")+"}", nil)
		if diff := cmp.Diff(test.want, deletedBy(s)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A fault can strike queries alone, or mutations, or GraphQL by its path.
func TestWhichOperationsAFaultStrikes(t *testing.T) {
	w, r := threeTags()
	for name, test := range map[string]struct {
		fault gitlabtest.Fault
		want  []int
	}{
		"queries":   {gitlabtest.Fault{Operation: "query"}, []int{500, 200, 200}},
		"mutations": {gitlabtest.Fault{Operation: "mutation"}, []int{200, 500, 200}},
		"path":      {gitlabtest.Fault{Path: regexp.MustCompile(`^/api/graphql$`)}, []int{500, 500, 200}},
		"the first": {gitlabtest.Fault{Method: "POST", Count: 1}, []int{500, 200, 200}},
	} {
		test.fault.Effect = gitlabtest.Status(500)
		s := gitlabtest.New(w, gitlabtest.WithFaults(test.fault))
		got := []int{
			askGraphQL(t, s, `{projects {nodes {id}}}`, nil).status,
			askGraphQL(t, s, "mutation {"+destroying("a", r, "a")+"}", nil).status,
			get(t, s, "/projects").status,
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestGraphQLTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithFaults(
			gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)},
			gitlabtest.Fault{Effect: gitlabtest.GraphQLTimeout(503, 29*time.Second)}))
		start := time.Now()
		got := askGraphQL(t, s, `{projects {nodes {id}}}`, nil)
		if took := time.Since(start); took != 30*time.Second || got.status != 503 {
			t.Errorf("%d after %v", got.status, took)
		}
	})
}

// A list that goes on for ever gives its last page again and again.
func TestRepeatedGraphQLPages(t *testing.T) {
	w, _ := threeTags()
	s := gitlabtest.New(w, gitlabtest.WithRepeatedPages())
	const page = `{"data":{"projects":{"nodes":[{"fullPath":"group/app"}],"pageInfo":{"hasNextPage":true,"endCursor":"eyJpZCI6IjEwMDEifQ=="}}}}`
	wantAnswer(t, s, `{projects {nodes {fullPath} pageInfo {hasNextPage endCursor}}}`, page)
	wantAnswer(t, s, `{projects(after: "eyJpZCI6IjEwMDEifQ==") {nodes {fullPath} pageInfo {hasNextPage endCursor}}}`, page)
}
