package registry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// pagesOf serves the pages of a list in turn, whatever is asked. A page is a body and,
// if not empty, a Link to the next.
func pagesOf(pages ...[2]string) func(*http.Request) *http.Response {
	n := 0
	return func(req *http.Request) *http.Response {
		if n >= len(pages) {
			return reply(req, 500, "asked too often")
		}
		page := pages[n]
		n++
		if page[1] == "" {
			return reply(req, 200, page[0])
		}
		return reply(req, 200, page[0], "Link", page[1])
	}
}

// tagList is a page of names.
func tagList(names ...string) string {
	if names == nil {
		return `{"name":"group/app","tags":null}`
	}
	return fmt.Sprintf(`{"name":"group/app","tags":["%s"]}`, strings.Join(names, `","`))
}

// rowList is a page of rows.
func rowList(names ...string) string {
	rows := []string{}
	for _, name := range names {
		rows = append(rows, fmt.Sprintf(`{"name":%q,"digest":%q,"media_type":%q,"created_at":"2026-11-23T09:08:29.436Z","size_bytes":12,"config_digest":%q}`,
			name, digestOf(1), manifest.TypeOCIIndex, digestOf(2)))
	}
	return "[" + strings.Join(rows, ",") + "]"
}

func namesFrom(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("tag-%06d", i))
	}
	return all
}

// listers read a list of tags each in its way, and make pages for it.
var listers = map[string]struct {
	page func(...string) string
	path string
	list func(*testing.T, *Registry) ([]string, error)
}{
	"Tags": {tagList, "/v2/group/app/tags/list", func(t *testing.T, r *Registry) ([]string, error) {
		return r.Tags(t.Context(), "group/app")
	}},
	"TagRows": {rowList, "/gitlab/v1/repositories/group/app/tags/list/", func(t *testing.T, r *Registry) ([]string, error) {
		rows, err := allRows(r.TagRows(t.Context(), "group/app", ""))
		var all []string
		for _, row := range rows {
			all = append(all, row.Name)
		}
		slices.Sort(all) // rows are left as they come
		return slices.Compact(all), err
	}},
}

func TestListingsOfTheRegistry(t *testing.T) {
	full := namesFrom(0, 1000)
	for lister, l := range listers {
		next := func(query string) string { return fmt.Sprintf(`<%s?%s>; rel="next"`, l.path, query) }
		elsewhere := func(url string) string { return fmt.Sprintf(`<%s>; rel="next"`, url) }
		for name, test := range map[string]struct {
			pages [][2]string
			want  []string // nil for an error
		}{
			"nothing":                      {[][2]string{{l.page()}}, []string{}},
			"one page":                     {[][2]string{{l.page("b", "a")}}, []string{"a", "b"}},
			"two pages":                    {[][2]string{{l.page("a"), next("last=a&n=1000")}, {l.page("b")}}, []string{"a", "b"}},
			"an empty page at the end":     {[][2]string{{l.page("a"), next("last=a")}, {l.page()}}, []string{"a"}},
			"an entry that comes twice":    {[][2]string{{l.page("a", "b"), next("last=a")}, {l.page("b", "c")}}, []string{"a", "b", "c"}},
			"an absolute link":             {[][2]string{{l.page("a"), elsewhere("https://registry.example" + l.path + "?last=a")}, {l.page("b")}}, []string{"a", "b"}},
			"another scheme and port":      {[][2]string{{l.page("a"), elsewhere("http://registry.example:5000" + l.path + "?last=a")}, {l.page("b")}}, []string{"a", "b"}},
			"a full page and no more":      {[][2]string{{l.page(full...)}, {l.page()}}, full},
			"more than a page at once":     {[][2]string{{l.page(namesFrom(0, 1500)...)}}, namesFrom(0, 1500)},
			"a link elsewhere":             {[][2]string{{l.page("a"), elsewhere("https://evil.example" + l.path + "?last=a")}, {l.page("b")}}, nil},
			"a link to another list":       {[][2]string{{l.page("a"), elsewhere("/v2/group/other/tags/list?last=a")}, {l.page("b")}}, nil},
			"a link that is no URL":        {[][2]string{{l.page("a"), elsewhere("http://[::1")}, {l.page("b")}}, nil},
			"a page that comes again":      {[][2]string{{l.page("a"), next("last=a")}, {l.page("b"), next("last=b")}, {l.page("a"), next("last=a")}}, nil},
			"an empty page in the middle":  {[][2]string{{l.page(), next("last=a")}, {l.page("b")}}, nil},
			"a failure on the second":      {[][2]string{{l.page("a"), next("last=a")}}, nil},
			"a name that is empty":         {[][2]string{{l.page("a", "")}}, nil},
			"null":                         {[][2]string{{"null"}}, nil},
			"an empty answer":              {[][2]string{{""}}, nil},
			"another form":                 {[][2]string{{`{"tags":{}}`}}, nil},
			"an object":                    {[][2]string{{`{}`}}, nil},
			"cut off":                      {[][2]string{{strings.TrimRight(l.page("a", "b"), "]}") + ""}}, nil},
			"something behind":             {[][2]string{{l.page("a") + "x"}}, nil},
			"an error with a 200":          {[][2]string{{`{"errors":[{"code":"UNKNOWN"}]}`}}, nil},
			"a link that keeps its own n":  {[][2]string{{l.page("a"), next("n=7&last=a")}, {l.page("b")}}, []string{"a", "b"}},
			"a link with another relation": {[][2]string{{l.page("a"), `<` + l.path + `?x>; rel="prev"`}}, []string{"a"}},
		} {
			h := &fakeRegistry{serve: pagesOf(test.pages...)}
			got, err := l.list(t, h.connect(t, throttle.Config{}))
			if test.want == nil && (err == nil || got != nil) || test.want != nil && (err != nil || !slices.Equal(got, test.want)) {
				t.Errorf("%s, %s: got %d names, %v", lister, name, len(got), err)
			}
			for _, asked := range h.requests() {
				if strings.Contains(asked, "evil") || strings.Contains(asked, "other") || strings.Contains(asked, ":5000") {
					t.Errorf("%s, %s: %s", lister, name, asked)
				}
			}
		}
	}
}

