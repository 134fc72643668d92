package gitlabtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// allowed says which of the actions on a repository a token allows.
func allowed(t *testing.T, s *gitlabtest.Server, path, token string) string {
	t.Helper()
	var actions []string
	for _, try := range []struct{ action, method, path string }{
		{"pull", "GET", "/tags/list"}, {"push", "PUT", "/manifests/x"}, {"delete", "DELETE", "/manifests/gone"},
	} {
		if (query{method: try.method, path: "/v2/" + path + try.path, token: token}).ask(t, s).status != http.StatusUnauthorized {
			actions = append(actions, try.action)
		}
	}
	return strings.Join(actions, ",")
}

func TestWhatTokensAllow(t *testing.T) {
	const all, reads = "pull,push,delete", "pull"
	for name, test := range map[string]struct {
		set    func(*gitlabtest.Project)
		scopes []string
		asked  string
		path   string
		role   gitlabtest.Role
		want   string
	}{
		"everything":           {want: all},
		"what was asked":       {asked: "pull,delete", want: "pull,delete"},
		"nothing asked":        {asked: "none", want: ""},
		"archived":             {set: func(p *gitlabtest.Project) { p.Archived = true }, want: reads},
		"disabled":             {set: func(p *gitlabtest.Project) { p.RegistryDisabled = true }, want: ""},
		"forbidden":            {set: func(p *gitlabtest.Project) { p.Forbidden = true }, want: ""},
		"not a member":         {set: func(p *gitlabtest.Project) { p.NotMember = true }, want: ""},
		"read_registry":        {scopes: []string{"read_registry"}, want: reads},
		"read_api beside it":   {scopes: []string{"read_api", "read_registry"}, want: reads},
		"write_registry":       {scopes: []string{"read_registry", "write_registry"}, want: "pull,push"},
		"a Reporter":           {role: gitlabtest.Reporter, want: reads},
		"no such repository":   {path: "group/app/none", want: all},
		"no such project":      {path: "group/other", want: ""},
		"a path that is a dir": {path: "group", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := oneRepository(gitlabtest.Legacy, "web")
			if test.set != nil {
				test.set(r.Project())
			}
			if test.scopes == nil {
				test.scopes = []string{"api"}
			}
			if test.path == "" {
				test.path = r.Path()
			}
			if test.asked == "" {
				test.asked = all
			}
			s := gitlabtest.New(w, gitlabtest.WithToken("secret", test.scopes...), gitlabtest.WithRole(test.role))
			token := tokenOf(t, s, "secret", "repository:"+test.path+":"+test.asked)
			got := allowed(t, s, test.path, token)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			wantViolations(t, s, 0)
		})
	}
}

