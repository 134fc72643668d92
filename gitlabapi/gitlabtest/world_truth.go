package gitlabtest

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// cacheSuffix is what names of cache repositories end in.
const cacheSuffix = ".cache"

// verdict is the truth about a tag, under the original rules with their
// defaults.
type verdict uint8

const (
	healthy verdict = iota
	protected
	counterpartPresent
	datedOrphan
	outOfReach
	detailsMissing
	counterpartRepositoryMissing
	counterpartTagMissing
)

var verdictNames = [...]string{
	healthy:                      "healthy",
	protected:                    "protected",
	counterpartPresent:           "counterpart-present",
	datedOrphan:                  "dated-orphan",
	outOfReach:                   "out-of-reach",
	detailsMissing:               "details-missing",
	counterpartRepositoryMissing: "counterpart-repository-missing",
	counterpartTagMissing:        "counterpart-tag-missing",
}

func (v verdict) String() string { return verdictNames[v] }

// dead returns the reason to delete, "" when the tag must stay.
func (v verdict) dead() string {
	if v < detailsMissing {
		return ""
	}
	return v.String()
}

var (
	protectedNames = []string{"latest", "master", "main"}
	protectedRegex = regexp.MustCompile(`^v.*\..*\..*`)
)

func isProtected(tag string) bool {
	return slices.Contains(protectedNames, tag) || protectedRegex.MatchString(tag)
}

// tagContext is what the truth about a tag depends on besides the tag itself.
type tagContext struct {
	regime  Regime
	reached bool // something can be deleted in the repository
	cache   bool // it is a cache repository
	// counterpart says whether the counterpart has a tag; nil when there is
	// no counterpart.
	counterpart func(tag string) bool
}

// judge applies the original rules. On DATABASE details are never missing and
// never without a date, so that nothing dies there.
func (s tagContext) judge(tag string, kind uint8) verdict {
	missing := kinds[kind].missing && s.regime == Legacy
	undated := kinds[kind].undated && s.regime == Legacy
	switch {
	case !s.reached:
		return outOfReach
	case isProtected(tag):
		return protected
	case missing:
		return detailsMissing
	case !s.cache:
		return healthy
	case s.counterpart != nil && s.counterpart(tag):
		return counterpartPresent
	case !undated:
		return datedOrphan
	case s.counterpart == nil:
		return counterpartRepositoryMissing
	default:
		return counterpartTagMissing
	}
}

// reached says whether anything can be deleted in a project.
func (p *Project) reached() bool {
	return !p.Archived && !p.RegistryDisabled && !p.Forbidden && !p.NotMember
}

// beingDeleted says whether GitLab is removing the whole repository.
func beingDeleted(status string) bool {
	return status == "delete_scheduled" || status == "delete_ongoing"
}

// isCache says whether a repository's name makes it a cache repository. That
// of a root repository is empty, whatever its project is called.
func isCache(name string) bool { return strings.HasSuffix(name, cacheSuffix) }

// context is what the truth about the repository's tags depends on, in the world as planned.
func (r *Repository) context() tagContext {
	s := tagContext{
		regime:  r.project.world.Regime,
		reached: r.project.reached() && !beingDeleted(r.Status),
		cache:   isCache(r.Name),
	}
	if !s.cache {
		return s
	}
	other := r.project.Repository(strings.TrimSuffix(r.Name, cacheSuffix))
	switch {
	case other == nil:
	case beingDeleted(other.Status):
		// What it held until just now cannot be known: it may have been there.
		s.counterpart = func(string) bool { return true }
	default:
		names := make(map[string]bool, len(other.Tags))
		for _, t := range other.Tags {
			names[t.Name] = s.regime.holds(t.Kind)
		}
		s.counterpart = func(tag string) bool { return names[tag] }
	}
	return s
}

// Truth sets Dead of every tag and returns the dead ones, as path:tag with
// their reason. The rules are judged on the world as it is before anything is
// deleted: a counterpart that is dead itself counts as present. Tags that
// cannot be deleted (archived projects, disabled or forbidden registries, no
// membership, repositories that GitLab is deleting) are never dead.
func (w *World) Truth() map[string]string {
	w.judge()
	dead := map[string]string{}
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			for _, t := range r.Tags {
				if t.Dead != "" {
					dead[r.Path()+":"+t.Name] = t.Dead
				}
			}
		}
	}
	return dead
}

// holds says whether a registry of the regime can hold a kind of tag: in a
// database a tag goes with its manifest.
func (r Regime) holds(kind Kind) bool { return r == Legacy || kind != KindManifestMissing }

// judge sets Dead of every tag. Servers of one world may be made at once.
func (w *World) judge() {
	w.judging.Lock()
	defer w.judging.Unlock()
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			s := r.context()
			for _, t := range r.Tags {
				// Only what changes is written, so that servers made of the world before
				// may go on reading it.
				if dead := s.judge(t.Name, t.Kind.number()).dead(); dead != t.Dead {
					t.Dead = dead
				}
			}
		}
	}
}

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
			around := r.context()
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
func (rules TruthRules) judge(s tagContext, t *Tag) string {
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
func (rules TruthRules) judgeCache(s tagContext, t *Tag) string {
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