// TestAFullPageWithoutALink: a registry without metadata database sends the whole list at once,
// and be it of a page's size. Rows have pages, and the Link may have been dropped on the way.
func TestAFullPageWithoutALink(t *testing.T) {
	full := namesFrom(0, PageSize)
	for lister, l := range listers {
		first := "GET https://registry.example" + l.path + "?n=1000"
		for name, test := range map[string]struct {
			second []string // nil for the first again
			want   []string
		}{
			"and no more": {[]string{}, full}, "and another": {[]string{"z"}, append(slices.Clone(full), "z")}, "and the same": {nil, nil},
		} {
			requests := []string{first, "GET https://registry.example" + l.path + "?last=tag-000999&n=1000"}
			if lister == "Tags" {
				test.want, requests = full, requests[:1]
			}
			if test.second == nil {
				test.second = full
			}
			h := &fakeRegistry{serve: pagesOf([2]string{l.page(full...)}, [2]string{l.page(test.second...)})}
			got, err := l.list(t, h.connect(t, throttle.Config{}))
			if (err != nil) != (test.want == nil) || !slices.Equal(got, test.want) {
				t.Errorf("%s, %s: got %d names, %v", lister, name, len(got), err)
			}
			if diff := cmp.Diff(requests, h.requests()[2:]); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", lister, name, diff)
			}
		}
	}
}

func TestListsThatAreNotThere(t *testing.T) {
	for lister, l := range listers {
		for body, own := range map[string]bool{unknownName: true, `<html>`: false, `{"errors":[{"code":"UNKNOWN"}]}`: false, ``: false, unknownManifest: false} {
			_, err := l.list(t, (&fakeRegistry{serve: always(404, body)}).connect(t, throttle.Config{}))
			if !errors.Is(err, throttle.ErrNotFound) || errors.Is(err, ErrRepositoryNotFound) != own || errors.Is(err, ErrManifestNotFound) {
				t.Errorf("%s, %s: %v", lister, body, err)
			}
		}
	}
}

// TestARepositoryThatVanishesWhileItIsListed must not pass for one without tags.
func TestARepositoryThatVanishesWhileItIsListed(t *testing.T) {
	for lister, l := range listers {
		first := pagesOf([2]string{l.page("a"), fmt.Sprintf(`<%s?last=a>; rel="next"`, l.path)})
		h := &fakeRegistry{serve: func(req *http.Request) *http.Response {
			if req.URL.Query().Get("last") == "" {
				return first(req)
			}
			return reply(req, 404, unknownName)
		}}
		_, err := l.list(t, h.connect(t, throttle.Config{}))
		if _, breaks := errors.AsType[*throttle.ListingError](err); !breaks || errors.Is(err, ErrRepositoryNotFound) || errors.Is(err, throttle.ErrNotFound) {
			t.Errorf("%s: %v", lister, err)
		}
	}
}

