package gitlabtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// withRules returns a world with rules of every sort, and a tag for each.
func withRules(regime gitlabtest.Regime) (*gitlabtest.World, *gitlabtest.Repository) {
	w, r := oneRepository(regime, "web")
	for _, name := range []string{"free", "m-1", "o-1", "a-1", "i-1"} {
		r.AddTag(name, gitlabtest.KindImage)
	}
	r.Project().ProtectionRules = []gitlabtest.ProtectionRule{
		{Pattern: "^m-"}, {Pattern: "^o-", Delete: gitlabtest.Owner, Push: gitlabtest.Owner}, {Pattern: "^a-", Delete: gitlabtest.Administrator}, {Pattern: "^i-", Immutable: true},
	}
	return w, r
}

// Each role is held by the rules above it, wherever the deletion comes from; nobody but by
// immutable ones on the whole instance.
func TestWhomRulesHold(t *testing.T) {
	tags := []string{"free", "m-1", "o-1", "a-1", "i-1"}
	for role, want := range map[gitlabtest.Role]string{
		gitlabtest.Developer: "free", gitlabtest.Maintainer: "free m-1", gitlabtest.Owner: "free m-1 o-1", gitlabtest.Administrator: "free m-1 o-1 a-1",
	} {
		for name, delete := range map[string]func(*gitlabtest.Server, *gitlabtest.Repository, string) bool{
			"REST": func(s *gitlabtest.Server, r *gitlabtest.Repository, tag string) bool {
				got := call(t, s, http.MethodDelete, tagAt(r, tag))
				if got.status != http.StatusOK && got.status != http.StatusForbidden {
					t.Errorf("%s: %d %s", tag, got.status, got.text)
				}
				return got.status == http.StatusOK
			},
			"registry": func(s *gitlabtest.Server, r *gitlabtest.Repository, tag string) bool {
				got := query{method: "DELETE", path: web + "/manifests/" + tag, token: tokenFor(t, s, wholeKit(r.Path()))}.ask(t, s)
				code := map[bool]string{true: "IMMUTABLE_TAG", false: "PROTECTED_TAG"}[tag == "i-1"]
				if got.status != http.StatusAccepted && (got.status != http.StatusUnauthorized || !strings.Contains(got.text, code)) {
					t.Errorf("%s: %d %s", tag, got.status, got.text)
				}
				return got.status == http.StatusAccepted
			},
		} {
			w, r := withRules(gitlabtest.Database)
			s := gitlabtest.New(w, gitlabtest.WithRole(role))
			var deleted []string
			for _, tag := range tags {
				if delete(s, r, tag) {
					deleted = append(deleted, tag)
				}
			}
			if got := strings.Join(deleted, " "); got != want || len(s.Deleted()) != len(deleted) {
				t.Errorf("%s as %d: deleted %s, want %s", name, role, got, want)
			}
		}
	}
}

// A mutation is refused as a whole where one rule is above the user's role, and drops names
// that are immutable in silence.
func TestMutationsUnderRules(t *testing.T) {
	w, r := withRules(gitlabtest.Database)
	for _, role := range []gitlabtest.Role{gitlabtest.Developer, gitlabtest.Maintainer, gitlabtest.Owner} {
		s := gitlabtest.New(w, gitlabtest.WithRole(role))
		if got := askGraphQL(t, s, "mutation {"+destroying("a", r, "free")+"}", nil); !strings.Contains(got.text, "permission") || len(s.Deleted()) != 0 {
			t.Errorf("%s", got.text)
		}
	}
	s := gitlabtest.New(w, gitlabtest.WithRole(gitlabtest.Administrator))
	wantAnswer(t, s, "mutation {"+destroying("a", r, "free", "i-1", "a-1")+"}", `{"data":{"a":{"errors":[],"deletedTagNames":["free","a-1"]}}}`)
	wantAnswer(t, s, "mutation {"+destroying("a", r, "i-1")+"}", `{"data":{"a":{"errors":["cannot delete protected tag(s)"],"deletedTagNames":[]}}}`)
}

// Pushing has a role of its own.
func TestPushesUnderRules(t *testing.T) {
	w, r := withRules(gitlabtest.Database)
	r.Project().ProtectionRules[0].Delete = gitlabtest.Owner // of m-
	s := gitlabtest.New(w, gitlabtest.WithRole(gitlabtest.Maintainer))
	token := tokenFor(t, s, wholeKit(r.Path()))
	m := query{method: "GET", path: web + "/manifests/free", accept: allTypes, token: token}.ask(t, s)
	for tag, want := range map[string]int{"free": 201, "m-1": 201, "a-1": 201, "o-1": 401, "i-1": 401} {
		got := query{method: "PUT", path: web + "/manifests/" + tag, token: token, contentType: m.header.Get("Content-Type"), body: m.text}.ask(t, s)
		if got.status != want || got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %s", tag, got.status, got.text)
		}
	}
}

