package pipeline_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/inuse"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// The recipes of docs/rules.md, as they stand there, each on a small world made for it. What goes
// wrong with the facts that they rest on is in recipes_faults_test.go.

const day = 24 * time.Hour

// today is when runs in a bubble begin.
var today = gitlabtest.Created.AddDate(1, 0, 0)

func daysAgo(days int) time.Time { return today.AddDate(0, 0, -days) }

// recipe returns a file out of docs/rules.md, by the comment in its first line.
func recipe(t *testing.T, name string) *policy.File {
	t.Helper()
	text, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(block[1], "# "+name+"\n") {
			return parsed(t, block[1])
		}
	}
	t.Fatalf("docs/rules.md has no %s", name)
	return nil
}

// parsed returns rules as a user may write them.
func parsed(t *testing.T, text string) *policy.File {
	t.Helper()
	file, err := policy.Parse("rules.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// byRules prepares a run by a user's rules, with a day as MIN_AGE.
func byRules(world *gitlabtest.World, rules *policy.File, options ...gitlabtest.Option) *trial {
	tr := registryTrial(world, pipeline.VerifyRegistry, options...)
	tr.rules, tr.settings.MinAge = rules, day
	return tr
}

// gone are the names of the tags that a server has deleted.
func gone(server *gitlabtest.Server) []string { return append([]string{}, names(deleted(server))...) }

// A recipeTest is a recipe with a world, and what goes there.
type recipeTest struct {
	file  string
	world func(world *gitlabtest.World, p *gitlabtest.Project)
	with  func(tr *trial)
	// want are the tags that go by the registry's word, below g/p; database those that go with the
	// metadata database alone, and byAPI those by GitLab's word without it. By its word with it all
	// of the first two go, but for lacks, and those in more: it knows no kinds, and no second push.
	want, database, byAPI, lacks, more []string
}

var recipeTests = []recipeTest{{
	file: "keep-newest.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		app, few := p.AddRepository("app"), p.AddRepository("few")
		app.AddTagAt("latest", gitlabtest.KindImage, daysAgo(2)) // 1
		for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"} {
			app.AddTagAt(name, gitlabtest.KindImage, daysAgo(3+i)) // 2 to 12
		}
		app.AddTagAt("multi", gitlabtest.KindMultiArch, daysAgo(50))
		app.AddTagAt("attested", gitlabtest.KindAttestedImage, daysAgo(51))
		app.AddTagAt("v1.0.0", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("chart", gitlabtest.KindArtifact, daysAgo(200)) // says no date
		for i := range 10 {
			few.AddTagAt(string(rune('a'+i)), gitlabtest.KindImage, daysAgo(300+i))
		}
	},
	want: []string{"app:j", "app:k", "app:multi", "app:attested"}, database: []string{"app:chart"},
	byAPI: []string{"app:j", "app:k"},
}, {
	file: "older-than.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		app := p.AddRepository("app")
		app.AddTagAt("latest", gitlabtest.KindImage, daysAgo(400))
		app.AddTagAt("v1.0.0", gitlabtest.KindImage, daysAgo(400))
		app.AddTagAt("old", gitlabtest.KindImage, daysAgo(91))
		app.AddTagAt("old-docker", gitlabtest.KindDockerImage, daysAgo(91))
		app.AddTagAt("old-attested", gitlabtest.KindAttestedImage, daysAgo(91))
		app.AddTagAt("not-yet", gitlabtest.KindImage, daysAgo(90))
		app.AddTagAt("young", gitlabtest.KindImage, daysAgo(0))
		app.AddTagAt("reproducible", gitlabtest.KindKanikoCache, daysAgo(91)) // of the year 1
		app.AddTagAt("chart", gitlabtest.KindArtifact, daysAgo(91))
		app.AddTagAt("pushed-again", gitlabtest.KindArtifact, daysAgo(91)).Pushed = daysAgo(5)
	},
	want: []string{"app:old", "app:old-docker", "app:old-attested"}, database: []string{"app:reproducible", "app:chart"},
	byAPI: []string{"app:old", "app:old-docker"}, more: []string{"app:pushed-again"},
}, {
	file: "old-pull-requests.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		app, few := p.AddRepository("app"), p.AddRepository("few")
		for i, name := range []string{"a", "b", "pr-9", "pr-8", "e"} {
			app.AddTagAt(name, gitlabtest.KindImage, daysAgo(15+i)) // the newest five
		}
		app.AddTagAt("pr-1", gitlabtest.KindImage, daysAgo(30))
		app.AddTagAt("pr-2", gitlabtest.KindMultiArch, daysAgo(31))
		app.AddTagAt("pr-3", gitlabtest.KindArtifact, daysAgo(32)) // says no date
		app.AddTagAt("sprint-1", gitlabtest.KindImage, daysAgo(33))
		for i := range 6 {
			few.AddTagAt(string(rune('a'+i)), gitlabtest.KindImage, daysAgo(i))
		}
		few.AddTagAt("pr-14", gitlabtest.KindImage, daysAgo(14)) // not older
	},
	want: []string{"app:pr-1", "app:pr-2"}, database: []string{"app:pr-3"},
	byAPI: []string{"app:pr-1"},
}, {
	file: "deleted-branches.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		p.Branches, p.GitTags = []string{"main", "Feature/1", "release"}, []string{"v1.0.0-rc1", "nightly-1"}
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for _, name := range []string{"main", "main-amd64", "feature-1", "feature-1-1a2b3c4d", "v1.0.0-rc1", "v1-0-0-rc1", "nightly-1", "release-2", "1.4", "1a2b3c4d"} {
			app.AddTagAt(name, gitlabtest.KindImage, daysAgo(100))
		}
		app.AddTagAt("feature-2", gitlabtest.KindImage, daysAgo(15))
		app.AddTagAt("feature-12", gitlabtest.KindImage, daysAgo(15))
		app.AddTagAt("feature-3", gitlabtest.KindImage, daysAgo(14)) // in its grace
		cache.AddTagAt("feature-1", gitlabtest.KindCacheManifest, daysAgo(100))
		cache.AddTagAt("feature-2", gitlabtest.KindCacheManifest, daysAgo(15))
		cache.AddTagAt("feature-4", gitlabtest.KindCacheIndex, daysAgo(15))
		cache.AddTagAt("feature-3", gitlabtest.KindCacheManifest, daysAgo(14))
	},
	want:  []string{"app:feature-2", "app:feature-12", "app.cache:feature-2", "app.cache:feature-4"},
	byAPI: []string{"app:feature-2", "app:feature-12"}, // GitLab knows no age of caches
}, {
	file: "by-group.yaml",
	world: func(world *gitlabtest.World, p *gitlabtest.Project) {
		p.Topics = []string{"go", "throwaway"}
		for _, p := range []*gitlabtest.Project{p, world.AddProject("acme/sandbox/x"), world.AddProject("acme/sandbox/deep/y"), world.AddProject("acme/sandbox-prod")} {
			app := p.AddRepository("app")
			app.AddTagAt("main", gitlabtest.KindImage, daysAgo(400))
			app.AddTagAt("year", gitlabtest.KindImage, daysAgo(366))
			app.AddTagAt("week", gitlabtest.KindImage, daysAgo(8))
			app.AddTagAt("days", gitlabtest.KindImage, daysAgo(6))
		}
	},
	want: []string{"app:year", "app:week", "acme/sandbox/x/app:year", "acme/sandbox/x/app:week",
		"acme/sandbox/deep/y/app:year", "acme/sandbox/deep/y/app:week", "acme/sandbox-prod/app:year"},
	byAPI: []string{"app:year", "app:week", "acme/sandbox/x/app:year", "acme/sandbox/x/app:week",
		"acme/sandbox/deep/y/app:year", "acme/sandbox/deep/y/app:week", "acme/sandbox-prod/app:year"},
}, {
	file: "cleanup-policy.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		app := p.AddRepository("app")
		for i, name := range []string{"a", "b", "c", "d", "e", "f", "g"} { // five are the most recent
			app.AddTagAt(name, gitlabtest.KindImage, daysAgo(31+i))
		}
		app.AddTagAt("latest", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("release-1", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("pre-release-1", gitlabtest.KindImage, daysAgo(100)) // both ends are bound
		app.AddTagAt("chart", gitlabtest.KindArtifact, daysAgo(200))
		other := p.AddRepository("other")
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			other.AddTagAt(name, gitlabtest.KindImage, daysAgo(2))
		}
		other.AddTagAt("f", gitlabtest.KindImage, daysAgo(30))
		other.AddTagAt("g", gitlabtest.KindImage, daysAgo(31))
	},
	want: []string{"app:f", "app:g", "app:pre-release-1", "other:g"}, database: []string{"app:chart"},
	byAPI: []string{"app:f", "app:g", "app:pre-release-1", "other:g"},
}, {
	file: "kaniko.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		app := p.AddRepository("app")
		app.AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt(hash("1"), gitlabtest.KindImage, daysAgo(100)) // an image
		for _, name := range []string{"cache", "app/cache", "app.cache", "precache"} {
			r := p.AddRepository(name)
			r.AddTagAt(hash("1"), gitlabtest.KindImage, daysAgo(15)) // kaniko writes a date
			r.AddTagAt(hash("2"), gitlabtest.KindImage, daysAgo(14))
			r.AddTagAt(hash("3"), gitlabtest.KindKanikoCache, daysAgo(15)) // of the year 1
			r.AddTagAt("feature-1", gitlabtest.KindCacheManifest, daysAgo(100))
		}
	},
	want:     []string{"cache:" + hash("1"), "app/cache:" + hash("1"), "app.cache:" + hash("1")},
	database: []string{"cache:" + hash("3"), "app/cache:" + hash("3"), "app.cache:" + hash("3")},
	byAPI:    []string{"cache:" + hash("1"), "app/cache:" + hash("1"), "app.cache:" + hash("1")},
}, {
	file: "by-architecture.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		p.Branches = []string{"main", "feature-1"}
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for _, branch := range []string{"main", "feature-1", "feature-2"} {
			app.AddTagAt(branch, gitlabtest.KindMultiArch, daysAgo(100))
			cache.AddTagAt(branch+"-amd64", gitlabtest.KindCacheManifest, daysAgo(15))
			cache.AddTagAt(branch+"-arm64", gitlabtest.KindCacheIndex, daysAgo(15))
		}
		cache.AddTagAt("feature-3-arm64", gitlabtest.KindCacheManifest, daysAgo(14))
		cache.AddTagAt("feature-4-arm64", gitlabtest.KindMultiArch, daysAgo(100)) // no cache
	},
	want: []string{"app.cache:feature-2-amd64", "app.cache:feature-2-arm64"},
	more: []string{"app.cache:feature-4-arm64"}, // without database no cache has an age
}, {
	file: "beside-the-image.yaml",
	world: func(_ *gitlabtest.World, p *gitlabtest.Project) {
		p.Branches = []string{"main", "feature-1"}
		app := p.AddRepository("app")
		for _, branch := range []string{"main", "feature-1", "feature-2"} {
			app.AddTagAt(branch, gitlabtest.KindImage, daysAgo(100))
			app.AddTagAt(branch+"-cache", gitlabtest.KindCacheManifest, daysAgo(15))
			app.AddTagAt(branch+".buildcache", gitlabtest.KindCacheIndex, daysAgo(15))
		}
		app.AddTagAt("buildcache", gitlabtest.KindCacheManifest, daysAgo(100))
		app.AddTagAt("feature-3-cache", gitlabtest.KindCacheManifest, daysAgo(14))
		app.AddTagAt("redis-cache", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("redis-multi-cache", gitlabtest.KindMultiArch, daysAgo(100))
	},
	want:  []string{"app:feature-2-cache", "app:feature-2.buildcache"},
	lacks: []string{"app:feature-2-cache", "app:feature-2.buildcache"},
}, {
	file: "deployed.yaml",
	world: func(world *gitlabtest.World, p *gitlabtest.Project) {
		p.Environments = []gitlabtest.Environment{
			{Name: "production", Ref: "Release/1", SHA: "0123456789abcdef0123456789abcdef01234567"},
			{Name: "old", Stopped: true, Ref: "stopped", SHA: strings.Repeat("a", 40)},
			{Name: "never"},
		}
		app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
		for _, name := range []string{"main", "release-1", "0123456789abcdef0123456789abcdef01234567", "01234567", "0123456", "listed", "old", "stopped"} {
			app.AddTagAt(name, gitlabtest.KindImage, daysAgo(100))
		}
		app.AddTagAt("same-as-other", gitlabtest.KindImage, daysAgo(101))
		app.AddTagAt("young", gitlabtest.KindImage, daysAgo(30))
		cache.AddTagAt("release-1", gitlabtest.KindCacheManifest, daysAgo(31)) // a cache is not deployed
		another := world.AddProject("g/q").AddRepository("app")
		another.AddTagAt("release-1", gitlabtest.KindImage, daysAgo(100))
	},
	with: func(tr *trial) {
		tr.options.InUseEnvironments = true
		list, err := inuse.Parse(strings.NewReader("registry.example.com/g/p/app:listed\n"), "running.txt")
		if err != nil {
			panic(err)
		}
		tr.options.InUse = list
	},
	want:  []string{"app:old", "app:stopped", "app:same-as-other", "app.cache:release-1", "g/q/app:release-1"},
	byAPI: []string{"app:old", "app:stopped", "app:same-as-other", "g/q/app:release-1"},
	lacks: []string{"app.cache:release-1"}, // GitLab's word alone does not tell that it is no image
}}

