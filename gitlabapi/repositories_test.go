package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// owning returns an instance with a number of projects that have two repositories each.
func owning(n int) *fakeInstance {
	k := instanceWith(n)
	for i := range k.projects {
		k.projects[i].Repositories = 2
	}
	return k
}

// list lists the repositories of all projects, whose number is known or not, and checks
// that none is missing.
func list(t *testing.T, k *fakeInstance, c *Client, counted bool) {
	t.Helper()
	var want [][]Repository
	for _, p := range k.projects {
		want = append(want, repositoriesIn(p, k.restOnly[p.ID]))
	}
	projects := slices.Clone(k.projects)
	for i := range projects {
		if !counted {
			projects[i].Repositories = -1
		}
	}
	var got [][]Repository
	for i, result := range c.RepositoriesOf(t.Context(), projects) {
		if result.Err != nil {
			t.Errorf("project %d: %v", projects[i].ID, result.Err)
		}
		if why := result.Protection.Unknown(); why != nil && !errors.Is(why, ErrNoProtection) {
			t.Errorf("project %d: %v", projects[i].ID, why)
		} else if why == nil && !result.Protection.Protects(fmt.Sprintf("keep-%d", projects[i].ID)) {
			t.Errorf("project %d has the rules %v", projects[i].ID, result.Protection.Rules())
		}
		got = append(got, result.Repositories)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("repositories (-want +got):\n%.2000s", diff)
	}
}

// TestRepositoriesOf pins how many projects are listed at once.
func TestRepositoriesOf(t *testing.T) {
	over := func(most int, answer object) func(*query, object) {
		return func(q *query, old object) {
			if len(q.Variables.IDs) > most {
				clear(old)
				maps.Copy(old, answer)
			}
		}
	}
	tooComplex := object{"errors": saying("Query has complexity of 301, which exceeds max complexity of 250")}
	for _, test := range []struct {
		name     string
		projects int
		spoil    func(*query, object)
		status   int
		want     string
		after    int // ProjectsAtOnce
	}{
		{name: "none", projects: 0, want: "", after: 50},
		{name: "one", projects: 1, want: "1×REST 10, 1×rules 10", after: 50},
		{name: "as many as fit", projects: 50, want: "1×list 50", after: 50},
		{name: "more", projects: 151, want: "3×list 50, 1×REST 460, 1×rules 460", after: 50},
		{name: "too complex for more than 12", projects: 50, spoil: over(12, tooComplex), want: "2×list 50, 1×list 25, 2×list 12, 1×list 14, 2×list 7, 2×list 9, 4×list 11", after: 15},
		{name: "too complex for two", projects: 3, spoil: over(1, tooComplex), want: "2×list 3, 1×REST 10, 1×list 1, 1×REST 13, 1×list 1, 1×REST 16, 1×list 1", after: 1},
		{name: "a timeout", projects: 50, spoil: over(30, object{"errors": saying("Timeout on Query.projects"), "data": nil}), want: "1×list 50, 2×list 25", after: 29},
		{name: "a schema without it", projects: 3, spoil: over(0, unknown("containerRepositories")), want: "1×list 3, " + eachOverREST(3), after: 1},
		{name: "an error alone", projects: 3, spoil: over(0, object{"errors": saying("Internal server error")}), want: "1×list 3, " + eachOverREST(3), after: 50},
		{name: "no endpoint", projects: 3, status: 404, want: "1×list 3, " + eachOverREST(3), after: 1},
		{name: "a limit", projects: 3, status: 429, want: "1×list 3, " + eachOverREST(3), after: 50},
		{name: "an outage", projects: 6, status: 502, want: "1×list 6, 1×list 3, 1×REST 10, 1×rules 10, 1×REST 13, 1×rules 13, 1×REST 16, 1×rules 16, " +
			"1×REST 19, 1×rules 19, 1×REST 22, 1×rules 22, 1×REST 25, 1×rules 25", after: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := owning(test.projects)
			k.spoil = test.spoil
			if test.status != 0 {
				k.instead = func(_ *query, req *http.Request) (*http.Response, error) { return reply(req, test.status, ""), nil }
			}
			c := newTestClient(t, k, Config{})
			list(t, k, c, true)
			if got := k.requests(); got != test.want {
				t.Errorf("asked %s\nwant  %s", got, test.want)
			}
			if got := c.ProjectsAtOnce(); got != test.after {
				t.Errorf("%d projects at once, want %d", got, test.after)
			}
		})
	}
}

