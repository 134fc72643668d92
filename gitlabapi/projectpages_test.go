package gitlabapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// walk lists all projects and checks that each came once, in order, and as it is.
// It returns how many came with their count.
func walk(t *testing.T, k *fakeInstance, c *Client) (counted int) {
	t.Helper()
	var all []Project
	for page, err := range c.ProjectPages(t.Context(), true) {
		if err != nil {
			t.Errorf("after %d projects: %v", len(all), err)
			break
		}
		all = append(all, page...)
	}
	want := slices.Clone(k.projects)
	for i := range want {
		if i < len(all) && all[i].Repositories < 0 {
			want[i].Repositories = -1
		} else {
			counted++
		}
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("projects (-want +got):\n%.2000s", diff)
	}
	return counted
}

// TestProjectPages pins what is asked for when GraphQL misbehaves.
func TestProjectPages(t *testing.T) {
	null := func(node int) func(*query, object) {
		return func(_ *query, answer object) {
			nodes := inside(answer, "data", "projects", "nodes").([]any)
			nodes[min(node, len(nodes)-1)] = nil
		}
	}
	timeout := func(q *query, answer object) {
		null(3)(q, answer)
		answer["errors"] = []any{object{"message": "Timeout on Project.containerRepositoriesCount", "path": []any{"projects", "nodes", 3, countField}}}
	}
	// at spoils queries of some kinds after that many were asked.
	at := func(from, to int, spoil func(*query, object), what ...string) func(*query, object) {
		return func(q *query, answer object) {
			if q.number >= from && q.number < to && slices.Contains(what, q.what) {
				spoil(q, answer)
			}
		}
	}
	always := func(spoil func(*query, object), what ...string) func(*query, object) {
		return at(0, 1<<30, spoil, what...)
	}
	set := func(value any, path ...any) func(*query, object) {
		return func(_ *query, answer object) {
			inside(answer, path[:len(path)-1]...).(object)[path[len(path)-1].(string)] = value
		}
	}
	replace := func(with object) func(*query, object) {
		return func(_ *query, answer object) {
			clear(answer)
			for name, value := range with {
				answer[name] = value
			}
		}
	}
	answering := func(status int, body string, header ...string) func(*query, *http.Request) (*http.Response, error) {
		return func(_ *query, req *http.Request) (*http.Response, error) {
			return reply(req, status, body, header...), nil
		}
	}
	anything := []string{"full", "bare"}
	all := []operation{listingProjects, listingRepositories, deletingTags, listingDeployments}
	for _, test := range []struct {
		name     string
		projects int
		spoil    func(*query, object)
		instead  func(*query, *http.Request) (*http.Response, error)
		want     string
		counted  int
		off      []operation // what turns out not to be had
	}{
		{name: "none", projects: 0, want: "1×full, 1×REST"},
		{name: "one", projects: 1, want: "1×full", counted: 1},
		{name: "a whole page", projects: 100, want: "1×full", counted: 100},
		{name: "more than a page", projects: 101, want: "2×full", counted: 101},
		{name: "many", projects: 2000, want: "20×full", counted: 2000},

		{name: "a null node, once", projects: 1000, spoil: at(0, 1, null(7), "full"), want: "1×full, 10×bare"},
		{name: "a null node beside which nothing is said", projects: 250, spoil: at(0, 4, null(7), "full"),
			want: "1×full, 3×bare"},
		{name: "an error beside data", projects: 250, spoil: at(1, 2, set(saying("odd"), "errors"), "full"), want: "2×full, 2×bare", counted: 100},
		{name: "counts that always time out", projects: 2000, spoil: always(timeout, "full"),
			want: "1×full, 10×bare, 1×full, 10×bare"},
		{name: "counts that time out once", projects: 2000, spoil: at(3, 4, timeout, "full"), want: "4×full, 10×bare, 7×full", counted: 1000},
		{name: "counts that are too complex", projects: 300, spoil: always(replace(object{"errors": saying("Query has complexity of 301, which exceeds max complexity of 250")}), "full"),
			want: "1×full, 3×bare"},
		{name: "counts that this version does not know", projects: 300, spoil: always(replace(unknown(countField)), "full"), want: "1×full, 3×bare"},
		{name: "queries that end in a timeout of the server", projects: 300, instead: func(q *query, req *http.Request) (*http.Response, error) {
			if q.what == "bare" {
				return nil, nil
			}
			return reply(req, 503, `{"errors":[{"message":"Request timed out. Please try a less complex query or a smaller set of records."}]}`), nil
		}, want: "1×full, 3×bare"},

		{name: "a null node without the count, too", projects: 600, spoil: always(null(40), anything...),
			want: "1×full, 1×bare, 2×REST, 1×bare, 2×REST, 1×bare, 2×REST, 1×bare, 2×REST, 1×bare, 2×REST, 1×bare, 1×REST"},
		{name: "a last node that is null", projects: 600, spoil: always(null(99), anything...), want: "1×full, 1×bare, 6×REST"},
		{name: "later a node that is null", projects: 600, spoil: at(2, 5, null(8), anything...), want: "3×full, 1×bare, 2×REST, 3×bare", counted: 200},
		{name: "errors beside all data", projects: 250, spoil: always(set(saying("odd"), "errors"), anything...),
			want: "1×full, 1×bare, 2×REST, 1×bare, 2×REST, 1×bare, 1×REST"},
		{name: "all too complex", projects: 250, spoil: always(replace(object{"errors": saying("Query has complexity of 301, which exceeds max complexity of 250")}), anything...),
			want: "1×full, 1×bare, 3×REST"},
		{name: "an error alone", projects: 250, spoil: always(replace(object{"errors": saying("Internal server error"), "data": nil}), anything...),
			want: "1×full, 1×bare, 3×REST"},
		{name: "server errors", projects: 250, instead: answering(500, `{"errors":[{"message":"Internal server error"}]}`), want: "1×full, 1×bare, 3×REST"},
		{name: "a limit", projects: 250, instead: answering(429, "Retry later", "Content-Type", "text/plain"), want: "1×full, 3×REST"},
		{name: "no connection", projects: 250, instead: func(*query, *http.Request) (*http.Response, error) { return nil, syscall.ECONNRESET }, want: "1×full, 3×REST"},

		{name: "no page info", projects: 250, spoil: always(set(nil, "data", "projects", "pageInfo"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "half a page info", projects: 250, spoil: always(set(nil, "data", "projects", "pageInfo", "hasNextPage"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "no nodes", projects: 250, spoil: always(set(nil, "data", "projects", "nodes"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "no projects", projects: 250, spoil: always(set(nil, "data", "projects"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "empty pages", projects: 250, spoil: always(set([]any{}, "data", "projects", "nodes"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "a repeated cursor", projects: 350, spoil: at(1, 1<<30, set("after307", "data", "projects", "pageInfo", "endCursor"), anything...),
			want: "2×full, 1×bare, 3×REST", counted: 100},
		{name: "no cursor", projects: 250, spoil: always(set("", "data", "projects", "pageInfo", "endCursor"), anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "a cursor without end", projects: 250, spoil: always(set(strings.Repeat("x", 5000), "data", "projects", "pageInfo", "endCursor"), anything...),
			want: "1×full, 1×bare, 3×REST"},
		{name: "ids that do not ascend", projects: 250, spoil: always(func(_ *query, answer object) {
			slices.Reverse(inside(answer, "data", "projects", "nodes").([]any))
		}, anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "ids of something else", projects: 250, spoil: always(func(_ *query, answer object) {
			inside(answer, "data", "projects", "nodes", 0).(object)["id"] = "gid://gitlab/Group/10"
		}, anything...), want: "1×full, 1×bare, 3×REST"},
		{name: "no paths", projects: 250, spoil: always(func(_ *query, answer object) {
			inside(answer, "data", "projects", "nodes", 0).(object)["fullPath"] = nil
		}, anything...), want: "1×full, 1×bare, 3×REST"},

		{name: "no such path", projects: 250, instead: answering(404, `{"error":"404 Not Found"}`), want: "1×full, 3×REST", off: all},
		{name: "no such method", projects: 250, instead: answering(405, ``), want: "1×full, 3×REST", off: all},
		{name: "forbidden", projects: 250, instead: answering(403, `{"error":"insufficient_scope"}`), want: "1×full, 3×REST", off: all},
		{name: "HTML", projects: 250, instead: answering(200, "<html>", "Content-Type", "text/html"), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "text", projects: 250, instead: answering(200, "OK", "Content-Type", "text/plain"), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "no JSON", projects: 250, instead: answering(200, "OK"), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "null", projects: 250, instead: answering(200, "null"), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "neither data nor errors", projects: 250, instead: answering(200, `{"data":null,"errors":[]}`), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "a redirect", projects: 250, instead: answering(302, "", "Location", "https://gitlab.example/users/sign_in"), want: "1×full, 1×bare, 3×REST", off: all},
		{name: "HTML, once", projects: 250, instead: func(q *query, req *http.Request) (*http.Response, error) {
			if q.number > 0 {
				return nil, nil
			}
			return reply(req, 200, "<html>", "Content-Type", "text/html"), nil
		}, want: "1×full, 3×bare"},
		{name: "a token that is not honoured", projects: 250, spoil: always(set(nil, "data", userField), anything...), want: "1×full, 3×REST", off: all},
		{name: "a version that does not say whose token it is", projects: 250, spoil: func(q *query, answer object) {
			if strings.Contains(q.Query, userField) {
				replace(unknown(userField))(q, answer)
			}
		}, want: "4×full", counted: 250},
		{name: "a version that knows neither", projects: 250, spoil: func(q *query, answer object) {
			if strings.Contains(q.Query, userField) {
				errs := append(unknown(userField)["errors"].([]any), unknown(countField)["errors"].([]any)...)
				replace(object{"errors": errs})(q, answer)
			}
		}, want: "1×full, 3×bare"},
		{name: "another schema", projects: 250, spoil: always(replace(unknown("fullPath")), anything...), want: "1×full, 3×REST", off: all[:1]},
		{name: "another schema, in words alone", projects: 250, spoil: always(replace(object{"errors": saying("Field 'projects' doesn't accept argument 'sort'")}), anything...),
			want: "1×full, 3×REST", off: all[:1]},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := instanceWith(test.projects)
			k.spoil, k.instead = test.spoil, test.instead
			c := newTestClient(t, k, Config{})
			if got := walk(t, k, c); got != test.counted {
				t.Errorf("%d projects with counts, want %d", got, test.counted)
			}
			got := k.requests()
			if got != test.want {
				t.Errorf("asked %s\nwant  %s", got, test.want)
			}
			for by := range operations {
				if got, want := c.graphQL.off[by].Load(), slices.Contains(test.off, by); got != want {
					t.Errorf("operation %d is not to be had: %v, want %v", by, got, want)
				}
			}
			if walk(t, k, c); test.off != nil && k.requests() != "3×REST" {
				t.Error("GraphQL is asked a second time")
			}
		})
	}
}

// TestWhatRESTRepeatsComesOnce: REST takes over in the middle, and gives more than it is
// asked for.
func TestWhatRESTRepeatsComesOnce(t *testing.T) {
	k := instanceWith(350)
	k.restOverlap = 100
	k.instead = func(q *query, req *http.Request) (*http.Response, error) {
		if q.number == 1 {
			return reply(req, 404, ""), nil
		}
		return nil, nil
	}
	if walk(t, k, newTestClient(t, k, Config{})); k.requests() != "2×full, 3×REST" {
		t.Error("REST does not take over")
	}
}

// TestProjectPagesLoseNothing has GraphQL fail in many ways at random: whatever happens,
// each project comes once and in order.
func TestProjectPagesLoseNothing(t *testing.T) {
	for seed := range uint64(80) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			k := instanceWith(random.IntN(900))
			badness := random.Float64()
			k.spoil = func(q *query, answer object) {
				if random.Float64() < badness {
					misbehave(random, answer)
				}
			}
			k.instead = func(_ *query, req *http.Request) (*http.Response, error) {
				if random.Float64() < badness/10 {
					return reply(req, 500+random.IntN(4), ""), nil
				}
				return nil, nil
			}
			walk(t, k, newTestClient(t, k, Config{}))
		})
	}
}

// misbehave spoils an answer so that it contradicts itself or says what it lacks.
func misbehave(random *rand.Rand, answer object) {
	list := inside(answer, "data", "projects").(object)
	nodes := list["nodes"].([]any)
	info := list["pageInfo"].(object)
	some := func() int { return random.IntN(len(nodes)) }
	switch random.IntN(8) {
	case 0, 1:
		for range random.IntN(3) {
			if len(nodes) > 0 {
				nodes[some()] = nil
			}
		}
	case 2:
		answer["errors"] = saying("odd")
	case 3:
		answer["data"], answer["errors"] = nil, saying("Timeout on Query.projects")
	case 4:
		if len(nodes) > 1 {
			i := some()
			nodes[0], nodes[i] = nodes[i], nodes[0]
			if i == 0 {
				info["hasNextPage"] = nil
			}
		}
	case 5:
		if info["hasNextPage"] == true {
			info["endCursor"] = nil
		}
	case 6:
		delete(list, "pageInfo")
	case 7:
		if info["hasNextPage"] == true {
			list["nodes"] = []any{}
		}
	}
}

func TestProjectPagesEndWithTheFirstError(t *testing.T) {
	for name, test := range map[string]struct {
		instead func(*query, *http.Request) (*http.Response, error)
		class   error
		want    string
	}{
		"an unknown token": {func(_ *query, req *http.Request) (*http.Response, error) {
			return reply(req, 401, `{"errors":[{"message":"Invalid token"}]}`), nil
		}, throttle.ErrUnauthorized, "1×full"},
	} {
		t.Run(name, func(t *testing.T) {
			k := instanceWith(250)
			k.instead = test.instead
			var errs []error
			for page, err := range newTestClient(t, k, Config{}).ProjectPages(t.Context(), false) {
				if len(page) > 0 {
					t.Errorf("%d projects came", len(page))
				}
				errs = append(errs, err)
			}
			if len(errs) != 1 || !errors.Is(errs[0], test.class) || k.requests() != test.want {
				t.Errorf("got %v", errs)
			}
		})
	}
}

// TestProjectPagesStopWhenTheyAreToldTo: nothing more is asked after the loop is left.
func TestProjectPagesStopWhenTheyAreToldTo(t *testing.T) {
	for _, noGraphQL := range []bool{false, true} {
		k := instanceWith(500)
		c := newTestClient(t, k, Config{})
		if noGraphQL {
			c.graphQL.switchOff()
		}
		for range c.ProjectPages(t.Context(), false) {
			break
		}
		if got := len(k.asked); got != 1 {
			t.Errorf("%d requests for one page", got)
		}
	}
}

// TestMembershipIsAskedForWhenItMatters: every version knows the argument.
func TestMembershipIsAskedForWhenItMatters(t *testing.T) {
	for _, membership := range []bool{true, false} {
		k := instanceWith(10)
		k.spoil = func(q *query, _ object) {
			if strings.Contains(q.Query, "membership: true") != membership || !membership && strings.Contains(q.Query, "membership") {
				t.Errorf("membership %v: %s", membership, q.Query)
			}
		}
		for range newTestClient(t, k, Config{}).ProjectPages(t.Context(), membership) {
		}
	}
}

// TestQueriesAreRepeated: what may pass is waited out by the retries, like everything.
func TestQueriesAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := instanceWith(150)
		k.instead = func(q *query, req *http.Request) (*http.Response, error) {
			if q.number == 1 {
				return reply(req, 502, "<html>", "Content-Type", "text/html"), nil
			}
			return nil, nil
		}
		c := newTestClient(t, k, Config{MaxRetries: 2})
		if walk(t, k, c); k.requests() != "3×full" || c.Stats().Retries != 1 || c.Stats().Requests != 3 {
			t.Errorf("Stats() = %+v", c.Stats())
		}
	})
}

func TestGlobalIDs(t *testing.T) {
	for text, want := range map[string]int64{
		"gid://gitlab/Project/7": 7, "gid://gitlab/Project/9223372036854775807": 9223372036854775807,
		"gid://gitlab/Project/9223372036854775808": 0, "gid://gitlab/Project/07": 0, "gid://gitlab/Project/-7": 0, "gid://gitlab/Project/+7": 0,
		"gid://gitlab/Project/0": 0, "gid://gitlab/Project/": 0, "gid://gitlab/Group/7": 0, "gid://gitlab/Project/7 ": 0, "7": 0, "": 0,
		"GID://gitlab/Project/7": 0, "gid://gitlab/Project/7?x=1": 0, "gid://gitlab/Project/7_0": 0,
	} {
		if got := parseGlobalID(projectIDs, text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
