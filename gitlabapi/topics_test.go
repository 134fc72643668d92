package gitlabapi_test

import (
	"slices"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// TestTopics: they are asked for on request, wherever projects come from, and of none it is known
// that there are none.
func TestTopics(t *testing.T) {
	for name, test := range map[string]struct {
		opts   []gitlabtest.Option
		asks   bool
		topics bool // GraphQL knows them
		rest   bool // it comes over REST
	}{
		"not asked for":            {topics: false},
		"asked for":                {asks: true, topics: true},
		"a version without topics": {asks: true, opts: []gitlabtest.Option{gitlabtest.WithoutFields("Project.topics")}},
		"no GraphQL":               {asks: true, topics: true, rest: true, opts: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}},
	} {
		t.Run(name, func(t *testing.T) {
			w := gitlabtest.NewWorld(gitlabtest.Legacy)
			w.AddProject("group/app").Topics = []string{"web", "gc:keep"}
			w.AddProject("group/plain")
			s := gitlabtest.New(w, test.opts...)
			c := connect(t, s)
			if test.asks {
				c = c.WithTopics()
			}
			check := func(from string, p gitlabapi.Project, known bool) {
				t.Helper()
				want := map[bool][]string{true: {"web", "gc:keep"}, false: {}}[p.Path == "group/app"]
				if !known {
					want = nil
				}
				if !slices.Equal(p.Topics, want) || (p.Topics == nil) == known {
					t.Errorf("%s: %s has topics %#v, want %#v", from, p.Path, p.Topics, want)
				}
			}
			for page, err := range c.ProjectPages(t.Context(), true) {
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page {
					check("pages", p, test.topics)
				}
			}
			for p := range c.Projects(t.Context(), true) {
				check("REST", p, test.asks)
			}
			for p := range c.GroupProjects(t.Context(), "group") {
				check("group", p, test.asks)
			}
			p, err := c.Project(t.Context(), "group/app")
			if check("one", p, test.asks); err != nil {
				t.Error(err)
			}
		})
	}
}
