package registry_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// registryHost is where the stand-in's registry is, when it is apart.
const registryHost = "registry.example"

var regimes = map[gitlabtest.Regime]registry.Regime{
	gitlabtest.Legacy: registry.Legacy, gitlabtest.Database: registry.Database,
}

// instance is where the stand-in is, in process.
const instance = "http://gitlab.example"

// connect returns a client of a stand-in and of its registry, which has a host of its own. At
// the end of the test the stand-in must not have been asked anything that GitLab would not
// understand.
func connect(t *testing.T, w *gitlabtest.World, options ...gitlabtest.Option) (*gitlabtest.Server, *throttle.Client, *registry.Registry) {
	t.Helper()
	options = append([]gitlabtest.Option{gitlabtest.WithRegistryHost(registryHost), gitlabtest.WithExternalURL(instance)}, options...)
	s := gitlabtest.New(w, options...)
	c, err := throttle.New(throttle.Config{
		URL: instance, Token: throttle.NewSecret(gitlabtest.DefaultToken), Concurrency: 8, Transport: s.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(c, "http://"+registryHost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if v := s.Stats().Violations; len(v) > 0 {
			t.Errorf("the server was asked what GitLab does not know: %q", v)
		}
	})
	return s, c, r
}

// ask asks the API for something, and returns the status.
func ask(t *testing.T, c *throttle.Client, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL().JoinPath(path).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("PRIVATE-TOKEN", c.Token().Reveal())
	resp, err := c.Do(req, throttle.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
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
var kindsOfTheStandIn = map[gitlabtest.Kind]manifest.Kind{
	gitlabtest.KindImage:           manifest.KindImage,
	gitlabtest.KindDockerImage:     manifest.KindImage,
	gitlabtest.KindAttestedImage:   manifest.KindAttestedImage,
	gitlabtest.KindMultiArch:       manifest.KindMultiArch,
	gitlabtest.KindCacheIndex:      manifest.KindCacheIndex,
	gitlabtest.KindCacheList:       manifest.KindCacheIndex,
	gitlabtest.KindCacheManifest:   manifest.KindCacheManifest,
	gitlabtest.KindArtifact:        manifest.KindArtifact,
	gitlabtest.KindManifestMissing: manifest.KindMissingManifest,
	gitlabtest.KindDockerList:      manifest.KindMultiArch,
	gitlabtest.KindReferrers:       manifest.KindArtifact,
	gitlabtest.KindSignature:       manifest.KindArtifact,
	gitlabtest.KindBareIndex:       manifest.KindArtifact,
	gitlabtest.KindNestedIndex:     manifest.KindArtifact,
	gitlabtest.KindKanikoCache:     manifest.KindImage,
}

// TestKindsOfTheStandIn reads a tag of each kind in every way.
func TestKindsOfTheStandIn(t *testing.T) {
	for regime := range regimes {
		w := ofEachKind(regime)
		s, c, r := connect(t, w)
		tags, err := r.Tags(t.Context(), "group/app/web")
		if err != nil || len(tags) != len(w.Projects[0].Repositories[0].Tags) {
			t.Fatalf("%v: Tags() = %q, %v", regime, tags, err)
		}
		for _, tag := range tags {
			m, err := r.Manifest(t.Context(), "group/app/web", tag)
			d, headErr := r.Head(t.Context(), "group/app/web", tag)
			if tag == string(gitlabtest.KindManifestMissing) {
				if !errors.Is(err, registry.ErrManifestNotFound) || !errors.Is(headErr, registry.ErrManifestNotFound) {
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
func checkDates(t *testing.T, r *registry.Registry, tag string, m manifest.Manifest) {
	t.Helper()
	isCache := m.Kind == manifest.KindCacheIndex || m.Kind == manifest.KindCacheManifest
	if m.Newest.IsZero() == isCache || isCache && !m.Newest.Equal(gitlabtest.Created) {
		t.Errorf("%s: newest layer of %v", tag, m.Newest)
	}
	contents, err := r.Contents(t.Context(), "group/app/web", m)
	created, dated := contents.Created, contents.Dated
	want, undated := gitlabtest.Created, false
	switch gitlabtest.Kind(tag) {
	case gitlabtest.KindArtifact, gitlabtest.KindReferrers:
		want, undated = time.Time{}, true
	case gitlabtest.KindSignature, gitlabtest.KindKanikoCache:
		want = time.Time{}
	}
	if err != nil || dated == undated || !created.Equal(want) || manifest.SaysAge(created) == want.IsZero() {
		t.Errorf("%s: created %v, dated: %v, %v", tag, created, dated, err)
	}
	if m.ConfigDigest == "" {
		return
	}
	config, says, err := r.ConfigCreated(t.Context(), "group/app/web", m.ConfigDigest)
	if !isCache && (err != nil || says != dated || !config.Equal(created)) || isCache && says {
		t.Errorf("%s: its config was created %v, dated: %v, %v", tag, config, says, err)
	}
}

// TestAgesOfTheStandIn: the age of a tag is that of what it was made of, whatever its kind.
func TestAgesOfTheStandIn(t *testing.T) {
	made := time.Date(2025, time.May, 4, 3, 2, 1, 0, time.UTC)
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	repository := w.AddProject("group/app").AddRepository("web")
	kinds := []gitlabtest.Kind{
		gitlabtest.KindImage, gitlabtest.KindDockerImage, gitlabtest.KindDockerList, gitlabtest.KindAttestedImage, gitlabtest.KindMultiArch,
		gitlabtest.KindBareIndex, gitlabtest.KindNestedIndex, gitlabtest.KindCacheIndex, gitlabtest.KindCacheList, gitlabtest.KindCacheManifest,
	}
	for i, kind := range kinds {
		repository.AddTagAt(string(kind), kind, made.AddDate(0, 0, i))
	}
	_, _, r := connect(t, w)
	for i, kind := range kinds {
		m, err := r.Manifest(t.Context(), "group/app/web", string(kind))
		got, readErr := r.Contents(t.Context(), "group/app/web", m)
		if err != nil || readErr != nil || !got.Dated || !got.Created.Equal(made.AddDate(0, 0, i)) {
			t.Errorf("%s: %v, %v, %v", kind, got, err, readErr)
		}
	}
}

// TestLostChildOfTheStandIn is an error, and not the lack of a date.
func TestLostChildOfTheStandIn(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	w.AddProject("group/app").AddRepository("web").AddTag("x", gitlabtest.KindAttestedImage)
	byDigest := regexp.MustCompile(`/manifests/sha256:`)
	_, _, r := connect(t, w, gitlabtest.WithFaults(gitlabtest.Fault{Path: byDigest, Effect: gitlabtest.Reply(404,
		`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Name":"group/app/web","Revision":"sha256:0"}}]}`)}))
	m, err := r.Manifest(t.Context(), "group/app/web", "x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Contents(t.Context(), "group/app/web", m); got.Dated || !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, registry.ErrManifestNotFound) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestNamesTakenForDigests: a registry that sends the image for the tag named after it does not
// make it the tag's manifest.
func TestNamesTakenForDigests(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	repository := w.AddProject("group/app").AddRepository("web")
	repository.AddTag("image", gitlabtest.KindImage)
	s, _, r := connect(t, w)
	image, err := r.Manifest(t.Context(), "group/app/web", "image")
	if err != nil {
		t.Fatal(err)
	}
	name := gitlabtest.ReferrersTag(image.Digest)
	if err := s.Push("group/app", "web", name, gitlabtest.KindReferrers); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Manifest(t.Context(), "group/app/web", name); err != nil || m.Kind != manifest.KindArtifact {
		t.Errorf("got %q, %v", m.Kind, err)
	}
	repository.AddTag(name, gitlabtest.KindReferrers)
	_, _, r = connect(t, w, gitlabtest.WithNamesTakenForDigests())
	if m, err := r.Manifest(t.Context(), "group/app/web", name); err == nil {
		t.Errorf("%s is taken for a tag of %s", image.Digest, m.Kind)
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
			_, _, r := connect(t, w)
			if got, err := r.Tags(t.Context(), "group/app"); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v: Tags() of %d has %d, %v", regime, n, len(got), err)
			}
			rows, err := allRows(r.TagRows(t.Context(), "group/app", ""))
			if regime == gitlabtest.Legacy {
				if !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, registry.ErrRepositoryNotFound) || rows != nil {
					t.Errorf("rows without a database: %v", err)
				}
				continue
			}
			var got []string
			for _, row := range rows {
				got = append(got, row.Name)
				if !row.CreatedAt.Equal(gitlabtest.Created) || row.MediaType != "application/vnd.oci.image.manifest.v1+json" || row.Digest == "" {
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
		_, _, r := connect(t, w, option)
		for lister, list := range map[string]func() error{
			"Tags":    func() error { _, err := r.Tags(t.Context(), "group/app"); return err },
			"TagRows": func() error { _, err := allRows(r.TagRows(t.Context(), "group/app", "")); return err },
		} {
			if _, ok := errors.AsType[*throttle.ListingError](list()); !ok {
				t.Errorf("%s, %s: %v", name, lister, list())
			}
		}
	}
}

func TestSignsOfTheStandIn(t *testing.T) {
	old := []gitlabtest.Option{gitlabtest.WithOldRegistry()}
	older := append(old, gitlabtest.WithOwnAPIAnyway())
	for _, test := range []struct {
		regime  gitlabtest.Regime
		options []gitlabtest.Option
		want    registry.Signs
	}{
		{gitlabtest.Legacy, nil, registry.Signs{Header: registry.Legacy}},
		{gitlabtest.Legacy, old, registry.Signs{V1: registry.Legacy}},
		{gitlabtest.Legacy, older, registry.Signs{V1: registry.Database}},
		{gitlabtest.Database, nil, registry.Signs{Header: registry.Database, V1: registry.Database}},
		{gitlabtest.Database, old, registry.Signs{V1: registry.Database}},
	} {
		_, _, r := connect(t, ofEachKind(test.regime), test.options...)
		if signs, err := r.Signs(t.Context()); err != nil || signs != test.want {
			t.Errorf("%v: %+v, %v; want %+v", test.regime, signs, err, test.want)
		}
		_, c, r := connect(t, ofEachKind(test.regime), append(test.options, gitlabtest.WithoutRegistryAuth())...)
		if signs, err := r.Signs(t.Context()); err != nil || signs != test.want || c.Stats().Requests != 0 {
			t.Errorf("%v without tokens: %+v, %v", test.regime, signs, err)
		}
	}
}

// TestTokenThatMayNotPull: GitLab says that a token has no business with the registry; a firewall's
// page in the same place says nothing of the token.
func TestTokenThatMayNotPull(t *testing.T) {
	_, _, r := connect(t, ofEachKind(gitlabtest.Legacy), gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"))
	if _, err := r.Signs(t.Context()); !errors.Is(err, registry.ErrMayNotPull) {
		t.Errorf("by the scope: %v", err)
	}
	_, _, r = connect(t, ofEachKind(gitlabtest.Legacy), gitlabtest.WithFaults(gitlabtest.Fault{
		Path: regexp.MustCompile(`^/jwt/auth$`), Effect: gitlabtest.Reply(403, "<html>Forbidden</html>", "Content-Type", "text/html")}))
	if _, err := r.Signs(t.Context()); err == nil || errors.Is(err, registry.ErrMayNotPull) {
		t.Errorf("by a firewall: %v", err)
	}
}

// TestTokensOfTheStandInRunOut in the middle of a run.
func TestTokensOfTheStandInRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, r := connect(t, ofEachKind(gitlabtest.Legacy))
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
				_, c, r := connect(t, ofEachKind(regime), gitlabtest.WithFaults(gitlabtest.Fault{Path: everywhere, Effect: effect}))
				_, tags := r.Tags(t.Context(), "group/app/web")
				_, head := r.Head(t.Context(), "group/app/web", "image")
				_, manifest := r.Manifest(t.Context(), "group/app/web", "cache-index")
				_, _, created := r.ConfigCreated(t.Context(), "group/app/web", "sha256:"+strings.Repeat("0", 64))
				for method, err := range map[string]error{"Tags": tags, "Head": head, "Manifest": manifest, "ConfigCreated": created} {
					if errors.Is(err, registry.ErrManifestNotFound) || errors.Is(err, registry.ErrRepositoryNotFound) || errors.Is(err, throttle.ErrUnauthorized) {
						t.Errorf("%s, %v, %s: %v", name, regime, method, err)
					}
				}
				if manifest == nil {
					t.Errorf("%s, %v: the manifest was read", name, regime)
				}
				if status := ask(t, c, "/api/v4/projects"); status != 200 {
					t.Errorf("%s: the API says %d", name, status)
				}
			})
		}
	}
}

// TestARefusedPasswordBansNobody: the API accepts a token that /jwt/auth does not, as it
// would one without the scope for it.
func TestARefusedPasswordBansNobody(t *testing.T) {
	refuse := gitlabtest.Fault{Path: regexp.MustCompile(`^/jwt/auth`), Effect: gitlabtest.Reply(401, `{"errors":[{"code":"UNAUTHORIZED","message":"denied"}]}`)}
	s, c, r := connect(t, ofEachKind(gitlabtest.Legacy), gitlabtest.WithFaults(refuse))
	for range 40 {
		if _, err := r.Head(t.Context(), "group/app/web", "image"); !errors.Is(err, registry.ErrDenied) {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Total - s.Stats().Registry; got != 1 || c.Stats().RegistryRequests != 1 {
		t.Errorf("the password was shown %d times, %+v", got, c.Stats())
	}
	if status := ask(t, c, "/api/v4/groups/group"); status != 200 {
		t.Errorf("the API: %d", status)
	}
}

// TestRepositoriesOutOfBounds: GitLab gives a token that allows nothing.
func TestRepositoriesOutOfBounds(t *testing.T) {
	w := ofEachKind(gitlabtest.Legacy)
	p := w.AddProject("group/forbidden")
	p.Forbidden = true
	p.AddRepository("").AddTag("a", gitlabtest.KindImage)
	_, _, r := connect(t, w)
	_, head := r.Head(t.Context(), "group/forbidden", "a")
	_, nowhere := r.Tags(t.Context(), "group/nowhere")
	for _, err := range []error{head, nowhere} {
		if !errors.Is(err, throttle.ErrForbidden) || errors.Is(err, throttle.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := r.Head(t.Context(), "group/app/web", "image"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestTheStandInOnLoopback has the instance and the registry on two ports.
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
	c, err := throttle.New(throttle.Config{URL: api.URL, Token: throttle.NewSecret(gitlabtest.DefaultToken), Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(c, host)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Manifest(t.Context(), "group/app/web", "multi-arch")
	if err != nil || m.Kind != manifest.KindMultiArch {
		t.Errorf("got %+v, %v", m, err)
	}
	if u, _ := url.Parse(api.URL); u.Host == host {
		t.Error("one port for both")
	}
}

// TestRegistryAndInstanceUnderOneAddress are told apart by what was asked.
func TestRegistryAndInstanceUnderOneAddress(t *testing.T) {
	s, c, _ := connect(t, ofEachKind(gitlabtest.Legacy), gitlabtest.WithRegistryHost("gitlab.example"))
	r, err := registry.New(c, instance)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := r.Manifest(t.Context(), "group/app/web", "image"); err != nil || m.Kind != manifest.KindImage {
		t.Errorf("got %+v, %v", m, err)
	}
	if got := c.Stats(); got.Requests != 1 || got.RegistryRequests != 2 || s.Stats().Total != 3 {
		t.Errorf("Stats() = %+v", got)
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
	s, _, r := connect(t, w)
	groups := registry.TokenGroups(paths)
	for i, path := range paths {
		_, err := allRows(r.WithGroup(groups[path]).TagRows(t.Context(), path, ""))
		switch {
		case i == 3 && !errors.Is(err, throttle.ErrForbidden):
			t.Errorf("%s, which the token may not read: %v", path, err)
		case i == 5 && err == nil:
			t.Errorf("%q was taken for a path", path)
		case i != 3 && i != 5 && err != nil:
			t.Error(err)
		}
	}
	if asked := s.Stats().ByEndpoint["GET /jwt/auth"]; asked != 3 {
		t.Errorf("%d tokens for eleven repositories, want 3", asked)
	}
}

// allRows returns the rows of all pages, none if one of them failed.
func allRows(pages iter.Seq2[[]registry.TagRow, error]) ([]registry.TagRow, error) {
	var all []registry.TagRow
	for rows, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
