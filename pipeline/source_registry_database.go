package pipeline

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
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
			t := listedTag{name: row.Name, dated: true, digestHash: hashDigest(row.Digest), bytes: listedBytes(row)}
			t.isIndex = listsIndex(row)
			if !row.PublishedAt.IsZero() {
				t.pushed = row.PublishedAt.Unix()
			}
			tags = append(tags, t)
		}
	}
	return newListing(tags), nil
}

// listsIndex reports whether the list says the media type of an index.
func listsIndex(row registry.TagRow) bool {
	return row.MediaType == manifest.TypeOCIIndex || row.MediaType == manifest.TypeDockerList
}

// listedBytes returns the size that the list says. Of an index it says none, or that of the manifests in
// it: not what is pulled.
func listedBytes(row registry.TagRow) int64 {
	if listsIndex(row) {
		return 0
	}
	return row.Bytes
}

// find sends no request but for a kind: the listing has said all else. The digest, of which the
// listing left a hash, is read again before the deletion.
func (s registryDatabase) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Name) (finding, error) {
	switch need {
	case needNothing:
		return listedFinding(r, t), nil
	case policy.FactKind, policy.FactIsCache:
		return s.readKind(ctx, r, t, known)
	default:
		return known, nil
	}
}

// listedFinding is what a listing says of a tag by naming it. What a cache repository has are
// build caches until a look at some of them says otherwise.
func listedFinding(r *repository, t listedTag) finding {
	f := finding{
		hasDetails: policy.Known(true), broken: policy.Known(false), dated: policy.Known(true),
		size: sizeOf(t.bytes),
	}
	if t.pushed != 0 { // each tag has a date here: one that is not shown is not known
		f.made = madeAt(time.Unix(t.pushed, 0))
	}
	if r.isCache && !t.isIndex {
		f.isCache, f.presumed = policy.Known(true), true
	}
	return f
}

// readKind reads the manifest of a tag, which names the digest that the listing did.
func (s registryDatabase) readKind(ctx context.Context, r *repository, t listedTag, known finding) (finding, error) {
	m, err := s.at(r).Manifest(ctx, r.Path, t.name)
	_, odd := errors.AsType[*manifest.Error](err)
	switch {
	case odd && m.Digest != "":
		m.Kind = manifest.KindArtifact
	case err != nil:
		return known, err
	}
	if hashDigest(m.Digest) != t.digestHash {
		return known, errPushedAgain
	}
	known.digest = m.Digest
	return known.withKind(m.Kind), nil
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
		result.finding, result.since = c.finding, check.since
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
	s.sampleKinds(ctx, candidates, results)
	return results
}

// presumedFor is how many candidates of a cache repository are presumed to be build caches for
// each one that is looked at.
const presumedFor = 20

// A kindSample is which of the candidates of a cache repository have been looked at.
type kindSample struct {
	mu             sync.Mutex
	seen, lookedAt int
	others         bool // one has turned out to be no build cache
}

// see counts candidates that came.
func (k *kindSample) see(candidates int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen += candidates
}

// next returns how many of so many candidates are to be looked at: of all that came one at least,
// and one in twenty, must have shown what they are.
func (k *kindSample) next(candidates int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.others {
		return candidates
	}
	return min(max((k.seen+presumedFor-1)/presumedFor-k.lookedAt, 0), candidates)
}

// looked takes note that one has shown what it is.
func (k *kindSample) looked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lookedAt++
}

// found takes note that one is no build cache.
func (k *kindSample) found() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.others = true
}

// sampleKinds looks at some of the candidates that are presumed to be build caches: at one at
// least, and one in twenty, those first whose size is unlike that of the others. As soon as one is something else, all of the repository's are looked
// at: a name such as session.cache says nothing of what is in it.
func (s registryDatabase) sampleKinds(ctx context.Context, candidates []candidate, results []rechecked) {
	var presumed []int
	for i, result := range results {
		if result.presumed && !candidates[i].restsOnKind {
			results[i].isCache = policy.Unknown[bool]() // nothing is to rest on it from here on
		} else if result.err == nil && result.presumed && result.counterpart != policy.Known(policy.CounterpartPresent) {
			presumed = append(presumed, i)
		}
	}
	unlikeFirst(presumed, func(i int) int64 { return candidates[i].listed.bytes })
	sample := &candidates[0].kinds
	look := func(chosen []int) {
		parallel(len(chosen), s.workers, func(i int) {
			c, result := candidates[chosen[i]], &results[chosen[i]]
			result.finding, result.err = s.readKind(ctx, c.repository, c.listed, result.finding)
			if result.err != nil {
				return
			}
			sample.looked()
			if isCache, _ := result.isCache.Get(); !isCache {
				sample.found()
			}
		})
	}
	sample.see(len(presumed))
	for n := sample.next(len(presumed)); n > 0; n = sample.next(len(presumed)) {
		look(presumed[:n])
		presumed = presumed[n:]
	}
}

// unlikeFirst sorts what has sizes by how much these differ from the one in the middle: what does not
// belong to the others is among the first.
func unlikeFirst(all []int, size func(int) int64) {
	if len(all) == 0 {
		return
	}
	bySize := slices.Clone(all)
	slices.SortFunc(bySize, func(a, b int) int { return cmp.Compare(size(a), size(b)) })
	middle := math.Log2(float64(size(bySize[len(all)/2]) + 1))
	differs := func(i int) float64 { return math.Abs(math.Log2(float64(size(i)+1)) - middle) }
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(differs(b), differs(a)) })
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
	if first, err := cache.counterpart.get(ctx, s); err == nil && len(first) == 0 {
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
				if known[name] == "" {
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
	if c.orphan.counterpart == nil || check.err != nil {
		return check.of(c.tag), check.err
	}
	if known != "" {
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
	pages := 0
	for rows, err := range s.at(c.repository).TagRow(ctx, c.Path, c.tag) {
		i := slices.IndexFunc(rows, func(row registry.TagRow) bool { return row.Name == c.tag })
		switch pages++; {
		case err != nil:
			return registry.TagRow{}, err
		case i >= 0:
			return rows[i], nil
		case pages == maxRowPages:
			return registry.TagRow{}, nil
		}
	}
	return registry.TagRow{}, nil
}

// maxRowPages is how many pages are read for the row of one tag where the registry cannot be asked for
// that alone.
const maxRowPages = 10

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
			return finding{}, errGone
		case err != nil:
			return finding{}, err
		}
		row.Digest, row.MediaType, row.Bytes = head.Digest, head.MediaType, c.listed.bytes
		c.finding.made = policy.Unknown[time.Time]() // it may have been pushed again with the same digest
	}
	if hashDigest(row.Digest) != c.listed.digestHash {
		return finding{}, errPushedAgain
	}
	f := c.finding // what is in a manifest, its digest settles
	f.digest, f.mediaType, f.size = row.Digest, row.MediaType, sizeOf(listedBytes(row))
	if !row.PublishedAt.IsZero() {
		f.made = madeAt(row.PublishedAt)
	}
	return f, nil
}