// hash returns a name as kaniko gives its caches.
func hash(digit string) string { return strings.Repeat(digit, 64) }

// fullNames returns names below g/p, but for those that begin with another project's path.
func fullNames(short ...[]string) []string {
	all := []string{}
	for _, name := range slices.Concat(short...) {
		if strings.HasPrefix(name, "acme/") || strings.HasPrefix(name, "g/") {
			all = append(all, name)
		} else {
			all = append(all, "g/p/"+name)
		}
	}
	slices.Sort(all)
	return all
}

// TestRecipes runs each recipe on its world, by the registry's word on either regime and by GitLab's
// alone, and compares all that goes. Nothing is left undecided.
func TestRecipes(t *testing.T) {
	for _, test := range recipeTests {
		for _, e := range evidences {
			t.Run(test.file+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				world := gitlabtest.NewWorld(e.regime)
				test.world(world, world.AddProject("g/p"))
				tr := byRules(world, recipe(t, test.file), gitlabtest.WithRole(gitlabtest.Maintainer))
				tr.options.Verify = e.verify
				if test.with != nil {
					test.with(tr)
				}
				got := tr.runInBubble(t)
				want := fullNames(test.want)
				switch {
				case e.regime == gitlabtest.Database && e.verify != pipeline.VerifyAPI:
					want = fullNames(test.want, test.database)
				case e.regime == gitlabtest.Legacy && e.verify == pipeline.VerifyAPI:
					want = fullNames(test.byAPI)
				case e.verify == pipeline.VerifyAPI:
					want = fullNames(test.want, test.database, test.more)
					want = slices.DeleteFunc(want, func(name string) bool { return slices.Contains(fullNames(test.lacks), name) })
				}
				if diff := cmp.Diff(want, gone(tr.server)); diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
				if got.err != nil || got.Undecided > 0 || got.Failed > 0 {
					t.Errorf("error %v, undecided %d, failed %d: %v", got.err, got.Undecided, got.Failed, got.Reasons)
				}
			})
		}
	}
}

