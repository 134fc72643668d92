package gitlabapi_test

import (
	"errors"
	"fmt"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// What tokens and projects of a special kind show.

// someProjects has three projects with two repositories each.
func someProjects() *gitlabtest.World {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	for i := range 3 {
		p := w.AddProject(fmt.Sprint("group/p", i))
		p.AddRepository("app")
		p.AddRepository("app.cache")
	}
	return w
}

// TestProjectsMarkedForDeletion are known by every list and every version that says it.
func TestProjectsMarkedForDeletion(t *testing.T) {
	for name, opts := range map[string][]gitlabtest.Option{
		"GraphQL":                    nil,
		"GraphQL that does not know": {gitlabtest.WithoutFields("Project.markedForDeletion")},
		"REST":                       {gitlabtest.WithoutGraphQL()},
	} {
		w := someProjects()
		w.Projects[1].MarkedForDeletion = true
		c := connect(t, gitlabtest.New(w, opts...))
		var listed, grouped []bool
		for page, err := range c.ProjectPages(t.Context(), true) {
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				listed = append(listed, p.Deleting)
			}
		}
		for p, err := range c.GroupProjects(t.Context(), "group") {
			if err != nil {
				t.Fatal(err)
			}
			grouped = append(grouped, p.Deleting)
		}
		p, err := c.Project(t.Context(), "group/p1")
		if want := fmt.Sprint([]bool{false, name != "GraphQL that does not know", false}); fmt.Sprint(listed) != want {
			t.Errorf("%s: listed %v, want %s", name, listed, want)
		}
		if fmt.Sprint(grouped) != "[false true false]" || err != nil || !p.Deleting {
			t.Errorf("%s: in its group %v; alone %v, %v", name, grouped, p.Deleting, err)
		}
	}
}

// TestFineGrainedTokens pass the check, and their repositories come over REST where GraphQL shows null or
// an empty list: at once where the token is known to be one, and beside a count that is not zero otherwise.
func TestFineGrainedTokens(t *testing.T) {
	for _, null := range []bool{false, true} {
		for _, checked := range []bool{false, true} {
			opts := []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "granular")}
			if null {
				opts = append(opts, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.NullRepositories(1)}))
			}
			s := gitlabtest.New(someProjects(), opts...)
			c := connect(t, s)
			if checked {
				for _, toDelete := range []bool{false, true} {
					if err := c.CheckToken(t.Context(), toDelete); err != nil {
						t.Errorf("CheckToken(%v) = %v", toDelete, err)
					}
				}
			}
			for page, err := range c.ProjectPages(t.Context(), true) {
				for i, result := range c.RepositoriesOf(t.Context(), page) {
					if err != nil || result.Err != nil || len(result.Repositories) != 2 {
						t.Errorf("null %v, checked %v: %s has %d repositories, %v, %v", null, checked, page[i].Path, len(result.Repositories), result.Err, err)
					}
				}
			}
			if got := s.Stats().Violations; len(got) > 0 {
				t.Error(got)
			}
		}
	}
}

