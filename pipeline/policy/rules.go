package policy

import (
	"regexp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// Orphans says which tags of cache repositories are deleted when they have no counterpart.
type Orphans string

// The settings of ORPHANS.
const (
	OrphansAuto    Orphans = "auto"    // undated on Legacy, any on Database
	OrphansUndated Orphans = "undated" // those without a date
	OrphansAny     Orphans = "any"     // dated ones, too
	OrphansOff     Orphans = "off"     // none
)

// Rules are the user's choices, the same for all tags of a run.
type Rules struct {
	// ProtectedNames are never touched.
	ProtectedNames []string
	// ProtectedPattern, when not nil, is matched against the name of a tag; a match
	// is never touched.
	ProtectedPattern *regexp.Regexp
	// CacheSuffix ends the names of cache repositories. Where it is empty there are
	// none.
	CacheSuffix string
	// Orphans says which tags of cache repositories are deleted without a counterpart.
	Orphans Orphans
	// ByRegistry demands the registry's own word for a tag whose details are missing:
	// it is deleted only when the kind of its manifest is known and among DeleteKinds.
	// Without it, GitLab's word is enough, and kinds are not looked at.
	ByRegistry  bool
	DeleteKinds []manifest.Kind
}

// Protects reports whether the rules forbid to touch a tag of that name. One that is named after
// a digest belongs to another manifest, for which a registry may take it.
func (r Rules) Protects(tag string) bool {
	return manifest.NamesDigest(tag) || slices.Contains(r.ProtectedNames, tag) ||
		r.ProtectedPattern != nil && r.ProtectedPattern.MatchString(tag)
}

// CounterpartOf returns the name of the counterpart repository of a cache
// repository, and false for every other repository.
func (r Rules) CounterpartOf(repository string) (string, bool) {
	if r.CacheSuffix == "" {
		return "", false
	}
	return strings.CutSuffix(repository, r.CacheSuffix)
}

// Decide returns the verdict that follows from the facts, and the fact that could still
// change it. A caller finds that fact and decides again, until nothing is needed or the
// needed fact cannot be had; then the verdict stands. The cheapest fact is named first.
func (r Rules) Decide(f Facts) (Verdict, Need) {
	missing, known := f.Missing.Get()
	_, cache := r.CounterpartOf(f.Repository)
	switch {
	case r.Protects(f.Tag):
		return Verdict{Keep, Protected}, Nothing
	case !f.Listed:
		return Verdict{Undecided, ListingIncomplete}, Nothing
	case !known:
		return Verdict{Undecided, DetailsUnknown}, NeedDetails
	case missing:
		return r.decideMissing(f), Nothing
	case cache && r.Orphans != OrphansOff:
		return r.decideCache(f)
	default:
		return Verdict{Keep, Healthy}, Nothing
	}
}

// decideMissing reads a 404. It is a ground for deletion on Legacy alone: on
// Database a tag that its listing names is there, whatever its details say, and where
// the regime is unknown so is the meaning of the 404.
func (r Rules) decideMissing(f Facts) Verdict {
	switch regime, known := f.Regime.Get(); {
	case !known:
		return Verdict{Undecided, DetailsUnknown}
	case regime != Legacy:
		return Verdict{Undecided, EvidenceDisagrees}
	case r.ByRegistry:
		return r.decideKind(f)
	default:
		return unlessYoung(f, MissingDetails)
	}
}

// decideKind decides by what the registry shows where GitLab shows nothing. A manifest
// that GitLab could have shown contradicts its 404; an artifact may be an index.
func (r Rules) decideKind(f Facts) Verdict {
	kind, known := f.Kind.Get()
	switch {
	case !known:
		return Verdict{Undecided, DetailsUnknown}
	case kind == manifest.KindImage || kind == manifest.KindCacheManifest:
		return Verdict{Undecided, EvidenceDisagrees}
	case slices.Contains(r.DeleteKinds, kind):
		return unlessYoung(f, MissingDetails)
	case kind == manifest.KindMultiArch:
		return Verdict{Keep, MultiArch}
	default:
		return Verdict{Keep, Healthy}
	}
}

// decideCache decides on a tag of a cache repository that has details.
func (r Rules) decideCache(f Facts) (Verdict, Need) {
	dateMatters := !r.deletesDated(f.Regime)
	counterpart, found := f.Counterpart.Get()
	dated, dateKnown := f.Dated.Get()
	switch {
	case !found && dateMatters && dateKnown && dated:
		return Verdict{Keep, Healthy}, NeedCounterpart // for the reason alone
	case !found:
		return Verdict{Undecided, CounterpartUnknown}, NeedCounterpart
	case counterpart == CounterpartPresent:
		return Verdict{Keep, HasCounterpart}, Nothing
	case dateMatters && !dateKnown:
		return Verdict{Undecided, DetailsUnknown}, NeedDate
	case dateMatters && dated:
		return Verdict{Keep, DatedOrphan}, Nothing
	case counterpart == CounterpartRepositoryMissing:
		return unlessYoung(f, MissingCounterpartRepository), Nothing
	default:
		return unlessYoung(f, MissingCounterpartTag), Nothing
	}
}

// RestsOnDate reports whether a verdict to delete rests on the date that the tag lacks.
func (r Rules) RestsOnDate(f Facts) bool {
	missing, _ := f.Missing.Get()
	return !missing && !r.deletesDated(f.Regime)
}

// deletesDated reports whether an orphan is deleted although it has a date; where it is
// not, its verdict rests on the date that it lacks.
func (r Rules) deletesDated(regime Fact[Regime]) bool {
	known, ok := regime.Get()
	return r.Orphans == OrphansAny || r.Orphans == OrphansAuto && ok && known == Database
}

// unlessYoung deletes for a reason, but for a build cache that is young: its image may
// still be on its way.
func unlessYoung(f Facts, reason Reason) Verdict {
	if young, known := f.Young.Get(); known && young {
		return Verdict{Keep, TooYoung}
	}
	return Verdict{Delete, reason}
}
