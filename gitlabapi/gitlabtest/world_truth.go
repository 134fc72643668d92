package gitlabtest

import (
	"regexp"
	"slices"
	"strings"
)

// cacheSuffix is what names of cache repositories end in.
const cacheSuffix = ".cache"

// verdict is the truth about a tag: why it stays, or why it has to go.
type verdict uint8

const (
	healthy verdict = iota
	protected
	counterpartPresent
	datedOrphan
	outOfReach
	keptMultiArch
	detailsMissing // from here on it has to go
	counterpartRepositoryMissing
	counterpartTagMissing
)

var verdictNames = [...]string{
	healthy:                      "healthy",
	protected:                    "protected",
	counterpartPresent:           "counterpart-present",
	datedOrphan:                  "dated-orphan",
	outOfReach:                   "out-of-reach",
	keptMultiArch:                "multi-arch",
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
	// Orphans is undated, any, off, or auto: undated on LEGACY, any on DATABASE.
	Orphans string
	// CachesOnly: of the tags without counterpart only build caches of BuildKit's go.
	CachesOnly bool
}

// originalRules are those of the program that this one replaces. On DATABASE details are
// never missing and never without a date, so that nothing is dead there.
var originalRules = TruthRules{Orphans: "undated"}

// defaultKinds go unless others are named.
var defaultKinds = []string{"cache-index", "attested-image", "missing-manifest"}

// tagContext is what the truth about a tag depends on besides the tag itself.
type tagContext struct {
	regime  Regime
	reached bool // something can be deleted in the repository
	cache   bool // it is a cache repository
	// protects says of a name that a rule of the project protects it. Whether GitLab would hold
	// the token's user to the rule does not matter.
	protects func(tag string) bool
	// counterpart says whether the counterpart has a tag; nil when there is
	// no counterpart.
	counterpart func(tag string) bool
}

// judge applies the rules to a tag, whose kind is given by its number.
func (rules TruthRules) judge(c tagContext, name string, kind uint8) verdict {
	missing := kinds[kind].missing && c.regime == Legacy
	undated := kinds[kind].undated && c.regime == Legacy
	orphans := rules.Orphans
	if auto := orphans == "" || orphans == "auto"; auto && c.regime == Legacy {
		orphans = "undated"
	} else if auto {
		orphans = "any"
	}
	switch {
	case !c.reached:
		return outOfReach
	case isProtected(name) || c.protects(name):
		return protected
	case missing:
		return rules.judgeMissing(kinds[kind].kind)
	case !c.cache || orphans == "off":
		return healthy
	case c.counterpart != nil && c.counterpart(name):
		return counterpartPresent
	case !undated && orphans != "any":
		return datedOrphan
	case rules.CachesOnly && !kinds[kind].cache:
		return healthy
	case c.counterpart == nil:
		return counterpartRepositoryMissing
	default:
		return counterpartTagMissing
	}
}

// judgeMissing decides on a tag without details by what its manifest is, as the registry
// shows it.
func (rules TruthRules) judgeMissing(kind Kind) verdict {
	shown := "multi-arch"
	switch kind {
	case KindCacheIndex, KindCacheList:
		shown = "cache-index"
	case KindAttestedImage:
		shown = "attested-image"
	case KindManifestMissing:
		shown = "missing-manifest"
	case KindReferrers, KindBareIndex, KindNestedIndex:
		shown = "artifact" // which is never among those that go
	}
	named := rules.DeleteKinds
	if named == nil {
		named = defaultKinds
	}
	switch {
	case !rules.ByRegistry || slices.Contains(named, shown):
		return detailsMissing
	case shown == "multi-arch":
		return keptMultiArch
	default:
		return healthy
	}
}

var (
	protectedNames = []string{"latest", "master", "main"}
	protectedRegex = regexp.MustCompile(`^v.*\..*\..*`)
	// digestName is how tags are called that belong to the manifest of a digest: signatures,
	// SBOMs, lists of referrers. A registry may take such a name for the digest.
	digestName = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)
)

// isProtected says whether a tag stays for its name, under whatever rules.
func isProtected(tag string) bool {
	return slices.Contains(protectedNames, tag) || protectedRegex.MatchString(tag) || digestName.MatchString(tag)
}

// beingDeleted says whether GitLab is removing the whole repository.
func beingDeleted(status string) bool {
	return status == "delete_scheduled" || status == "delete_ongoing"
}

// holds says whether a registry of the regime can hold a kind of tag: in a
// database a tag goes with its manifest.
func (r Regime) holds(kind Kind) bool { return r == Legacy || kind != KindManifestMissing }

// contextOf is what the truth about a repository's tags depends on, as things are now. What
// a counterpart held that is being deleted cannot be known: any tag may have been there.
func (st *state) contextOf(r *repository) tagContext {
	p := r.project
	around := tagContext{
		regime:  st.regime,
		reached: !p.Archived && !p.unreadable() && !p.NotMember && !beingDeleted(r.status),
		cache:   strings.HasSuffix(r.name, cacheSuffix), protects: p.protects,
	}
	if other := p.repository(strings.TrimSuffix(r.name, cacheSuffix)); around.cache && other != nil {
		around.counterpart = func(tag string) bool {
			_, there := other.stored.find(tag)
			return there || beingDeleted(other.status)
		}
	}
	return around
}

// judge judges every tag.
func (st *state) judge(rules TruthRules, do func(*repository, *storedTag, verdict)) {
	for _, r := range st.located {
		around, tags := st.contextOf(r), r.stored.live()
		for i := range tags {
			do(r, &tags[i], rules.judge(around, tags[i].name, tags[i].kind))
		}
	}
}

// Truth returns the dead tags, as path:tag with their reason. The rules are judged on the world as it is before anything is
// deleted: a counterpart that is dead itself counts as present. Tags that
// cannot be deleted (archived projects, disabled or forbidden registries, no
// membership, repositories that GitLab is deleting) are never dead.
func (w *World) Truth() map[string]string {
	return w.TruthUnder(originalRules)
}

// TruthUnder returns the dead tags under other rules.
func (w *World) TruthUnder(rules TruthRules) map[string]string {
	dead := map[string]string{}
	newState(w, false).judge(rules, func(r *repository, t *storedTag, v verdict) {
		if why := v.dead(); why != "" {
			dead[r.path+":"+t.name] = why
		}
	})
	return dead
}

// VerdictsUnder returns the reason for which each tag goes or stays under other
// rules: multi-arch is possible besides those of [TagState].
// On DATABASE a tag without a manifest does not exist, and is left out.
func (w *World) VerdictsUnder(rules TruthRules) map[string]string {
	verdicts := map[string]string{}
	newState(w, false).judge(rules, func(r *repository, t *storedTag, v verdict) { verdicts[r.path+":"+t.name] = v.String() })
	return verdicts
}
