package gitlabapi_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// instance is where the stand-in is, in process.
const instance = "http://gitlab.example"

// connect returns a client of a stand-in. At the end of the test the stand-in must
// not have been asked anything that GitLab would not understand.
func connect(t *testing.T, s *gitlabtest.Server, change ...func(*gitlabapi.Config)) *gitlabapi.Client {
	t.Helper()
	config := gitlabapi.Config{
		URL: instance, Token: throttle.NewSecret(gitlabtest.DefaultToken), Concurrency: 4, Transport: s.Transport(),
	}
	for _, c := range change {
		c(&config)
	}
	client, err := gitlabapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if v := s.Stats().Violations; len(v) > 0 {
			t.Errorf("the server was asked what GitLab does not know: %q", v)
		}
	})
	return client
}

// repositoryOf returns the client's view of a repository.
func repositoryOf(r *gitlabtest.Repository) gitlabapi.Repository {
	return gitlabapi.Repository{
		ID: r.ID, ProjectID: r.Project().ID, Name: r.Name, Path: r.Path(), Host: "gitlab.example", Deleting: r.Status == "delete_scheduled" || r.Status == "delete_ongoing",
	}
}

// withTags returns a world with one repository.
func withTags(regime gitlabtest.Regime, tags ...string) (*gitlabtest.World, gitlabapi.Repository) {
	w := gitlabtest.NewWorld(regime)
	r := w.AddProject("group/app").AddRepository("web")
	for _, tag := range tags {
		r.AddTag(tag, gitlabtest.KindImage)
	}
	return w, repositoryOf(r)
}

// without takes headers off the answers of a server, as proxies do.
type without struct {
	http.RoundTripper
	headers []string
}

func (w without) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if err == nil {
		for _, name := range w.headers {
			resp.Header.Del(name)
		}
	}
	return resp, err
}

// TestListingsAreWhole lists worlds whose sizes lie around those of pages, however the
// server says where a listing goes on. Every page is asked for once.
func TestListingsAreWhole(t *testing.T) {
	follow := []struct {
		name string
		opts []gitlabtest.Option
		off  []string
		// pages says how many requests a listing of n takes.
		pages func(n int) int
	}{
		{"Link and numbers", nil, nil, func(n int) int { return max(1, (n+99)/100) }},
		{"Link alone", nil, []string{"X-Next-Page", "X-Total"}, func(n int) int { return max(1, (n+99)/100) }},
		{"numbers alone", nil, []string{"Link"}, func(n int) int { return max(1, (n+99)/100) }},
		{"the next number alone", nil, []string{"Link", "X-Total", "X-Total-Pages", "X-Page"}, func(n int) int { return max(1, (n+99)/100) }},
		{"nothing", []gitlabtest.Option{gitlabtest.WithoutPaginationHeaders()}, nil, func(n int) int { return n/100 + 1 }},
	}
	for _, size := range []int{0, 1, 99, 100, 101, 250} {
		w := gitlabtest.NewWorld(gitlabtest.Legacy)
		var projects, tags []string
		var repositories []gitlabapi.Repository
		app := w.AddProject("big/app")
		tagged := app.AddRepository("tagged")
		repositories = append(repositories, repositoryOf(tagged))
		for i := range size {
			tags = append(tags, fmt.Sprintf("v%03d", i))
			tagged.AddTag(tags[i], gitlabtest.KindImage)
			if i > 0 {
				repositories = append(repositories, repositoryOf(app.AddRepository(fmt.Sprintf("r%d", i))))
			}
			projects = append(projects, fmt.Sprintf("many/sub%d/p%d", i%3, i))
			w.AddProject(projects[i])
		}
		// The projects of group "many"; the one with the tags comes before them.
		all := append([]string{"big/app"}, projects...)
		if size == 0 {
			w.AddProject("many/sub0/p0")
			projects, all = []string{"many/sub0/p0"}, append(all, "many/sub0/p0")
		}
		for _, how := range follow {
			t.Run(fmt.Sprintf("%d by %s", size, how.name), func(t *testing.T) {
				s := gitlabtest.New(w, how.opts...)
				c := connect(t, s, func(config *gitlabapi.Config) { config.Transport = without{s.Transport(), how.off} })
				asked := func(what string, want int) {
					t.Helper()
					if got := s.Stats().Total; got != want {
						t.Errorf("%s: %d requests, want %d", what, got, want)
					}
					s = gitlabtest.New(w, how.opts...)
					c = connect(t, s, func(config *gitlabapi.Config) { config.Transport = without{s.Transport(), how.off} })
				}

				gotTags, err := c.Tags(t.Context(), repositoryOf(tagged))
				if err != nil {
					t.Error(err)
				}
				var names []string
				for _, tag := range gotTags {
					names = append(names, tag.Name)
					if tag.Dated {
						t.Errorf("%s has a date in the list", tag.Name)
					}
				}
				if diff := cmp.Diff(tags, names); diff != "" {
					t.Errorf("tags (-want +got):\n%s", diff)
				}
				asked("tags", how.pages(size))

				for what, list := range map[string]func() ([]gitlabapi.Repository, error){
					"a project's": func() ([]gitlabapi.Repository, error) { return c.ProjectRepositories(t.Context(), app.ID) },
					"a group's":   func() ([]gitlabapi.Repository, error) { return c.GroupRepositories(t.Context(), "big") },
				} {
					got, err := list()
					if err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(repositories, got); diff != "" {
						t.Errorf("%s repositories (-want +got):\n%s", what, diff)
					}
					asked(what+" repositories", how.pages(len(repositories)))
				}

				if diff := cmp.Diff(all, paths(t, c.Projects(t.Context(), true))); diff != "" {
					t.Errorf("projects (-want +got):\n%s", diff)
				}
				pages := how.pages(len(all)) + 1 // GitLab links to what follows a page that is not empty
				if slices.Contains(how.off, "Link") || how.opts != nil {
					pages = len(all)/100 + 1
				}
				asked("projects", pages)

				if diff := cmp.Diff(projects, paths(t, c.GroupProjects(t.Context(), "many"))); diff != "" {
					t.Errorf("a group's projects (-want +got):\n%s", diff)
				}
				asked("a group's projects", how.pages(len(projects)))
			})
		}
	}
}

