package gitlabapi

import (
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"net/http"
	"testing"
)

// TestWhenGraphQLIsGivenUp: a page in its place counts when it comes twice in a row to
// the same operation, and not to those who asked at the same time.
func TestWhenGraphQLIsGivenUp(t *testing.T) {
	const good, page, outage, missing = 200, 299, 503, 404
	for name, test := range map[string]struct {
		answers []int // to deletions
		off     bool
	}{
		"a page":                          {[]int{page}, false},
		"two pages":                       {[]int{page, page}, true},
		"an answer between them":          {[]int{page, good, page}, false},
		"and then two":                    {[]int{page, good, page, page}, true},
		"an outage between them":          {[]int{page, outage, page}, true},
		"what says that there is nothing": {[]int{good, missing}, true},
	} {
		k := knowing(0)
		k.instead = func(q *query, req *http.Request) (*http.Response, error) {
			switch answer := test.answers[q.number]; answer {
			case good:
				return nil, nil
			case page:
				return reply(req, 200, "<html>", "Content-Type", "text/html"), nil
			default:
				return reply(req, answer, ""), nil
			}
		}
		c := newTestClient(t, k, Config{})
		for range test.answers {
			if deletionsAtOnce(c) == 0 {
				t.Errorf("%s: GraphQL is given up too early", name)
			}
			_, _ = c.DeleteTags(t.Context(), t.Context(), deletionsOf(1, 1))
		}
		for by := range operations {
			if got := c.graphQL.off[by].Load(); got != test.off {
				t.Errorf("%s: operation %d is not to be had: %v", name, by, got)
			}
		}
	}
}

func TestOneHiccupMeetsMany(t *testing.T) {
	g := newGraphQL()
	for _, by := range []operation{deletingTags, deletingTags, listingRepositories} {
		if _ = g.rememberMissing(by, &throttle.FormatError{Problem: "a page"}, false); g.off[by].Load() {
			t.Errorf("operation %d is not to be had", by)
		}
	}
	if _ = g.rememberMissing(listingRepositories, nil, true); g.doubted[listingRepositories].Load() || !g.doubted[deletingTags].Load() {
		t.Error("an answer to one operation says nothing about another")
	}
}
