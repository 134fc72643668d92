package gitlabtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// twoRepositories returns a world with tags a to d in group/app/web and in group/lib/web.
func twoRepositories(regime gitlabtest.Regime) (*gitlabtest.World, [2]*gitlabtest.Repository) {
	w := gitlabtest.NewWorld(regime)
	var both [2]*gitlabtest.Repository
	for i, project := range []string{"group/app", "group/lib"} {
		both[i] = w.AddProject(project).AddRepository("web")
		for _, tag := range []string{"a", "b", "c", "d"} {
			both[i].AddTagAt(tag, gitlabtest.KindImage, gitlabtest.Created.AddDate(0, 0, int(tag[0])))
		}
	}
	return w, both
}

func openServer(w *gitlabtest.World, options ...gitlabtest.Option) *gitlabtest.Server {
	return gitlabtest.New(w, append(options, gitlabtest.WithoutRegistryAuth())...)
}

const accepted = "application/vnd.oci.image.manifest.v1+json"

// manifestOf reads a manifest at the registry.
func manifestOf(t *testing.T, s *gitlabtest.Server, path, reference string) reply {
	t.Helper()
	return query{method: "GET", path: "/v2/" + path + "/manifests/" + reference, accept: accepted}.ask(t, s)
}

// manifests asks for some tags in turn, and notes an x for each that is lost and a point
// for each that is there.
func manifests(t *testing.T, s *gitlabtest.Server, path, tags string) string {
	t.Helper()
	var seen strings.Builder
	for _, tag := range tags {
		switch got := manifestOf(t, s, path, string(tag)); {
		case got.status == http.StatusOK:
			seen.WriteByte('.')
		case got.status == http.StatusNotFound && strings.Contains(got.text, `"detail":{"Name":"`+path+`","Revision":"sha256:`):
			seen.WriteByte('x')
		default:
			t.Errorf("%s:%c: %d %s", path, tag, got.status, got.text)
		}
	}
	return seen.String()
}

func TestLostManifests(t *testing.T) {
	for name, test := range map[string]struct {
		fault    gitlabtest.Fault
		app, lib string
	}{
		"all":            {gitlabtest.Fault{Effect: gitlabtest.ManifestsLost()}, "xxxxxxxx", "xxxx"},
		"from the third": {gitlabtest.Fault{Skip: 2, Effect: gitlabtest.ManifestsLost()}, "..xxxxxx", "xxxx"},
		"flapping":       {gitlabtest.Fault{Skip: 1, Alternate: 2, Effect: gitlabtest.ManifestsLost()}, ".xx..xx.", ".xx."},
		"one repository": {gitlabtest.Fault{Repository: "group/lib/web", Effect: gitlabtest.ManifestsLost()}, "........", "xxxx"},
		"one project":    {gitlabtest.Fault{Repository: "group/lib", Effect: gitlabtest.ManifestsLost()}, "........", "xxxx"},
		"not a prefix":   {gitlabtest.Fault{Repository: "group/li", Effect: gitlabtest.ManifestsLost()}, "........", "...."},
		"half":           {gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.5)}, "x.x.x.x.", "...x"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := twoRepositories(gitlabtest.Legacy)
			s := openServer(w, gitlabtest.WithFaults(test.fault))
			got := []string{manifests(t, s, "group/app/web", "abcdabcd"), manifests(t, s, "group/lib/web", "abcd")}
			if diff := cmp.Diff([]string{test.app, test.lib}, got); diff != "" {
				t.Error(diff)
			}
			// Every tag is listed all the same.
			if names, _ := readAll(t, s, "/v2/group/lib/web/tags/list"); len(names) != 4 {
				t.Errorf("listed: %q", names)
			}
			wantViolations(t, s, 0)
		})
	}
}

