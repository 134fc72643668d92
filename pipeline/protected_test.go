package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/inuse"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What stands above the rules of any file: those of GitLab's for protected tags, and what is in use.

// everything deletes all that nothing above it keeps.
const everything = "rules:\n- {name: everything, delete: true}\n"

// scopes are the ways to name all projects of a world below g.
var scopes = map[string]pipeline.Scope{
	"all": {Membership: true}, "a group": {Groups: []string{"g"}}, "projects": {Projects: []string{"g/p", "g/q"}},
}

// protectedWorld has a project with rules for protected tags, and one without.
func protectedWorld(patterns ...string) *gitlabtest.World {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	for _, path := range []string{"g/p", "g/q"} {
		app := world.AddProject(path).AddRepository("app")
		for _, tag := range []string{"keep-1", "other", "unkept", "stable-1"} {
			app.AddTagAt(tag, gitlabtest.KindImage, daysAgo(100))
		}
	}
	for i, pattern := range patterns {
		rule := gitlabtest.ProtectionRule{Pattern: pattern, Push: gitlabtest.Maintainer, Delete: gitlabtest.Owner, Immutable: i == 1}
		world.Project("g/p").ProtectionRules = append(world.Project("g/p").ProtectionRules, rule)
	}
	return world
}

// TestProtectionRulesHoldAdministrators, whom GitLab does not hold to them: also where there is no GraphQL.
// One that is no pattern may mean any tag.
func TestProtectionRulesHoldAdministrators(t *testing.T) {
	others := []string{"g/q/app:keep-1", "g/q/app:other", "g/q/app:stable-1", "g/q/app:unkept"}
	for name, test := range map[string]struct {
		patterns []string
		options  []gitlabtest.Option
		want     []string // of g/p
		reason   policy.Reason
	}{
		"two rules":        {[]string{"^keep-", "^stable"}, nil, []string{"g/p/app:other", "g/p/app:unkept"}, "protected-in-gitlab"},
		"unbound":          {[]string{"kep"}, nil, []string{"g/p/app:keep-1", "g/p/app:other", "g/p/app:stable-1"}, policy.NoRule},
		"over REST":        {[]string{"^keep-"}, []gitlabtest.Option{gitlabtest.WithoutGraphQL()}, []string{"g/p/app:other", "g/p/app:stable-1", "g/p/app:unkept"}, "protected-in-gitlab"},
		"no pattern":       {[]string{"("}, nil, nil, "protected-in-gitlab"},
		"one of two":       {[]string{"^keep-", "("}, nil, nil, "protected-in-gitlab"},
		"cannot be read":   {[]string{"^keep-"}, []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Effect: gitlabtest.NullRules(1)}, gitlabtest.Fault{Path: regexp.MustCompile(`/protection/tag/rules$`), Effect: gitlabtest.Status(500)})}, nil, policy.DetailsUnknown},
		"cannot, but REST": {[]string{"^keep-"}, []gitlabtest.Option{gitlabtest.WithFaults(gitlabtest.Fault{Operation: "query", Effect: gitlabtest.NullRules(1)})}, []string{"g/p/app:other", "g/p/app:stable-1", "g/p/app:unkept"}, "protected-in-gitlab"},
	} {
		for scopeName, scope := range scopes {
			t.Run(name+"/"+scopeName, func(t *testing.T) {
				tr := byRules(protectedWorld(test.patterns...), parsed(t, everything), append(test.options, gitlabtest.WithRole(gitlabtest.Administrator))...)
				tr.options.Scope = scope
				got := tr.runInBubble(t)
				want := append(append([]string{}, test.want...), others...)
				if name == "cannot be read" {
					want = []string{} // of g/q it is not known either
				}
				if diff := cmp.Diff(fullNames(want), gone(tr.server)); diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
				if d := got.decisions["g/p/app:keep-1"]; test.reason != policy.NoRule && d.Reason != test.reason {
					t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.reason)
				}
			})
		}
	}
}

