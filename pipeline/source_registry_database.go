package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// registryDatabase is the registry's own word on an instance with the metadata database: a
// thousand tags a request, with their dates.
type registryDatabase struct{ registrySource }

func (s registryDatabase) list(ctx context.Context, r *repository) (listing, error) {
	var tags []listedTag
	for rows, err := range s.at(r).TagRows(ctx, r.Path, "") {
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			t := listedTag{name: row.Name, dated: true, digestHash: hashDigest(row.Digest), bytes: row.Bytes}
			if !row.PublishedAt.IsZero() {
				t.pushed = row.PublishedAt.Unix()
			}
			tags = append(tags, t)
		}
	}
	return newListing(tags), nil
}

// find sends no request: the listing has said it all. The digest, of which the listing left a
// hash, is read again before the deletion.
func (s registryDatabase) find(_ context.Context, _ *repository, t listedTag, _ finding, _ policy.Need) (finding, error) {
	return listedFinding(t), nil
}

// listedFinding is what a listing says of a tag by naming it.
func listedFinding(t listedTag) finding {
	f := finding{missing: policy.Known(false), dated: policy.Known(true), bytes: t.bytes}
	if t.pushed != 0 {
		f.newest = time.Unix(t.pushed, 0)
	}
	return f
}

// recheck makes sure that each candidate still exists and is what it was, and that the
// counterpart of an orphan is still missing. Several candidates are close to each other in the
// listing, so that a page or two of it show all of them. What pages do not show, the registry is
// asked for one by one.
func (s registryDatabase) recheck(ctx context.Context, candidates []candidate) []rechecked {
	part, err := s.relistPart(ctx, candidates)
	known, check := s.readCounterpartPart(ctx, candidates, part)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), s.workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding = c.finding
		if c.orphan != nil {
			result.counterpart, result.err = s.recheckCounterpart(ctx, c, known[c.tag], check)
		}
		switch {
		case result.err != nil:
		case err != nil:
			result.finding, result.err = finding{}, err
		default:
			result.finding, result.err = s.recheckTag(ctx, c, part.rows[c.tag])
		}
	})
	return results
}

// A listingPart is the part of a listing, read afresh, in which candidates are.
type listingPart struct {
	after string                     // the name after which it begins
	rows  map[string]registry.TagRow // of the candidates that it has
	// landmarks are tags of this repository whose namesakes the counterpart repository had,
	// each with the candidates that the server lists between the one before and this one. The
	// order is the server's: that of its database's collation, of which nothing needs to be
	// known.
	landmarks map[string][]string
}

// relistPart reads the part of a repository's listing that has the candidates, in fewer requests
// than asking for each. A single candidate is left to be asked for.
func (s registryDatabase) relistPart(ctx context.Context, candidates []candidate) (listingPart, error) {
	part := listingPart{rows: make(map[string]registry.TagRow), landmarks: make(map[string][]string)}
	if len(candidates) == 1 {
		return part, nil
	}
	wanted := make(map[string]bool, len(candidates))
	lowest := candidates[0].tag
	var counterpart listing
	for _, c := range candidates {
		wanted[c.tag] = true
		lowest = min(lowest, c.tag)
	}
	if cache := cacheOf(candidates); cache != nil && cache.counterpart != nil {
		counterpart, _ = cache.counterpart.get(ctx, s) // without it each is asked for
	}
	// A prefix comes before what it begins. Where some collation has it otherwise, the candidate
	// is not in the part, and asked for.
	part.after = lowest[:len(lowest)-1]
	var passed []string // candidates since the last landmark
	pages, beyond := 0, 0
	for rows, err := range s.at(candidates[0].repository).TagRows(ctx, candidates[0].Path, part.after) {
		if err != nil {
			return listingPart{}, err
		}
		for _, row := range rows {
			switch {
			case wanted[row.Name]:
				part.rows[row.Name] = row
				passed = append(passed, row.Name)
			case len(passed) > 0 && counterpart.has(row.Name):
				part.landmarks[row.Name] = passed
				passed = nil
			}
		}
		pages++
		if len(part.rows) == len(wanted) {
			// A page more must be worth less than asking for those that it may show.
			if beyond++; len(passed) == 0 || counterpart == nil || beyond*4 > len(passed) {
				break
			}
		}
		if pages == len(candidates) {
			break
		}
	}
	return part, nil
}

