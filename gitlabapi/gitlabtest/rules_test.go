package gitlabtest_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const (
	arches = "multi-arch"
	young  = "too-young"
)

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

// Under the zero rules on LEGACY the truth is that of the original rules.
func TestTruthUnderTheOriginalRules(t *testing.T) {
	for seed := range uint64(30) {
		w := gitlabtest.Random(seed, gitlabtest.Legacy).World()
		if diff := cmp.Diff(w.Truth(), w.TruthUnder(gitlabtest.TruthRules{})); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		if diff := cmp.Diff(truthOf(w), w.VerdictsUnder(gitlabtest.TruthRules{})); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

func TestVerdictsUnderOtherRules(t *testing.T) {
	now := gitlabtest.Created.Add(30 * time.Minute)
	plain := gitlabtest.TruthRules{ByRegistry: true}
	undated := gitlabtest.TruthRules{ByRegistry: true, Orphans: "undated"}
	anyOrphan := gitlabtest.TruthRules{ByRegistry: true, Orphans: "any"}
	off := gitlabtest.TruthRules{ByRegistry: true, Orphans: "off"}
	more := gitlabtest.TruthRules{ByRegistry: true, DeleteKinds: []string{"multi-arch"}}
	fresh := gitlabtest.TruthRules{ByRegistry: true, MinAge: time.Hour, Now: now}
	freshAPI := gitlabtest.TruthRules{MinAge: time.Hour, Now: now}
	old := gitlabtest.TruthRules{ByRegistry: true, MinAge: time.Hour, Now: now.Add(30 * time.Minute)}
	everywhere := gitlabtest.TruthRules{ByRegistry: true, KindsOnDatabase: true}
	for _, test := range []struct {
		name   string
		regime gitlabtest.Regime
		rules  gitlabtest.TruthRules
		kind   gitlabtest.Kind
		// In a plain repository, and in a cache with counterpart, without its tag,
		// and without its repository.
		plain, live, lost, alone string
	}{
		{"an image stays", gitlabtest.Legacy, plain, gitlabtest.KindImage, healthy, hasCounter, astray, astray},
		{"unless all orphans go", gitlabtest.Legacy, anyOrphan, gitlabtest.KindImage, healthy, hasCounter, noTag, noCounter},
		{"or none", gitlabtest.Legacy, off, gitlabtest.KindImage, healthy, healthy, healthy, healthy},
		{"a cache goes", gitlabtest.Legacy, plain, gitlabtest.KindCacheManifest, healthy, hasCounter, noTag, noCounter},
		{"unless none does", gitlabtest.Legacy, off, gitlabtest.KindCacheManifest, healthy, healthy, healthy, healthy},
		{"or it is young", gitlabtest.Legacy, fresh, gitlabtest.KindCacheManifest, healthy, hasCounter, young, young},
		{"which the API cannot know", gitlabtest.Legacy, freshAPI, gitlabtest.KindCacheManifest, healthy, hasCounter, noTag, noCounter},
		{"and not for ever", gitlabtest.Legacy, old, gitlabtest.KindCacheManifest, healthy, hasCounter, noTag, noCounter},
		{"a chart does not tell", gitlabtest.Legacy, fresh, gitlabtest.KindArtifact, healthy, hasCounter, noTag, noCounter},
		{"kinds by default", gitlabtest.Legacy, plain, gitlabtest.KindAttestedImage, missing, missing, missing, missing},
		{"classic cache", gitlabtest.Legacy, plain, gitlabtest.KindCacheIndex, missing, missing, missing, missing},
		{"young classic cache", gitlabtest.Legacy, fresh, gitlabtest.KindCacheList, young, young, young, young},
		{"no manifest", gitlabtest.Legacy, fresh, gitlabtest.KindManifestMissing, missing, missing, missing, missing},
		{"two platforms", gitlabtest.Legacy, plain, gitlabtest.KindMultiArch, arches, arches, arches, arches},
		{"unless asked for", gitlabtest.Legacy, more, gitlabtest.KindMultiArch, missing, missing, missing, missing},
		{"and then nothing else", gitlabtest.Legacy, more, gitlabtest.KindAttestedImage, healthy, healthy, healthy, healthy},
		{"a list is what Rails makes of it", gitlabtest.Legacy, plain, gitlabtest.KindDockerList, healthy, hasCounter, astray, astray},
		{"all orphans on database", gitlabtest.Database, plain, gitlabtest.KindImage, healthy, hasCounter, noTag, noCounter},
		{"but undated there are none", gitlabtest.Database, undated, gitlabtest.KindCacheManifest, healthy, hasCounter, astray, astray},
		{"all rows tell", gitlabtest.Database, fresh, gitlabtest.KindArtifact, healthy, hasCounter, young, young},
		{"no kinds on database", gitlabtest.Database, plain, gitlabtest.KindAttestedImage, healthy, hasCounter, noTag, noCounter},
		{"unless told", gitlabtest.Database, everywhere, gitlabtest.KindAttestedImage, missing, missing, missing, missing},
		{"which spares platforms", gitlabtest.Database, everywhere, gitlabtest.KindMultiArch, arches, arches, arches, arches},
		{"and lists", gitlabtest.Database, everywhere, gitlabtest.KindDockerList, arches, arches, arches, arches},
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
				{ByRegistry: true, Orphans: "any"}, {Orphans: "any"},
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
