package gitlabapi_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// registryHost is where the stand-in's registry is, when it is apart.
const registryHost = "registry.example"

var regimes = map[gitlabtest.Regime]gitlabapi.Regime{
	gitlabtest.Legacy: gitlabapi.RegimeLegacy, gitlabtest.Database: gitlabapi.RegimeDatabase,
}

// connectRegistry returns a client of a stand-in and of its registry, which has a host
// of its own.
func connectRegistry(t *testing.T, w *gitlabtest.World, options ...gitlabtest.Option) (*gitlabtest.Server, *gitlabapi.Client, *gitlabapi.Registry) {
	t.Helper()
	options = append([]gitlabtest.Option{gitlabtest.WithRegistryHost(registryHost), gitlabtest.WithExternalURL(instance)}, options...)
	s := gitlabtest.New(w, options...)
	c := connect(t, s, func(config *gitlabapi.Config) { config.Concurrency = 8 })
	r, err := c.Registry("http://" + registryHost)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, r
}

// ofEachKind returns a world whose repository has a tag of each kind, named after it.
func ofEachKind(regime gitlabtest.Regime) *gitlabtest.World {
	w := gitlabtest.NewWorld(regime)
	r := w.AddProject("group/app").AddRepository("web")
	for kind := range kindsOfTheStandIn {
		if regime == gitlabtest.Legacy || kind != gitlabtest.KindManifestMissing {
			r.AddTag(string(kind), kind)
		}
	}
	return w
}

// kindsOfTheStandIn says as what the client has to see the stand-in's kinds.
var kindsOfTheStandIn = map[gitlabtest.Kind]gitlabapi.Kind{
	gitlabtest.KindImage:           gitlabapi.KindImage,
	gitlabtest.KindDockerImage:     gitlabapi.KindImage,
	gitlabtest.KindAttestedImage:   gitlabapi.KindAttestedImage,
	gitlabtest.KindMultiArch:       gitlabapi.KindMultiArch,
	gitlabtest.KindCacheIndex:      gitlabapi.KindCacheIndex,
	gitlabtest.KindCacheList:       gitlabapi.KindCacheIndex,
	gitlabtest.KindCacheManifest:   gitlabapi.KindCacheManifest,
	gitlabtest.KindArtifact:        gitlabapi.KindArtifact,
	gitlabtest.KindManifestMissing: gitlabapi.KindMissingManifest,
	gitlabtest.KindDockerList:      gitlabapi.KindMultiArch,
}

// TestKindsOfTheStandIn reads a tag of each kind in every way.
func TestKindsOfTheStandIn(t *testing.T) {
	for regime := range regimes {
		w := ofEachKind(regime)
		s, c, r := connectRegistry(t, w)
		tags, err := r.Tags(t.Context(), "group/app/web")
		if err != nil || len(tags) != len(w.Projects[0].Repositories[0].Tags) {
			t.Fatalf("%v: Tags() = %q, %v", regime, tags, err)
		}
		for _, tag := range tags {
			m, err := r.Manifest(t.Context(), "group/app/web", tag)
			d, headErr := r.Head(t.Context(), "group/app/web", tag)
			if tag == string(gitlabtest.KindManifestMissing) {
				if !errors.Is(err, gitlabapi.ErrManifestNotFound) || !errors.Is(headErr, gitlabapi.ErrManifestNotFound) {
					t.Errorf("%v %s: %v, %v", regime, tag, err, headErr)
				}
				continue
			}
			if want := kindsOfTheStandIn[gitlabtest.Kind(tag)]; err != nil || m.Kind != want {
				t.Errorf("%v %s: got %q, %v; want %q", regime, tag, m.Kind, err, want)
			}
			if headErr != nil || d.Digest != m.Digest || d.MediaType != m.MediaType {
				t.Errorf("%v %s: Head() = %+v, %v", regime, tag, d, headErr)
			}
			checkDates(t, r, tag, m)
		}
		if got, want := c.Stats().RegistryRequests, int64(s.Stats().Registry); got != want {
			t.Errorf("%v: counted %d requests to the registry where %d came", regime, got, want)
		}
		if got, want := c.Stats().Requests, int64(s.Stats().Total-s.Stats().Registry); got != want {
			t.Errorf("%v: counted %d requests to the instance where %d came", regime, got, want)
		}
	}
}

