package pipeline

import (
	"context"
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An api is what all sources need of GitLab's API.
type api struct {
	client  *gitlabapi.Client
	suffix  string // of cache repositories
	workers int    // bounds the requests of one recheck
	// regime is unknown where signs contradict each other: a 404 says nothing then.
	regime registry.Regime
}

// apiLegacy is GitLab's word alone on an instance without the metadata database, or on one
// whose regime is not known: a request for each tag, a 404 with five causes, and empty lists
// in an outage.
type apiLegacy struct{ api }

func (s apiLegacy) list(ctx context.Context, r *repository) (listing, error) {
	tags, err := s.client.Tags(ctx, r.Repository)
	return listingOf(tags), err
}

// listingOf keeps what is needed of GitLab's list.
func listingOf(tags []gitlabapi.Tag) listing {
	kept := make([]listedTag, len(tags))
	for i, t := range tags {
		kept[i] = listedTag{name: t.Name, dated: t.Dated}
	}
	return newListing(kept)
}

// find reads the details of a tag, which say all that GitLab knows. Kinds it does not know: what
// is a build cache, the repository's name says.
func (s apiLegacy) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Name) (finding, error) {
	if need == needNothing {
		return withoutKinds(r, known), nil
	}
	f, err := known, error(nil)
	if known.hasDetails.IsUnknown() {
		f, err = s.details(ctx, r, t)
	}
	if err == nil && (need == policy.FactDated || need == policy.FactAge) && f.dated.IsUnknown() {
		err = errIndex
	}
	return f, err
}

// withoutKinds returns a finding as GitLab's word alone has it.
func withoutKinds(r *repository, f finding) finding {
	f.kind, f.broken = policy.Absent[manifest.Kind](), policy.Absent[bool]()
	f.isCache, f.presumed = policy.Known(r.isCache), r.isCache
	return f
}

// details reads the details of a tag. A date in the list is a date, too.
func (a api) details(ctx context.Context, r *repository, t listedTag) (finding, error) {
	answer, err := a.client.TagDetails(ctx, r.Repository, t.name)
	f := withoutKinds(r, finding{})
	if a.regime == registry.Database {
		f.broken = policy.Known(false)
	}
	switch {
	case errors.Is(err, gitlabapi.ErrTagNotFound) && a.regime != registry.Legacy:
		return f, errMeaningless
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		f.hasDetails, f.dated = policy.Known(false), policy.Absent[bool]() // who knows what it is
		f.made, f.size = policy.Absent[time.Time](), policy.Absent[int64]()
		return f, nil
	case err != nil:
		return f, err
	}
	f.hasDetails, f.digest, f.size = policy.Known(true), answer.Digest, sizeOf(answer.Bytes)
	switch {
	case a.regime == registry.Database && !answer.Dated: // each tag has a date there
	case t.dated && !answer.Dated: // the list has a date, and does not say which
		f.dated = policy.Known(true)
	case !answer.IsIndex():
		f.dated, f.made = policy.Known(answer.Dated), madeAt(answer.CreatedAt)
	}
	return f, nil
}

// recheck reads the details of each candidate twice: a registry that fails now and then shows
// by what comes back. The first time is while the counterpart is listed, since slow servers leave
// little of the ten seconds.
func (s apiLegacy) recheck(ctx context.Context, candidates []candidate) []rechecked {
	var check counterpartCheck
	results := make([]rechecked, len(candidates))
	parallel(len(candidates)+1, s.workers+1, func(i int) {
		if i == 0 {
			check = s.recheckCounterparts(ctx, candidates, s)
			return
		}
		c := candidates[i-1]
		results[i-1].finding, results[i-1].err = s.details(ctx, c.repository, c.listed)
	})
	s.recheckDetails(ctx, candidates, check, results)
	return results
}

// recheckDetails completes the results for candidates that are what they were so far: by GitLab's
// details of an orphan's counterpart, where a listing lacks it, and then by those of the candidate.
func (a api) recheckDetails(ctx context.Context, candidates []candidate, check counterpartCheck, results []rechecked) {
	parallel(len(candidates), a.workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.since = check.since
		if result.err != nil || !result.finding.same(c.finding) {
			result.counterpart = check.of(c.tag)
			return
		}
		if c.orphan != nil {
			result.counterpart, result.err = a.counterpartDetails(ctx, c, check)
		}
		if result.err == nil {
			result.finding, result.err = a.details(ctx, c.repository, c.listed)
		}
	})
}

// apiDatabase is GitLab's word alone on an instance with the metadata database. A tag that is
// listed exists and has a date; its details are read before it is deleted.
type apiDatabase struct{ api }

func (s apiDatabase) list(ctx context.Context, r *repository) (listing, error) {
	tags, err := s.client.TagsByKeyset(ctx, r.Repository)
	return listingOf(tags), err
}

func (s apiDatabase) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Name) (finding, error) {
	if need != needNothing && known.digest == "" {
		return s.details(ctx, r, t)
	}
	known = withoutKinds(r, known)
	known.hasDetails, known.dated, known.broken = policy.Known(true), policy.Known(true), policy.Known(false)
	return known, nil
}

func (s apiDatabase) recheck(ctx context.Context, candidates []candidate) []rechecked {
	results := make([]rechecked, len(candidates))
	for i, c := range candidates {
		results[i].finding = c.finding // which the listing said, and details once
	}
	s.recheckDetails(ctx, candidates, s.recheckCounterparts(ctx, candidates, s), results)
	return results
}
