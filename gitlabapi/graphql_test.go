package gitlabapi_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// company returns a world of projects, every seventh of which has repositories: more
// than a hundred, one of them, and some that are odd in other ways.
func company(projects int) *gitlabtest.World {
	w := gitlabtest.NewWorld(gitlabtest.Database)
	for i := range projects {
		p := w.AddProject(fmt.Sprintf("group/sub%d/app-%d", i%10, i))
		p.Archived, p.RegistryDisabled, p.NotMember = i%21 == 14, i%35 == 28, i%11 == 5
		if i%7 != 0 {
			continue
		}
		for j := range 1 + i%3 {
			p.AddRepository([]string{"", "web", "web/api.cache"}[j]).Status = []string{"", "delete_ongoing", "delete_failed"}[i%3]
		}
	}
	if projects > 50 {
		for i := range 101 {
			w.Projects[49].AddRepository(fmt.Sprintf("r%d", i))
		}
	}
	return w
}

// discovered is what a walk over all projects and their repositories found.
type discovered struct {
	Paths        []string
	Repositories map[string][]gitlabapi.Repository
	Refused      []string // whose repositories may not be listed
}

func (d *discovered) add(t *testing.T, p gitlabapi.Project, repositories []gitlabapi.Repository, err error) {
	t.Helper()
	switch {
	case errors.Is(err, throttle.ErrForbidden):
		d.Refused = append(d.Refused, p.Path)
	case err != nil:
		t.Error(err)
	default:
		d.Repositories[p.Path] = append([]gitlabapi.Repository{}, repositories...)
	}
}

// overREST finds everything without GraphQL.
func overREST(t *testing.T, w *gitlabtest.World) discovered {
	t.Helper()
	c := connect(t, gitlabtest.New(w))
	d := discovered{Repositories: make(map[string][]gitlabapi.Repository)}
	for p, err := range c.Projects(t.Context(), true) {
		if err != nil {
			t.Fatal(err)
		}
		d.Paths = append(d.Paths, fmt.Sprintf("%d %s %v %v", p.ID, p.Path, p.Archived, p.Registry))
		repositories, err := c.ProjectRepositories(t.Context(), p.ID)
		d.add(t, p, repositories, err)
	}
	return d
}

// overGraphQL finds everything as the program does: projects that are known to have no
// repositories are not asked for any.
func overGraphQL(t *testing.T, c *gitlabapi.Client) discovered {
	t.Helper()
	d := discovered{Repositories: make(map[string][]gitlabapi.Repository)}
	var owners []gitlabapi.Project
	for page, err := range c.ProjectPages(t.Context(), true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			d.Paths = append(d.Paths, fmt.Sprintf("%d %s %v %v", p.ID, p.Path, p.Archived, p.Registry))
			if p.Repositories == 0 {
				d.Repositories[p.Path] = []gitlabapi.Repository{}
			} else {
				owners = append(owners, p)
			}
		}
	}
	for i, result := range c.RepositoriesOf(t.Context(), owners) {
		d.add(t, owners[i], result.Repositories, result.Err)
	}
	return d
}