// TestOthersDoNotKeepACallFromGoingOn: however often their successes raise the number, a
// call asks for ever fewer until it comes to REST.
func TestOthersDoNotKeepACallFromGoingOn(t *testing.T) {
	k := owning(60)
	var before []string
	k.instead = func(q *query, req *http.Request) (*http.Response, error) {
		ids := q.Variables.IDs
		if len(before) > 0 && ids[0] == before[0] && len(ids) > len(before)/2 {
			t.Errorf("%d projects, of which %d were too many", len(ids), len(before))
			return reply(req, 404, ""), nil
		}
		before = ids
		return reply(req, 503, ""), nil
	}
	c := newTestClient(t, k, Config{})
	var others sync.WaitGroup
	done, stop := context.WithCancel(t.Context())
	for range 8 {
		others.Go(func() {
			for done.Err() == nil {
				c.graphQL.projects.observe(c.graphQL.projects.get(), nil)
			}
		})
	}
	list(t, k, c, true)
	stop()
	others.Wait()
}

// eachOverREST is what is asked when nothing of some projects came over GraphQL.
func eachOverREST(n int) string {
	var repositories, rules []string
	for _, p := range instanceWith(n).projects {
		repositories, rules = append(repositories, fmt.Sprintf("1×REST %d", p.ID)), append(rules, fmt.Sprintf("1×rules %d", p.ID))
	}
	return strings.Join(append(repositories, rules...), ", ")
}

// TestWhatIsListedAlone spoils the answer for the second of three projects.
func TestWhatIsListedAlone(t *testing.T) {
	path := []any{"data", "projects", "nodes", 1}
	below := func(more ...any) []any { return append(append([]any{}, path...), more...) }
	set := func(value any, at ...any) func(object) {
		return func(answer object) {
			inside(answer, below(at[:len(at)-1]...)...).(object)[at[len(at)-1].(string)] = value
		}
	}
	repository := func(field string, value any) func(object) {
		return set(value, "containerRepositories", "nodes", 0, field)
	}
	for _, test := range []struct {
		name  string
		spoil func(answer object)
		alone bool // the second project's repositories alone; else none
		rules bool // its rules alone
	}{
		{"nothing", func(object) {}, false, false},
		{"a null node", func(answer object) { inside(answer, "data", "projects", "nodes").([]any)[1] = nil }, true, true},
		{"no node", func(answer object) {
			projects := inside(answer, "data", "projects").(object)
			nodes := projects["nodes"].([]any)
			projects["nodes"] = []any{nodes[0], nodes[2]}
		}, true, true},
		{"the node twice", func(answer object) {
			projects := inside(answer, "data", "projects").(object)
			projects["nodes"] = append(projects["nodes"].([]any), inside(answer, path...))
		}, true, true},
		{"another order", func(answer object) {
			nodes := inside(answer, "data", "projects", "nodes").([]any)
			nodes[0], nodes[2] = nodes[2], nodes[0]
		}, false, false},
		{"repositories in another order", func(answer object) {
			slices.Reverse(inside(answer, below("containerRepositories", "nodes")...).([]any))
		}, false, false},
		{"a project that was not asked for", func(answer object) {
			projects := inside(answer, "data", "projects").(object)
			projects["nodes"] = append(projects["nodes"].([]any), object{"id": "gid://gitlab/Project/99", "containerRepositories": nil})
		}, false, false},
		{"no repositories", set(nil, "containerRepositories"), true, false},
		{"no list of them", set(nil, "containerRepositories", "nodes"), true, false},
		{"no page info", set(nil, "containerRepositories", "pageInfo"), true, false},
		{"half a page info", set(nil, "containerRepositories", "pageInfo", "hasNextPage"), true, false},
		{"more of them", set(true, "containerRepositories", "pageInfo", "hasNextPage"), true, false},
		{"fewer than there are", set([]any{}, "containerRepositories", "nodes"), true, false},
		{"one that is null", func(answer object) {
			inside(answer, below("containerRepositories", "nodes")...).([]any)[0] = nil
		}, true, false},
		{"the same twice", func(answer object) {
			nodes := inside(answer, below("containerRepositories", "nodes")...).([]any)
			nodes[1] = nodes[0]
		}, true, false},
		{"an id of something else", repository("id", "gid://gitlab/Project/13000"), true, false},
		{"no path", repository("path", nil), true, false},
		{"a path elsewhere", repository("path", "other/p1/r0"), true, false},
		{"a path that is not its name", repository("path", "group/p1/r9"), true, false},
		{"a name that is not its path", repository("name", nil), true, false},
		{"a path in capitals", repository("path", "Group/P1/r0"), true, false},
		{"a location elsewhere", repository("location", "registry.example/other/p1/r0"), true, false},
		{"a location of two hosts", repository("location", "registry.example/x/group/p1/r0"), true, false},
		{"an unknown status", repository("status", "DELETE_NEVER"), true, false},
		{"one that could not be deleted", repository("status", "DELETE_FAILED"), false, false},
		{"an error about it", func(answer object) {
			answer["errors"] = []any{object{"message": "odd", "path": []any{"projects", "nodes", 1, "containerRepositories"}}}
		}, true, true},
		{"no rules", set(nil, rulesField), false, true},
		{"no list of rules", set(nil, rulesField, "nodes"), false, true},
		{"half a page info of rules", set(nil, rulesField, "pageInfo", "hasNextPage"), false, true},
		{"more rules", set(true, rulesField, "pageInfo", "hasNextPage"), false, true},
		{"a rule that is null", set([]any{nil}, rulesField, "nodes"), false, true},
		{"a rule without a pattern", set([]any{object{"immutable": true}}, rulesField, "nodes"), false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := owning(3)
			k.spoil = func(_ *query, answer object) { test.spoil(answer) }
			// Only the count says that an empty list is not all.
			list(t, k, newTestClient(t, k, Config{}), test.name == "fewer than there are")
			want := "1×list 3"
			if test.alone {
				want += ", 1×REST 13"
			}
			if test.rules {
				want += ", 1×rules 13"
			}
			if got := k.requests(); got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
		})
	}
}

