package gitlabtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

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