// On LEGACY Rails finds no manifest either; the registry says so of the digest as well, and
// to a client that knows the digest that nothing has changed.
func TestALostManifestSeenFromAllSides(t *testing.T) {
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		w, both := twoRepositories(regime)
		s := openServer(w)
		healthy := manifestOf(t, s, "group/app/web", "a")
		digest := healthy.header.Get("Docker-Content-Digest")
		s.SetFaults(gitlabtest.Fault{Effect: gitlabtest.ManifestsLost()})
		conditional, err := http.NewRequest(http.MethodGet, host+"/v2/group/app/web/manifests/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		conditional.Header = http.Header{"Accept": {accepted}, "If-None-Match": {`"` + digest + `"`}}
		unchanged, err := s.Transport().RoundTrip(conditional)
		if err != nil {
			t.Fatal(err)
		}
		got := []int{
			manifestOf(t, s, "group/app/web", "a").status,
			manifestOf(t, s, "group/app/web", digest).status,
			manifestOf(t, s, "group/app/web", "none").status,
			query{method: "HEAD", path: "/v2/group/app/web/manifests/a", accept: accepted}.ask(t, s).status,
			get(t, s, tagAt(both[0], "a")).status,
			unchanged.StatusCode,
		}
		want := map[gitlabtest.Regime][]int{
			gitlabtest.Legacy:   {404, 404, 404, 404, 404, 304},
			gitlabtest.Database: {200, 200, 404, 200, 200, 304},
		}[regime]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", regime, diff)
		}
		if text := manifestOf(t, s, "group/app/web", "none").text; !strings.Contains(text, `"detail":{"Tag":"none"}`) {
			t.Errorf("%v, no such tag: %s", regime, text)
		}
	}
}

func TestNotFoundCache(t *testing.T) {
	for _, test := range []struct {
		cache   gitlabtest.NotFoundCache
		noCache bool
		want    string
	}{
		{gitlabtest.NotFoundCache{}, false, "404 404 404"},
		{gitlabtest.NotFoundCache{Age: true}, false, "404 404 age 3600 404 age 7200"},
		{gitlabtest.NotFoundCache{Age: true}, true, "404 404 age 3600 404 age 7200"},
		{gitlabtest.NotFoundCache{HonoursNoCache: true}, true, "404 200 200"},
		{gitlabtest.NotFoundCache{HonoursNoCache: true}, false, "404 404 404"},
	} {
		w, both := twoRepositories(gitlabtest.Legacy)
		now := gitlabtest.Created
		s := openServer(w, gitlabtest.WithNotFoundCache(test.cache), gitlabtest.WithClock(func() time.Time { return now }),
			gitlabtest.WithFaults(gitlabtest.Fault{Count: 1, Effect: gitlabtest.ManifestsLost()}))
		var got []string
		for range 3 {
			r, err := http.NewRequest(http.MethodGet, host+"/v2/group/app/web/manifests/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accepted)
			if test.noCache {
				r.Header.Set("Cache-Control", "no-cache")
			}
			answer, err := s.Transport().RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(answer.StatusCode))
			if age := answer.Header.Get("Age"); age != "" {
				got = append(got, "age "+age)
			}
			now = now.Add(time.Hour)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v, no-cache %v: %q, want %q", test.cache, test.noCache, got, test.want)
		}
		if got := get(t, s, tagAt(both[0], "a")).status; got != http.StatusOK {
			t.Errorf("Rails asks past the proxy: %d", got)
		}
	}
}

