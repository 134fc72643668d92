package gitlabapi_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestProtects pins how patterns match: as RE2's, anywhere in a name.
func TestProtects(t *testing.T) {
	for _, test := range []struct {
		patterns []string
		tag      string
		want     bool
	}{
		{nil, "latest", false},
		{[]string{"latest"}, "latest", true},
		{[]string{"latest"}, "not-latest-yet", true},
		{[]string{"^latest$"}, "latest-1", false},
		{[]string{"^release-"}, "release-1", true},
		{[]string{"^release-"}, "Release-1", false},
		{[]string{"(?i)^release-"}, "Release-1", true},
		{[]string{`\d+\.\d+`}, "v1.2.3", true},
		{[]string{"a", "b"}, "cbc", true},
		{[]string{"a", "b"}, "c", false},
		{[]string{".*"}, "x", true},
		{[]string{""}, "x", true},
		{[]string{"("}, "x", true}, // what it protects is not known
		{[]string{`\C`}, "x", true},
		{[]string{"^y$", "(?=x)"}, "z", true},
		{[]string{`(a{1000}){1000}`}, "x", true},
	} {
		p := gitlabapi.NewProtection(test.patterns...)
		if got := p.Protects(test.tag); got != test.want || p.Unknown() != nil || len(p.Rules()) != len(test.patterns) {
			t.Errorf("%q protects %q: %v, want %v", test.patterns, test.tag, got, test.want)
		}
	}
	var unread gitlabapi.Protection
	if !unread.Protects("x") || unread.Unknown() == nil || unread.Rules() != nil {
		t.Error("what was not read protects nothing")
	}
}

// withRules returns a world whose projects have a repository and a rule each, and the last of
// them neither.
func withRules(n int) (*gitlabtest.World, []gitlabapi.Project) {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	var projects []gitlabapi.Project
	for i := range n {
		p := w.AddProject(fmt.Sprintf("group/p%d", i))
		if i < n-1 {
			p.AddRepository("web")
			p.ProtectionRules = []gitlabtest.ProtectionRule{{Pattern: fmt.Sprintf("^keep-%d$", i), Delete: gitlabtest.Owner}, {Pattern: "(", Immutable: true}}[:1+i%2]
		}
		projects = append(projects, gitlabapi.Project{ID: p.ID, Path: p.Path, Registry: true, Repositories: -1})
	}
	return w, projects
}

const rulesList = "GET /projects/:id/registry/protection/tag/rules"

var rulesPath = regexp.MustCompile(`/registry/protection/tag/rules$`)

// TestProtectionComesWithRepositories pins what the rules cost, and what is known of them when
// they cannot be read.
func TestProtectionComesWithRepositories(t *testing.T) {
	maintainer := gitlabtest.WithRole(gitlabtest.Maintainer)
	query := func(e gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Effect: e})
	}
	rest := func(e gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: rulesPath, Effect: e})
	}
	type asked = map[string]int
	const all = 11 // projects, of which the last has no repositories
	for _, test := range []struct {
		name  string
		opts  []gitlabtest.Option
		known bool
		class error // nil when the rules may be anything
		empty bool  // rules are known, and there are none
		asked asked
	}{
		{name: "a maintainer", opts: []gitlabtest.Option{maintainer}, known: true, asked: asked{queries: 1}},
		{name: "an administrator", opts: []gitlabtest.Option{gitlabtest.WithRole(gitlabtest.Administrator)}, known: true, asked: asked{queries: 1}},
		{name: "a developer", known: true, empty: true, asked: asked{queries: 1}},
		{name: "a version without rules", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutProtectionRules()}, class: gitlabapi.ErrNoProtection, asked: asked{queries: 2}},
		{name: "null rules", opts: []gitlabtest.Option{maintainer, query(gitlabtest.NullRules(5))}, known: true, asked: asked{queries: 1, rulesList: 2}},
		{name: "too complex together", opts: []gitlabtest.Option{maintainer, gitlabtest.WithComplexityLimit(80)}, known: true, asked: asked{queries: 3}},

		{name: "no GraphQL", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL()}, known: true, asked: asked{"POST /api/graphql query": 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, a developer", opts: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, class: gitlabapi.ErrProtectionHidden, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, an older version", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), gitlabtest.WithoutProtectionRulesOverREST()}, class: gitlabapi.ErrNoProtection, asked: asked{queries: 1, restList: all, rulesList: 1}},
		{name: "no GraphQL, a proxy's 404", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.Reply(404, "<html>", "Content-Type", "text/html"))}, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, a proxy's 403", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.Reply(403, "<html>", "Content-Type", "text/html"))}, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, maintenance", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.Reply(403, `{"message":"403 Forbidden - The organization is in maintenance mode"}`))}, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, an outage", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.Status(502))}, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, half an answer", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.Halve())}, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "no GraphQL, an empty answer", opts: []gitlabtest.Option{maintainer, gitlabtest.WithoutGraphQL(), rest(gitlabtest.CutList(0))}, known: true, empty: true, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
		{name: "errors", opts: []gitlabtest.Option{maintainer, query(gitlabtest.GraphQLErrors("Internal server error"))}, known: true, asked: asked{queries: 1, restList: all, rulesList: all - 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, projects := withRules(all)
				s := gitlabtest.New(w, test.opts...)
				for i, result := range connect(t, s).RepositoriesOf(t.Context(), projects) {
					if result.Err != nil || i < all-1 && len(result.Repositories) != 1 {
						t.Errorf("project %d: %v", i, result.Err)
					}
					if i == all-1 {
						continue
					}
					p, why := result.Protection, result.Protection.Unknown()
					if (why == nil) != test.known || test.class != nil && !errors.Is(why, test.class) {
						t.Errorf("project %d is not known: %v", i, why)
					}
					if doubt := test.class == nil && (errors.Is(why, gitlabapi.ErrNoProtection) || errors.Is(why, gitlabapi.ErrProtectionHidden)); doubt {
						t.Errorf("project %d: %v", i, why)
					}
					holds := test.known && !test.empty
					doubt := !test.known && test.class == nil
					if got := p.Protects(fmt.Sprintf("keep-%d", i)); got != (holds || doubt) {
						t.Errorf("project %d protects its tag: %v", i, got)
					}
					if got := p.Protects("other"); got != (holds && i%2 == 1 || doubt) {
						t.Errorf("project %d protects another tag: %v", i, got)
					}
				}
				got := maps.Clone(s.Stats().ByEndpoint)
				maps.DeleteFunc(got, func(_ string, n int) bool { return n == 0 })
				if !maps.Equal(got, test.asked) {
					t.Errorf("asked %v, want %v", got, test.asked)
				}
			})
		})
	}
}

