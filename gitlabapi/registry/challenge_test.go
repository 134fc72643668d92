package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestTheTokenIsShownToTheInstanceAlone lets a registry name realms that are not the
// instance's own. Nothing may be sent to any of them, and no token be asked for.
func TestTheTokenIsShownToTheInstanceAlone(t *testing.T) {
	for _, realm := range []string{
		"https://evil.example/jwt/auth", "https://evil.example", "https://gitlab.example.evil.example/jwt/auth", "https://evilgitlab.example/jwt/auth",
		"http://gitlab.example/jwt/auth", "http://gitlab.example:443/jwt/auth", "ftp://gitlab.example/jwt/auth", "HTTP://gitlab.example/jwt/auth",
		"https://gitlab.example:8443/jwt/auth", "https://gitlab.example:80/jwt/auth", "https://gitlab.example./jwt/auth",
		"https://gitlab.example/jwt/auth/", "https://gitlab.example/jwt", "https://gitlab.example//jwt/auth", "https://gitlab.example/JWT/auth",
		"https://gitlab.example/evil/../jwt/auth", "https://gitlab.example/jwt/auth/../../evil", "https://gitlab.example/jwt%2fauth", "https://gitlab.example/jwt/%61uth",
		"https://gitlab.example/evil/jwt/auth", "https://gitlab.example/jwt/auth;x", "https://gitlab.example/jwt/auth%3f",
		"https://gitlab.example@evil.example/jwt/auth", "https://gitlab.example:x@evil.example/jwt/auth", "https://evil@gitlab.example/jwt/auth", "https://evil:x@gitlab.example/jwt/auth", "https://@gitlab.example/jwt/auth",
		"https://evil.example#gitlab.example/jwt/auth", "https://evil.example?gitlab.example/jwt/auth", "https://evil.example/?x=https://gitlab.example/jwt/auth",
		"https://gitlab.example/jwt/auth?to=evil", "https://gitlab.example/jwt/auth?", "https://gitlab.example/jwt/auth#x", "https://gitlab.example/jwt/auth#",
		`https://gitlab.example\@evil.example/jwt/auth`, `https://evil.example\.gitlab.example/jwt/auth`, "https:gitlab.example/jwt/auth", "https:///jwt/auth",
		"//gitlab.example/jwt/auth", "/jwt/auth", "jwt/auth", "gitlab.example/jwt/auth", "https://registry.example/jwt/auth", "https://127.0.0.1/jwt/auth", "https://169.254.169.254/jwt/auth",
		"https://gitlab.example%00.evil.example/jwt/auth", "https://[::1]/jwt/auth", "x", " ", "https://gitlab.example/jwt/auth https://evil.example",
	} {
		h := &fakeRegistry{realm: realm, serve: always(200, "{}")}
		for method, err := range everyRegistryMethod(t.Context(), h.connect(t, throttle.Config{MaxRetries: 2})) {
			if !isChallengeError(err) {
				t.Errorf("%q, %s: got %v, want an error about the challenge", realm, method, err)
			}
		}
		for _, asked := range h.requests() {
			if asked != "GET https://registry.example/v2/" {
				t.Errorf("%q: %s", realm, asked)
			}
		}
	}
}

func TestRealmsOfTheInstance(t *testing.T) {
	for _, test := range []struct {
		instance, realm string
		own             bool
	}{
		{"https://gitlab.example", "https://gitlab.example/jwt/auth", true},
		{"https://gitlab.example", "https://gitlab.example:443/jwt/auth", true},
		{"https://gitlab.example:443/", "https://gitlab.example/jwt/auth", true},
		{"https://gitlab.example", "https://GitLab.Example/jwt/auth", true},
		{"http://gitlab.example", "http://gitlab.example:80/jwt/auth", true},
		{"http://10.0.0.7:8080", "http://10.0.0.7:8080/jwt/auth", true},
		{"http://[::1]:8080", "http://[::1]:8080/jwt/auth", true},
		{"https://example.com/gitlab", "https://example.com/gitlab/jwt/auth", true},
		{"https://example.com/git%20lab", "https://example.com/git%20lab/jwt/auth", true},
		{"https://example.com/gitlab", "https://example.com/jwt/auth", false},
		{"https://gitlab.example", "https://gitlab.example/gitlab/jwt/auth", false},
		{"http://10.0.0.7:8080", "http://10.0.0.7:8081/jwt/auth", false},
		{"http://10.0.0.7:8080", "http://10.0.0.8:8080/jwt/auth", false},
	} {
		r, err := New(newTestClient(t, answering(200, "{}"), throttle.Config{URL: test.instance}), "registry.example")
		if err != nil {
			t.Fatal(err)
		}
		if got := isRealm(test.realm, r.jwtAuth()); got != test.own {
			t.Errorf("realm %s of %s: %v", test.realm, test.instance, got)
		}
	}
}