// checkDates compares the dates of a manifest with what its kind has.
func checkDates(t *testing.T, r *gitlabapi.Registry, tag string, m gitlabapi.Manifest) {
	t.Helper()
	isCache := m.Kind == gitlabapi.KindCacheIndex || m.Kind == gitlabapi.KindCacheManifest
	if m.Newest.IsZero() == isCache || isCache && !m.Newest.Equal(gitlabtest.Created) {
		t.Errorf("%s: newest layer of %v", tag, m.Newest)
	}
	if m.ConfigDigest == "" {
		return
	}
	created, err := r.ConfigCreated(t.Context(), "group/app/web", m.ConfigDigest)
	if dated := m.Kind == gitlabapi.KindImage; err != nil || created.IsZero() == dated {
		t.Errorf("%s: created %v, %v", tag, created, err)
	}
}

// TestListsOfTheStandIn compares both lists with the world, around the size of a page.
func TestListsOfTheStandIn(t *testing.T) {
	for regime := range regimes {
		for _, n := range []int{0, 1, 999, 1000, 1001, 2500} {
			w := gitlabtest.NewWorld(regime)
			repository := w.AddProject("group/app").AddRepository("")
			var want []string
			for i := range n {
				want = append(want, fmt.Sprintf("tag-%05d", i))
				repository.AddTag(want[i], gitlabtest.KindCacheIndex)
			}
			_, _, r := connectRegistry(t, w)
			got, err := r.Tags(t.Context(), "group/app")
			if regime == gitlabtest.Legacy && n == gitlabapi.RegistryPageSize {
				// The list looks like a full page, and comes again when asked to go on.
				if _, doubted := errors.AsType[*gitlabapi.ListingError](err); !doubted {
					t.Errorf("%v: Tags() of %d has %d, %v", regime, n, len(got), err)
				}
				continue
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%v: Tags() of %d has %d, %v", regime, n, len(got), err)
			}
			rows, err := allRows(r.TagRows(t.Context(), "group/app"))
			if regime == gitlabtest.Legacy {
				if !errors.Is(err, gitlabapi.ErrNotFound) || errors.Is(err, gitlabapi.ErrRepositoryNotFound) || rows != nil {
					t.Errorf("rows without a database: %v", err)
				}
				continue
			}
			got = nil
			for _, row := range rows {
				got = append(got, row.Name)
				if !row.CreatedAt.Equal(gitlabtest.Created) || row.MediaType != "application/vnd.oci.image.index.v1+json" || row.Digest == "" {
					t.Fatalf("%+v", row)
				}
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("TagRows() of %d has %d, %v", n, len(got), err)
			}
		}
	}
}

func TestListsWithBadPages(t *testing.T) {
	for name, option := range map[string]gitlabtest.Option{
		"for ever":  gitlabtest.WithRepeatedPages(),
		"elsewhere": gitlabtest.WithForeignLinks("http://elsewhere.example"),
	} {
		w := gitlabtest.NewWorld(gitlabtest.Database)
		repository := w.AddProject("group/app").AddRepository("")
		for i := range 2500 {
			repository.AddTag(fmt.Sprintf("tag-%05d", i), gitlabtest.KindImage)
		}
		_, _, r := connectRegistry(t, w, option)
		for lister, list := range map[string]func() error{
			"Tags":    func() error { _, err := r.Tags(t.Context(), "group/app"); return err },
			"TagRows": func() error { _, err := allRows(r.TagRows(t.Context(), "group/app")); return err },
		} {
			if _, ok := errors.AsType[*gitlabapi.ListingError](list()); !ok {
				t.Errorf("%s, %s: %v", name, lister, list())
			}
		}
	}
}

func TestSignsOfTheStandIn(t *testing.T) {
	for regime, want := range regimes {
		for header, options := range map[gitlabapi.Regime][]gitlabtest.Option{
			want: nil, gitlabapi.RegimeUnknown: {gitlabtest.WithOldRegistry()},
		} {
			_, _, r := connectRegistry(t, ofEachKind(regime), options...)
			signs, err := r.Signs(t.Context())
			if err != nil || signs != (gitlabapi.RegistrySigns{InReach: true, Header: header, V1: want}) {
				t.Errorf("%v: %+v, %v", regime, signs, err)
			}
		}
		_, c, r := connectRegistry(t, ofEachKind(regime), gitlabtest.WithoutRegistryAuth())
		if signs, err := r.Signs(t.Context()); err != nil || !signs.InReach || signs.V1 != want || c.Stats().Requests != 0 {
			t.Errorf("%v without tokens: %+v, %v", regime, signs, err)
		}
	}
}