func TestErrorsAboutNoProjectAreAboutAll(t *testing.T) {
	k := owning(3)
	k.spoil = func(_ *query, answer object) { answer["errors"] = saying("odd") }
	list(t, k, newTestClient(t, k, Config{}), true)
	if got := k.requests(); got != "1×list 3, "+eachOverREST(3) {
		t.Errorf("asked %s", got)
	}
}

func TestRepositoriesThatAreBeingDeleted(t *testing.T) {
	for status, want := range map[any]bool{nil: false, "DELETE_SCHEDULED": true, "DELETE_ONGOING": true, "DELETE_FAILED": false} {
		k := owning(2)
		k.spoil = func(_ *query, answer object) {
			inside(answer, "data", "projects", "nodes", 0, "containerRepositories", "nodes", 0).(object)["status"] = status
		}
		got := newTestClient(t, k, Config{}).RepositoriesOf(t.Context(), k.projects)
		if got[0].Err != nil || got[0].Repositories[0].Deleting != want || len(k.asked) != 1 {
			t.Errorf("%v: %+v", status, got[0])
		}
	}
}

// TestWhatRESTSaysOfAContradictionStands: the count may be older than the list.
func TestWhatRESTSaysOfAContradictionStands(t *testing.T) {
	k := owning(2)
	projects := []Project{k.projects[0], k.projects[1]}
	projects[0].Repositories = 3
	got := newTestClient(t, k, Config{}).RepositoriesOf(t.Context(), projects)
	if len(got[0].Repositories) != 2 || got[0].Err != nil || k.requests() != "1×list 2, 1×REST 10" {
		t.Errorf("got %+v", got[0])
	}
}

func TestProjectsWithManyRepositories(t *testing.T) {
	k := owning(3)
	k.projects[1].Repositories = 101
	c := newTestClient(t, k, Config{})
	list(t, k, c, true)
	if got := k.requests(); got != "1×list 3, 1×REST 13" {
		t.Errorf("asked %s", got)
	}
}

// TestRepositoriesOfSaysWhatFailed: each project has its own error.
func TestRepositoriesOfSaysWhatFailed(t *testing.T) {
	k := owning(3)
	projects := append([]Project{}, k.projects...)
	projects[1].ID = 14 // which there is not
	got := newTestClient(t, k, Config{}).RepositoriesOf(t.Context(), projects)
	if got[0].Err != nil || !errors.Is(got[1].Err, throttle.ErrNotFound) || got[2].Err != nil || len(got) != 3 {
		t.Errorf("got %+v", got)
	}

	k.instead = func(_ *query, req *http.Request) (*http.Response, error) { return reply(req, 401, ""), nil }
	k.requests()
	for _, result := range newTestClient(t, k, Config{}).RepositoriesOf(t.Context(), k.projects) {
		if !errors.Is(result.Err, throttle.ErrUnauthorized) {
			t.Errorf("got %v", result.Err)
		}
	}
	if asked := k.requests(); asked != "1×list 3" {
		t.Errorf("a token that is not known asks %s", asked)
	}
}
