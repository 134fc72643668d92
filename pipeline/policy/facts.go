package policy

// A Fact is something that was observed, or was not. The zero value is an
// unknown fact.
type Fact[T any] struct {
	value T
	known bool
}

// Known returns the fact that v was observed.
func Known[T any](v T) Fact[T] { return Fact[T]{value: v, known: true} }

// Unknown returns a fact that could not be observed: the question was not asked,
// not answered, or answered in a way that cannot be believed.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// Get returns what was observed, and whether anything was.
func (f Fact[T]) Get() (T, bool) { return f.value, f.known }

// IsKnown reports whether anything was observed.
func (f Fact[T]) IsKnown() bool { return f.known }

// A Regime is how an instance stores the metadata of its tags.
type Regime int

// The two regimes. On [Legacy] GitLab reads manifests and config blobs, shows
// some good tags as missing and cannot date others; on [Database] every tag has a
// row with a date, and details that are missing prove nothing.
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

// Details is what the instance says about one tag when it is asked for it by name.
type Details int

const (
	// DetailsMissing: the instance answered that it has no such tag (404).
	DetailsMissing Details = iota + 1
	// DetailsUndated: the tag is there, without a date.
	DetailsUndated
	// DetailsDated: the tag is there and has a date.
	DetailsDated
	// DetailsFound: the tag is there; nobody has asked for its date.
	DetailsFound
)

// Counterpart is what is known of the tag of the same name in the repository of the
// same project whose name lacks the cache suffix.
type Counterpart int

const (
	// CounterpartPresent: the counterpart repository has a tag of that name, or is
	// just being deleted, in which case nobody can say any more what it had.
	CounterpartPresent Counterpart = iota + 1
	// CounterpartTagMissing: the counterpart repository is there and lacks the tag.
	CounterpartTagMissing
	// CounterpartRepositoryMissing: the project has no such repository.
	CounterpartRepositoryMissing
)

// A Kind is what a tag's manifest is, as the registry itself shows it.
type Kind string

// The kinds. Rails shows the last three and has no details of the others.
const (
	KindCacheIndex      Kind = "cache-index"      // a build cache exported as an index
	KindAttestedImage   Kind = "attested-image"   // one platform, with attestations
	KindMultiArch       Kind = "multi-arch"       // an image for several platforms
	KindMissingManifest Kind = "missing-manifest" // a tag that points to nothing
	KindCacheManifest   Kind = "cache-manifest"   // a build cache exported as a manifest
	KindImage           Kind = "image"
	KindArtifact        Kind = "artifact"
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
	// Details is what the instance says about the tag itself.
	Details Fact[Details]
	// Counterpart matters for the tags of cache repositories only.
	Counterpart Fact[Counterpart]
	// Kind matters where a tag goes on the registry's word only.
	Kind Fact[Kind]
	// Young says that a build cache is younger than the user wants caches to be that
	// go. Unlike with other facts, not knowing it keeps no tag: most evidence cannot
	// tell the age of a cache.
	Young Fact[bool]
}