// TestOtherChallenges: a registry that wants another proof than a token, or a token for
// something else, gets nothing.
func TestOtherChallenges(t *testing.T) {
	const realm = `realm="https://gitlab.example/jwt/auth"`
	for _, header := range []string{
		`Basic realm="registry"`, `Basic ` + realm, `Bearer`, `Bearer service="container_registry"`, `Bearer realm="",service="container_registry"`,
		`Bearer ` + realm, `Bearer ` + realm + `,service="dependency_proxy"`, `Bearer ` + realm + `,service=""`, `Negotiate`, `,`, `"`,
		`Bearer ` + realm + `,service="container_registry",realm="https://evil.example/jwt/auth"`,
		`Basic realm="x", Bearer ` + realm + `,service="container_registry"`,
	} {
		network := wire(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "gitlab.example" {
				t.Errorf("%s: %s was asked", header, req.URL)
			}
			return reply(req, 401, "{}", "WWW-Authenticate", header), nil
		})
		r, _ := New(newTestClient(t, network, throttle.Config{}), "registry.example")
		if _, err := r.Signs(t.Context()); err == nil || errors.Is(err, throttle.ErrUnauthorized) {
			t.Errorf("%s: got %v", header, err)
		} else if !isChallengeError(err) {
			t.Errorf("%s: got %v, want an error about the challenge", header, err)
		}
	}
}

// TestA401ThatAsksForNothing must not be taken for a registry that wants no token.
func TestA401ThatAsksForNothing(t *testing.T) {
	asked := 0
	network := wire(func(req *http.Request) (*http.Response, error) {
		asked++
		return reply(req, 401, "{}"), nil
	})
	r, _ := New(newTestClient(t, network, throttle.Config{MaxRetries: 3}), "registry.example")
	_, err := r.Head(t.Context(), "group/app", "tag")
	if !errors.Is(err, throttle.ErrForbidden) || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, ErrDenied) || asked != 1 {
		t.Errorf("%d requests, %v", asked, err)
	}
}

func TestARegistryThatWantsNoToken(t *testing.T) {
	body := string(fixture(t, "image-oci-manifest.json"))
	h := &fakeRegistry{open: true, serve: document(manifest.TypeOCIManifest, body)}
	m, err := h.connect(t, throttle.Config{}).Manifest(t.Context(), "group/app", "tag")
	if err != nil || m.Kind != manifest.KindImage {
		t.Errorf("got %q, %v", m.Kind, err)
	}
	if slices.ContainsFunc(h.requests(), func(r string) bool { return strings.Contains(r, "gitlab.example") }) {
		t.Error("a token was asked for")
	}
}

