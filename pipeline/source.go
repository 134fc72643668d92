package pipeline

import (
	"context"
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A source is where facts about tags come from: GitLab's API or the registry, on an instance
// with or without the registry's metadata database. That makes four of them. Whatever the
// source, the same instance gives the same verdicts, but for what a source cannot know.
//
// A source knows nothing of the run. It may be used by several goroutines. An error says why
// a fact is unknown and is that tag's alone, unless endsRun says otherwise.
type source interface {
	// list returns a repository's tags; what an incomplete listing has, beside its error.
	list(ctx context.Context, r *repository) (listing, error)

	// find returns what is known of a tag with one more fact found, if it can be had: the one
	// that the rules need, or [needDigest]; and for [needNothing] what the listing says. It sends no
	// request for what is known. A fact that it leaves unknown without an error cannot be had.
	find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Name) (finding, error)

	// recheck reads the grounds of candidates of one repository afresh, right before their
	// deletion, and returns a result for each, in their order. It trusts nothing that was
	// read before.
	recheck(ctx context.Context, candidates []candidate) []rechecked
}

// A registrySource is what both of the registry's sources need.
type registrySource struct {
	registry *registry.Registry
	api
}

// at returns the registry with the token for a repository.
func (s registrySource) at(r *repository) *registry.Registry {
	return s.registry.WithGroup(r.sharesToken)
}

// What a source is asked for beside facts that rules name.
const (
	needNothing policy.Name = ""
	needDigest  policy.Name = "digest" // which a deletion needs
)

// A finding is what a source has found out about one tag.
type finding struct {
	hasDetails policy.Fact[bool]          // GitLab has details of the tag, or would have
	broken     policy.Fact[bool]          // its manifest is missing from the registry's storage
	kind       policy.Fact[manifest.Kind] // of its manifest; only the registry shows it
	isCache    policy.Fact[bool]          // it is a build cache
	dated      policy.Fact[bool]          // GitLab has a date of it
	made       policy.Fact[time.Time]     // when it was pushed, or what it points to was made
	size       policy.Fact[int64]         // bytes of what it references
	digest     string                     // of its manifest; "" if not known
	mediaType  string                     // of its manifest; "" if not known

	// presumed says that isCache is what the repository's name says: that is looked into before
	// anything is deleted.
	presumed bool
	// manifest is what the registry's manifest says, zero if not read.
	manifest manifest.Manifest
}

// withKind returns the finding with a kind, and what follows from it.
func (f finding) withKind(kind manifest.Kind) finding {
	f.kind = policy.Known(kind)
	f.isCache, f.presumed = policy.Known(kind == manifest.KindCacheIndex || kind == manifest.KindCacheManifest), false
	return f
}

// lost reports whether the tag points to a manifest that the registry does not have.
func (f finding) lost() bool {
	broken, _ := f.broken.Get()
	return broken
}

// lacksDetails reports whether GitLab has no details of the tag.
func (f finding) lacksDetails() bool {
	has, known := f.hasDetails.Get()
	return known && !has
}

// lacksDate reports whether GitLab has details of the tag, without a date.
func (f finding) lacksDate() bool {
	dated, known := f.dated.Get()
	return known && !dated && !f.lacksDetails()
}

// bytes returns the size of what the tag references, 0 if it is not known.
func (f finding) bytes() int64 {
	size, _ := f.size.Get()
	return size
}

// readable reports whether the source could read the tag's manifest, or GitLab its details.
func (f finding) readable() bool { return f.digest != "" && !f.lost() }

// same reports whether a finding says of a tag what another does.
func (f finding) same(as finding) bool {
	return f.hasDetails == as.hasDetails && f.dated == as.dated && f.digest == as.digest
}

// madeAt returns a time as a fact: one of a reproducible build says nothing, and neither does none.
func madeAt(t time.Time) policy.Fact[time.Time] {
	if !manifest.SaysAge(t) || t.UTC().Year() > 9999 { // beyond which nothing can be written down
		return policy.Absent[time.Time]()
	}
	return policy.Known(t)
}

// sizeOf returns a size as a fact: where nothing is said there is nothing to know.
func sizeOf(bytes int64) policy.Fact[int64] {
	if bytes <= 0 {
		return policy.Absent[int64]()
	}
	return policy.Known(bytes)
}

// A rechecked is what a source says of a candidate right before its deletion.
type rechecked struct {
	finding
	counterpart policy.Fact[policy.Counterpart]
	since       time.Time // when the oldest of what it rests on was read, zero where that is not shared
	err         error     // why a fact is unknown
}

var (
	// errPushedAgain says that a tag is not what it was when it was first read.
	errPushedAgain = errors.New("the tag has been pushed again meanwhile")
	// errNoSuchTag says that the registry contradicts the listing in which it named a tag.
	errNoSuchTag = errors.New("the registry lists the tag and says that there is no such tag")
	// errGone says the same of a tag that was listed before.
	errGone = errors.New("the tag is not there any more")
	// errMeaningless is the doubt about a 404 that no error explains: the regime is not known,
	// or it is the one in which a tag that is listed exists.
	errMeaningless = errors.New("GitLab lists the tag and has no details of it, which proves nothing in the regime at hand")
	// errIndex says why a date is unknown: GitLab 19.2 shows nothing but the digest of an index.
	errIndex = errors.New("GitLab shows the tag's digest and neither revision nor date nor size, as of an index, which it cannot date")
)
