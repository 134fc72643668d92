package policy

import (
	"regexp"
	"slices"
	"strings"
)

// Orphans says which tags of cache repositories go when they have no counterpart.
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
	// Orphans says which tags of cache repositories go without a counterpart.
	Orphans Orphans
	// ByRegistry demands the registry's own word for a tag whose details are missing:
	// it goes only when the kind of its manifest is known and among DeleteKinds.
	// Without it, GitLab's word is enough, and kinds are not looked at.
	ByRegistry  bool
	DeleteKinds []Kind
}

// Protects reports whether the rules forbid to touch a tag of that name.
func (r Rules) Protects(tag string) bool {
	return slices.Contains(r.ProtectedNames, tag) ||
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

// Decide returns the verdict on one tag.
func (r Rules) Decide(f Facts) Verdict {
	switch details, known := f.Details.Get(); {
	case r.Protects(f.Tag):
		return Verdict{Keep, Protected}
	case !f.Listed:
		return Verdict{Undecided, ListingIncomplete}
	case !known:
		return Verdict{Undecided, DetailsUnknown}
	case details == DetailsMissing:
		return r.decideMissing(f)
	case r.WantsCounterpart(f):
		return r.decideCache(f)
	default:
		return Verdict{Keep, Healthy}
	}
}

// WantsCounterpart reports whether the verdict on a tag depends on its counterpart,
// so that a caller can leave the question unasked where the answer would not matter.
func (r Rules) WantsCounterpart(f Facts) bool {
	details, known := f.Details.Get()
	if _, cache := r.CounterpartOf(f.Repository); !cache || !known {
		return false
	}
	return details != DetailsMissing && r.Orphans != OrphansOff && !r.Protects(f.Tag)
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
// that GitLab could have shown contradicts its 404.
func (r Rules) decideKind(f Facts) Verdict {
	kind, known := f.Kind.Get()
	switch {
	case !known:
		return Verdict{Undecided, DetailsUnknown}
	case kind == KindImage || kind == KindArtifact || kind == KindCacheManifest:
		return Verdict{Undecided, EvidenceDisagrees}
	case slices.Contains(r.DeleteKinds, kind):
		return unlessYoung(f, MissingDetails)
	case kind == KindMultiArch:
		return Verdict{Keep, MultiArch}
	default:
		return Verdict{Keep, Healthy}
	}
}

// unlessYoung deletes for a reason, but for a build cache that has only just come: its
// image may still be on its way.
func unlessYoung(f Facts, reason Reason) Verdict {
	if young, known := f.Young.Get(); known && young {
		return Verdict{Keep, TooYoung}
	}
	return Verdict{Delete, reason}
}

// decideCache decides on a tag of a cache repository that has details.
func (r Rules) decideCache(f Facts) Verdict {
	details, _ := f.Details.Get()
	dateMatters := !r.DeletesDated(f.Regime)
	counterpart, known := f.Counterpart.Get()
	switch {
	case known && counterpart == CounterpartPresent:
		return Verdict{Keep, HasCounterpart}
	case !known && dateMatters && details == DetailsDated:
		return Verdict{Keep, Healthy}
	case !known:
		return Verdict{Undecided, CounterpartUnknown}
	case dateMatters && details == DetailsDated:
		return Verdict{Keep, DatedOrphan}
	case dateMatters && details == DetailsFound:
		return Verdict{Undecided, DetailsUnknown}
	case counterpart == CounterpartRepositoryMissing:
		return unlessYoung(f, MissingCounterpartRepository)
	default:
		return unlessYoung(f, MissingCounterpartTag)
	}
}

// DeletesDated reports whether an orphan goes although it has a date; where it does not,
// its verdict rests on the date that it lacks.
func (r Rules) DeletesDated(regime Fact[Regime]) bool {
	switch r.Orphans {
	case OrphansAny:
		return true
	case OrphansAuto:
		known, ok := regime.Get()
		return ok && known == Database
	default:
		return false
	}
}
