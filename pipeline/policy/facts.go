package policy

import "gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"

// A Fact is something that was observed, or was not. The zero value is an
// unknown fact.
type Fact[T any] struct {
	value T
	known bool
}

// Known returns the fact that v was observed.
func Known[T any](v T) Fact[T] { return Fact[T]{value: v, known: true} }

// Unknown returns a fact that was not observed: nobody asked, or there was no answer, or
// one that cannot be trusted.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// Get returns what was observed, and whether anything was.
func (f Fact[T]) Get() (T, bool) { return f.value, f.known }

// IsKnown reports whether anything was observed.
func (f Fact[T]) IsKnown() bool { return f.known }

// A Regime says whether the registry of an instance has its metadata database.
type Regime int

// The two regimes. On [Legacy], without the database, GitLab reads manifests and config
// blobs, shows some good tags as missing and cannot date others. On [Database] every tag
// has a row with a date, and details that are missing prove nothing.
const (
	Legacy Regime = iota + 1
	Database
)

// String returns the name of the regime as reports show it.
func (r Regime) String() string {
	switch r {
	case Legacy:
		return "legacy"
	case Database:
		return "database"
	default:
		return "unknown"
	}
}

// Counterpart is what is known of the tag of the same name in the repository of the
// same project whose name lacks the cache suffix.
type Counterpart int

const (
	// CounterpartPresent: the counterpart repository has a tag of that name, or is
	// just being deleted, in which case it cannot be known any more what it had.
	CounterpartPresent Counterpart = iota + 1
	// CounterpartTagMissing: the counterpart repository is there and lacks the tag.
	CounterpartTagMissing
	// CounterpartRepositoryMissing: the project has no such repository.
	CounterpartRepositoryMissing
)

// Facts is all that a verdict on one tag rests on.
type Facts struct {
	// Repository is the name of the tag's repository below its project; empty for
	// the project's root repository.
	Repository string
	// Tag is the name of the tag.
	Tag string
	// Listed is the state of the listing that named the tag: true when it was read to
	// its end, false when it broke off.
	Listed bool
	// Regime is the instance's.
	Regime Fact[Regime]
	// Missing says that GitLab has no details of the tag when it is asked for it by
	// name (404), or would have none by what the registry shows.
	Missing Fact[bool]
	// Dated says that the tag has a date by which GitLab's own policies could delete it.
	// It matters for the tags of cache repositories only.
	Dated Fact[bool]
	// Counterpart matters for the tags of cache repositories only.
	Counterpart Fact[Counterpart]
	// Kind matters where Missing rests on the registry's word only.
	Kind Fact[manifest.Kind]
	// Young says that a build cache is younger than the minimum age of what is deleted.
	// Unlike with other facts, not knowing it keeps no tag: most sources cannot tell the
	// age of a cache.
	Young Fact[bool]
}

// A Need names the fact that a verdict lacks.
type Need int

// The needs. Nothing means that no further fact can change the verdict.
const (
	Nothing Need = iota
	NeedDetails
	NeedCounterpart
	NeedDate
)