// One token can be for several repositories, and is for no others.
func TestTokenOfSeveralScopes(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.Project().AddRepository("api")
	r.Project().AddRepository("db")
	s := gitlabtest.New(w)
	token := tokenFor(t, s, "repository:group/app/web:pull", "repository:group/app/api:pull,delete")
	got := []string{}
	for _, name := range []string{"web", "api", "db"} {
		got = append(got, allowed(t, s, "group/app/"+name, token))
	}
	if diff := cmp.Diff([]string{"pull", "pull,delete", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersOfTheTokenService(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	scope := "repository:" + r.Path() + ":pull"
	for name, test := range map[string]struct {
		path, password string
		status         int
		want           string
		violations     int
	}{
		"without a password":          {authPath(scope), "", 200, "", 0},
		"without password and scope":  {authPath(), "", 403, "DENIED: access forbidden", 0},
		"for the password alone":      {authPath(), gitlabtest.DefaultToken, 200, "", 0},
		"of a token for something":    {authPath(scope), "other", 403, "DENIED: access forbidden", 0},
		"of another service":          {"/jwt/auth?service=dependency_proxy", gitlabtest.DefaultToken, 404, "", 0},
		"with a wrong password":       {authPath(scope), "wrong", 401, "UNAUTHORIZED: HTTP Basic: Access denied", 0},
		"as Docker asks":              {authPath(scope) + "&client_id=docker&account=me&offline_token=true", gitlabtest.DefaultToken, 200, "", 0},
		"with a misspelt parameter":   {authPath() + "&scopes=" + scope, gitlabtest.DefaultToken, 400, "", 1},
		"with a service named twice":  {authPath() + "&service=x", gitlabtest.DefaultToken, 400, "", 1},
		"below another path entirely": {"/api/v4" + authPath(), gitlabtest.DefaultToken, 404, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := gitlabtest.New(w, gitlabtest.WithToken("other", "read_api"), gitlabtest.WithToken(gitlabtest.DefaultToken, "api"))
			got := query{method: "GET", path: test.path, password: test.password}.ask(t, s)
			if got.status != test.status || !strings.HasPrefix(got.registryErrors(), test.want) {
				t.Errorf("got %d %s, want %d %s", got.status, got.text, test.status, test.want)
			}
			wantViolations(t, s, test.violations)
		})
	}
	anonymous := gitlabtest.New(w)
	token := query{method: "GET", path: authPath(scope)}.ask(t, anonymous).object(t)["token"].(string)
	if got := allowed(t, anonymous, r.Path(), token); got != "" {
		t.Errorf("nobody may %s", got)
	}
}

func TestTokensExpire(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	watch := &clock{now: time.Unix(1_700_000_000, 0)}
	s := gitlabtest.New(w, gitlabtest.WithClock(watch.read))
	token := tokenFor(t, s, wholeKit(r.Path()))
	watch.now = watch.now.Add(5*time.Minute - time.Second)
	before := allowed(t, s, r.Path(), token)
	watch.now = watch.now.Add(time.Second)
	after := query{method: "GET", path: "/v2/" + r.Path() + "/tags/list", token: token}.ask(t, s)
	if before != "pull,push,delete" || after.status != http.StatusUnauthorized {
		t.Errorf("before %q, after %d", before, after.status)
	}
	want := `Bearer realm="http://gitlab.example/jwt/auth",service="container_registry",` +
		`scope="repository:group/app/web:pull",error="invalid_token"`
	if diff := cmp.Diff(want, after.header.Get("WWW-Authenticate")); diff != "" {
		t.Error(diff)
	}
}

// What a client is told that has no token, a foreign one, or one for less.
func TestChallenges(t *testing.T) {
	w, r := oneRepository(gitlabtest.Database, "web")
	s := gitlabtest.New(w)
	pulls := tokenFor(t, s, "repository:"+r.Path()+":pull")
	foreign := tokenFor(t, gitlabtest.New(w, gitlabtest.WithSeed(2)), wholeKit(r.Path()))
	const realm = `Bearer realm="http://gitlab.example/jwt/auth",service="container_registry"`
	for _, test := range []struct{ method, path, token, want string }{
		{"GET", "/v2/", "", ""},
		{"GET", "/v2/", "rubbish", `,error="invalid_token"`},
		{"GET", "/v2/", foreign, `,error="invalid_token"`},
		{"GET", "/gitlab/v1/", "", ""},
		{"GET", "/v2/group/app/web/tags/list", "", `,scope="repository:group/app/web:pull"`},
		{"HEAD", "/v2/group/app/web/manifests/x", "", `,scope="repository:group/app/web:pull"`},
		{"DELETE", "/v2/group/app/web/manifests/x", pulls, `,scope="repository:group/app/web:delete",error="insufficient_scope"`},
		{"PUT", "/v2/group/app/web/manifests/x", pulls, `,scope="repository:group/app/web:pull,push",error="insufficient_scope"`},
		{"GET", "/v2/group/app/api/tags/list", pulls, `,scope="repository:group/app/api:pull",error="insufficient_scope"`},
		{"GET", "/gitlab/v1/repositories/group/app/api/tags/list/", pulls, `,scope="repository:group/app/api:pull",error="insufficient_scope"`},
	} {
		got := query{method: test.method, path: test.path, token: test.token}.ask(t, s)
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != realm+test.want {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, got.header.Get("WWW-Authenticate"))
		}
		if errors := got.registryErrors(); test.method != "HEAD" && errors != "UNAUTHORIZED: authentication required" {
			t.Errorf("%s %s: %s", test.method, test.path, got.text)
		}
	}
}

func TestRealmOfAnInstanceBelowAPath(t *testing.T) {
	w, _ := oneRepository(gitlabtest.Legacy, "web")
	for name, test := range map[string]struct {
		option gitlabtest.Option
		want   string
	}{
		"base path":    {gitlabtest.WithBasePath("/gitlab"), "http://gitlab.example/gitlab/jwt/auth"},
		"external URL": {gitlabtest.WithExternalURL("https://git.example/gl/"), "https://git.example/gl/jwt/auth"},
	} {
		s := gitlabtest.New(w, test.option)
		got := query{method: "GET", path: "/v2/"}.ask(t, s).header.Get("WWW-Authenticate")
		if !strings.HasPrefix(got, `Bearer realm="`+test.want+`"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	s := gitlabtest.New(w, gitlabtest.WithBasePath("/gitlab"))
	if got := (query{method: "GET", path: "/gitlab" + authPath(), password: gitlabtest.DefaultToken}).ask(t, s); got.status != http.StatusOK {
		t.Errorf("below the base path: %d %s", got.status, got.text)
	}
}