// TestTheConfiguredSchemeIsKept, for private addresses, too.
func TestTheConfiguredSchemeIsKept(t *testing.T) {
	for _, address := range []string{"https://10.0.0.7", "https://192.168.1.1:5000", "https://localhost:5000", "https://127.0.0.1:5000", "https://registry.example", "10.0.0.7",
		"http://10.0.0.7", "http://registry.example", "http://localhost:5000", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"} {
		network := wire(func(req *http.Request) (*http.Response, error) { return reply(req, 503, ""), nil })
		var seen atomic.Pointer[string]
		watched := wire(func(req *http.Request) (*http.Response, error) {
			origin := req.URL.Scheme + "://" + req.URL.Host
			seen.Store(&origin)
			return network(req)
		})
		r, err := New(newTestClient(t, watched, throttle.Config{}), address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Signs(t.Context()); err == nil {
			t.Errorf("%s: no error", address)
		}
		switch origin := seen.Load(); {
		case origin == nil || *origin != r.base.String():
			t.Errorf("%s: asked %v, want %s", address, origin, r.base)
		}
		if got := r.client.Stats().RegistryRequests; got > 1 {
			t.Errorf("%s: %d requests", address, got)
		}
	}
}

// TestRedirectsOfTheHandshake redirects between real servers, one of which must not
// hear anything at all. Redirects within a server are refused, too.
func TestRedirectsOfTheHandshake(t *testing.T) {
	var heard atomic.Int64
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer foreign.Close()
	for _, redirected := range []string{"/jwt/auth", "/v2/", "/v2/group/app/manifests/tag", "/v2/group/app/tags/list", "/gitlab/v1/repositories/group/app/tags/list/"} {
		for _, to := range []string{foreign.URL + "/x", "/elsewhere"} {
			for _, status := range []int{301, 302, 303, 307, 308} {
				var server *httptest.Server
				server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					switch {
					case r.URL.Path == "/elsewhere":
						heard.Add(1)
					case r.URL.Path == redirected:
						http.Redirect(w, r, to, status)
					case r.URL.Path == "/jwt/auth":
						fmt.Fprint(w, `{"token":"x"}`)
					case r.Header.Get("Authorization") == "":
						w.Header().Set("WWW-Authenticate", `Bearer realm="`+server.URL+`/jwt/auth",service="container_registry"`)
						w.WriteHeader(401)
					}
				}))
				r, err := New(newTestClient(t, http.DefaultTransport, throttle.Config{URL: server.URL, MaxRetries: 1}), server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				errs := everyRegistryMethod(t.Context(), r)
				delete(errs, "ConfigCreated")
				refusals := 0
				for _, err := range errs {
					if redirect, ok := errors.AsType[*throttle.RedirectError](err); ok {
						refusals++
						if wanted := redirected == "/jwt/auth"; wanted != (redirect.Server == throttle.Instance) {
							t.Errorf("%s: %v", redirected, err)
						}
					}
				}
				if refusals == 0 || heard.Load() != 0 {
					t.Errorf("%d %s to %s: refused by %d, heard %d times", status, redirected, to, refusals, heard.Load())
				}
				server.Close()
			}
		}
	}
}

func TestParseURL(t *testing.T) {
	for address, want := range map[string]string{
		"registry.example.com": "https://registry.example.com", "registry.example.com:5050": "https://registry.example.com:5050",
		"https://registry.example.com/": "https://registry.example.com", "http://registry.example.com": "http://registry.example.com",
		"localhost:5000": "http://localhost:5000", "127.0.0.1:5000": "http://127.0.0.1:5000", "127.8.8.8": "http://127.8.8.8", "[::1]:5000": "http://[::1]:5000",
		"https://localhost:5000": "https://localhost:5000", "10.0.0.7": "https://10.0.0.7", "localhost.example.com": "https://localhost.example.com",
		"": "", "/": "", "https://": "", "ftp://x": "", "https://user@x": "", "user:password@x": "", "registry.example.com/path": "", "https://x/v2": "",
		"https://x?y": "", "https://x?": "", "https://x#y": "", "re gistry": "", "https://x//": "", "x:y:z": "",
	} {
		got, err := ParseURL(address)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%q: got %v, %v; want %q", address, got, err, want)
		}
	}
}

// isChallengeError reports whether an error says that no token of the instance's own is wanted.
func isChallengeError(err error) bool {
	_, realm := errors.AsType[*RealmError](err)
	format, ok := errors.AsType[*throttle.FormatError](err)
	return realm || ok && (strings.HasPrefix(format.Problem, "the registry asks for a token of ") || strings.HasPrefix(format.Problem, "the registry does not ask for a token"))
}