func paths(t *testing.T, projects iter.Seq2[gitlabapi.Project, error]) []string {
	t.Helper()
	var all []string
	for project, err := range projects {
		if err != nil {
			t.Error(err)
			break
		}
		all = append(all, project.Path)
	}
	return all
}

func TestListingsThatGoOnForEverEnd(t *testing.T) {
	for _, opts := range [][]gitlabtest.Option{
		{gitlabtest.WithRepeatedPages()}, {gitlabtest.WithRepeatedPages(), gitlabtest.WithoutPaginationHeaders()},
	} {
		b := gitlabtest.RandomWorld{Seed: 1, Projects: 100, RepositoriesPerProject: [2]int{1, 1}, TagsPerRepository: [2]int{100, 100}}
		w := b.World()
		s := gitlabtest.New(w, opts...)
		c := connect(t, s)
		r := repositoryOf(w.Projects[0].Repositories[0])
		tags, err := c.Tags(t.Context(), r)
		if _, ok := errors.AsType[*throttle.ListingError](err); !ok || len(tags) != 100 {
			t.Errorf("Tags() = %d tags, %v", len(tags), err)
		}
		var last error
		for _, last = range c.Projects(t.Context(), false) {
		}
		if _, ok := errors.AsType[*throttle.ListingError](last); !ok {
			t.Errorf("Projects() ended with %v", last)
		}
	}
}

func TestForeignLinksAreRefused(t *testing.T) {
	w, r := withTags(gitlabtest.Legacy)
	for i := range 150 {
		w.Projects[0].Repositories[0].AddTag(fmt.Sprintf("v%d", i), gitlabtest.KindImage)
	}
	s := gitlabtest.New(w, gitlabtest.WithForeignLinks("http://elsewhere.example"))
	tags, err := connect(t, s).Tags(t.Context(), r)
	if _, ok := errors.AsType[*throttle.ListingError](err); !ok || len(tags) != 100 || s.Stats().Total != 1 {
		t.Errorf("%d tags after %d requests, %v", len(tags), s.Stats().Total, err)
	}
}

