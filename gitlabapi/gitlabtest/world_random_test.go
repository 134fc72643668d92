package gitlabtest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// describe writes everything about a world, a line for each tag.
func describe(w *gitlabtest.World) []string {
	truth := w.Truth()
	var lines []string
	for _, p := range w.Projects {
		lines = append(lines, fmt.Sprint(p.ID, p.Path, p.Archived, p.RegistryDisabled, p.Forbidden, p.NotMember))
		for _, r := range p.Repositories {
			lines = append(lines, fmt.Sprint(r.ID, r.Path(), r.Status))
			for _, tag := range r.Tags {
				lines = append(lines, fmt.Sprint(tag.Name, tag.Kind, tag.Created, tag.Pushed, truth[r.Path()+":"+tag.Name]))
			}
		}
	}
	return lines
}

func TestSameSeedSameWorld(t *testing.T) {
	one, again := gitlabtest.Random(7, gitlabtest.Legacy).World(), gitlabtest.Random(7, gitlabtest.Legacy).World()
	if diff := cmp.Diff(describe(one), describe(again)); diff != "" {
		t.Error(diff)
	}
	if other := gitlabtest.Random(8, gitlabtest.Legacy).World(); cmp.Equal(describe(one), describe(other)) {
		t.Error("another seed makes the same world")
	}
	database := gitlabtest.Random(7, gitlabtest.Database).World()
	database.Regime = gitlabtest.Legacy
	if diff := cmp.Diff(describe(one), describe(database)); diff != "" {
		t.Error("the regime changes more than itself:", diff)
	}
}

// situations names what a random world shows.
func situations(w *gitlabtest.World) map[string]bool {
	seen := map[string]bool{}
	dead, truth := w.Truth(), truthOf(w)
	for _, p := range w.Projects {
		seen["project without repositories"] = seen["project without repositories"] || len(p.Repositories) == 0
		seen["archived"] = seen["archived"] || p.Archived
		seen["registry disabled"] = seen["registry disabled"] || p.RegistryDisabled
		seen["forbidden"] = seen["forbidden"] || p.Forbidden
		seen["not a member"] = seen["not a member"] || p.NotMember
		seen["project called like a cache"] = seen["project called like a cache"] || strings.HasSuffix(p.Path, ".cache")
		for _, r := range p.Repositories {
			repositorySituations(seen, r)
			for _, tag := range r.Tags {
				why := truth[r.Path()+":"+tag.Name]
				seen[why] = true
				seen[fmt.Sprint(tag.Kind, " is ", why)] = true
				tagSituations(seen, r, tag, why, dead)
			}
		}
	}
	return seen
}

func repositorySituations(seen map[string]bool, r *gitlabtest.Repository) {
	seen["status "+r.Status] = true
	name, cache := strings.CutSuffix(r.Name, ".cache")
	seen["root repository"] = seen["root repository"] || r.Name == ""
	seen["nested cache"] = seen["nested cache"] || cache && strings.Contains(name, "/")
	counterpart := r.Project().Repository(name)
	if cache && counterpart != nil {
		seen["empty counterpart"] = seen["empty counterpart"] || len(counterpart.Tags) == 0 && len(r.Tags) > 0
		deleting := counterpart.Status == "delete_scheduled" || counterpart.Status == "delete_ongoing"
		seen["counterpart being deleted"] = seen["counterpart being deleted"] || deleting
	}
}

func tagSituations(seen map[string]bool, r *gitlabtest.Repository, tag *gitlabtest.Tag, why string, dead map[string]string) {
	seen["longest name"] = seen["longest name"] || len(tag.Name) == 128
	seen["shortest name"] = seen["shortest name"] || len(tag.Name) == 1
	for _, character := range "._M" {
		seen["name with "+string(character)] = seen["name with "+string(character)] || strings.ContainsRune(tag.Name, character)
	}
	if why != hasCounter {
		return
	}
	counterpart := r.Project().Repository(strings.TrimSuffix(r.Name, ".cache"))
	for _, other := range counterpart.Tags {
		seen["counterpart is dead"] = seen["counterpart is dead"] || other.Name == tag.Name && dead[counterpart.Path()+":"+other.Name] != ""
	}
}