// TestEveryRecipeIsTested, and keeps the protected names and what is young.
func TestEveryRecipeIsTested(t *testing.T) {
	text, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipes, _ := strings.Cut(string(text), "\n## Recipes\n")
	var documented, tested []string
	for _, block := range regexp.MustCompile("```yaml\n# ([a-z-]+\\.yaml)\n").FindAllStringSubmatch(recipes, -1) {
		documented = append(documented, block[1])
		rules := recipe(t, block[1]).Rules()
		if len(rules) < 3 || rules[0].Name != nameProtected || rules[1].Name != tooYoung {
			t.Errorf("%s does not begin by what stays", block[1])
		}
		for _, rule := range rules {
			if rule.Description == "" {
				t.Errorf("%s does not say in words what %s is about", block[1], rule.Name)
			}
		}
		for i, standard := range policy.Default().Rules()[:2] {
			if rules[i].Condition != standard.Condition {
				t.Errorf("%s has %q for %q", block[1], rules[i].Condition, standard.Condition)
			}
		}
	}
	for _, test := range recipeTests {
		tested = append(tested, test.file)
	}
	if n := strings.Count(recipes, "```yaml"); n != len(documented) {
		t.Errorf("%d files, of which %d have a name", n, len(documented))
	}
	if diff := cmp.Diff(documented, tested); diff != "" {
		t.Errorf("recipes (-page +tests):\n%s", diff)
	}
}

// TestRecipesOnTheDemo: the stand-in's own world has what the recipes ask for, so that they can be tried
// on it: each that has its like there deletes something, keeps something, and leaves nothing undecided.
func TestRecipesOnTheDemo(t *testing.T) {
	for _, name := range []string{"deleted-branches.yaml", "by-architecture.yaml", "by-group.yaml", "cleanup-policy.yaml", "deployed.yaml", "keep-newest.yaml", "older-than.yaml"} {
		t.Run(name, func(t *testing.T) {
			tr := byRules(gitlabtest.DemoWorld(), recipe(t, name))
			tr.options.DryRun, tr.options.InUseEnvironments = true, true
			got := tr.run(t.Context(), t) // by the clock, which the world's ages go by
			if got.err != nil || got.Deleted == 0 || got.Undecided+got.Failed+got.Unreadable > 0 || got.Tags != 67 {
				t.Errorf("%d of %d tags go, reasons %v, error %v", got.Deleted, got.Tags, got.Reasons, got.err)
			}
			if name == "deployed.yaml" && got.Reasons["in-use"] == 0 {
				t.Error("nothing is in use")
			}
		})
	}
}
