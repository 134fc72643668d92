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
		return decideMissing(f)
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
func decideMissing(f Facts) Verdict {
	switch regime, known := f.Regime.Get(); {
	case !known:
		return Verdict{Undecided, DetailsUnknown}
	case regime != Legacy:
		return Verdict{Undecided, EvidenceDisagrees}
	default:
		return Verdict{Delete, MissingDetails}
	}
}

// decideCache decides on a tag of a cache repository that has details.
func (r Rules) decideCache(f Facts) Verdict {
	details, _ := f.Details.Get()
	spared := details == DetailsDated && !r.DeletesDated(f.Regime)
	counterpart, known := f.Counterpart.Get()
	switch {
	case known && counterpart == CounterpartPresent:
		return Verdict{Keep, HasCounterpart}
	case known && spared:
		return Verdict{Keep, DatedOrphan}
	case spared:
		return Verdict{Keep, Healthy}
	case known && counterpart == CounterpartRepositoryMissing:
		return Verdict{Delete, MissingCounterpartRepository}
	case known && counterpart == CounterpartTagMissing:
		return Verdict{Delete, MissingCounterpartTag}
	default:
		return Verdict{Undecided, CounterpartUnknown}
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
