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
	noRule verdict = iota
	noTagName
	protected
	protectedInGitLab
	referrer
	namingDiffers
	counterpartPresent
	noBuildCache
	datedOrphan
	outOfReach
	detailsMissing // from here on it has to go; this one by the original rules alone
	missingManifest
	undatable
	counterpartRepositoryMissing
	counterpartTagMissing
)

var verdictNames = [...]string{
	noRule:                       "no-rule",
	noTagName:                    "no-tag-name",
	protected:                    "protected",
	protectedInGitLab:            "protected-in-gitlab",
	referrer:                     "referrer",
	namingDiffers:                "naming-differs",
	counterpartPresent:           "counterpart-present",
	noBuildCache:                 "no-build-cache",
	datedOrphan:                  "dated-orphan",
	outOfReach:                   "out-of-reach",
	detailsMissing:               "details-missing",
	missingManifest:              "missing-manifest",
	undatable:                    "undatable",
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

// TruthRules are rules under which tags are dead, and what a run may ask. The zero value is
// the rules by default on GitLab's word alone. Ages are not looked at: all tags are old.
type TruthRules struct {
	// Original: the rules are those of the program that this one replaces. The fields below do
	// not matter then. On DATABASE details are never missing and never without a date, so that
	// nothing is dead there.
	Original bool
	// ByRegistry: the registry shows the kinds of manifests.
	ByRegistry bool
	// DeleteKinds are cache-index, attested-image, missing-manifest and
	// multi-arch; nil stands for the first and the third.
	DeleteKinds []string
	// Orphans is undated, any, off, or auto: undated on LEGACY, any on DATABASE.
	Orphans string
}

var originalRules = TruthRules{Original: true}

// defaultKinds go unless others are named.
var defaultKinds = []string{"cache-index", "missing-manifest"}

// tagContext is what the truth about a tag depends on besides the tag itself.
type tagContext struct {
	regime  Regime
	reached bool // something can be deleted in the repository
	cache   bool // it is a cache repository
	// naming says that the names of a cache repository tell nothing: see [Repository.namingDiffers].
	naming bool
	// protects says of a name that a rule of the project protects it. Whether GitLab would hold
	// the token's user to the rule does not matter.
	protects func(tag string) bool
	// counterpart says whether the counterpart has a tag; nil when there is
	// no counterpart.
	counterpart func(tag string) bool
}

// judge applies the rules to a tag, whose kind is given by its number.
func (rules TruthRules) judge(c tagContext, name string, kind uint8) verdict {
	switch {
	case !c.reached:
		return outOfReach
	case kinds[kind].kind == KindStray:
		return noTagName
	case c.protects(name):
		return protectedInGitLab
	case digestName.MatchString(name):
		return referrer
	case isProtected(name):
		return protected
	case rules.Original:
		return judgeOriginal(c, name, kinds[kind])
	case rules.ByRegistry && c.regime == Legacy && rules.names(kinds[kind].kind):
		if kinds[kind].kind == KindManifestMissing {
			return missingManifest
		}
		return undatable
	case c.cache:
		return rules.judgeCache(c, name, kinds[kind])
	default:
		return noRule
	}
}

// judgeOriginal knows neither kinds nor conventions of names.
func judgeOriginal(c tagContext, name string, kind tagKind) verdict {
	switch {
	case c.regime == Database:
		return noRule
	case kind.missing:
		return detailsMissing
	case !c.cache:
		return noRule
	case c.counterpart != nil && c.counterpart(name):
		return counterpartPresent
	case !kind.undated:
		return datedOrphan
	case c.counterpart == nil:
		return counterpartRepositoryMissing
	default:
		return counterpartTagMissing
	}
}

// judgeCache decides on a tag of a cache repository. Without the registry's word the repository's
// name tells what a build cache is, and of a tag without details nothing is known.
func (rules TruthRules) judgeCache(c tagContext, name string, kind tagKind) verdict {
	undated := c.regime == Legacy && (kind.undated || kind.missing && rules.ByRegistry)
	goes := rules.Orphans == "any" || rules.Orphans != "off" && undated ||
		c.regime == Database && (rules.Orphans == "" || rules.Orphans == "auto")
	switch {
	case c.naming:
		return namingDiffers
	case c.counterpart != nil && c.counterpart(name):
		return counterpartPresent
	case rules.ByRegistry && !kind.cache:
		return noBuildCache
	case !goes:
		return datedOrphan
	case c.counterpart == nil:
		return counterpartRepositoryMissing
	default:
		return counterpartTagMissing
	}
}

// names says whether a kind is among those to delete that GitLab cannot date.
func (rules TruthRules) names(kind Kind) bool {
	shown := map[Kind]string{
		KindCacheIndex: "cache-index", KindCacheList: "cache-index", KindAttestedImage: "attested-image",
		KindManifestMissing: "missing-manifest", KindMultiArch: "multi-arch",
	}[kind]
	named := rules.DeleteKinds
	if named == nil {
		named = defaultKinds
	}
	return slices.Contains(named, shown)
}

var (
	protectedNames = []string{"latest", "master", "main"}
	protectedRegex = regexp.MustCompile(`^v.*\..*\..*`)
	// digestName is how tags are called that belong to the manifest of a digest: signatures,
	// SBOMs, lists of referrers. A registry may take such a name for the digest.
	digestName = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)
)

// isProtected says whether a tag has one of the names that are protected by default.
func isProtected(tag string) bool {
	return slices.Contains(protectedNames, tag) || protectedRegex.MatchString(tag)
}

// beingDeleted says whether GitLab is removing the whole repository.
func beingDeleted(status string) bool {
	return status == "delete_scheduled" || status == "delete_ongoing"
}

// holds says whether a registry of the regime can hold a kind of tag: in a
// database a tag goes with its manifest, and nothing else is listed.
func (r Regime) holds(kind Kind) bool {
	return r == Legacy || kind != KindManifestMissing && kind != KindStray
}

// contextOf is what the truth about a repository's tags depends on, as things are now. What
// a counterpart held that is being deleted cannot be known: any tag may have been there.
func (st *state) contextOf(r *repository) tagContext {
	p := r.project
	around := tagContext{
		regime:  st.regime,
		reached: !p.readOnly() && !p.unreadable() && !p.NotMember && !beingDeleted(r.status),
		cache:   strings.HasSuffix(r.name, cacheSuffix), protects: p.protects,
	}
	if other := p.repository(strings.TrimSuffix(r.name, cacheSuffix)); around.cache && other != nil {
		around.counterpart = func(tag string) bool {
			_, there := other.stored.find(tag)
			return there || beingDeleted(other.status)
		}
		around.naming = r.namingDiffers(other)
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

// VerdictsUnder returns the reason for which each tag goes or stays under other rules.
// On DATABASE a tag without a manifest does not exist, and is left out.
func (w *World) VerdictsUnder(rules TruthRules) map[string]string {
	verdicts := map[string]string{}
	newState(w, false).judge(rules, func(r *repository, t *storedTag, v verdict) { verdicts[r.path+":"+t.name] = v.String() })
	return verdicts
}

// namingDiffers says whether a cache repository of five tags or more has no name in common with its
// counterpart, which has tags: they are named by another convention.
func (r *repository) namingDiffers(counterpart *repository) bool {
	mine, others := r.stored.live(), counterpart.stored.live()
	if len(mine) < 5 || len(others) == 0 || beingDeleted(counterpart.status) {
		return false
	}
	return !slices.ContainsFunc(mine, func(t storedTag) bool {
		_, there := counterpart.stored.find(t.name)
		return there
	})
}