// TestAListThatLosesAnEntryIsReadAgain: what comes after the lost entry moves to a page
// that has been read already, and only the first page's total tells.
func TestAListThatLosesAnEntryIsReadAgain(t *testing.T) {
	w, r := withTags(gitlabtest.Legacy)
	for i := range 150 {
		w.Projects[0].Repositories[0].AddTag(fmt.Sprintf("v%03d", i), gitlabtest.KindImage)
	}
	s := gitlabtest.New(w)
	var once sync.Once
	s.OnRequest(func(req gitlabtest.Request) {
		if strings.Contains(req.Query, "page=2") {
			once.Do(func() {
				if err := s.Remove("group/app", "web", "v000"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	tags, err := connect(t, s).Tags(t.Context(), r)
	if err != nil || len(tags) != 149 || !slices.Contains(tags, gitlabapi.Tag{Name: "v100"}) {
		t.Errorf("%d tags of 149, with v100: %v; %v", len(tags), slices.Contains(tags, gitlabapi.Tag{Name: "v100"}), err)
	}
}

func TestProjectsAndGroups(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	app := w.AddProject("group/sub/my.app-1")
	off := w.AddProject("group/off")
	off.RegistryDisabled = true
	old := w.AddProject("group/sub/deep/old")
	old.Archived = true
	public := w.AddProject("other/public")
	public.NotMember = true
	root := app.AddRepository("")
	nested := app.AddRepository("web/api.cache")
	leaving := app.AddRepository("gone")
	leaving.Status = "delete_ongoing"
	next := app.AddRepository("next")
	next.Status = "delete_scheduled"
	stuck := app.AddRepository("stuck") // GitLab has given up: it is there like any other
	stuck.Status = "delete_failed"
	s := gitlabtest.New(w)
	c := connect(t, s)
	want := gitlabapi.Project{ID: app.ID, Path: "group/sub/my.app-1", Registry: true, Repositories: -1}
	for _, name := range []string{"group/sub/my.app-1", fmt.Sprint(app.ID)} {
		if got, err := c.Project(t.Context(), name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Project(%q) = %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"group/sub/none", "1", "group/sub", "my.app-1"} {
		if _, err := c.Project(t.Context(), name); !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, gitlabapi.ErrTagNotFound) {
			t.Errorf("Project(%q): %v", name, err)
		}
	}
	for _, name := range []string{"group", "group/sub", "group/sub/deep", fmt.Sprint(w.Groups[0].ID)} {
		if err := c.Group(t.Context(), name); err != nil {
			t.Errorf("Group(%q): %v", name, err)
		}
	}
	for _, name := range []string{"none", "group/none", "999999"} {
		if err := c.Group(t.Context(), name); !errors.Is(err, throttle.ErrNotFound) {
			t.Errorf("Group(%q): %v", name, err)
		}
	}
	collect := func(projects iter.Seq2[gitlabapi.Project, error]) []gitlabapi.Project {
		var all []gitlabapi.Project
		for project, err := range projects {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, project)
		}
		return all
	}
	below := []gitlabapi.Project{
		want, {ID: off.ID, Path: "group/off", Repositories: -1}, {ID: old.ID, Path: "group/sub/deep/old", Archived: true, Registry: true, Repositories: -1},
	}
	if diff := cmp.Diff(below, collect(c.GroupProjects(t.Context(), "group"))); diff != "" {
		t.Errorf("GroupProjects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(below, collect(c.Projects(t.Context(), true))); diff != "" {
		t.Errorf("Projects, membership (-want +got):\n%s", diff)
	}
	visible := append(below, gitlabapi.Project{ID: public.ID, Path: "other/public", Registry: true, Repositories: -1})
	if diff := cmp.Diff(visible, collect(c.Projects(t.Context(), false))); diff != "" {
		t.Errorf("Projects (-want +got):\n%s", diff)
	}
	repositories := []gitlabapi.Repository{repositoryOf(root), repositoryOf(nested), repositoryOf(leaving), repositoryOf(next), repositoryOf(stuck)}
	for _, group := range []string{"group", "group/sub", fmt.Sprint(w.Groups[0].ID)} {
		got, err := c.GroupRepositories(t.Context(), group)
		if diff := cmp.Diff(repositories, got); err != nil || diff != "" {
			t.Errorf("GroupRepositories(%q): %v (-want +got):\n%s", group, err, diff)
		}
	}
	if got, err := c.GroupRepositories(t.Context(), "group/sub/deep"); err != nil || len(got) != 0 {
		t.Errorf("repositories of a group without: %v, %v", got, err)
	}
	if _, err := c.ProjectRepositories(t.Context(), off.ID); !errors.Is(err, throttle.ErrForbidden) {
		t.Errorf("repositories of a project without a registry: %v", err)
	}
	if changing := s.Stats().Changing; changing != 0 {
		t.Errorf("reading sent %d requests that change something", changing)
	}
}

// names are such as a tag can have, and be mistaken for something else.
var names = []string{
	"latest", "v1.2.3", "1", "_", "a.b.c-d_e", "tags", "x..y", "feature-1.cache", "A", "self", strings.Repeat("x", 128), "v" + strings.Repeat(".", 127),
}

func TestNamesAreTakenAsTheyAre(t *testing.T) {
	w, r := withTags(gitlabtest.Legacy, names...)
	s := gitlabtest.New(w)
	c := connect(t, s)
	for _, name := range names {
		if _, err := c.TagDetails(t.Context(), r, name); err != nil {
			t.Errorf("TagDetails(%q): %v", name, err)
		}
	}
	for i, name := range names {
		if err := c.DeleteTag(t.Context(), t.Context(), r, name); err != nil {
			t.Errorf("DeleteTag(%q): %v", name, err)
		}
		if d := s.Deleted(); len(d) != i+1 || d[i].Tag != name {
			t.Errorf("DeleteTag(%q) deleted %v", name, d[i:])
		}
	}
}

func TestTagDetails(t *testing.T) {
	kinds := map[gitlabtest.Kind]string{
		gitlabtest.KindImage: "dated", gitlabtest.KindDockerList: "dated",
		gitlabtest.KindCacheManifest: "undated", gitlabtest.KindArtifact: "undated",
		gitlabtest.KindMultiArch: "missing", gitlabtest.KindAttestedImage: "missing", gitlabtest.KindManifestMissing: "missing",
	}
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	repository := w.AddProject("group/app").AddRepository("web.cache")
	for kind := range kinds {
		repository.AddTag(string(kind), kind)
	}
	s := gitlabtest.New(w)
	c := connect(t, s)
	r := repositoryOf(repository)
	for kind, want := range kinds {
		got, err := c.TagDetails(t.Context(), r, string(kind))
		switch want {
		case "missing":
			if !errors.Is(err, gitlabapi.ErrTagNotFound) || !errors.Is(err, throttle.ErrNotFound) {
				t.Errorf("%s: %v, want ErrTagNotFound", kind, err)
			}
		case "undated":
			if err != nil || !got.CreatedAt.IsZero() || !strings.HasPrefix(got.Digest, "sha256:") {
				t.Errorf("%s: %+v, %v", kind, got, err)
			}
		case "dated":
			if err != nil || !got.CreatedAt.Equal(gitlabtest.Created) || !strings.HasPrefix(got.Digest, "sha256:") {
				t.Errorf("%s: %+v, %v", kind, got, err)
			}
		}
	}
	for name, elsewhere := range map[string]gitlabapi.Repository{
		"another repository": {ID: r.ID + 1, ProjectID: r.ProjectID}, "another project": {ID: r.ID, ProjectID: r.ProjectID + 1},
	} {
		if _, err := c.TagDetails(t.Context(), elsewhere, "image"); !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, gitlabapi.ErrTagNotFound) {
			t.Errorf("%s: %v, want no ErrTagNotFound", name, err)
		}
	}
}

// TestAnswersThatProveNothingAboutATag: none of these is GitLab's word that there is
// no such tag, and none may be taken for details of it.
func TestAnswersThatProveNothingAboutATag(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{
		"another text":     gitlabtest.Reply(404, `{"message":"404 Not found"}`),
		"another thing":    gitlabtest.Reply(404, `{"message":"404 Project Not Found"}`),
		"a path":           gitlabtest.Reply(404, `{"error":"404 Not Found"}`),
		"a proxy's page":   gitlabtest.Reply(404, "<html>404 Tag Not Found</html>", "Content-Type", "text/html"),
		"a proxy's text":   gitlabtest.Reply(404, "404 Tag Not Found", "Content-Type", "text/plain"),
		"nothing":          gitlabtest.Reply(404, ""),
		"a sign-in page":   gitlabtest.HTML(),
		"a redirect":       gitlabtest.Redirect("http://elsewhere.example/"),
		"a cut":            gitlabtest.Cut(),
		"a cut answer":     gitlabtest.CutBody(),
		"403":              gitlabtest.Status(403),
		"500":              gitlabtest.Status(500),
		"429":              gitlabtest.RateLimited(),
		"another tag":      gitlabtest.Reply(200, `{"name":"v10","created_at":null,"digest":"sha256:00"}`),
		"a tag in capital": gitlabtest.Reply(200, `{"name":"V1","created_at":null}`),
		"no name":          gitlabtest.Reply(200, `{"created_at":null}`),
		"no registry":      gitlabtest.RegistryUnreachable(),
	} {
		t.Run(name, func(t *testing.T) {
			w, r := withTags(gitlabtest.Legacy, "v1")
			s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: effect}))
			got, err := connect(t, s).TagDetails(t.Context(), r, "v1")
			if err == nil || errors.Is(err, gitlabapi.ErrTagNotFound) || got != (gitlabapi.TagDetails{}) {
				t.Errorf("TagDetails() = %+v, %v", got, err)
			}
			if !strings.Contains(err.Error(), "group/app/web:v1") {
				t.Errorf("the error does not say about what: %v", err)
			}
		})
	}
}

func TestDeleteTag(t *testing.T) {
	for _, test := range []struct {
		name    string
		opts    []gitlabtest.Option
		change  func(*gitlabtest.Project)
		tag     string
		want    error // nil: none
		status  int
		deleted int
	}{
		{name: "there", tag: "v1", deleted: 1},
		{name: "gone", tag: "v2"},
		{name: "gone on an old version", tag: "v2", opts: []gitlabtest.Option{gitlabtest.WithGoneTagsMissing()}},
		{name: "archived", tag: "v1", change: func(p *gitlabtest.Project) { p.Archived = true }, want: throttle.ErrForbidden, status: 403},
		{name: "not a member", tag: "v1", change: func(p *gitlabtest.Project) { p.NotMember = true }, want: throttle.ErrForbidden, status: 403},
		{name: "protected", tag: "v1", opts: faults(gitlabtest.Refuse(403)), want: throttle.ErrForbidden, status: 403},
		{name: "refused", tag: "v1", opts: faults(gitlabtest.Refuse(400)), status: 400},
		{name: "registry down", tag: "v1", opts: faults(gitlabtest.RegistryOutage()), status: 400},
		{name: "no such path", tag: "v1", opts: faults(gitlabtest.Reply(404, `{"error":"404 Not Found"}`)), want: throttle.ErrNotFound, status: 404},
		{name: "no such project", tag: "v1", opts: faults(gitlabtest.Reply(404, `{"message":"404 Project Not Found"}`)), want: throttle.ErrNotFound, status: 404},
		{name: "unknown token", tag: "v1", opts: []gitlabtest.Option{gitlabtest.WithToken("another", "api")}, want: throttle.ErrUnauthorized, status: 401},
		{name: "scope", tag: "v1", opts: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api")},
			want: throttle.ErrInsufficientScope, status: 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r := withTags(gitlabtest.Legacy, "v1")
			if test.change != nil {
				test.change(w.Projects[0])
			}
			s := gitlabtest.New(w, test.opts...)
			err := connect(t, s).DeleteTag(t.Context(), t.Context(), r, test.tag)
			if got := len(s.Deleted()); got != test.deleted {
				t.Errorf("%d tags deleted, want %d", got, test.deleted)
			}
			status, answered := errors.AsType[*throttle.StatusError](err)
			switch {
			case test.status == 0 && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.status != 0 && (!answered || status.Status != test.status || status.Method != http.MethodDelete):
				t.Errorf("got %v, want a DELETE with status %d", err, test.status)
			case test.want != nil && !errors.Is(err, test.want):
				t.Errorf("got %v, want %v", err, test.want)
			}
			if test.want == throttle.ErrForbidden && errors.Is(err, throttle.ErrInsufficientScope) {
				t.Errorf("%v is taken for want of a scope", err)
			}
		})
	}
}

// TestWhatIsNoDeletion has answers to a deletion that say nothing about the tag.
func TestWhatIsNoDeletion(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{
		"a sign-in page": gitlabtest.HTML(),
		"a redirect":     gitlabtest.Redirect(instance + "/"),
		"a cut":          gitlabtest.Cut(),
		"a proxy's 404":  gitlabtest.Reply(404, "404 Tag Not Found", "Content-Type", "text/plain"),
		"no registry":    gitlabtest.RegistryUnreachable(),
		"a limit":        gitlabtest.RateLimited(),
	} {
		w, r := withTags(gitlabtest.Legacy, "v1")
		s := gitlabtest.New(w, faults(effect)...)
		if err := connect(t, s).DeleteTag(t.Context(), t.Context(), r, "v1"); err == nil || len(s.Deleted()) != 0 {
			t.Errorf("%s is taken for a deletion", name)
		}
	}
}

func faults(effect gitlabtest.Effect) []gitlabtest.Option {
	return []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Effect: effect})}
}