// TestAdministratorWithoutAdminMode is noticed by the token's scopes and the user.
func TestAdministratorWithoutAdminMode(t *testing.T) {
	for _, test := range []struct {
		role   gitlabtest.Role
		scopes []string
		want   bool
		asked  int // for the user
	}{
		{gitlabtest.Administrator, []string{"api"}, true, 1},
		{gitlabtest.Administrator, []string{"read_api"}, true, 1},
		{gitlabtest.Administrator, []string{"api", "admin_mode"}, false, 0},
		{gitlabtest.Administrator, []string{"granular"}, false, 0},
		{gitlabtest.Owner, []string{"api"}, false, 1},
	} {
		s := gitlabtest.New(someProjects(), gitlabtest.WithRole(test.role), gitlabtest.WithToken(gitlabtest.DefaultToken, test.scopes...))
		c := connect(t, s)
		if c.LacksAdminMode(t.Context()) {
			t.Error("known without a check of the token")
		}
		if err := c.CheckToken(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if got := c.LacksAdminMode(t.Context()); got != test.want {
			t.Errorf("role %d, scopes %q: %v", test.role, test.scopes, got)
		}
		if n := s.Stats().ByEndpoint["GET /user"]; n != test.asked {
			t.Errorf("role %d, scopes %q: the user was asked for %d times", test.role, test.scopes, n)
		}
	}
}

// TestRegistryThatTheTokenMayNotSee: GitLab hides a registry in the words in which it says that there is
// no project.
func TestRegistryThatTheTokenMayNotSee(t *testing.T) {
	w := someProjects()
	w.Projects[1].RegistryHidden = true
	s := gitlabtest.New(w)
	c := connect(t, s)
	projects := []gitlabapi.Project{{ID: w.Projects[1].ID, Path: "group/p1", Repositories: 2}, {ID: w.Projects[2].ID, Path: "group/p2", Repositories: 2}, {ID: 7, Path: "group/gone", Repositories: 2}}
	results := c.RepositoriesOf(t.Context(), projects)
	hidden, typed := errors.AsType[*gitlabapi.RegistryHiddenError](results[0].Err)
	if !typed || hidden.Project != "group/p1" || !errors.Is(results[0].Err, throttle.ErrNotFound) {
		t.Errorf("hidden: %v", results[0].Err)
	}
	if results[1].Err != nil || len(results[1].Repositories) != 2 {
		t.Errorf("beside it: %v", results[1].Err)
	}
	if _, typed := errors.AsType[*gitlabapi.RegistryHiddenError](results[2].Err); typed || !errors.Is(results[2].Err, throttle.ErrNotFound) {
		t.Errorf("no project: %v", results[2].Err)
	}
}

// TestRepositoriesNamed lists those with a text in their names, and no list that is not whole.
func TestRepositoriesNamed(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	p := w.AddProject("group/app")
	for i := range 150 {
		p.AddRepository(fmt.Sprintf("r%d.cache", i))
	}
	s := gitlabtest.New(w)
	c := connect(t, s)
	project := gitlabapi.Project{ID: p.ID, Path: p.Path}
	for text, want := range map[string]int{"r7": 11, "r149.cache": 1, "none": 0} {
		if got, err := c.RepositoriesNamed(t.Context(), project, text); err != nil || len(got) != want {
			t.Errorf("%q: %d, %v", text, len(got), err)
		}
	}
	if got, err := c.RepositoriesNamed(t.Context(), project, "cache"); err == nil {
		t.Errorf("%d of 150", len(got))
	}
	s.SetFaults(gitlabtest.Fault{Effect: gitlabtest.NullRepositories(1)})
	if got, err := c.RepositoriesNamed(t.Context(), project, "r7"); err == nil {
		t.Errorf("null is a list of %d", len(got))
	}
	if got := s.Stats().Violations; len(got) > 0 {
		t.Error(got)
	}
}

// TestCheckRegistryToken: which scopes do for pulling, and for pushing. A token that may not ask what it
// may do passes.
func TestCheckRegistryToken(t *testing.T) {
	for _, test := range []struct {
		scopes     []string
		pull, push bool
	}{
		{[]string{"api"}, true, true},
		{[]string{"read_api", "read_registry", "write_registry"}, true, true},
		{[]string{"read_api", "read_registry"}, true, false},
		{[]string{"read_api", "write_registry"}, false, false},
		{[]string{"read_api"}, false, false},
		{[]string{"granular"}, true, true},
		{[]string{"write_registry"}, true, true},
	} {
		c := connect(t, gitlabtest.New(someProjects(), gitlabtest.WithToken(gitlabtest.DefaultToken, test.scopes...)))
		for push, fine := range map[bool]bool{false: test.pull, true: test.push} {
			if err := c.CheckRegistryToken(t.Context(), push); (err == nil) != fine || !fine && !errors.Is(err, throttle.ErrInsufficientScope) {
				t.Errorf("%q, to push: %t: %v", test.scopes, push, err)
			}
		}
	}
}

// TestRegistryHost takes one request, however many repositories there are.
func TestRegistryHost(t *testing.T) {
	w := someProjects()
	for i := range 250 {
		w.Projects[1].AddRepository(fmt.Sprint("app-", i))
	}
	empty := w.AddProject("group/empty")
	s := gitlabtest.New(w, gitlabtest.WithRegistryHost("registry.test:5050"))
	c := connect(t, s)
	for project, want := range map[int64]string{w.Projects[1].ID: "registry.test:5050", empty.ID: ""} {
		if host, err := c.RegistryHost(t.Context(), project); host != want || err != nil {
			t.Errorf("%q, %v; want %q", host, err, want)
		}
	}
	if total := s.Stats().Total; total != 2 {
		t.Errorf("%d requests for two projects", total)
	}
}
