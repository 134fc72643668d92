package gitlabtest_test

import (
	"fmt"
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

// registryPaths are those of the registry, for faults.
var registryPaths = regexp.MustCompile(`^/(v2|gitlab)/`)

func TestFaultsStrikeTheRegistryAlone(t *testing.T) {
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

func TestLatencyOfTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := oneTag(t, gitlabtest.KindImage, gitlabtest.WithFaults(
			gitlabtest.Fault{Path: registryPaths, Effect: gitlabtest.Latency(time.Second)}))
		start := time.Now()
		query{method: "GET", path: "/v2/"}.ask(t, s)
		get(t, s, "/projects")
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
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
	s := gitlabtest.New(w, gitlabtest.WithRegistryHost("registry.example:5050"), gitlabtest.WithRateLimit(2))
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
