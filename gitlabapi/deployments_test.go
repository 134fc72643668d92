package gitlabapi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// withEnvironments returns a world with one project that has been deployed to so many places.
func withEnvironments(n int) (*gitlabtest.World, gitlabapi.Project) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/app")
	for i := range n {
		p.Environments = append(p.Environments, gitlabtest.Environment{Name: fmt.Sprintf("review/%d", i), Ref: fmt.Sprintf("branch-%d", i), SHA: fmt.Sprintf("%040x", i)})
	}
	return w, gitlabapi.Project{ID: p.ID, Path: p.Path}
}

const queries = "POST /api/graphql query"

func TestDeployed(t *testing.T) {
	w, p := withEnvironments(1)
	w.Projects[0].Environments = append(w.Projects[0].Environments,
		gitlabtest.Environment{Name: "production", Ref: "v1.0", SHA: "abc", Tag: true},
		gitlabtest.Environment{Name: "staging", Ref: "v1.0", SHA: "abc", Tag: true},
		gitlabtest.Environment{Name: "new"},
		gitlabtest.Environment{Name: "old", Ref: "gone", SHA: "def", Stopped: true},
	)
	s := gitlabtest.New(w)
	got, err := connect(t, s).Deployed(t.Context(), p)
	want := []gitlabapi.Deployment{{Ref: "v1.0", SHA: "abc", Tag: true}, {Ref: "branch-0", SHA: strings.Repeat("0", 40)}}
	if err != nil || !slices.Equal(got, want) || s.Stats().Total != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDeployedIsWholeOrAnError pins what there is to be asked, and what is no answer.
func TestDeployedIsWholeOrAnError(t *testing.T) {
	fault := func(e gitlabtest.Effect) []gitlabtest.Option {
		return []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Effect: e})}
	}
	for _, test := range []struct {
		name         string
		environments int
		opts         []gitlabtest.Option
		path         string
		fails        bool
		class        error
		asked        int // twice
	}{
		{name: "none", asked: 2},
		{name: "a page", environments: 100, asked: 2},
		{name: "more than a page", environments: 250, asked: 6},
		{name: "an older version", environments: 1, opts: []gitlabtest.Option{gitlabtest.WithoutFields("Environment.lastDeployment")}, fails: true, class: gitlabapi.ErrNoDeployments, asked: 1},
		{name: "one without environments", environments: 1, opts: []gitlabtest.Option{gitlabtest.WithoutFields("Project.environments")}, fails: true, class: gitlabapi.ErrNoDeployments, asked: 1},
		{name: "no GraphQL", environments: 1, opts: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, fails: true, class: gitlabapi.ErrNoDeployments, asked: 1},
		{name: "no such project", environments: 1, path: "group/none", fails: true, asked: 2},
		{name: "a null project", environments: 1, opts: fault(gitlabtest.NullProjects(1)), fails: true, asked: 2},
		{name: "a null environment", environments: 30, opts: fault(gitlabtest.NullEnvironments(7)), fails: true, asked: 2},
		{name: "an error", environments: 1, opts: fault(gitlabtest.GraphQLErrors("Internal server error")), fails: true, asked: 2},
		{name: "a timeout", environments: 1, opts: fault(gitlabtest.GraphQLTimeout(200, time.Second)), fails: true, asked: 2},
		{name: "an outage", environments: 1, opts: fault(gitlabtest.Status(502)), fails: true, asked: 6},
		{name: "half an answer", environments: 1, opts: fault(gitlabtest.Halve()), fails: true, asked: 2},
		{name: "an outage after the first page", environments: 250, opts: []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Skip: 1, Effect: gitlabtest.GraphQLErrors("Internal server error")})}, fails: true, asked: 3},
		{name: "pages without end", environments: 3, opts: []gitlabtest.Option{gitlabtest.WithRepeatedPages()}, fails: true, asked: 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := withEnvironments(test.environments)
				if test.path != "" {
					p.Path = test.path
				}
				s := gitlabtest.New(w, test.opts...)
				c := connect(t, s, func(config *gitlabapi.Config) { config.MaxRetries = 2 })
				for range 2 {
					got, err := c.Deployed(t.Context(), p)
					if (err != nil) != test.fails || test.class != nil && !errors.Is(err, test.class) || test.class == nil && errors.Is(err, gitlabapi.ErrNoDeployments) {
						t.Errorf("failed with %v", err)
					}
					if want := test.environments; !test.fails && len(got) != want || test.fails && got != nil {
						t.Errorf("%d deployments", len(got))
					}
				}
				if got := s.Stats().ByEndpoint[queries] + s.Stats().ByEndpoint["POST /api/graphql"]; got != test.asked {
					t.Errorf("%d queries, want %d", got, test.asked)
				}
			})
		})
	}
}