// A copy lacks what was pushed since, still has what was deleted, and takes no deletion.
func TestStaleRegistry(t *testing.T) {
	for _, test := range []struct {
		name  string
		path  *regexp.Regexp
		rails string
	}{
		{"for everybody", nil, "[a b c d] 404"},
		{"for clients", regexp.MustCompile(`^/(v2|gitlab/v1)/`), "[b c d new] 200"},
	} {
		w, both := twoRepositories(gitlabtest.Database)
		s := openServer(w, gitlabtest.WithFaults(gitlabtest.Fault{Path: test.path, Effect: gitlabtest.StaleRegistry()}))
		if err := s.Push("group/app", "web", "new", gitlabtest.KindCacheManifest); err != nil {
			t.Fatal(err)
		}
		deleted := query{method: "DELETE", path: web + "/manifests/a"}.ask(t, s).status
		v2, _ := readAll(t, s, web+"/tags/list")
		rows, _ := readAll(t, s, webRows)
		got := fmt.Sprint(deleted, v2, rows, manifestOf(t, s, "group/app/web", "new").status, manifestOf(t, s, "group/app/web", "a").status)
		if got != "202 [a b c d] [a b c d] 404 200" {
			t.Errorf("%s: the registry: %s", test.name, got)
		}
		rails := fmt.Sprint(get(t, s, at(both[0])+"/tags").column(t, "name"), get(t, s, tagAt(both[0], "new")).status)
		if rails != test.rails {
			t.Errorf("%s: Rails: %s", test.name, rails)
		}
		if got := len(s.Remaining()); got != 8 {
			t.Errorf("%s: %d tags are left", test.name, got)
		}
	}
}

// A deletion that has begun is finished though its client has given up.
func TestSlowDeletions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, both := twoRepositories(gitlabtest.Legacy)
		s := openServer(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.SlowDeletions(time.Minute)}))
		start := time.Now()
		for _, ask := range []func(){
			func() { call(t, s, http.MethodDelete, tagAt(both[0], "a")) },
			func() { query{method: "DELETE", path: web + "/manifests/b"}.ask(t, s) },
			func() { askGraphQL(t, s, "mutation {"+destroying("x", both[0], "c", "d")+"}", nil) },
		} {
			ask()
		}
		if took := time.Since(start); took != 4*time.Minute || len(s.Deleted()) != 4 {
			t.Errorf("%d deletions took %v", len(s.Deleted()), took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		body := `{"query":"mutation {` + strings.ReplaceAll(destroying("x", both[1], "a", "b"), `"`, `\"`) + `}"}`
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/api/graphql", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + gitlabtest.DefaultToken}, "Content-Type": {"application/json"}}
		if _, err := s.Transport().RoundTrip(r); !errors.Is(err, context.DeadlineExceeded) || len(s.Deleted()) != 4 {
			t.Errorf("after half a minute: %v, %d deleted", err, len(s.Deleted()))
		}
		time.Sleep(2 * time.Minute)
		if got := len(s.Deleted()); got != 6 {
			t.Errorf("two minutes later %d are deleted", got)
		}
	})
}

// registryPaths are those of the registry, for faults.
var registryPaths = regexp.MustCompile(`^/(v2|gitlab)/`)

func TestFaultsOfTheRegistryAlone(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		want   string
	}{
		"status":       {gitlabtest.Status(502), "502 UNKNOWN: Bad Gateway"},
		"denied":       {gitlabtest.Status(403), "403 DENIED: Forbidden"},
		"too many":     {gitlabtest.Status(429), "429 TOOMANYREQUESTS: Too Many Requests"},
		"unauthorized": {gitlabtest.Status(401), "401 UNAUTHORIZED: Unauthorized"},
		"retry after":  {gitlabtest.RetryAfter(503, 7), "503 "},
		"outage":       {gitlabtest.RegistryOutage(), "503 UNAVAILABLE: service unavailable"},
		"clients":      {gitlabtest.RegistryRefusesClients(), "503 UNAVAILABLE: service unavailable"},
		"cut":          {gitlabtest.Cut(), "cut"},
		"cut body":     {gitlabtest.CutBody(), "cut"},
		"unreachable":  {gitlabtest.RegistryUnreachable(), "cut"},
		"garbage":      {gitlabtest.ManifestBytes([]byte("{}"), "text/plain"), "200 "},
	} {
		s := oneTag(t, gitlabtest.KindImage, gitlabtest.WithFaults(gitlabtest.Fault{Path: registryPaths, Effect: test.effect}))
		got, err := query{method: "GET", path: web + "/manifests/x", accept: allTypes}.send(s.Transport())
		shown := fmt.Sprint(got.status, " ", got.registryErrors())
		if err != nil {
			shown = "cut"
		}
		if shown != test.want {
			t.Errorf("%s: got %s, want %s", name, shown, test.want)
		}
		if api := get(t, s, "/projects/1001/registry/repositories/5000001/tags/x").status; api != http.StatusOK {
			t.Errorf("%s: the API says %d", name, api)
		}
	}
}