// TestADeletionWhoseAnswerIsLostSucceeds: the second attempt finds no tag, which in
// old versions is a 404.
func TestADeletionWhoseAnswerIsLostSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := withTags(gitlabtest.Legacy, "v1")
		s := gitlabtest.New(w, gitlabtest.WithGoneTagsMissing(),
			gitlabtest.WithFaults(gitlabtest.Fault{Method: http.MethodDelete, Count: 1, Effect: gitlabtest.CutBody()}))
		c := connect(t, s, func(config *gitlabapi.Config) { config.MaxRetries = 1 })
		if err := c.DeleteTag(t.Context(), t.Context(), r, "v1"); err != nil {
			t.Error(err)
		}
		if len(s.Deleted()) != 1 || s.Stats().Total != 2 {
			t.Errorf("deleted %v with %d requests", s.Deleted(), s.Stats().Total)
		}
	})
}

func TestRegime(t *testing.T) {
	two := []string{"a", "b"}
	for _, test := range []struct {
		name   string
		regime gitlabtest.Regime
		tags   []string
		fault  gitlabtest.Effect
		want   registry.Regime
		fails  bool
		// requests is how many it takes; 0 stands for 1.
		requests int
	}{
		{name: "legacy", regime: gitlabtest.Legacy, tags: two, want: registry.Legacy},
		{name: "legacy, empty", regime: gitlabtest.Legacy, want: registry.Legacy},
		{name: "database", regime: gitlabtest.Database, tags: two, want: registry.Database},
		{name: "database, one tag", regime: gitlabtest.Database, tags: two[:1], want: registry.Database, requests: 2},
		{name: "database, empty", regime: gitlabtest.Database, want: registry.Database, requests: 2},
		{name: "database, in an outage", regime: gitlabtest.Database, tags: two, fault: gitlabtest.RegistryOutage(), want: registry.Database, requests: 2},
		{name: "a version that overlooks the question", regime: gitlabtest.Database, tags: two,
			fault: gitlabtest.Reply(200, `[{"name":"a"}]`, "X-Page", "1", "X-Next-Page", "2",
				"Link", `<http://gitlab.example/?pagination=keyset&page=2>; rel="next"`), want: registry.Legacy},
		{name: "the same behind a proxy", regime: gitlabtest.Database, tags: two, fault: gitlabtest.Reply(200, `[{"name":"a"}]`), want: registry.RegimeUnknown, requests: 2},
		{name: "a numbered page by Link alone", regime: gitlabtest.Database, tags: two,
			fault: gitlabtest.Reply(200, `[{"name":"a"}]`, "Link", `<http://gitlab.example/?page=2>; rel="next"`), want: registry.RegimeUnknown, requests: 2},
		{name: "forbidden", regime: gitlabtest.Database, tags: two, fault: gitlabtest.Refuse(403), fails: true},
		{name: "HTML", regime: gitlabtest.Database, tags: two, fault: gitlabtest.HTML(), fails: true},
		{name: "a proxy's 405", regime: gitlabtest.Database, tags: two,
			fault: gitlabtest.Reply(405, "<html>Not Allowed</html>", "Content-Type", "text/html"), fails: true},
		{name: "a 405 that says nothing", regime: gitlabtest.Database, tags: two, fault: gitlabtest.Reply(405, ""), fails: true},
		{name: "down", regime: gitlabtest.Legacy, tags: two, fault: gitlabtest.Status(503), fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r := withTags(test.regime, test.tags...)
			s := gitlabtest.New(w)
			if test.fault != nil {
				s.SetFaults(gitlabtest.Fault{Effect: test.fault})
			}
			got, err := connect(t, s).Regime(t.Context(), r)
			if got != test.want || err != nil != test.fails {
				t.Errorf("Regime() = %v, %v, want %v, error: %v", got, err, test.want, test.fails)
			}
			if got, want := s.Stats().Total, max(test.requests, 1); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

func TestHasTags(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		for _, tags := range [][]string{nil, {"a"}, {"a", "b"}} {
			w, r := withTags(regime, tags...)
			if got, err := connect(t, gitlabtest.New(w)).HasTags(t.Context(), r); got != (len(tags) > 0) || err != nil {
				t.Errorf("%s with %v: %v, %v", regime, tags, got, err)
			}
		}
	}
}

func TestCheckToken(t *testing.T) {
	self := regexp.MustCompile(`^/personal_access_tokens/self$`)
	fault := func(effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Path: self, Effect: effect})
	}
	scopes := func(scopes ...string) gitlabtest.Option {
		return gitlabtest.WithToken(gitlabtest.DefaultToken, scopes...)
	}
	anything := errors.New("any error")
	for _, test := range []struct {
		name           string
		opt            gitlabtest.Option
		delete, dryRun error
	}{
		{"api", scopes("api"), nil, nil},
		{"several", scopes("read_user", "api"), nil, nil},
		{"read_api", scopes("read_api"), throttle.ErrInsufficientScope, nil},
		{"read_registry", scopes("read_registry", "write_registry"), throttle.ErrInsufficientScope, throttle.ErrInsufficientScope},
		{"described without api", fault(gitlabtest.Reply(200, `{"scopes":["read_user","api_like"]}`)), throttle.ErrInsufficientScope, throttle.ErrInsufficientScope},
		{"not described", fault(gitlabtest.Reply(200, `{"id":1}`)), nil, nil},
		{"unknown", gitlabtest.WithToken("another", "api"), throttle.ErrUnauthorized, throttle.ErrUnauthorized},
		{"old version", fault(gitlabtest.Status(404)), nil, nil},
		{"job token", fault(gitlabtest.Status(403)), nil, nil},
		{"bad request", fault(gitlabtest.Status(400)), nil, nil},
		{"down", fault(gitlabtest.Status(500)), anything, anything},
		{"no GitLab", fault(gitlabtest.HTML()), anything, anything},
		{"cut", fault(gitlabtest.Cut()), anything, anything},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := withTags(gitlabtest.Legacy)
			c := connect(t, gitlabtest.New(w, test.opt))
			for toDelete, want := range map[bool]error{true: test.delete, false: test.dryRun} {
				err := c.CheckToken(t.Context(), toDelete)
				if want == nil && err != nil || want == anything && err == nil || want != nil && want != anything && !errors.Is(err, want) {
					t.Errorf("CheckToken(%v) = %v, want %v", toDelete, err, want)
				}
			}
		})
	}
}