// TestGraphQLFindsWhatRESTFinds has the stand-in's GraphQL misbehave in every way it
// knows: nothing is lost, and REST is asked for no more than what is missing.
func TestGraphQLFindsWhatRESTFinds(t *testing.T) {
	fault := func(effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Effect: effect})
	}
	w := company(500)
	want := overREST(t, w)
	// Projects whose registry is off refuse the listing, however it is asked for.
	refusals := len(want.Refused)
	for _, test := range []struct {
		name          string
		opts          []gitlabtest.Option
		queries, rest int // the most that there may be
	}{
		{"nothing", nil, 5 + 3, 1 + refusals},
		{"no GraphQL", []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, 1, 5 + 500 + 72},
		{"no counts", []gitlabtest.Option{gitlabtest.WithoutRepositoriesCount()}, 6 + 10, 1 + refusals},
		{"a low limit", []gitlabtest.Option{gitlabtest.WithComplexityLimit(80)}, 5 + 3*3, 1 + refusals},
		{"a limit below everything", []gitlabtest.Option{gitlabtest.WithComplexityLimit(5)}, 3 + 5 + 72, 5 + 500 + 72},
		{"counts that time out", []gitlabtest.Option{fault(gitlabtest.CountTimeouts(0))}, 9 + 8, 1 + refusals},
		{"counts that time out on large pages", []gitlabtest.Option{fault(gitlabtest.CountTimeouts(20))}, 15 + 8, 1 + refusals},
		{"null projects", []gitlabtest.Option{fault(gitlabtest.NullProjects(9))}, 9 + 8, 10 + 500/8 + refusals},
		{"null repositories", []gitlabtest.Option{fault(gitlabtest.NullRepositories(5))}, 5 + 3, 1 + 72/5 + refusals},
		{"errors", []gitlabtest.Option{fault(gitlabtest.GraphQLErrors("Internal server error"))}, 3 + 25, 5 + 500 + 72},
		{"timeouts", []gitlabtest.Option{fault(gitlabtest.GraphQLTimeout(503, 30*time.Second))}, 3 + 4 + 7 + 500/64, 5 + 500 + 72},
		{"timeouts in words", []gitlabtest.Option{fault(gitlabtest.GraphQLTimeout(200, 30*time.Second))}, 3 + 4 + 7 + 500/64, 5 + 500 + 72},
		{"hiccups", []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Probability: 0.3, Effect: gitlabtest.Status(500)})}, 45, 5 + 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := gitlabtest.New(w, test.opts...)
				c := connect(t, s)
				if diff := cmp.Diff(want, overGraphQL(t, c)); diff != "" {
					t.Errorf("REST and GraphQL differ (-REST +GraphQL):\n%.2000s", diff)
				}
				queries := s.Stats().ByEndpoint["POST /api/graphql query"]
				rest := s.Stats().Total - queries
				t.Logf("%d queries, %d requests over REST", queries, rest)
				if queries > test.queries || rest > test.rest {
					t.Errorf("%d queries and %d requests over REST, want at most %d and %d", queries, rest, test.queries, test.rest)
				}
				if s.Stats().Changing != 0 {
					t.Errorf("%d requests changed something", s.Stats().Changing)
				}
				if got := c.Stats().Requests; got != int64(s.Stats().Total) {
					t.Errorf("%d requests are counted, the server has %d", got, s.Stats().Total)
				}
			})
		})
	}
}

// TestDiscoveryOfACompany pins what 2,000 projects cost of which 300 have repositories:
// REST needs 2,020 requests.
func TestDiscoveryOfACompany(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	for i := range 2000 {
		p := w.AddProject(fmt.Sprintf("group/p%d", i))
		if i%20 < 3 {
			p.AddRepository("web")
			p.AddRepository("api")
		}
	}
	s := gitlabtest.New(w)
	found := overGraphQL(t, connect(t, s))
	if len(found.Paths) != 2000 || len(found.Refused) != 0 {
		t.Errorf("found %d projects", len(found.Paths))
	}
	if got := s.Stats().Total; got != 20+6 {
		t.Errorf("%d requests", got)
	}
}