// TestTokensOfTheStandInRunOut in the middle of a run.
func TestTokensOfTheStandInRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, r := connectRegistry(t, ofEachKind(gitlabtest.Legacy))
		for range 8 {
			if _, err := r.Head(t.Context(), "group/app/web", "image"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
		}
		if got := c.Stats(); got.Requests != 3 || got.RegistryRequests != 9 {
			t.Errorf("Stats() = %+v", got)
		}
	})
}

// TestNoFaultOfTheRegistryProvesAnything lets the registry and what lies before it fail
// in every way: no answer may say that a tag, its manifest or its repository is gone,
// nor that the run is over.
func TestNoFaultOfTheRegistryProvesAnything(t *testing.T) {
	everywhere := regexp.MustCompile(`^/(v2|gitlab/v1|jwt)/`)
	for name, effect := range map[string]gitlabtest.Effect{
		"outage": gitlabtest.RegistryOutage(), "unreachable": gitlabtest.RegistryUnreachable(), "front door": gitlabtest.RegistryRefusesClients(),
		"HTML": gitlabtest.HTML(), "cut": gitlabtest.Cut(), "cut in the body": gitlabtest.CutBody(), "redirect": gitlabtest.Redirect("https://elsewhere.example/"),
		"not found": gitlabtest.Reply(404, `{"message":"404 Not Found"}`), "a page not found": gitlabtest.Reply(404, "<html>"),
		"401": gitlabtest.Status(401), "403": gitlabtest.Status(403), "404": gitlabtest.Reply(404, ""), "429": gitlabtest.Status(429), "500": gitlabtest.Status(500), "503": gitlabtest.Status(503),
		"null": gitlabtest.Reply(200, "null"), "empty": gitlabtest.Reply(200, ""), "nothing": gitlabtest.Reply(200, "{}"), "list": gitlabtest.Reply(200, "[]"),
		"wrong realm": gitlabtest.WrongRealm("https://elsewhere.example"), "other bytes": gitlabtest.ManifestBytes([]byte(`{}`), "application/json"),
	} {
		for regime := range regimes {
			synctest.Test(t, func(t *testing.T) {
				_, c, r := connectRegistry(t, ofEachKind(regime), gitlabtest.WithFaults(gitlabtest.Fault{Path: everywhere, Effect: effect}))
				_, tags := r.Tags(t.Context(), "group/app/web")
				_, head := r.Head(t.Context(), "group/app/web", "image")
				_, manifest := r.Manifest(t.Context(), "group/app/web", "cache-index")
				_, created := r.ConfigCreated(t.Context(), "group/app/web", "sha256:"+strings.Repeat("0", 64))
				for method, err := range map[string]error{"Tags": tags, "Head": head, "Manifest": manifest, "ConfigCreated": created} {
					if errors.Is(err, gitlabapi.ErrManifestNotFound) || errors.Is(err, gitlabapi.ErrTagNotFound) || errors.Is(err, gitlabapi.ErrRepositoryNotFound) || errors.Is(err, gitlabapi.ErrUnauthorized) {
						t.Errorf("%s, %v, %s: %v", name, regime, method, err)
					}
				}
				if manifest == nil {
					t.Errorf("%s, %v: the manifest was read", name, regime)
				}
				for project, err := range c.Projects(t.Context(), true) {
					if err != nil || project.Path != "group/app" {
						t.Errorf("%s: the API says %v, %v", name, project, err)
					}
				}
			})
		}
	}
}

