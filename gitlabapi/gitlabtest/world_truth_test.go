package gitlabtest_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const (
	missing    = "details-missing"
	noTag      = "counterpart-tag-missing"
	noCounter  = "counterpart-repository-missing"
	protected  = "protected"
	referrer   = "referrer"
	healthy    = "no-rule"
	hasCounter = "counterpart-present"
	astray     = "dated-orphan"
)

// truthOf returns the truth about every tag of a world, by full name.
func truthOf(w *gitlabtest.World) map[string]string {
	truth := map[string]string{}
	for _, tag := range gitlabtest.New(w).Remaining() {
		truth[tag.String()] = tag.Truth
	}
	return truth
}

// Every kind of tag, in every kind of repository.
func TestTruthOfEveryKind(t *testing.T) {
	type row struct{ plain, live, lost, alone string }
	gone := row{missing, missing, missing, missing}
	dated := row{healthy, hasCounter, astray, astray}
	undated := row{healthy, hasCounter, noTag, noCounter}
	for kind, want := range map[gitlabtest.Kind]row{
		gitlabtest.KindImage: dated, gitlabtest.KindDockerImage: dated, gitlabtest.KindDockerList: dated,
		gitlabtest.KindCacheManifest: undated, gitlabtest.KindArtifact: undated,
		gitlabtest.KindAttestedImage: gone, gitlabtest.KindMultiArch: gone, gitlabtest.KindCacheIndex: gone,
		gitlabtest.KindCacheList: gone, gitlabtest.KindManifestMissing: gone,
		gitlabtest.KindReferrers: gone, gitlabtest.KindBareIndex: gone, gitlabtest.KindNestedIndex: gone,
		gitlabtest.KindSignature: dated, gitlabtest.KindKanikoCache: dated,
	} {
		w, web := oneRepository(gitlabtest.Legacy, "web")
		cache := web.Project().AddRepository("web.cache")
		alone := web.Project().AddRepository("a/b.cache")
		web.AddTag("live", kind)
		cache.AddTag("live", kind)
		cache.AddTag("lost", kind)
		alone.AddTag("live", kind)
		for _, r := range []*gitlabtest.Repository{web, cache, alone} {
			r.AddTag("main", kind)
			r.AddTag("v1.2.3", kind)
		}
		truth := truthOf(w)
		got := row{
			truth["group/app/web:live"], truth["group/app/web.cache:live"],
			truth["group/app/web.cache:lost"], truth["group/app/a/b.cache:live"],
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", kind, got, want)
		}
		for name, why := range truth {
			if why == protected != (name[len(name)-5:] == ":main" || name[len(name)-6:] == "v1.2.3") {
				t.Errorf("%s: %s is %s", kind, name, why)
			}
		}
	}
}

func TestProtectedNames(t *testing.T) {
	for name, want := range map[string]bool{
		"latest": true, "master": true, "main": true, "v1.2.3": true, "v..": true, "vendor.js.map": true,
		"sha256-" + strings.Repeat("0", 64): true, "sha256-" + strings.Repeat("f", 64) + ".sig": true, "sha256-" + strings.Repeat("0", 63): false,
		"x-sha256-" + strings.Repeat("0", 64): false,
		"Latest":                              false, "latest-1": false, "v1": false, "v1.2": false, "V1.2.3": false, "1.2.3": false, "xv1.2.3": false,
	} {
		w, web := oneRepository(gitlabtest.Legacy, "web")
		web.AddTag(name, gitlabtest.KindManifestMissing)
		if got := len(w.Truth()) == 0; got != want {
			t.Errorf("%s: protected %v, want %v", name, got, want)
		}
	}
}