// TestInstanceUnderAPath asks a real server below /gitlab for something of each kind.
func TestInstanceUnderAPath(t *testing.T) {
	w, r := withTags(gitlabtest.Legacy)
	for i := range 150 {
		w.Projects[0].Repositories[0].AddTag(fmt.Sprintf("v%d", i), gitlabtest.KindImage)
	}
	s := gitlabtest.New(w, gitlabtest.WithBasePath("/gitlab"))
	server := httptest.NewServer(s)
	defer server.Close()
	for _, path := range []string{"/gitlab", "/gitlab/", "/gitlab/api/v4", "/gitlab/api/v4/"} {
		c := connect(t, s, func(config *gitlabapi.Config) { config.URL, config.Transport = server.URL+path, nil })
		if tags, err := c.Tags(t.Context(), r); err != nil || len(tags) != 150 {
			t.Errorf("%s: %d tags, %v", path, len(tags), err)
		}
		if _, err := c.Project(t.Context(), "group/app"); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if projects := paths(t, c.Projects(t.Context(), true)); len(projects) != 1 {
			t.Errorf("%s: projects %v", path, projects)
		}
	}
}

// TestServersRateLimit meets the stand-in's own limit: it keeps below it where answers
// tell of it, and runs into it and waits it out where they do not.
func TestServersRateLimit(t *testing.T) {
	for _, test := range []struct {
		name        string
		silent      bool
		longest     time.Duration
		mostRefused int
		throttled   time.Duration
	}{
		// 200 requests at 60 a minute, of which 6 are left to others.
		{"told of", false, 3*time.Minute + 45*time.Second, 0, 0},
		// No more than the requests in flight are refused each time.
		{"silent", true, 3*time.Minute + 10*time.Second, 3 * 8, 2*time.Minute + 57*time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, r := withTags(gitlabtest.Legacy, "v1")
				s := gitlabtest.New(w, gitlabtest.WithRateLimit(60))
				c := connect(t, s, func(config *gitlabapi.Config) {
					config.MaxRetries, config.Concurrency = 5, 8
					if test.silent {
						config.Transport = without{s.Transport(), []string{"RateLimit-Remaining"}}
					}
				})
				start := time.Now()
				var crowd sync.WaitGroup
				for range 8 {
					crowd.Go(func() {
						for range 25 {
							if _, err := c.TagDetails(t.Context(), r, "v1"); err != nil {
								t.Error(err)
							}
						}
					})
				}
				crowd.Wait()
				if got := time.Since(start); got < 3*time.Minute || got > test.longest {
					t.Errorf("took %v, want 3m to %v", got, test.longest)
				}
				if got := s.Stats().ByStatus[429]; test.silent && got == 0 || got > test.mostRefused {
					t.Errorf("%d requests refused, want at most %d", got, test.mostRefused)
				}
				if got := c.Stats(); got.Throttled.Round(time.Second) != test.throttled || got.Requests != int64(s.Stats().Total) {
					t.Errorf("Stats() = %+v, the server counts %d requests", got, s.Stats().Total)
				}
			})
		})
	}
}