// TestARefusedPasswordBansNobody: the API accepts a token that /jwt/auth does not, as it
// would one without the scope for it.
func TestARefusedPasswordBansNobody(t *testing.T) {
	refuse := gitlabtest.Fault{Path: regexp.MustCompile(`^/jwt/auth`), Effect: gitlabtest.Reply(401, `{"errors":[{"code":"UNAUTHORIZED","message":"denied"}]}`)}
	s, c, r := connectRegistry(t, ofEachKind(gitlabtest.Legacy), gitlabtest.WithFaults(refuse))
	for range 40 {
		if _, err := r.Head(t.Context(), "group/app/web", "image"); !errors.Is(err, gitlabapi.ErrRegistryDenied) {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Total - s.Stats().Registry; got != 1 || c.Stats().RegistryRequests != 1 {
		t.Errorf("the password was shown %d times, %+v", got, c.Stats())
	}
	if err := c.Group(t.Context(), "group"); err != nil {
		t.Errorf("the API: %v", err)
	}
}

// TestRepositoriesOutOfBounds: GitLab gives a token that allows nothing.
func TestRepositoriesOutOfBounds(t *testing.T) {
	w := ofEachKind(gitlabtest.Legacy)
	p := w.AddProject("group/forbidden")
	p.Forbidden = true
	p.AddRepository("").AddTag("a", gitlabtest.KindImage)
	_, _, r := connectRegistry(t, w)
	_, head := r.Head(t.Context(), "group/forbidden", "a")
	_, nowhere := r.Tags(t.Context(), "group/nowhere")
	for _, err := range []error{head, nowhere} {
		if !errors.Is(err, gitlabapi.ErrForbidden) || errors.Is(err, gitlabapi.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := r.Head(t.Context(), "group/app/web", "image"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestTheStandInOnLoopback has the instance and the registry on two ports; where the
// registry is, the API says.
func TestTheStandInOnLoopback(t *testing.T) {
	var s *gitlabtest.Server
	api := httptest.NewUnstartedServer(nil)
	front := httptest.NewUnstartedServer(nil)
	host := front.Listener.Addr().String()
	s = gitlabtest.New(ofEachKind(gitlabtest.Legacy), gitlabtest.WithRegistryHost(host), gitlabtest.WithExternalURL("http://"+api.Listener.Addr().String()))
	api.Config.Handler, front.Config.Handler = s, s.Registry()
	api.Start()
	defer api.Close()
	front.Start()
	defer front.Close()
	c, err := gitlabapi.New(gitlabapi.Config{URL: api.URL, Token: gitlabapi.NewSecret(gitlabtest.DefaultToken), Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	repositories, err := c.GroupRepositories(t.Context(), "group")
	if err != nil || len(repositories) != 1 || repositories[0].Host != host {
		t.Fatalf("got %+v, %v; want a repository at %s", repositories, err, host)
	}
	r, err := c.Registry(repositories[0].Host)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Manifest(t.Context(), repositories[0].Path, "multi-arch")
	if err != nil || m.Kind != gitlabapi.KindMultiArch {
		t.Errorf("got %+v, %v", m, err)
	}
	if u, _ := url.Parse(api.URL); u.Host == host {
		t.Error("one port for both")
	}
}

// TestOneTokenForAProject asks about twelve repositories and lets one of them be out of
// the token's reach.
func TestOneTokenForAProject(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	var paths []string
	for i := range 11 {
		w.AddProject(fmt.Sprintf("group/app%02d", i)).AddRepository("web").AddTag("a", gitlabtest.KindImage)
		paths = append(paths, fmt.Sprintf("group/app%02d/web", i))
	}
	w.Projects[3].NotMember = true
	paths = slices.Insert(paths, 5, "group/app04/web:pull repository:group/app05/web")
	s, _, r := connectRegistry(t, w)
	view := r.For(paths)
	for i, path := range paths {
		_, err := allRows(view.TagRows(t.Context(), path))
		switch {
		case i == 3 && !errors.Is(err, gitlabapi.ErrForbidden):
			t.Errorf("%s, which the token may not read: %v", path, err)
		case i == 5 && err == nil:
			t.Errorf("%q was taken for a path", path)
		case i != 3 && i != 5 && err != nil:
			t.Error(err)
		}
	}
	if asked := s.Stats().ByEndpoint["GET /jwt/auth"]; asked != 2 {
		t.Errorf("%d tokens for eleven repositories, want 2", asked)
	}
}

// allRows returns the rows of all pages, none if one of them failed.
func allRows(pages iter.Seq2[[]gitlabapi.TagRow, error]) ([]gitlabapi.TagRow, error) {
	var all []gitlabapi.TagRow
	for rows, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
