package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An api is what all sources need of GitLab's API.
type api struct {
	client  *gitlabapi.Client
	options Options
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

// find reads the details of a tag, which say all that GitLab knows.
func (s apiLegacy) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Need) (finding, error) {
	if need == policy.Nothing {
		return known, nil
	}
	return s.details(ctx, r, t)
}

// details reads the details of a tag. A date in the list is a date, too.
func (a api) details(ctx context.Context, r *repository, t listedTag) (finding, error) {
	answer, err := a.client.TagDetails(ctx, r.Repository, t.name)
	switch {
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		return finding{missing: policy.Known(true)}, nil
	case err != nil:
		return finding{}, err
	}
	return finding{
		missing: policy.Known(false),
		dated:   policy.Known(t.dated || answer.Dated),
		digest:  answer.Digest,
		bytes:   answer.Bytes,
	}, nil
}

// recheck reads the details of each candidate twice: a registry that fails now and then shows
// by what comes back.
func (s apiLegacy) recheck(ctx context.Context, candidates []candidate) []rechecked {
	return s.recheckDetails(ctx, candidates, s, 2)
}

// recheckDetails reads the details of candidates, up to the given number of readings and until one
// differs, and for orphans the counterpart: in its listing, read once for all of them, and where
// that lacks it by GitLab's details of it.
func (a api) recheckDetails(ctx context.Context, candidates []candidate, src source, readings int) []rechecked {
	check := a.recheckCounterparts(ctx, candidates, src)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), a.options.Workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding = c.finding
		if c.orphan != nil {
			result.counterpart, result.err = a.counterpartDetails(ctx, c, check)
		}
		for reading := 0; reading < readings && result.err == nil; reading++ {
			result.finding, result.err = a.details(ctx, c.repository, c.listed)
			if !result.finding.same(c.finding) {
				return
			}
		}
	})
	return results
}

// apiDatabase is GitLab's word alone on an instance with the metadata database. A tag that is
// listed exists and has a date; its details are read before it is deleted.
type apiDatabase struct{ api }

func (s apiDatabase) list(ctx context.Context, r *repository) (listing, error) {
	tags, err := s.client.TagsByKeyset(ctx, r.Repository)
	return listingOf(tags), err
}

func (s apiDatabase) find(ctx context.Context, r *repository, t listedTag, _ finding, need policy.Need) (finding, error) {
	if need == policy.Nothing {
		return s.details(ctx, r, t)
	}
	return finding{missing: policy.Known(false), dated: policy.Known(true)}, nil
}

func (s apiDatabase) recheck(ctx context.Context, candidates []candidate) []rechecked {
	return s.recheckDetails(ctx, candidates, s, 1)
}