func TestRandomWorldsShowEverything(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(60) {
		for situation, yes := range situations(gitlabtest.Random(seed, gitlabtest.Legacy).World()) {
			seen[situation] = seen[situation] || yes
		}
	}
	want := []string{
		"project without repositories", "archived", "registry disabled", "forbidden", "not a member",
		"project called like a cache", "root repository", "nested cache", "empty counterpart",
		"counterpart being deleted", "counterpart is dead", "status delete_scheduled", "status delete_ongoing",
		"status delete_failed", "longest name", "shortest name", "name with .", "name with _", "name with M",
		missing, noTag, noCounter, protected, healthy, hasCounter, astray, "out-of-reach",
		"cache-manifest is counterpart-present", "cache-manifest is no-rule", "artifact is no-rule",
		"artifact is counterpart-repository-missing", "kaniko-cache is dated-orphan", "kaniko-cache is no-rule",
		"image is counterpart-present", "image is dated-orphan",
	}
	for kind, details := range kindsOnLegacy {
		want = append(want, fmt.Sprint(kind, " is protected"))
		if details.status == 404 && kind != gitlabtest.KindReferrers { // whose names are protected
			want = append(want, fmt.Sprint(kind, " is details-missing"))
		}
	}
	for _, situation := range want {
		if !seen[situation] {
			t.Errorf("never seen: %s", situation)
		}
	}
}

func TestRandomWorldKeepsToItsNumbers(t *testing.T) {
	b := gitlabtest.RandomWorld{
		Seed: 3, Projects: 30, EmptyProjects: 170,
		RepositoriesPerProject: [2]int{3, 3}, TagsPerRepository: [2]int{111, 111},
		Dead: gitlabtest.Dead{DetailsMissing: 0.01},
	}
	w := b.World()
	tags, repositories := 0, 0
	for _, p := range w.Projects {
		repositories += len(p.Repositories)
		for _, r := range p.Repositories {
			tags += len(r.Tags)
		}
	}
	if len(w.Projects) != 200 || repositories != 90 || tags != 90*111 {
		t.Errorf("%d projects, %d repositories, %d tags", len(w.Projects), repositories, tags)
	}
	dead := slices.Collect(maps.Values(w.Truth()))
	if n := len(dead); n < 60 || n > 140 {
		t.Errorf("%d of %d tags are dead, with a share of 0.01", n, tags)
	}
	if i := slices.IndexFunc(dead, func(why string) bool { return why != missing }); i >= 0 {
		t.Errorf("a tag is dead for %s", dead[i])
	}
}

// TestRandomAges: tags are as old as was said, and some were pushed again.
func TestRandomAges(t *testing.T) {
	random := gitlabtest.Random(7, gitlabtest.Database)
	random.Newest, random.Repushed = time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC), 0.5
	tags, again := 0, 0
	for _, p := range random.World().Projects {
		for _, r := range p.Repositories {
			for _, tag := range r.Tags {
				tags++
				if tag.Created.After(random.Newest) || random.Newest.Sub(tag.Created) > 32*7*24*time.Hour {
					t.Errorf("%s was made at %v", tag.Name, tag.Created)
				}
				if !tag.Pushed.IsZero() {
					again++
					if want := random.Newest.AddDate(0, 0, 1); !tag.Pushed.Equal(want) {
						t.Errorf("%s was pushed at %v", tag.Name, tag.Pushed)
					}
				}
			}
		}
	}
	if again < tags/4 || again > tags*3/4 {
		t.Errorf("%d of %d tags were pushed again", again, tags)
	}
}

func TestDemoWorldShowsEveryOutcome(t *testing.T) {
	seen := map[string]bool{}
	kinds := map[gitlabtest.Kind]bool{}
	tags := gitlabtest.New(gitlabtest.DemoWorld()).Remaining()
	for _, tag := range tags {
		seen[tag.Truth], kinds[tag.Kind] = true, true
	}
	for _, why := range []string{missing, noTag, noCounter, protected, healthy, hasCounter, astray, "out-of-reach"} {
		if !seen[why] {
			t.Errorf("no tag is %s", why)
		}
	}
	// It shows what BuildKit and Docker push.
	if odd := 5; len(kinds) != len(kindsOnLegacy)-odd || len(tags) > 80 {
		t.Errorf("%d tags of %d kinds", len(tags), len(kinds))
	}
}

func TestNamesThatGitLabRefuses(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	for name, add := range map[string]func(){
		"project at the top":      func() { w.AddProject("app") },
		"project ending in .git":  func() { w.AddProject("group/app.git") },
		"project twice":           func() { w.AddProject("group/app") },
		"cache of the root image": func() { r.Project().AddRepository(".cache") },
		"repository in capitals":  func() { r.Project().AddRepository("Web") },
		"repository twice":        func() { r.Project().AddRepository("web") },
		"tag with a slash":        func() { r.AddTag("a/b", gitlabtest.KindImage) },
		"tag of 129 characters":   func() { r.AddTag(strings.Repeat("x", 129), gitlabtest.KindImage) },
		"tag of no kind":          func() { r.AddTag("a", "image-ish") },
		"tag twice": func() {
			twice, web := oneRepository(gitlabtest.Legacy, "web")
			web.AddTag("a", gitlabtest.KindImage)
			web.AddTag("a", gitlabtest.KindArtifact)
			gitlabtest.New(twice)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: not refused", name)
				}
			}()
			add()
		}()
	}
}