const restList = "GET /projects/:id/registry/repositories"

// TestProtectionsOf: of projects whose repositories a group has listed, a page costs one query.
func TestProtectionsOf(t *testing.T) {
	w, projects := withRules(150)
	for name, test := range map[string]struct {
		opts  []gitlabtest.Option
		asked map[string]int
		class error
	}{
		"GraphQL":         {asked: map[string]int{queries: 2}},
		"no GraphQL":      {[]gitlabtest.Option{gitlabtest.WithoutGraphQL()}, map[string]int{queries: 1, rulesList: 150}, nil},
		"null rules":      {[]gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.NullRules(50)})}, map[string]int{queries: 2, rulesList: 3}, nil},
		"null projects":   {[]gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.NullProjects(50)})}, map[string]int{queries: 2, rulesList: 3}, nil},
		"an old version":  {[]gitlabtest.Option{gitlabtest.WithoutProtectionRules()}, map[string]int{queries: 2}, gitlabapi.ErrNoProtection},
		"a token unknown": {[]gitlabtest.Option{gitlabtest.WithToken("another", "api")}, map[string]int{queries: 2}, throttle.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s := gitlabtest.New(w, append(test.opts, gitlabtest.WithRole(gitlabtest.Administrator))...)
			got := connect(t, s).ProtectionsOf(t.Context(), projects)
			if len(got) != len(projects) {
				t.Fatalf("%d protections of %d projects", len(got), len(projects))
			}
			for i, p := range got {
				why := p.Unknown()
				if (why != nil) != (test.class != nil) || why != nil && !errors.Is(why, test.class) {
					t.Errorf("project %d: %v", i, why)
				}
				if want := i < 149; why == nil && (p.Protects(fmt.Sprintf("keep-%d", i)) != want || p.Protects("x") != (want && i%2 == 1)) {
					t.Errorf("project %d has the rules %v", i, p.Rules())
				}
			}
			if asked := s.Stats().ByEndpoint; !maps.Equal(asked, test.asked) {
				t.Errorf("asked %v, want %v", asked, test.asked)
			}
			if none := connect(t, s).ProtectionsOf(t.Context(), nil); len(none) != 0 {
				t.Error("protections of no project")
			}
		})
	}
}

func TestRulesAreCopied(t *testing.T) {
	p := gitlabapi.NewProtection("^a$")
	rules := p.Rules()
	rules[0] = gitlabapi.TagRule{Pattern: "x"}
	if !p.Protects("a") || p.Protects("x") || !slices.ContainsFunc(p.Rules(), func(r gitlabapi.TagRule) bool { return r.Pattern == "^a$" }) {
		t.Error("the rules have changed")
	}
}