func TestGarbageInThePlaceOfManifests(t *testing.T) {
	garbage := "<html>"
	s := oneTag(t, gitlabtest.KindImage, gitlabtest.WithFaults(
		gitlabtest.Fault{Effect: gitlabtest.ManifestBytes([]byte(garbage), ociManifest)}))
	got := query{method: "GET", path: web + "/manifests/x"}.ask(t, s)
	if got.text != garbage || got.header.Get("Content-Type") != ociManifest || got.header.Get("Docker-Content-Digest") != digestOf(garbage) {
		t.Errorf("%d %v %q", got.status, got.header, got.text)
	}
	if list := (query{method: "GET", path: web + "/tags/list"}).ask(t, s); fmt.Sprint(namesOn(t, list)) != "[x]" {
		t.Errorf("the list: %s", list.text)
	}
}

func TestWrongRealm(t *testing.T) {
	w, _ := oneRepository(gitlabtest.Legacy, "web")
	s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.WrongRealm("https://evil.example/token")}))
	got := query{method: "GET", path: "/v2/"}.ask(t, s)
	want := `Bearer realm="https://evil.example/token",service="container_registry"`
	if diff := cmp.Diff(want, got.header.Get("WWW-Authenticate")); got.status != http.StatusUnauthorized || diff != "" {
		t.Error(got.status, diff)
	}
}

func TestCutListsOfTheRegistry(t *testing.T) {
	for _, path := range []string{web + "/tags/list?n=5", webRows + "?n=5"} {
		s := withTags(gitlabtest.Database, 20, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.CutList(7)}))
		if names, _ := readAll(t, s, path); len(names) != 7 {
			t.Errorf("%s: %d names", path, len(names))
		}
	}
}

// A registry with a host of its own is there and nowhere else.
func TestRegistryOnAHostOfItsOwn(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", gitlabtest.KindImage)
	s := gitlabtest.New(w, gitlabtest.WithRegistryHost("registry.example:5050"), gitlabtest.WithExternalURL(host), gitlabtest.WithRateLimit(2))
	location := get(t, s, "/projects/1001/registry/repositories").column(t, "location")
	if diff := cmp.Diff([]any{"registry.example:5050/group/app/web"}, location); diff != "" {
		t.Error(diff)
	}
	status := func(address string) int {
		got, err := tryCall(s, http.MethodGet, address, gitlabtest.DefaultToken)
		if err != nil {
			t.Fatal(err)
		}
		return got.status
	}
	challenge, err := tryCall(s, http.MethodGet, "http://registry.example:5050/v2/", "")
	if err != nil || !strings.Contains(challenge.header.Get("WWW-Authenticate"), `realm="http://gitlab.example/jwt/auth"`) {
		t.Errorf("%v, %v", challenge, err)
	}
	got := []int{
		status("http://registry.example:5050/v2/"), status("http://registry.example:5050/api/v4/projects"),
		status(host + "/v2/"), status(host + "/api/v4/projects"),
	}
	if diff := cmp.Diff([]int{401, 404, 404, 429}, got); diff != "" {
		t.Error("the registry has no rate limit:", diff)
	}
	wantViolations(t, s, 2)
}