// readCounterpartPart says for the candidates in a part of the listing whether they have a counterpart,
// as far as the same part of the counterpart's listing shows it. That it lacks a tag shows
// something only when it goes on to a landmark behind it: lists are known to be cut short. Where
// there is no counterpart repository, check says whether there still is none.
func (s registryDatabase) readCounterpartPart(ctx context.Context, candidates []candidate, part listingPart) (known map[string]policy.Counterpart, check counterpartCheck) {
	cache := cacheOf(candidates)
	switch {
	case cache == nil:
		return nil, check
	case cache.counterpart == nil:
		return nil, s.recheckCounterparts(ctx, candidates, s)
	}
	counterpart := cache.counterpart.repository
	known = make(map[string]policy.Counterpart)
	left := len(part.landmarks)
	if left == 0 {
		return known, check
	}
	pages, whole := 0, true
	for rows, err := range s.at(counterpart).TagRows(ctx, counterpart.Path, part.after) {
		if err != nil || !whole {
			break // behind a page that was not full, rows may be missing
		}
		whole = len(rows) == registry.PageSize
		for _, row := range rows {
			if _, candidate := part.rows[row.Name]; candidate {
				known[row.Name] = policy.CounterpartPresent
			}
			behind, landmark := part.landmarks[row.Name]
			if !landmark {
				continue
			}
			left--
			for _, name := range behind {
				if known[name] == 0 {
					known[name] = policy.CounterpartTagMissing
				}
			}
		}
		pages++
		if left == 0 || pages == len(candidates) {
			break
		}
	}
	return known, check
}

// recheckCounterpart says whether an orphan's counterpart is still missing. What the listing does
// not show, the registry is asked for; its 404 says all, as no tag is without a manifest here.
func (s registryDatabase) recheckCounterpart(ctx context.Context, c candidate, known policy.Counterpart, check counterpartCheck) (policy.Fact[policy.Counterpart], error) {
	if c.orphan.counterpart == nil {
		return check.of(c.tag), check.err
	}
	if known != 0 {
		return policy.Known(known), nil
	}
	counterpart := c.orphan.counterpart.repository
	err := s.at(counterpart).Exists(ctx, counterpart.Path, c.tag)
	switch {
	case err == nil:
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, registry.ErrManifestNotFound):
		return policy.Known(policy.CounterpartTagMissing), nil
	default:
		return policy.Unknown[policy.Counterpart](), err
	}
}

// rowOf returns a tag's row, if it is in the page that begins before it. The row says when the tag
// was pushed, which a manifest does not.
func (s registryDatabase) rowOf(ctx context.Context, c candidate) (registry.TagRow, error) {
	for rows, err := range s.at(c.repository).TagRows(ctx, c.Path, c.tag[:len(c.tag)-1]) {
		i := slices.IndexFunc(rows, func(row registry.TagRow) bool { return row.Name == c.tag })
		if err != nil || i < 0 {
			return registry.TagRow{}, err
		}
		return rows[i], nil
	}
	return registry.TagRow{}, nil
}

// recheckTag makes sure that a tag is still what it was, by its row or, without one, by asking for it:
// a listing does not show that a tag is gone.
func (s registryDatabase) recheckTag(ctx context.Context, c candidate, row registry.TagRow) (finding, error) {
	if row.Name == "" {
		var err error
		if row, err = s.rowOf(ctx, c); err != nil {
			return finding{}, err
		}
	}
	if row.Name == "" {
		head, err := s.at(c.repository).Head(ctx, c.Path, c.tag)
		switch {
		case errors.Is(err, registry.ErrManifestNotFound):
			return finding{missing: policy.Known(true)}, nil
		case err != nil:
			return finding{}, err
		}
		row.Digest, row.Bytes = head.Digest, c.listed.bytes
	}
	if hashDigest(row.Digest) != c.listed.digestHash {
		return finding{}, errPushedAgain
	}
	f := listedFinding(c.listed)
	f.digest, f.bytes = row.Digest, row.Bytes
	if !row.PublishedAt.IsZero() {
		f.newest = row.PublishedAt // it may have been pushed again with the same digest
	}
	return f, nil
}