// TestDeletionsGoFirst and rechecks before other reads, each in the order in which they come.
func TestDeletionsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := withTags(gitlabtest.Legacy, "a", "b", "c", "d", "e")
		s := gitlabtest.New(w)
		var mu sync.Mutex
		var served []string
		s.OnRequest(func(req gitlabtest.Request) {
			mu.Lock()
			defer mu.Unlock()
			served = append(served, req.Method+" "+req.Path[strings.LastIndex(req.Path, "/")+1:])
		})
		c := connect(t, s, func(config *gitlabapi.Config) { config.RateLimit, config.RateBurst = 1, 1 })
		read := func(c *gitlabapi.Client, tag string) func() error {
			return func() error { _, err := c.TagDetails(t.Context(), r, tag); return err }
		}
		var all sync.WaitGroup
		for _, ask := range []func() error{
			read(c, "a"), read(c, "b"), read(c.Recheck(), "c"),
			func() error { return c.DeleteTag(t.Context(), t.Context(), r, "e") },
			func() error {
				_, err := c.DeleteTags(t.Context(), t.Context(), []gitlabapi.Deletion{{Repository: r, Tags: []string{"e"}}})
				return err
			},
			read(c.Recheck(), "d"),
		} {
			all.Go(func() {
				if err := ask(); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // they come one after the other; the first is sent at once
		}
		all.Wait()
		if diff := cmp.Diff([]string{"GET a", "DELETE e", "POST graphql", "GET c", "GET d", "GET b"}, served); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	})
}