func TestRegistryBehindAListenerOfItsOwn(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", gitlabtest.KindImage)
	registry := httptest.NewUnstartedServer(nil)
	s := gitlabtest.New(w, gitlabtest.WithRegistryHost(registry.Listener.Addr().String()), gitlabtest.WithoutRegistryAuth())
	registry.Config.Handler = s.Registry()
	registry.Start()
	defer registry.Close()
	for path, want := range map[string]int{web + "/tags/list": 200, "/api/v4/projects": 404, authPath(): 404} {
		response, err := registry.Client().Get(registry.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestRegistryRequestsAreCountedApart(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("x", gitlabtest.KindImage)
	s := gitlabtest.New(w, gitlabtest.WithLog())
	get(t, s, "/projects")
	token := tokenFor(t, s, wholeKit(r.Path()))
	query{method: "HEAD", path: web + "/manifests/x", token: token, accept: allTypes}.ask(t, s)
	query{method: "GET", path: web + "/tags/list", token: token}.ask(t, s)
	query{method: "DELETE", path: web + "/manifests/x", token: token}.ask(t, s)
	stats := s.Stats()
	want := map[string]int{
		"GET /projects": 1, "GET /jwt/auth": 1, "HEAD /v2/:path/manifests/:reference": 1,
		"GET /v2/:path/tags/list": 1, "DELETE /v2/:path/manifests/:reference": 1,
	}
	if diff := cmp.Diff(want, stats.ByEndpoint); diff != "" {
		t.Error(diff)
	}
	if stats.Total != 5 || stats.Registry != 3 || stats.Changing != 1 {
		t.Errorf("%+v", stats)
	}
	last := s.Requests()[4]
	if last.Path != web+"/manifests/x" || !last.Registry || s.Requests()[0].Registry {
		t.Errorf("%+v", s.Requests())
	}
}

// TestRefusedDeletions: what an instance in maintenance and a registry that is read-only answer, where
// reads go on as before, and what becomes of an entry of the storage without a link.
func TestRefusedDeletions(t *testing.T) {
	for name, test := range map[string]struct {
		effect   gitlabtest.Effect
		status   int
		says     string
		mutation string
		left     int
	}{
		"maintenance": {gitlabtest.Maintenance(503, 60), 503, "GitLab Maintenance: system is in maintenance mode", "503 {\"message\":\"GitLab Maintenance", 1},
		"read-only":   {gitlabtest.Maintenance(403, 0), 403, "You cannot perform write operations on a read-only instance", "403 {\"message\":\"You cannot", 1},
		"registry":    {gitlabtest.RegistryReadOnly(), 400, "400 Bad request", `200 {"data":{"a":{"errors":["could not delete tags: tag"],"deletedTagNames":[]}}}`, 1},
		"unlinked":    {gitlabtest.Unlinked(regexp.MustCompile("^tag$")), 200, "200", `200 {"data":{"a":{"errors":[],"deletedTagNames":["tag"]}}}`, 1},
		"nothing":     {gitlabtest.Latency(0), 200, "200", `200 {"data":{"a":{"errors":[],"deletedTagNames":["tag"]}}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, repository := oneRepository(gitlabtest.Legacy, "web")
			repository.AddTag("tag", gitlabtest.KindCacheIndex)
			s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: test.effect}))
			got := call(t, s, http.MethodDelete, tagAt(repository, "tag"))
			mutation := askGraphQL(t, s, "mutation {"+destroying("a", repository, "tag")+"}", nil)
			if said := fmt.Sprint(mutation.status, " ", mutation.text); !strings.HasPrefix(said, test.mutation) {
				t.Errorf("the mutation is %s", said)
			}
			if got.status != test.status || !strings.Contains(got.text, test.says) || len(s.Remaining()) != test.left {
				t.Errorf("%d %s, %d left", got.status, got.text, len(s.Remaining()))
			}
			if listed := get(t, s, at(repository)+"/tags").column(t, "name"); len(listed) != test.left {
				t.Errorf("listed %v", listed)
			}
		})
	}
}