// Rules are shown to maintainers; others see an empty list by GraphQL and 403 by REST. Without
// the metadata database there are none.
func TestWhoSeesRules(t *testing.T) {
	const text = `{projects {nodes {containerProtectionTagRules {nodes {tagNamePattern minimumAccessLevelForPush minimumAccessLevelForDelete immutable}}}}}`
	const shown = `{"tagNamePattern":"^i-","minimumAccessLevelForPush":null,"minimumAccessLevelForDelete":null,"immutable":true},` +
		`{"tagNamePattern":"^a-","minimumAccessLevelForPush":"MAINTAINER","minimumAccessLevelForDelete":"ADMIN","immutable":false},` +
		`{"tagNamePattern":"^o-","minimumAccessLevelForPush":"OWNER","minimumAccessLevelForDelete":"OWNER","immutable":false},` +
		`{"tagNamePattern":"^m-","minimumAccessLevelForPush":"MAINTAINER","minimumAccessLevelForDelete":"MAINTAINER","immutable":false}`
	for _, test := range []struct {
		regime  gitlabtest.Regime
		role    gitlabtest.Role
		graphql string
		status  int
		rest    []any
	}{
		{gitlabtest.Database, gitlabtest.Developer, "", 403, nil},
		{gitlabtest.Database, gitlabtest.Maintainer, shown, 200, []any{"^m-", "^o-", "^a-", "^i-"}},
		{gitlabtest.Database, gitlabtest.Administrator, shown, 200, []any{"^m-", "^o-", "^a-", "^i-"}},
		{gitlabtest.Legacy, gitlabtest.Administrator, "", 200, []any{}},
	} {
		w, r := withRules(test.regime)
		s := gitlabtest.New(w, gitlabtest.WithRole(test.role))
		wantAnswer(t, s, text, `{"data":{"projects":{"nodes":[{"containerProtectionTagRules":{"nodes":[`+test.graphql+`]}}]}}}`)
		got := get(t, s, fmt.Sprintf("/projects/%d/registry/protection/tag/rules", r.Project().ID))
		if got.status != test.status {
			t.Errorf("%d %s", got.status, got.text)
		}
		if test.rest != nil && !cmp.Equal(got.column(t, "tag_name_pattern"), test.rest) {
			t.Errorf("%s", got.text)
		}
		wantViolations(t, s, 0)
	}
}

// What a rule protects must stay, whoever the token is and whatever role the rule is about.
func TestTruthKeepsWhatRulesProtect(t *testing.T) {
	rules := gitlabtest.TruthRules{Orphans: "any"}
	w, cache := oneRepository(gitlabtest.Database, "web.cache")
	for _, name := range []string{"release-1", "old-release-1", "branch"} {
		cache.AddTag(name, gitlabtest.KindCacheManifest)
	}
	for _, rule := range []gitlabtest.ProtectionRule{{Pattern: "^release-"}, {Pattern: "^release-", Delete: gitlabtest.Administrator}, {Pattern: "^release-", Immutable: true}} {
		cache.Project().ProtectionRules = []gitlabtest.ProtectionRule{rule}
		verdicts := w.VerdictsUnder(rules)
		for name, want := range map[string]string{"release-1": "protected-in-gitlab", "old-release-1": "counterpart-repository-missing", "branch": "counterpart-repository-missing"} {
			if got := verdicts["group/app/web.cache:"+name]; got != want {
				t.Errorf("%+v: %s is %s, want %s", rule, name, got, want)
			}
		}
		if dead := w.TruthUnder(rules); len(dead) != 2 {
			t.Errorf("%+v: %v", rule, dead)
		}
	}
	// What cannot be read as a pattern may mean any tag.
	cache.Project().ProtectionRules = []gitlabtest.ProtectionRule{{Pattern: `\C`}}
	if dead := w.TruthUnder(rules); len(dead) != 0 {
		t.Errorf("%v", dead)
	}
	w.Regime = gitlabtest.Legacy
	if dead := w.TruthUnder(rules); len(dead) != 3 {
		t.Errorf("without the database there are no rules, but %v is left", dead)
	}
}

func TestRulesThatGitLabWouldNotTake(t *testing.T) {
	for name, rules := range map[string][]gitlabtest.ProtectionRule{
		"six":   make([]gitlabtest.ProtectionRule, 6),
		"empty": {{}},
		"long":  {{Pattern: strings.Repeat("x", 101)}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", name)
				}
			}()
			w, r := oneRepository(gitlabtest.Database, "web")
			r.Project().ProtectionRules = rules
			gitlabtest.New(w)
		}()
	}
}
