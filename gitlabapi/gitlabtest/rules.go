package gitlabtest

import (
	"slices"
	"time"
)

// TruthRules are rules under which tags are dead, where the original ones of
// [World.Truth] do not do. The zero value is what a run makes of the API alone,
// with ORPHANS=auto.
type TruthRules struct {
	// ByRegistry: a tag whose details GitLab calls missing goes if its kind, as
	// the registry shows it, is among DeleteKinds. Otherwise all of them go.
	ByRegistry bool
	// DeleteKinds are cache-index, attested-image, missing-manifest and
	// multi-arch; nil stands for all but the last.
	DeleteKinds []string
	// KindsOnDatabase: DeleteKinds go on DATABASE as well, where no details are
	// missing. It needs ByRegistry.
	KindsOnDatabase bool
	// Orphans is undated, any, off, or auto: undated on LEGACY, any on DATABASE.
	Orphans string
	// MinAge is what caches must have reached by Now, where their age can be
	// known: by the registry only, on LEGACY by the newest layer, on DATABASE by
	// the last push. Zero means that age does not matter.
	MinAge time.Duration
	Now    time.Time
}

// defaultKinds go unless others are named.
var defaultKinds = []string{"cache-index", "attested-image", "missing-manifest"}

// Reasons to keep that the original rules do not have.
const (
	keptMultiArch = "multi-arch"
	keptYoung     = "too-young"
)

// TruthUnder returns the dead tags under other rules, as path:tag with their
// reason. It leaves Dead of the tags alone.
func (w *World) TruthUnder(rules TruthRules) map[string]string {
	dead := map[string]string{}
	for name, why := range w.VerdictsUnder(rules) {
		if slices.Contains(deadly, why) {
			dead[name] = why
		}
	}
	return dead
}

// deadly are the reasons to delete.
var deadly = []string{
	detailsMissing.String(), counterpartRepositoryMissing.String(), counterpartTagMissing.String(),
}

// VerdictsUnder returns the reason for which each tag goes or stays under other
// rules: multi-arch and too-young are possible besides those of [TagState].
// On DATABASE a tag without a manifest does not exist, and is left out.
func (w *World) VerdictsUnder(rules TruthRules) map[string]string {
	if rules.DeleteKinds == nil {
		rules.DeleteKinds = defaultKinds
	}
	if rules.Orphans == "" || rules.Orphans == "auto" {
		rules.Orphans = map[Regime]string{Legacy: "undated", Database: "any"}[w.Regime]
	}
	verdicts := map[string]string{}
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			around := r.surroundings()
			for _, t := range r.Tags {
				if w.Regime.holds(t.Kind) {
					verdicts[r.Path()+":"+t.Name] = rules.judge(around, t)
				}
			}
		}
	}
	return verdicts
}

// judge applies the rules to a tag.
func (rules TruthRules) judge(s surroundings, t *Tag) string {
	switch {
	case !s.reached:
		return outOfReach.String()
	case isProtected(t.Name):
		return protected.String()
	case rules.readsKind(s.regime, t.Kind):
		return rules.judgeKind(s.regime, t)
	case !s.cache || rules.Orphans == "off":
		return healthy.String()
	default:
		return rules.judgeCache(s, t)
	}
}

// readsKind says whether the verdict rests on what the tag's manifest is.
func (rules TruthRules) readsKind(regime Regime, kind Kind) bool {
	missing := kinds[kind.number()].missing
	if regime == Legacy {
		return missing
	}
	return rules.ByRegistry && rules.KindsOnDatabase && (missing || kind == KindDockerList)
}

func (rules TruthRules) judgeKind(regime Regime, t *Tag) string {
	shown := registryKind(t.Kind)
	switch {
	case !rules.ByRegistry:
		return detailsMissing.String()
	case !slices.Contains(rules.DeleteKinds, shown) && shown == "multi-arch":
		return keptMultiArch
	case !slices.Contains(rules.DeleteKinds, shown):
		return healthy.String()
	case shown == "cache-index" && rules.young(regime, t):
		return keptYoung
	default:
		return detailsMissing.String()
	}
}

// registryKind is what the manifest of a tag shows, of those kinds whose details
// are missing, and of a Docker list.
func registryKind(kind Kind) string {
	switch kind {
	case KindCacheIndex, KindCacheList:
		return "cache-index"
	case KindAttestedImage:
		return "attested-image"
	case KindManifestMissing:
		return "missing-manifest"
	default:
		return "multi-arch"
	}
}

// judgeCache decides on a tag of a cache repository that has details.
func (rules TruthRules) judgeCache(s surroundings, t *Tag) string {
	undated := kinds[t.Kind.number()].undated && s.regime == Legacy
	switch {
	case s.counterpart != nil && s.counterpart(t.Name):
		return counterpartPresent.String()
	case !undated && rules.Orphans != "any":
		return datedOrphan.String()
	case rules.young(s.regime, t):
		return keptYoung
	case s.counterpart == nil:
		return counterpartRepositoryMissing.String()
	default:
		return counterpartTagMissing.String()
	}
}

// young says whether a tag is known to be younger than it must be. On LEGACY
// only the layers of caches tell.
func (rules TruthRules) young(regime Regime, t *Tag) bool {
	tells := regime == Database || slices.Contains(cacheKinds, t.Kind)
	return rules.ByRegistry && tells && rules.MinAge > 0 && rules.Now.Sub(t.pushed()) < rules.MinAge
}

var cacheKinds = []Kind{KindCacheIndex, KindCacheList, KindCacheManifest}
