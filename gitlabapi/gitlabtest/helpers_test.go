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
