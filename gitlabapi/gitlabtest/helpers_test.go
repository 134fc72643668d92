package gitlabtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// host is where requests of these tests go: nowhere, for they never leave the
// process.
const host = "http://gitlab.example"

// reply is an answer, its body decoded into nothing in particular.
type reply struct {
	status int
	header http.Header
	body   any
	text   string
}

// call sends a request below /api/v4 with the default token.
func call(t *testing.T, s *gitlabtest.Server, method, path string) reply {
	t.Helper()
	got, err := tryCall(s, method, host+"/api/v4"+path, gitlabtest.DefaultToken)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func get(t *testing.T, s *gitlabtest.Server, path string) reply {
	t.Helper()
	return call(t, s, http.MethodGet, path)
}

// ask sends a request from another goroutine than the test's.
func ask(t *testing.T, s *gitlabtest.Server, path string) {
	if _, err := tryCall(s, http.MethodGet, host+"/api/v4"+path, gitlabtest.DefaultToken); err != nil {
		t.Error(err)
	}
}

func tryCall(s *gitlabtest.Server, method, address, token string) (reply, error) {
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("PRIVATE-TOKEN", token)
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	got := reply{status: response.StatusCode, header: response.Header, text: string(text)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && err == nil {
		err = json.Unmarshal(text, &got.body)
	}
	return got, err
}

// object returns the body as an object.
func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	object, ok := r.body.(map[string]any)
	if !ok {
		t.Fatalf("answer %d is no object: %s", r.status, r.text)
	}
	return object
}

// column returns one field of every item of a list.
func (r reply) column(t *testing.T, field string) []any {
	t.Helper()
	items, ok := r.body.([]any)
	if !ok {
		t.Fatalf("answer %d is no list: %s", r.status, r.text)
	}
	values := make([]any, len(items))
	for i, item := range items {
		values[i] = item.(map[string]any)[field]
	}
	return values
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// next returns the address of the next page, "" if there is none.
func (r reply) next() string {
	found := nextLink.FindStringSubmatch(r.header.Get("Link"))
	if found == nil {
		return ""
	}
	return found[1]
}

// follow reads a list to its end along its links and returns one field of
// every item.
func follow(t *testing.T, s *gitlabtest.Server, path, field string) []any {
	t.Helper()
	var all []any
	for address := host + "/api/v4" + path; address != ""; {
		page, err := tryCall(s, http.MethodGet, address, gitlabtest.DefaultToken)
		if err != nil || page.status != http.StatusOK {
			t.Fatalf("GET %s: %d %s, %v", address, page.status, page.text, err)
		}
		all = append(all, page.column(t, field)...)
		address = page.next()
	}
	return all
}

// oneRepository returns a world with one repository, and where it is.
func oneRepository(regime gitlabtest.Regime, name string) (*gitlabtest.World, *gitlabtest.Repository) {
	w := gitlabtest.NewWorld(regime)
	return w, w.AddProject("group/app").AddRepository(name)
}

// at returns the path of a repository's endpoint.
func at(r *gitlabtest.Repository) string {
	return fmt.Sprintf("/projects/%d/registry/repositories/%d", r.Project().ID, r.ID)
}

// tagAt returns the path of a tag's endpoint.
func tagAt(r *gitlabtest.Repository, tag string) string {
	return at(r) + "/tags/" + strings.ReplaceAll(url.PathEscape(tag), ".", "%2E")
}

// wantViolations fails unless the server noted so many requests that no client
// should send.
func wantViolations(t *testing.T, s *gitlabtest.Server, want int) {
	t.Helper()
	if got := s.Stats().Violations; len(got) != want {
		t.Errorf("violations: got %q, want %d", got, want)
	}
}

// Media types of manifests, as clients send them.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
)

var allTypes = strings.Join([]string{dockerManifest, dockerList, ociManifest, ociIndex}, ", ")

// query is a request to the registry or to /jwt/auth.
type query struct {
	method, path string
	accept       string
	token        string // a Bearer token
	password     string // or Basic
	contentType  string
	body         string
}

func (q query) send(h http.RoundTripper) (reply, error) {
	r, err := http.NewRequest(q.method, host+q.path, strings.NewReader(q.body))
	if err != nil {
		return reply{}, err
	}
	for name, value := range map[string]string{"Accept": q.accept, "Content-Type": q.contentType} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if q.password != "" {
		r.SetBasicAuth("anybody", q.password)
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	response, err := h.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	got := reply{status: response.StatusCode, header: response.Header, text: string(text)}
	if strings.Contains(response.Header.Get("Content-Type"), "json") {
		_ = json.Unmarshal(text, &got.body)
	}
	return got, err
}

func (q query) ask(t *testing.T, s *gitlabtest.Server) reply {
	t.Helper()
	got, err := q.send(s.Transport())
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	return got
}

// tokenFor asks /jwt/auth for a token with the default password.
func tokenFor(t *testing.T, s *gitlabtest.Server, scopes ...string) string {
	t.Helper()
	return tokenOf(t, s, gitlabtest.DefaultToken, scopes...)
}

func tokenOf(t *testing.T, s *gitlabtest.Server, password string, scopes ...string) string {
	t.Helper()
	got := query{method: "GET", path: authPath(scopes...), password: password}.ask(t, s)
	if got.status != http.StatusOK {
		t.Fatalf("no token: %d %s", got.status, got.text)
	}
	return got.object(t)["token"].(string)
}

func authPath(scopes ...string) string {
	return "/jwt/auth?" + url.Values{"service": {"container_registry"}, "scope": scopes}.Encode()
}

// registryErrors returns the codes and messages of an error of the registry.
func (r reply) registryErrors() string {
	var list []string
	object, _ := r.body.(map[string]any)
	errors, _ := object["errors"].([]any)
	for _, e := range errors {
		fields := e.(map[string]any)
		list = append(list, fmt.Sprintf("%v: %v", fields["code"], fields["message"]))
	}
	return strings.Join(list, "; ")
}

// wholeKit are all actions on a repository.
func wholeKit(path string) string { return "repository:" + path + ":pull,push,delete" }
