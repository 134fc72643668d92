package gitlabapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A pageOfTags is one answer to a listing.
type pageOfTags struct {
	tags   []string
	header []string
}

// serving is a network that answers with one page after the other, the last one again
// and again. It breaks off listings that do not end.
func serving(t *testing.T, pages ...pageOfTags) (network wire, requests *int) {
	requests = new(int)
	return func(req *http.Request) (*http.Response, error) {
		p := pages[min(*requests, len(pages)-1)]
		*requests++
		if *requests > 300 {
			t.Error("the listing does not end")
			return reply(req, 404, ""), nil
		}
		items := make([]string, len(p.tags))
		for i, name := range p.tags {
			items[i] = fmt.Sprintf(`{"name":%q}`, name)
		}
		return reply(req, 200, "["+strings.Join(items, ",")+"]", p.header...), nil
	}, requests
}

// names returns tags v0 to v99, say.
func names(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, "v"+strconv.Itoa(i))
	}
	return all
}

func next(page string) []string { return []string{"X-Next-Page", page} }

func link(target string) []string { return []string{"Link", "<" + target + `>; rel="next"`} }

// TestListingsThatCannotBeReliedUpon has listings that are answered with nothing but
// 200 and are wrong all the same. What was read of them comes beside the error.
func TestListingsThatCannotBeReliedUpon(t *testing.T) {
	const path = "/api/v4/projects/1/registry/repositories/2/tags"
	for _, test := range []struct {
		name     string
		pages    []pageOfTags
		requests int
		partial  []string
	}{
		{"a page again, by Link", []pageOfTags{{names(0, 100), link(path + "?page=2")}}, 2, names(0, 100)},
		{"a page again, by number", []pageOfTags{{names(0, 100), next("2")}, {names(0, 100), next("3")}}, 2, names(0, 100)},
		{"a full page again, without headers", []pageOfTags{{names(0, 100), nil}}, 2, names(0, 100)},
		{"two pages in turn", []pageOfTags{
			{names(0, 100), link(path + "?last=v99")}, {names(100, 200), link(path + "?last=x")},
			{names(0, 100), link(path + "?last=v99")}, {names(100, 200), link(path + "?last=x")},
		}, 3, names(0, 200)},
		{"empty pages for ever", []pageOfTags{{nil, link(path + "?page=2")}}, 2, nil},
		{"empty pages for ever, by Link after a good one",
			[]pageOfTags{{names(0, 100), link(path + "?page=2")}, {nil, link(path + "?page=3")}}, 3, names(0, 100)},
		{"a next page that is the same", []pageOfTags{{names(0, 100), next("1")}}, 1, names(0, 100)},
		{"a next page that leaves some out", []pageOfTags{{names(0, 100), next("7")}, {nil, next("")}}, 1, names(0, 100)},
		{"a next page beyond all numbers", []pageOfTags{{names(0, 100), next("99999999999999999999")}, {nil, next("")}}, 1, names(0, 100)},
		{"a next page that is no number", []pageOfTags{{names(0, 100), next("two")}, {nil, next("")}}, 1, names(0, 100)},
		{"a total that is more, twice", []pageOfTags{{names(0, 3), []string{"X-Total", "5"}}}, 2, names(0, 3)},
		{"a total that is less, twice", []pageOfTags{{names(0, 3), []string{"X-Total", "2"}}}, 2, names(0, 3)},
		{"a total that is no number", []pageOfTags{{names(0, 3), []string{"X-Total", "many"}}}, 2, names(0, 3)},
		{"an empty list with a total", []pageOfTags{{nil, []string{"X-Total", "3", "X-Next-Page", ""}}}, 2, nil},
		{"another host", []pageOfTags{{names(0, 100), link("https://elsewhere.example" + path + "?page=2")}}, 1, names(0, 100)},
		{"another host without a scheme", []pageOfTags{{names(0, 100), link("//elsewhere.example" + path + "?page=2")}}, 1, names(0, 100)},
		{"a host that looks the same", []pageOfTags{{names(0, 100), link("https://gitlab.example@elsewhere.example" + path + "?page=2")}}, 1, names(0, 100)},
		{"another list", []pageOfTags{{names(0, 100), link("/api/v4/projects/1/registry/repositories/3/tags?page=2")}}, 1, names(0, 100)},
		{"no list at all", []pageOfTags{{names(0, 100), link("/")}}, 1, names(0, 100)},
		{"no address", []pageOfTags{{names(0, 100), link("http://[::1")}}, 1, names(0, 100)},
	} {
		t.Run(test.name, func(t *testing.T) {
			network, requests := serving(t, test.pages...)
			tags, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere)
			if _, ok := errors.AsType[*throttle.ListingError](err); !ok {
				t.Errorf("got error %v, want a throttle.ListingError", err)
			}
			if *requests != test.requests {
				t.Errorf("%d requests, want %d", *requests, test.requests)
			}
			if diff := cmp.Diff(test.partial, tagNames(tags)); diff != "" {
				t.Errorf("tags beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func tagNames(tags []Tag) []string {
	var all []string
	for _, tag := range tags {
		all = append(all, tag.Name)
	}
	return all
}

// TestLinksBehindAProxy: an instance that does not know of the proxy before it names
// itself by another scheme or port. Only the query of its links is used.
func TestLinksBehindAProxy(t *testing.T) {
	const path = "/api/v4/projects/1/registry/repositories/2/tags?page=2"
	for _, address := range []string{"http://gitlab.example", "https://gitlab.example:8443", "https://GitLab.Example"} {
		network, requests := serving(t, pageOfTags{names(0, 100), link(address + path)}, pageOfTags{names(100, 120), nil})
		tags, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere)
		if err != nil || len(tags) != 120 || *requests != 2 {
			t.Errorf("%s: error %v, %d tags, %d requests", address, err, len(tags), *requests)
		}
	}
}

// TestListingsThatChangeWhileTheyAreRead are read once more and then good.
func TestListingsThatChangeWhileTheyAreRead(t *testing.T) {
	total := func(n, page string) []string { return []string{"X-Total", n, "X-Next-Page", page} }
	for _, test := range []struct {
		name     string
		pages    []pageOfTags
		requests int
		want     []string
	}{
		{"one deleted between two pages", []pageOfTags{
			{names(0, 100), total("102", "2")}, {names(101, 102), total("101", "")}, // v100 slipped to the first page
			{names(1, 101), total("101", "2")}, {names(101, 102), total("101", "")},
		}, 4, names(1, 102)},
		{"one added between two pages comes twice", []pageOfTags{
			{names(0, 100), total("101", "2")}, {names(99, 101), total("102", "")},
			{append([]string{"new"}, names(0, 99)...), total("102", "2")}, {names(99, 101), total("102", "")},
		}, 4, append([]string{"new"}, names(0, 101)...)},
		{"twice, and nobody states how many", []pageOfTags{
			{names(0, 100), next("2")}, {names(98, 120), next("")},
		}, 2, names(0, 120)},
		{"twice on one page", []pageOfTags{{[]string{"a", "a", "b"}, nil}}, 1, []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			network, requests := serving(t, test.pages...)
			tags, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere)
			if err != nil {
				t.Error(err)
			}
			if *requests != test.requests {
				t.Errorf("%d requests, want %d", *requests, test.requests)
			}
			if diff := cmp.Diff(test.want, tagNames(tags)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAFailureInTheMiddleOfAListing gives the tags that were read beside the error,
// and no repositories at all, as the methods promise.
func TestAFailureInTheMiddleOfAListing(t *testing.T) {
	network := wire(func(req *http.Request) (*http.Response, error) {
		if req.URL.Query().Get("page") != "" {
			return reply(req, 403, `{"message":"403 Forbidden"}`), nil
		}
		return reply(req, 200, `[{"id":1,"name":"a"}]`, "X-Next-Page", "2"), nil
	})
	c := newTestClient(t, network, Config{})
	tags, err := c.Tags(t.Context(), somewhere)
	if !errors.Is(err, throttle.ErrForbidden) || !slices.Equal(tagNames(tags), []string{"a"}) {
		t.Errorf("Tags() = %v, %v", tags, err)
	}
	if repositories, err := c.ProjectRepositories(t.Context(), 1); !errors.Is(err, throttle.ErrForbidden) || len(repositories) != 0 {
		t.Errorf("ProjectRepositories() = %v, %v, want none", repositories, err)
	}
	if repositories, err := c.GroupRepositories(t.Context(), "group"); !errors.Is(err, throttle.ErrForbidden) || len(repositories) != 0 {
		t.Errorf("GroupRepositories() = %v, %v, want none", repositories, err)
	}
	var ids []int64
	var last error
	for project, err := range c.GroupProjects(t.Context(), "group") {
		if last != nil {
			t.Error("the sequence goes on after an error")
		}
		if last = err; err == nil {
			ids = append(ids, project.ID)
		}
	}
	if !errors.Is(last, throttle.ErrForbidden) || !slices.Equal(ids, []int64{1}) {
		t.Errorf("GroupProjects() = %v, %v", ids, last)
	}
}

// TestAnUnreadableLinkDoesNotEndAListing: a full page whose Link makes no sense is
// as good as one without.
func TestAnUnreadableLinkDoesNotEndAListing(t *testing.T) {
	for _, header := range []string{"", "<https://gitlab.example/x?page=2", "nonsense", `<x>; foo`} {
		network, _ := serving(t, pageOfTags{names(0, 100), []string{"Link", header}}, pageOfTags{names(100, 103), nil})
		tags, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere)
		if err != nil || len(tags) != 103 {
			t.Errorf("Link %q: %d tags of 103, %v", header, len(tags), err)
		}
	}
}

// TestALinkChangesNothingButTheQuery follows a relative link, and one whose query
// holds what a tag's name can hold.
func TestALinkChangesNothingButTheQuery(t *testing.T) {
	for _, target := range []string{
		"?per_page=100&last=v1.0%2C%3B%26x",
		"/api/v4/projects/1/registry/repositories/2/tags?last=v1.0%2C%3B%26x&per_page=100",
		"https://gitlab.example/api/v4/projects/1/registry/repositories/2/tags?last=v1.0%2C%3B%26x&per_page=100",
	} {
		var queries []url.Values
		network := wire(func(req *http.Request) (*http.Response, error) {
			queries = append(queries, req.URL.Query())
			if len(queries) == 1 {
				return reply(req, 200, `[{"name":"a"}]`, link(target)...), nil
			}
			return reply(req, 200, `[{"name":"b"}]`), nil
		})
		if _, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		want := []url.Values{{"per_page": {"100"}}, {"per_page": {"100"}, "last": {"v1.0,;&x"}}}
		if diff := cmp.Diff(want, queries); diff != "" {
			t.Errorf("%s: queries (-want +got):\n%s", target, diff)
		}
	}
}

// TestStoppingASequenceEndsTheListing takes the first project of many.
func TestStoppingASequenceEndsTheListing(t *testing.T) {
	network, requests := serving(t, pageOfTags{nil, nil})
	for range newTestClient(t, network, Config{}).Projects(t.Context(), false) {
		t.Error("a project out of an empty list")
	}
	*requests = 0
	full := wire(func(req *http.Request) (*http.Response, error) {
		*requests++
		return reply(req, 200, `[{"id":1},{"id":2}]`, "X-Next-Page", strconv.Itoa(*requests+1)), nil
	})
	for project, err := range newTestClient(t, full, Config{}).GroupProjects(t.Context(), "group") {
		if project.ID != 1 || err != nil {
			t.Errorf("got %v, %v", project, err)
		}
		break
	}
	if *requests != 1 {
		t.Errorf("%d requests, want 1", *requests)
	}
}

// FuzzLink lets anything stand in a Link header. The client must come to an end
// with it, and must not be led anywhere but to where it was.
func FuzzLink(f *testing.F) {
	for _, seed := range []string{
		`<x>; foo`, `<x`, `<x>; rel="next"`, `<https://a/b?c>; rel="next", <d>`, `,;"<>`, `<%zz>; rel=next`, `<//evil/>; rel=next`,
		`<?last=a>; rel="next"; title="\""`, "<\x00>; rel=next", `<:>; rel=next`, `<javascript:x>;rel=next`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		requests := 0
		network := wire(func(req *http.Request) (*http.Response, error) {
			requests++
			if req.URL.Scheme != "https" || req.URL.Host != "gitlab.example" || req.URL.Path != "/api/v4/projects/1/registry/repositories/2/tags" {
				t.Errorf("Link %q led to %s", header, req.URL)
			}
			return reply(req, 200, fmt.Sprintf(`[{"name":"v%d"}]`, min(requests, 3)), "Link", header), nil
		})
		tags, err := newTestClient(t, network, Config{}).Tags(t.Context(), somewhere)
		if err == nil && requests != 1 || len(tags) == 0 {
			t.Errorf("%d requests for a listing that repeats itself: %v, %v", requests, tags, err)
		}
	})
}
