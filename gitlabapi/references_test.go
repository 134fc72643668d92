package gitlabapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

// withReferences returns a world with one project that has branches and Git tags.
func withReferences(branches, tags int) (*gitlabtest.World, gitlabapi.Project) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/sub/my.app-1")
	for i := range branches {
		p.Branches = append(p.Branches, fmt.Sprintf("Feature/%d", i))
	}
	for i := range tags {
		p.GitTags = append(p.GitTags, fmt.Sprintf("v1.%d", i))
	}
	return w, gitlabapi.Project{ID: p.ID, Path: p.Path}
}

const (
	gitEndpoint  = "GET /:path/info/refs"
	branchesList = "GET /projects/:id/repository/branches"
	tagsList     = "GET /projects/:id/repository/tags"
)

var gitPath = regexp.MustCompile(`\.git/info/refs$`)

// TestReferences pins where the names come from, and what is no listing.
func TestReferences(t *testing.T) {
	git := func(e gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: gitPath, Effect: e})
	}
	rest := func(e gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/repository/tags$`), Effect: e})
	}
	for _, test := range []struct {
		name           string
		branches, tags int
		opts           []gitlabtest.Option
		git, rest      int // requests
		fails          bool
		class          error
	}{
		{name: "one of each", branches: 1, tags: 1, git: 1},
		{name: "branches alone", branches: 3, git: 1},
		{name: "tags alone", tags: 3, git: 1},
		{name: "many", branches: 2000, tags: 3000, git: 1},
		{name: "a token that may read code only", branches: 3, tags: 3, opts: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_repository")}, git: 1},
		{name: "below a path", branches: 3, tags: 3, git: 1},

		{name: "a token that may not read code", branches: 3, tags: 3, opts: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api")}, git: 1, rest: 2},
		{name: "Git switched off", branches: 250, tags: 101, opts: []gitlabtest.Option{gitlabtest.WithoutGit()}, git: 1, rest: 3 + 2},
		{name: "401", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Status(401))}, git: 1, rest: 2},
		{name: "404", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Status(404))}, git: 1, rest: 2},

		{name: "none", git: 1, fails: true, class: gitlabapi.ErrNoReferences},
		{name: "none over REST", opts: []gitlabtest.Option{gitlabtest.WithoutGit()}, git: 1, rest: 2, fails: true, class: gitlabapi.ErrNoReferences},
		{name: "an empty list", branches: 3, tags: 3, opts: []gitlabtest.Option{git(gitlabtest.CutList(0))}, git: 1, fails: true, class: gitlabapi.ErrNoReferences},
		{name: "half a list", branches: 3, tags: 3, opts: []gitlabtest.Option{git(gitlabtest.Halve())}, git: 1, fails: true},
		{name: "a connection that breaks off", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.CutBody())}, git: 3, fails: true},
		{name: "a sign-in page", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.HTML())}, git: 1, fails: true},
		{name: "a redirect to it", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Redirect("https://elsewhere.example/users/sign_in"))}, git: 1, fails: true},
		{name: "another type", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Reply(200, "[]"))}, git: 1, fails: true},
		{name: "the dumb protocol", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Reply(200, "", "Content-Type", "text/plain"))}, git: 1, fails: true},
		{name: "an outage", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.Status(503))}, git: 3, fails: true},
		{name: "a limit", branches: 3, opts: []gitlabtest.Option{git(gitlabtest.RateLimited())}, git: 3, fails: true},
		{name: "both refused", branches: 3, opts: []gitlabtest.Option{gitlabtest.WithoutGit(), rest(gitlabtest.Status(403))}, git: 1, rest: 2, fails: true, class: throttle.ErrForbidden},
		{name: "an unknown token", branches: 3, opts: []gitlabtest.Option{gitlabtest.WithToken("another", "api")}, git: 1, rest: 1, fails: true, class: throttle.ErrUnauthorized},
		{name: "half of it over REST", branches: 3, opts: []gitlabtest.Option{gitlabtest.WithoutGit(), rest(gitlabtest.Status(500))}, git: 1, rest: 1 + 3, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := withReferences(test.branches, test.tags)
				address := instance
				if test.name == "below a path" {
					test.opts, address = append(test.opts, gitlabtest.WithBasePath("/gitlab")), instance+"/gitlab"
				}
				s := gitlabtest.New(w, test.opts...)
				c := connect(t, s, func(config *gitlabapi.Config) { config.URL, config.MaxRetries = address, 2 })
				got, err := c.References(t.Context(), p)
				if (err != nil) != test.fails || test.class != nil && !errors.Is(err, test.class) {
					t.Errorf("failed with %v", err)
				}
				if test.class == nil && errors.Is(err, gitlabapi.ErrNoReferences) {
					t.Errorf("%v is of another class", err)
				}
				by := s.Stats().ByEndpoint
				if by[gitEndpoint] != test.git || by[branchesList]+by[tagsList] != test.rest || s.Stats().Total != test.git+test.rest {
					t.Errorf("asked %v", by)
				}
				want := test.branches + test.tags
				if test.fails {
					want = 0
				}
				if got.Len() != want {
					t.Fatalf("%d references, want %d", got.Len(), want)
				}
				for i := range test.branches {
					if name := fmt.Sprintf("Feature/%d", i); !got.Has(name) || !got.HasSlug(fmt.Sprintf("feature-%d", i)) {
						t.Errorf("%s is missing", name)
					}
				}
				for i := range test.tags {
					if name := fmt.Sprintf("v1.%d", i); !got.Has(name) || !got.HasSlug(fmt.Sprintf("v1-%d", i)) {
						t.Errorf("%s is missing", name)
					}
				}
				if missing := !got.Has("HEAD") && !got.HasSlug("head") && !got.HasSlug("1-head"); missing != !test.fails {
					t.Errorf("what is no branch is missing: %v", missing)
				}
			})
		})
	}
}

// TestUnknownReferencesLackNothing: what could not be listed is not missing.
func TestUnknownReferencesLackNothing(t *testing.T) {
	for _, r := range []gitlabapi.References{{}, gitlabapi.NewReferences()} {
		if !r.Has("main") || !r.HasSlug("main") || r.Len() != 0 {
			t.Error("main is missing")
		}
	}
	r := gitlabapi.NewReferences("Fix/1", "main", "main")
	if !r.Has("Fix/1") || r.Has("fix-1") || !r.HasSlug("fix-1") || r.HasSlug("Fix/1") || r.HasSlug("fix") || r.Len() != 2 {
		t.Errorf("%+v", r)
	}
}

// TestNamed: what stands behind a branch's slug in the name of a tag is no other branch.
func TestNamed(t *testing.T) {
	long := strings.Repeat("long", 20) // cut in slugs
	r := gitlabapi.NewReferences("Fix/1", "main", long, "---", "feature/Foo_Bar")
	for tag, want := range map[string]bool{
		"main": true, "main-amd64": true, "main.cache": true, "main_1a2b3c4d": true, "main-": true,
		"feature-Foo_Bar": true, "feature-Foo_Bar-amd64": true, "feature-foo-bar-amd64": true, "feature-Foo_Barn": false, // a slash is all that must go
		"fix-1": true, "fix-1-cache": true, "fix-1-a-b": true, long[:63] + "-cache": true,
		"mainline": false, "amd64-main": false, "fix": false, "fix-12": false, "fix-12-cache": false,
		"Main": true, "_x": false, "-x": false,
	} {
		if got := r.Named(tag); got != want {
			t.Errorf("%q: %t, want %t", tag, got, want)
		}
	}
	if !new(gitlabapi.References).Named("x") {
		t.Error("what was not read lacks a branch")
	}
}

// TestARefusedPasswordIsNotShownAgain: GitLab bans an address for that.
func TestARefusedPasswordIsNotShownAgain(t *testing.T) {
	for status, want := range map[int]int{401: 1, 403: 4} {
		w, p := withReferences(2, 2)
		s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Path: gitPath, Effect: gitlabtest.Status(status)}))
		c := connect(t, s)
		for _, view := range []*gitlabapi.Client{c, c, c.Recheck(), c} {
			if got, err := view.References(t.Context(), p); err != nil || got.Len() != 4 {
				t.Errorf("%d references, %v", got.Len(), err)
			}
		}
		if got := s.Stats().ByEndpoint[gitEndpoint]; got != want {
			t.Errorf("%d: Git is asked %d times, want %d", status, got, want)
		}
	}
}

// TestPathsThatLeadElsewhere: the path of a project comes from a server. One that is none is not
// made into an address.
func TestPathsThatLeadElsewhere(t *testing.T) {
	w, p := withReferences(1, 1)
	s := gitlabtest.New(w)
	c := connect(t, s)
	for _, path := range []string{"", "app", "a/../b", "a/./b", "../../etc", "a//b", "/a/b", "a/b/", "a/b?x=", "a/b#", "a/b%2f..", "a/b c", "a/b\n", `a\b/c`, "a/...", "a/ü"} {
		if got, err := c.References(t.Context(), gitlabapi.Project{ID: p.ID, Path: path}); err != nil || got.Len() != 2 {
			t.Errorf("%q: %d references, %v", path, got.Len(), err)
		}
	}
	if got := s.Stats().ByEndpoint; got[gitEndpoint] != 0 || got["unknown"] != 0 {
		t.Errorf("asked %v", got)
	}
}

// TestErrorsOfGitShowNoSecret has a server repeat what it was sent.
func TestErrorsOfGitShowNoSecret(t *testing.T) {
	w, p := withReferences(1, 0)
	for _, inPacket := range []bool{true, false} {
		s := gitlabtest.New(w)
		c := connect(t, s, func(config *gitlabapi.Config) {
			config.Transport = wiretest.Network(func(req *http.Request) (*http.Response, error) {
				name, password, _ := req.BasicAuth()
				if name == "" || password != gitlabtest.DefaultToken {
					t.Errorf("%s asks for %s with %q", name, req.URL, password)
				}
				line := fmt.Sprintf("ERR it was %s in %s", password, req.Header.Get("Authorization"))
				text := fmt.Sprintf("001e# service=git-upload-pack\n0000%04x%s0000", len(line)+4, line)
				if !inPacket {
					text = line
				}
				return wiretest.Reply(req, 200, text, "Content-Type", "application/x-git-upload-pack-advertisement"), nil
			})
		})
		_, err := c.References(t.Context(), p)
		if err == nil || strings.Contains(err.Error(), gitlabtest.DefaultToken) || strings.Contains(err.Error(), "b2F1dGgy") {
			t.Errorf("failed with %v", err)
		}
	}
}

// TestReferencesAreBounded: a list without end is given up.
func TestReferencesAreBounded(t *testing.T) {
	w, p := withReferences(1, 0)
	c := connect(t, gitlabtest.New(w), func(config *gitlabapi.Config) {
		config.Transport = wiretest.Network(func(req *http.Request) (*http.Response, error) {
			return wiretest.Reply(req, 200, strings.Repeat("x", 65<<20), "Content-Type", "application/x-git-upload-pack-advertisement"), nil
		})
	})
	if _, err := c.References(t.Context(), p); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("failed with %v", err)
	}
}