// digestOf returns the digest of a tag, as a run of its own finds it.
func digestOf(t *testing.T, world *gitlabtest.World, tag string) string {
	t.Helper()
	tr := byRules(world, parsed(t, everything))
	tr.options.DryRun = true
	digest := tr.runInBubble(t).decisions[tag].Digest
	if !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("the digest of %s is %q", tag, digest)
	}
	return digest
}

func inUse(t *testing.T, references ...string) *inuse.List {
	t.Helper()
	list, err := inuse.Parse(strings.NewReader(strings.Join(references, "\n")), "running.txt")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestInUse: whatever the rules say, a tag stays that a list names, by its name or by its digest; a digest
// protects every tag that has it, in any repository.
func TestInUse(t *testing.T) {
	for regime, kind := range byTheRegistry {
		world := gitlabtest.NewWorld(kind)
		p := world.AddProject("g/p")
		app, cache, other := p.AddRepository("app"), p.AddRepository("app.cache"), p.AddRepository("other")
		app.AddTagAt("running", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("same", gitlabtest.KindImage, daysAgo(100))
		app.AddTagAt("multi", gitlabtest.KindMultiArch, daysAgo(100))
		app.AddTagAt("attested", gitlabtest.KindAttestedImage, daysAgo(100))
		app.AddTagAt("free", gitlabtest.KindImage, daysAgo(101))
		other.AddTagAt("same-elsewhere", gitlabtest.KindImage, daysAgo(100))
		other.AddTagAt("running", gitlabtest.KindImage, daysAgo(102))
		cache.AddTagAt("running", gitlabtest.KindCacheManifest, daysAgo(102))
		image, multi := digestOf(t, world, "g/p/app:running"), digestOf(t, world, "g/p/app:multi")
		for name, test := range map[string]struct {
			list []string
			want []string
		}{
			"by tag":              {[]string{"registry.example.com:5050/g/p/app:running"}, []string{"app:same", "app:multi", "app:attested", "app:free", "other:same-elsewhere", "other:running", "app.cache:running"}},
			"by digest":           {[]string{"registry.example.com/g/p/app@" + image}, []string{"app:multi", "app:attested", "app:free", "other:running", "app.cache:running"}},
			"by a bare digest":    {[]string{"docker-pullable://" + multi}, []string{"app:running", "app:same", "app:attested", "app:free", "other:same-elsewhere", "other:running", "app.cache:running"}},
			"by tag and digest":   {[]string{"g/p/other:running@" + image}, []string{"app:multi", "app:attested", "app:free", "app.cache:running"}},
			"something elsewhere": {[]string{"docker.io/library/redis:7"}, []string{"app:running", "app:same", "app:multi", "app:attested", "app:free", "other:same-elsewhere", "other:running", "app.cache:running"}},
		} {
			t.Run(regime+"/"+name, func(t *testing.T) {
				tr := byRules(world, parsed(t, everything))
				tr.options.InUse = inUse(t, test.list...)
				got := tr.runInBubble(t)
				if diff := cmp.Diff(fullNames(test.want), gone(tr.server)); diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
				if got.Reasons["in-use"] != got.Tags-len(test.want) {
					t.Errorf("reasons %v", got.Reasons)
				}
			})
		}
	}
}

// TestDigestsThatCannotBeRead: while a list has digests, a tag whose own cannot be read stays. With the
// metadata database the list has them all, and no manifest is read for it.
func TestDigestsThatCannotBeRead(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	unreadable := gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/`), Effect: gitlabtest.Status(500)})
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			world := gitlabtest.NewWorld(kind)
			app := world.AddProject("g/p").AddRepository("app")
			for i := range 5 {
				app.AddTagAt(fmt.Sprint("t-", i), gitlabtest.KindImage, daysAgo(100))
			}
			tr := byRules(world, parsed(t, everything), unreadable)
			tr.options.InUse = inUse(t, "g/p/app@"+digest)
			got := tr.runInBubble(t)
			want := map[gitlabtest.Regime]int{gitlabtest.Legacy: 0, gitlabtest.Database: 5}[kind]
			if len(gone(tr.server)) != want || got.Undecided != 5-want {
				t.Errorf("deleted %q, reasons %v", gone(tr.server), got.Reasons)
			}
		})
	}
}

// TestDeployedFromACacheRepository: an image in a repository that is named like one for caches is in use as
// anywhere else, however many caches lie beside it. A cache of the same name goes.
func TestDeployedFromACacheRepository(t *testing.T) {
	for regime, kind := range byTheRegistry {
		t.Run(regime, func(t *testing.T) {
			world := gitlabtest.NewWorld(kind)
			p := world.AddProject("g/p")
			p.Environments = []gitlabtest.Environment{{Name: "production", Ref: "release-1", SHA: strings.Repeat("a", 40)}}
			session, app := p.AddRepository("session.cache"), p.AddRepository("app.cache")
			session.AddTagAt("release-1", gitlabtest.KindImage, daysAgo(100))
			app.AddTagAt("release-1", gitlabtest.KindCacheManifest, daysAgo(100))
			want := []string{"app.cache:release-1"}
			for i := range 30 {
				session.AddTagAt(fmt.Sprint("cache-", i), gitlabtest.KindCacheManifest, daysAgo(100))
				want = append(want, fmt.Sprint("session.cache:cache-", i))
			}
			tr := byRules(world, parsed(t, everything))
			tr.options.InUseEnvironments = true
			got := tr.runInBubble(t)
			if diff := cmp.Diff(fullNames(want), gone(tr.server)); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
			reads := tr.server.Stats().ByEndpoint[manifestEndpoint]
			if kind == gitlabtest.Database && reads != 2 || got.Reasons["in-use"] != 1 {
				t.Errorf("%d manifests read, reasons %v", reads, got.Reasons)
			}
		})
	}
}

// TestTopics: they come with the list of projects, whatever the scope; where an old version does not say
// them, what depends on them stays.
func TestTopics(t *testing.T) {
	const rules = "rules:\n- {name: kept, keep: \"'keep' in project.topics\"}\n- {name: old, delete: tag.age > days(30)}\n"
	for name, test := range map[string]struct {
		options []gitlabtest.Option
		unknown bool
	}{
		"told":       {},
		"no GraphQL": {options: []gitlabtest.Option{gitlabtest.WithoutGraphQL()}},
		"no field":   {options: []gitlabtest.Option{gitlabtest.WithoutFields("Project.topics")}, unknown: true},
	} {
		for scopeName, scope := range scopes {
			t.Run(name+"/"+scopeName, func(t *testing.T) {
				world := gitlabtest.NewWorld(gitlabtest.Database)
				for _, path := range []string{"g/p", "g/q"} {
					app := world.AddProject(path).AddRepository("app")
					app.AddTagAt("old", gitlabtest.KindImage, daysAgo(100))
					app.AddTagAt("young", gitlabtest.KindImage, daysAgo(1))
				}
				world.Project("g/p").Topics = []string{"go", "keep"}
				tr := byRules(world, parsed(t, rules), test.options...)
				tr.options.Scope = scope
				got := tr.runInBubble(t)
				want := []string{"g/q/app:old"}
				if test.unknown && scopeName == "all" { // REST lists the others, and knows topics
					want = []string{}
				}
				if diff := cmp.Diff(want, gone(tr.server)); diff != "" || got.Undecided != 2-2*len(want) {
					t.Errorf("undecided %d, deleted (-want +got):\n%s", got.Undecided, diff)
				}
			})
		}
	}
}

// TestSampleThatCannotBeRead: a manifest that could not be read has not shown what the others of a
// cache repository are.
func TestSampleThatCannotBeRead(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	session := world.AddProject("g/p").AddRepository("session.cache")
	for i := range 30 {
		session.AddTag(fmt.Sprintf("s-%02d", i), gitlabtest.KindImage)
	}
	for failures := 1; failures <= 3; failures++ {
		tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithFaults(gitlabtest.Fault{
			Method: "GET", Path: regexp.MustCompile(`/manifests/s-..$`), Count: failures, Effect: gitlabtest.Status(503)}))
		tr.client.MaxRetries = 0
		got := tr.runInBubble(t)
		if gone := names(deleted(tr.server)); len(gone) > 0 || got.Undecided != failures {
			t.Errorf("%d failures: deleted %q, undecided %d", failures, gone, got.Undecided)
		}
	}
}