func TestCounterpartsThatAreNotWhatTheySeem(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(p *gitlabtest.Project, counterpart *gitlabtest.Repository)
		want string
	}{
		{"empty", func(*gitlabtest.Project, *gitlabtest.Repository) {}, noTag},
		{"dead itself", func(_ *gitlabtest.Project, r *gitlabtest.Repository) {
			r.AddTag("branch", gitlabtest.KindManifestMissing)
		}, hasCounter},
		{"multi-arch", func(_ *gitlabtest.Project, r *gitlabtest.Repository) {
			r.AddTag("branch", gitlabtest.KindMultiArch)
		}, hasCounter},
		{"being deleted", func(_ *gitlabtest.Project, r *gitlabtest.Repository) { r.Status = "delete_scheduled" }, hasCounter},
		{"not deleted after all", func(_ *gitlabtest.Project, r *gitlabtest.Repository) { r.Status = "delete_failed" }, noTag},
		{"archived", func(p *gitlabtest.Project, _ *gitlabtest.Repository) { p.Archived = true }, "out-of-reach"},
	} {
		w, web := oneRepository(gitlabtest.Legacy, "web")
		web.Project().AddRepository("web.cache").AddTag("branch", gitlabtest.KindCacheManifest)
		test.set(web.Project(), web)
		if got := truthOf(w)["group/app/web.cache:branch"]; got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// Only the repository's own name makes it a cache.
func TestRootRepositoryIsNoCache(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	w.AddProject("group/app.cache").AddRepository("").AddTag("branch", gitlabtest.KindCacheManifest)
	if diff := cmp.Diff(map[string]string{"group/app.cache:branch": healthy}, truthOf(w)); diff != "" {
		t.Error(diff)
	}
}

func TestTruthNamesTheDead(t *testing.T) {
	w, cache := oneRepository(gitlabtest.Legacy, "web.cache")
	cache.AddTag("branch", gitlabtest.KindCacheManifest)
	cache.AddTag("main", gitlabtest.KindCacheManifest)
	if diff := cmp.Diff(map[string]string{"group/app/web.cache:branch": noCounter}, w.Truth()); diff != "" {
		t.Error(diff)
	}
}

// The truth of random worlds is what the API shows of them: a tag is dead for
// its details exactly when they are 404, and an orphan has no date.
func TestTruthAgreesWithTheAPI(t *testing.T) {
	for seed := range uint64(20) {
		s := gitlabtest.New(gitlabtest.Random(seed, gitlabtest.Legacy).World())
		repositories := map[string]string{}
		for _, group := range []string{"acme", "tools", "data-team", "r_d"} {
			page, _ := tryCall(s, http.MethodGet, host+"/api/v4/groups/"+group+"/registry/repositories?per_page=100", gitlabtest.DefaultToken)
			if page.status == http.StatusNotFound {
				continue // no project of this world is in the group
			}
			for _, item := range page.body.([]any) {
				r := item.(map[string]any)
				repositories[r["path"].(string)] = fmt.Sprintf("/projects/%v/registry/repositories/%v/tags/", r["project_id"], int(r["id"].(float64)))
			}
		}
		for _, tag := range s.Remaining() {
			if tag.Truth == "out-of-reach" || tag.Truth == protected || tag.Truth == referrer {
				continue
			}
			got := get(t, s, repositories[tag.Repository]+tag.Tag)
			undated := got.status == http.StatusOK && got.object(t)["created_at"] == nil
			switch {
			case (tag.Truth == missing) != (got.status == http.StatusNotFound),
				(tag.Truth == noTag || tag.Truth == noCounter) && !undated,
				tag.Truth == astray && undated:
				t.Errorf("seed %d: %s is %s: %d %s", seed, tag, tag.Truth, got.status, got.text)
			}
		}
	}
}

// everyKind has every kind of tag in a repository, in its cache with and without
// counterpart, and in a cache that stands alone.
func everyKind(regime gitlabtest.Regime) *gitlabtest.World {
	w, web := oneRepository(regime, "web")
	cache, alone := web.Project().AddRepository("web.cache"), web.Project().AddRepository("alone.cache")
	for kind := range kindsOnLegacy {
		name := string(kind)
		web.AddTag("live-"+name, kind)
		cache.AddTag("live-"+name, kind)
		cache.AddTag("lost-"+name, kind)
		alone.AddTag("lost-"+name, kind)
		alone.AddTag("v1.0."+name, kind)
	}
	return w
}

// The truth about a world is that of the original rules.
func TestTruthUnderTheOriginalRules(t *testing.T) {
	original := gitlabtest.TruthRules{Original: true}
	for seed := range uint64(30) {
		w := gitlabtest.Random(seed, gitlabtest.Legacy).World()
		if diff := cmp.Diff(w.Truth(), w.TruthUnder(original)); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		if diff := cmp.Diff(truthOf(w), w.VerdictsUnder(original)); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

func TestVerdictsUnderOtherRules(t *testing.T) {
	const noCache, undatable, lost = "no-build-cache", "undatable", "missing-manifest"
	alone := gitlabtest.TruthRules{} // GitLab's word
	plain := gitlabtest.TruthRules{ByRegistry: true}
	undated := gitlabtest.TruthRules{ByRegistry: true, Orphans: "undated"}
	anyOrphan := gitlabtest.TruthRules{ByRegistry: true, Orphans: "any"}
	off := gitlabtest.TruthRules{ByRegistry: true, Orphans: "off"}
	images := gitlabtest.TruthRules{ByRegistry: true, DeleteKinds: []string{"attested-image", "multi-arch"}}
	for _, test := range []struct {
		name   string
		regime gitlabtest.Regime
		rules  gitlabtest.TruthRules
		kind   gitlabtest.Kind
		// In a plain repository, and in a cache with counterpart, without its tag,
		// and without its repository.
		plain, live, lost, alone string
	}{
		{"an image stays", gitlabtest.Legacy, plain, gitlabtest.KindImage, healthy, hasCounter, noCache, noCache},
		{"whatever orphans go", gitlabtest.Legacy, anyOrphan, gitlabtest.KindImage, healthy, hasCounter, noCache, noCache},
		{"a cache goes", gitlabtest.Legacy, plain, gitlabtest.KindCacheManifest, healthy, hasCounter, noTag, noCounter},
		{"unless none does", gitlabtest.Legacy, off, gitlabtest.KindCacheManifest, healthy, hasCounter, astray, astray},
		{"classic cache", gitlabtest.Legacy, plain, gitlabtest.KindCacheIndex, undatable, undatable, undatable, undatable},
		{"as an orphan where it is not named", gitlabtest.Legacy, images, gitlabtest.KindCacheIndex, healthy, hasCounter, noTag, noCounter},
		{"no manifest", gitlabtest.Legacy, plain, gitlabtest.KindManifestMissing, lost, lost, lost, lost},
		{"an image that pulls", gitlabtest.Legacy, plain, gitlabtest.KindAttestedImage, healthy, hasCounter, noCache, noCache},
		{"unless it is named", gitlabtest.Legacy, images, gitlabtest.KindAttestedImage, undatable, undatable, undatable, undatable},
		{"two platforms", gitlabtest.Legacy, plain, gitlabtest.KindMultiArch, healthy, hasCounter, noCache, noCache},
		{"unless they are named", gitlabtest.Legacy, images, gitlabtest.KindMultiArch, undatable, undatable, undatable, undatable},
		{"a list is what Rails makes of it", gitlabtest.Legacy, images, gitlabtest.KindDockerList, healthy, hasCounter, noCache, noCache},
		{"images on database", gitlabtest.Database, plain, gitlabtest.KindImage, healthy, hasCounter, noCache, noCache},
		{"all orphans on database", gitlabtest.Database, plain, gitlabtest.KindCacheIndex, healthy, hasCounter, noTag, noCounter},
		{"but undated there are none", gitlabtest.Database, undated, gitlabtest.KindCacheManifest, healthy, hasCounter, astray, astray},
		{"no kinds on database", gitlabtest.Database, images, gitlabtest.KindAttestedImage, healthy, hasCounter, noCache, noCache},
		{"an index of no platforms stays", gitlabtest.Legacy, images, gitlabtest.KindBareIndex, healthy, hasCounter, noCache, noCache},
		{"one of indexes", gitlabtest.Legacy, images, gitlabtest.KindNestedIndex, healthy, hasCounter, noCache, noCache},
		{"a chart", gitlabtest.Legacy, anyOrphan, gitlabtest.KindArtifact, healthy, hasCounter, noCache, noCache},
		{"kaniko's", gitlabtest.Database, plain, gitlabtest.KindKanikoCache, healthy, hasCounter, noCache, noCache},
		{"by name alone a chart goes", gitlabtest.Legacy, alone, gitlabtest.KindArtifact, healthy, hasCounter, noTag, noCounter},
		{"what has no details does not", gitlabtest.Legacy, alone, gitlabtest.KindAttestedImage, healthy, hasCounter, astray, astray},
		{"on database it has some", gitlabtest.Database, alone, gitlabtest.KindAttestedImage, healthy, hasCounter, noTag, noCounter},
	} {
		verdicts := everyKind(test.regime).VerdictsUnder(test.rules)
		got := []string{}
		for _, tag := range []string{"web:live-", "web.cache:live-", "web.cache:lost-", "alone.cache:lost-", "alone.cache:v1.0."} {
			got = append(got, verdicts["group/app/"+tag+string(test.kind)])
		}
		if diff := cmp.Diff([]string{test.plain, test.live, test.lost, test.alone, protected}, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestNamesOfAnotherConvention: when no name is in both repositories, none tells anything.
func TestNamesOfAnotherConvention(t *testing.T) {
	for name, test := range map[string]struct {
		caches, images []string
		differs        bool
	}{
		"five of another":    {[]string{"a", "b", "c", "d", "e"}, []string{"x"}, true},
		"one in both":        {[]string{"a", "b", "c", "d", "x"}, []string{"x"}, false},
		"a protected one is": {[]string{"a", "b", "c", "d", "main"}, []string{"main"}, false},
		"four":               {[]string{"a", "b", "c", "d"}, []string{"x"}, false},
		"no images":          {[]string{"a", "b", "c", "d", "e"}, nil, false},
	} {
		w, web := oneRepository(gitlabtest.Database, "web")
		cache := web.Project().AddRepository("web.cache")
		for _, tag := range test.caches {
			cache.AddTag(tag, gitlabtest.KindCacheManifest)
		}
		for _, tag := range test.images {
			web.AddTag(tag, gitlabtest.KindImage)
		}
		if got := w.VerdictsUnder(gitlabtest.TruthRules{})["group/app/web.cache:a"]; (got == "naming-differs") != test.differs {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTruthUnderLeavesOutWhatDoesNotExist(t *testing.T) {
	verdicts := everyKind(gitlabtest.Database).VerdictsUnder(gitlabtest.TruthRules{})
	for name := range verdicts {
		if strings.Contains(name, string(gitlabtest.KindManifestMissing)) {
			t.Errorf("%s exists", name)
		}
	}
	if dead := (everyKind(gitlabtest.Database).TruthUnder(gitlabtest.TruthRules{Orphans: "off"})); len(dead) > 0 {
		t.Errorf("dead: %v", dead)
	}
}

// Whatever dies with fewer rights dies with more, in any world.
func TestTruthUnderGrowsWithItsRules(t *testing.T) {
	for seed := range uint64(20) {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			w := gitlabtest.Random(seed, regime).World()
			var last map[string]string
			for _, rules := range []gitlabtest.TruthRules{
				{ByRegistry: true, Orphans: "off"}, {ByRegistry: true, Orphans: "undated"},
				{ByRegistry: true, Orphans: "any"},
			} {
				dead := w.TruthUnder(rules)
				for name := range last {
					if dead[name] == "" {
						t.Errorf("seed %d: %s is spared under %s", seed, name, fmt.Sprint(rules))
					}
				}
				last = maps.Clone(dead)
			}
		}
	}
}