// TestTheListOfAnotherRepository is no answer, nor is one that has no list.
func TestTheListOfAnotherRepository(t *testing.T) {
	for _, body := range []string{`{"name":"group/other","tags":[]}`, `{"tags":[]}`, `{"name":"group/app"}`, `{"name":"group/app","tags":[null]}`, `{"name":"group/app","tags":[7]}`} {
		if _, err := (&fakeRegistry{serve: always(200, body)}).connect(t, throttle.Config{}).Tags(t.Context(), "group/app"); !isFormat(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestTagRows(t *testing.T) {
	created, updated := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	row := func(more string) string {
		return fmt.Sprintf(`[{"name":"a","digest":%q,"media_type":%q%s}]`, digestOf(1), manifest.TypeOCIIndex, more)
	}
	for body, want := range map[string]*TagRow{
		row(`,"created_at":"2026-11-01T00:00:00Z","published_at":"2026-11-02T00:00:00Z"`):                                     {CreatedAt: created, PublishedAt: updated},
		row(`,"created_at":"2026-11-01T00:00:00Z","updated_at":"2026-11-02T00:00:00Z"`):                                       {CreatedAt: created, PublishedAt: updated},
		row(`,"created_at":"2026-11-01T00:00:00Z","updated_at":null`):                                                         {CreatedAt: created, PublishedAt: created},
		row(`,"created_at":"2026-11-01T00:00:00Z","updated_at":"2026-11-01T10:00:00Z","published_at":"2026-11-02T00:00:00Z"`): {CreatedAt: created, PublishedAt: updated},
		row(``):                       {},
		row(`,"created_at":"x"`):      nil,
		row(`,"created_at":""`):       nil,
		row(`,"created_at":7`):        nil,
		`[{"name":"a"}]`:              nil,
		`[{"name":"a","digest":"x"}]`: nil,
		`[null]`:                      nil,
		`[[]]`:                        nil,
		`["a"]`:                       nil,
	} {
		got, err := allRows((&fakeRegistry{serve: always(200, body)}).connect(t, throttle.Config{}).TagRows(t.Context(), "group/app", ""))
		if want == nil {
			if err == nil {
				t.Errorf("%s: got %+v", body, got)
			}
			continue
		}
		want.Name, want.Digest, want.MediaType = "a", digestOf(1), manifest.TypeOCIIndex
		if diff := cmp.Diff([]TagRow{*want}, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", body, err, diff)
		}
	}
}

// TestStoppingAListOfRows asks for no further page.
func TestStoppingAListOfRows(t *testing.T) {
	h := &fakeRegistry{serve: pagesOf([2]string{rowList("a"), `</gitlab/v1/repositories/group/app/tags/list/?last=a>; rel="next"`})}
	for page, err := range h.connect(t, throttle.Config{}).TagRows(t.Context(), "group/app", "") {
		if err != nil || len(page) != 1 {
			t.Errorf("got %v, %v", page, err)
		}
		break
	}
	if got := len(h.requests()); got != 3 {
		t.Errorf("%d requests", got)
	}
}

func TestSigns(t *testing.T) {
	const header = databaseHeader
	bearer := `Bearer realm="https://gitlab.example/jwt/auth",service="container_registry"`
	for name, test := range map[string]struct {
		says  string // the header at /v2/
		v1    func(*http.Request) *http.Response
		want  Signs
		fails bool // to say of GitLab's own API
	}{
		"legacy, old":           {"", always(404, "404 page not found", "Content-Type", "text/plain", ownHeader, "registry/2.0"), Signs{V1: Legacy}, false},
		"a proxy's text":        {"", always(404, "404 page not found", "Content-Type", "text/plain"), Signs{}, true},
		"a proxy's page":        {"", always(404, "<html>", "Content-Type", "text/html", ownHeader, "registry/2.0"), Signs{}, true},
		"legacy":                {"false", always(404, "{}"), Signs{Header: Legacy}, false},
		"legacy, v1 forbidden":  {"false", always(403, ""), Signs{Header: Legacy}, false},
		"database":              {"true", always(200, "{}"), Signs{Header: Database, V1: Database}, false},
		"database, no body":     {"true", always(200, "", "Content-Type", ""), Signs{Header: Database, V1: Database}, false},
		"unauthorized":          {"true", always(401, "{}", "WWW-Authenticate", bearer), Signs{Header: Database}, true},
		"database behind proxy": {"true", always(404, "<html>", "Content-Type", "text/html"), Signs{Header: Database}, true},
		"odd header":            {"maybe", always(200, "{}"), Signs{V1: Database}, false},
		"a page for all":        {"true", always(200, "<html>", "Content-Type", "text/html"), Signs{Header: Database}, true},
		"v1 forbidden":          {"true", always(403, ""), Signs{Header: Database}, true},
		"v1 broken":             {"true", always(500, ""), Signs{Header: Database}, true},
	} {
		h := &fakeRegistry{serve: test.v1}
		network := wire(func(req *http.Request) (*http.Response, error) {
			resp, err := h.RoundTrip(req)
			if err == nil && req.URL.Path == "/v2/" && resp.StatusCode == 200 && test.says != "" {
				resp.Header.Set(header, test.says)
			}
			return resp, err
		})
		r, _ := New(newTestClient(t, network, throttle.Config{}), "registry.example")
		got, err := r.Signs(t.Context())
		if err != nil || (got.V1Err != nil) != test.fails {
			t.Errorf("%s: %v, %v", name, err, got.V1Err)
		}
		if got.V1Err = nil; got != test.want {
			t.Errorf("%s: got %+v; want %+v", name, got, test.want)
		}
	}
}

func TestARegistryOutOfReach(t *testing.T) {
	for name, network := range map[string]wire{
		"no network": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"a page":     answering(200, "<html>", "Content-Type", "text/html"),
		"not found":  answering(404, "{}"),
		"broken":     answering(503, "{}"),
		"forbidden":  answering(403, "{}"),
	} {
		r, _ := New(newTestClient(t, network, throttle.Config{}), "registry.example")
		if signs, err := r.Signs(t.Context()); err == nil || signs != (Signs{}) || errors.Is(err, throttle.ErrUnauthorized) {
			t.Errorf("%s: got %+v, %v", name, signs, err)
		}
	}
}
