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

	// find returns what is known of a tag with one more fact found, if it can be had: the
	// one that the rules need, or for [policy.Nothing] the tag's digest, which a deletion
	// needs. It sends no request for what is known or what the listing says.
	find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Need) (finding, error)

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

// A finding is what a source has found out about one tag.
type finding struct {
	missing policy.Fact[bool]          // GitLab has no details of the tag, or would have none
	dated   policy.Fact[bool]          // it has a date
	kind    policy.Fact[manifest.Kind] // of its manifest; only the registry shows it
	newest  time.Time                  // newest part of a build cache, or its last push; zero if not known
	digest  string                     // of its manifest; "" if not known
	bytes   int64                      // size of what it references; 0 if not known
	lost    bool                       // its manifest is missing from the registry's storage

	manifest manifest.Manifest // what the registry's manifest says, zero if not read
}

// readable reports whether the source could read the tag's manifest, or GitLab its details.
func (f finding) readable() bool { return f.digest != "" && !f.lost }

// same reports whether a finding says of a tag what another does.
func (f finding) same(as finding) bool {
	return f.missing == as.missing && f.dated == as.dated && f.digest == as.digest
}

// A rechecked is what a source says of a candidate right before its deletion.
type rechecked struct {
	finding
	counterpart policy.Fact[policy.Counterpart]
	err         error // why a fact is unknown
}

var (
	// errPushedAgain says that a tag is not what it was when it was first read.
	errPushedAgain = errors.New("the tag has been pushed again meanwhile")
	// errNoSuchTag says that the registry contradicts the listing in which it named a tag.
	errNoSuchTag = errors.New("the registry lists the tag and says that there is no such tag")
)