// TestGraphQLDeletes compares what is confirmed with what is gone.
func TestGraphQLDeletes(t *testing.T) {
	fault := func(effect gitlabtest.Effect) gitlabtest.Option {
		return gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Effect: effect})
	}
	protected := gitlabtest.WithProtectedTags(regexp.MustCompile(`^v1`))
	for _, test := range []struct {
		name      string
		opts      []gitlabtest.Option
		archived  bool
		confirmed int // of 3 repositories with 20 tags each
		gone      int
		class     error
		fails     bool
		requests  int
	}{
		{name: "nothing", confirmed: 60, gone: 60, requests: 1},
		{name: "protected", opts: []gitlabtest.Option{protected}, confirmed: 27, gone: 27, requests: 1},
		{name: "skipped", opts: []gitlabtest.Option{fault(gitlabtest.SkipDeletions(5))}, confirmed: 48, gone: 48, requests: 1},
		{name: "not named", opts: []gitlabtest.Option{fault(gitlabtest.UnnamedDeletions(5))}, confirmed: 48, gone: 60, requests: 1},
		{name: "alien", opts: []gitlabtest.Option{fault(gitlabtest.ExtraDeletedNames("v99", "latest"))}, confirmed: 60, gone: 60, requests: 1},
		{name: "timeout", opts: []gitlabtest.Option{fault(gitlabtest.MutationTimeouts(2))}, confirmed: 40, gone: 40, fails: true, requests: 1},
		{name: "archived", archived: true, confirmed: 40, gone: 40, fails: true, requests: 1},
		{name: "too complex", opts: []gitlabtest.Option{gitlabtest.WithComplexityLimit(20)}, class: gitlabapi.ErrTooComplex, fails: true, requests: 1},
		{name: "no GraphQL", opts: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, class: gitlabapi.ErrNoGraphQL, fails: true, requests: 1},
		{name: "no scope", opts: []gitlabtest.Option{gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api")}, fails: true, requests: 1},
		{name: "unknown token", opts: []gitlabtest.Option{gitlabtest.WithToken("another", "api")}, class: throttle.ErrUnauthorized, fails: true, requests: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := gitlabtest.NewWorld(gitlabtest.Legacy)
			var given []gitlabapi.Deletion
			for i := range 3 {
				p := w.AddProject(fmt.Sprintf("group/p%d", i))
				p.Archived = test.archived && i == 1
				r := p.AddRepository("web")
				r.AddTag("latest", gitlabtest.KindImage)
				given = append(given, gitlabapi.Deletion{Repository: repositoryOf(r)})
				for j := range 20 {
					r.AddTag(fmt.Sprintf("v%d", j), gitlabtest.KindImage)
					given[i].Tags = append(given[i].Tags, fmt.Sprintf("v%d", j))
				}
			}
			s := gitlabtest.New(w, test.opts...)
			c := connect(t, s)
			confirmed, err := c.DeleteTags(t.Context(), t.Context(), given)
			if (err != nil) != test.fails || test.class != nil && !errors.Is(err, test.class) {
				t.Errorf("got %v", err)
			}
			gone := make(map[string]bool)
			for _, d := range s.Deleted() {
				gone[d.Project+" "+d.Tag] = true
			}
			number := 0
			for i, deletion := range given {
				for j, tag := range deletion.Tags {
					if confirmed[i][j] {
						number++
					}
					if confirmed[i][j] && !gone[w.Projects[i].Path+" "+tag] {
						t.Errorf("%s of %s is said to be gone", tag, deletion.Repository.Path)
					}
				}
			}
			if number != test.confirmed || len(gone) != test.gone || s.Stats().Total != test.requests {
				t.Errorf("%d confirmed, %d gone, %d requests, want %d, %d and %d", number, len(gone), s.Stats().Total, test.confirmed, test.gone, test.requests)
			}
			if slices.ContainsFunc(w.Projects, func(p *gitlabtest.Project) bool { return gone[p.Path+" latest"] }) {
				t.Error("a tag is gone that was not to be deleted")
			}
		})
	}
}

// TestTenDeletionsFitOneRequest: as many as DeleteTags takes, with all their tags.
func TestTenDeletionsFitOneRequest(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	var given []gitlabapi.Deletion
	for i := range 10 {
		r := w.AddProject(fmt.Sprintf("group/p%d", i)).AddRepository("")
		given = append(given, gitlabapi.Deletion{Repository: repositoryOf(r)})
		for j := range 20 {
			r.AddTag(fmt.Sprintf("v%d", j), gitlabtest.KindImage)
			given[i].Tags = append(given[i].Tags, fmt.Sprintf("v%d", j))
		}
	}
	s := gitlabtest.New(w)
	c := connect(t, s)
	if _, err := c.DeleteTags(t.Context(), t.Context(), given); err != nil || len(s.Deleted()) != 200 || s.Stats().Total != 1 || deletionsAtOnce(c) != 10 {
		t.Errorf("%d tags deleted by %d requests, %v", len(s.Deleted()), s.Stats().Total, err)
	}
}

func deletionsAtOnce(c *gitlabapi.Client) int {
	n, _ := c.MaxDeletions()
	return n
}
