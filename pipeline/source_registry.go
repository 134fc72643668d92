package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// registryLegacy is the registry's own word on an instance without the metadata database: the
// manifest of each tag, and the config where a date matters. What GitLab would say of the tag
// follows from the manifest, and that an error is an error from the status.
type registryLegacy struct {
	registry *registry.Registry
	api
}

// at returns the registry with the token for a repository.
func (s registryLegacy) at(r *repository) *registry.Registry {
	return s.registry.WithRepositories(r.sharesToken)
}

func (s registryLegacy) list(ctx context.Context, r *repository) (listing, error) {
	names, err := s.at(r).Tags(ctx, r.Path)
	if errors.Is(err, registry.ErrRepositoryNotFound) {
		err = nil // GitLab knows it since a push began of which nothing came
	}
	tags := make([]listedTag, len(names))
	for i, name := range names {
		tags[i].name = name
	}
	return newListing(tags), err
}

// find reads the manifest of a tag. A HEAD would spare bytes; but of an index everything
// depends on what is in it, and the 404 of a HEAD proves nothing. A date that is not in the
// manifest is read when the rules need it.
func (s registryLegacy) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Need) (finding, error) {
	switch need {
	case policy.NeedDetails:
		return s.readManifest(ctx, r, t)
	case policy.NeedDate:
		var err error
		known.dated, err = s.readDate(ctx, r, t, known.manifest)
		return known, err
	default:
		return known, nil
	}
}

// readManifest says what follows from a tag's manifest. GitLab reads no index, but for the
// linux/amd64 child of a Docker manifest list; it shows a manifest whatever is in it.
func (s registryLegacy) readManifest(ctx context.Context, r *repository, t listedTag) (finding, error) {
	m, err := s.at(r).Manifest(ctx, r.Path, t.name)
	lost, isLost := errors.AsType[*registry.LostManifestError](err)
	_, odd := errors.AsType[*manifest.Error](err)
	switch {
	case isLost:
		return finding{missing: policy.Known(true), kind: policy.Known(manifest.KindMissingManifest), lost: true, digest: lost.Digest}, nil
	case errors.Is(err, registry.ErrManifestNotFound):
		return finding{}, fmt.Errorf("%w: %w", errNoSuchTag, err)
	case odd && !m.IsIndex():
		return finding{missing: policy.Known(false), digest: m.Digest, bytes: m.Bytes, manifest: m}, nil
	case err != nil:
		return finding{}, err
	}
	f := finding{kind: policy.Known(m.Kind), newest: m.Newest, digest: m.Digest, bytes: m.Bytes, manifest: m}
	f.missing = policy.Known(m.IsIndex() && m.Amd64 == "")
	if m.Kind == manifest.KindCacheManifest {
		f.dated = policy.Known(false)
	}
	return f, nil
}

// errDateElsewhere says why a date is unknown that GitLab does not show.
var errDateElsewhere = errors.New("the date is in an object store, and GitLab shows none, which may be because it cannot read it just now")

// readDate reads whether an image has a date from its config, or asks GitLab: for a manifest
// list, and where the registry keeps the config in an object store, to which no token may be
// shown. That GitLab has no date proves nothing there: it shows none, too, while it cannot read
// the config.
func (s registryLegacy) readDate(ctx context.Context, r *repository, t listedTag, m manifest.Manifest) (policy.Fact[bool], error) {
	unknown := policy.Unknown[bool]()
	if !m.IsIndex() {
		created, err := s.at(r).ConfigCreated(ctx, r.Path, m.ConfigDigest)
		if _, elsewhere := errors.AsType[*registry.ElsewhereError](err); !elsewhere {
			if err != nil {
				return unknown, err
			}
			return policy.Known(!created.IsZero()), nil
		}
	}
	f, err := s.details(ctx, r, t)
	if dated, _ := f.dated.Get(); err != nil || dated {
		return f.dated, err
	}
	return unknown, errDateElsewhere
}

// recheck reads the manifest of each candidate, and its date where that decided. A lost manifest
// needs more: see confirmLost. Of an orphan's counterpart the registry's own 404 is wanted, in
// which it says that there is no such tag, and a fresh listing without it.
func (s registryLegacy) recheck(ctx context.Context, candidates []candidate) []rechecked {
	check := s.lookAgain(ctx, candidates, s)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), s.options.Workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding = c.finding
		if c.orphan != nil {
			result.counterpart, result.err = s.counterpartAgain(ctx, c, check)
		}
		if result.err != nil {
			return
		}
		result.finding, result.err = s.find(ctx, c.repository, c.listed, finding{}, policy.NeedDetails)
		if result.err == nil && c.finding.dated.IsKnown() && !result.finding.dated.IsKnown() {
			result.finding, result.err = s.find(ctx, c.repository, c.listed, result.finding, policy.NeedDate)
		}
	})
	s.confirmLost(ctx, candidates, results)
	return results
}

// counterpartAgain says whether an orphan's counterpart is still missing.
func (s registryLegacy) counterpartAgain(ctx context.Context, c candidate, check counterpartCheck) (policy.Fact[policy.Counterpart], error) {
	found := check.of(c.tag)
	if known, _ := found.Get(); known != policy.CounterpartTagMissing {
		return found, check.err
	}
	counterpart := c.orphan.counterpart.repository
	err := s.at(counterpart).Exists(ctx, counterpart.Path, c.tag)
	_, lost := errors.AsType[*registry.LostManifestError](err)
	switch {
	case err == nil || lost: // the tag exists, with or without its manifest
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, registry.ErrNoSuchTag):
		return found, nil
	default:
		return policy.Unknown[policy.Counterpart](), err
	}
}

// maxSiblings is how many other tags of a repository are read to find one whose manifest can be.
const maxSiblings = 10

// confirmLost makes sure of the candidates whose manifest is missing. That the registry says so
// is no ground alone: a storage that is not mounted, half restored or stale says it of any tag.
// GitLab must have no details of the tag either, a fresh list must name the tag, and the
// manifest of another tag of the repository must be readable, where it has another.
func (s registryLegacy) confirmLost(ctx context.Context, candidates []candidate, results []rechecked) {
	var lost []int
	names := make(map[string]bool)
	for i, result := range results {
		if result.finding.lost {
			lost = append(lost, i)
			names[candidates[i].tag] = true
		}
	}
	if len(lost) == 0 {
		return
	}
	r := candidates[0].repository
	tags, listErr := s.list(ctx, r)
	if listErr == nil {
		listErr = s.readSibling(ctx, r, tags, names)
	}
	parallel(len(lost), s.options.Workers, func(i int) {
		result := &results[lost[i]]
		f, err := s.details(ctx, r, candidates[lost[i]].listed)
		missing, _ := f.missing.Get()
		switch {
		case listErr != nil:
			result.err = listErr
		case err != nil:
			result.err = err
		case !missing:
			result.finding.missing, result.err = f.missing, errContradiction
		case !tags.has(candidates[lost[i]].tag):
			result.err = errGoneFromList
		default:
			result.err = nil
		}
	})
}

var (
	errContradiction = errors.New("the registry has no manifest of the tag, but GitLab has its details")
	errGoneFromList  = errors.New("the tag is not in its repository's list any more")
)

// readSibling returns nil when the manifest of a tag can be read that is not among those that
// have lost theirs, or when there is no other tag.
func (s registryLegacy) readSibling(ctx context.Context, r *repository, tags listing, lost map[string]bool) error {
	asked := 0
	for _, t := range tags {
		if lost[t.name] {
			continue
		}
		if asked++; asked > maxSiblings {
			break
		}
		f, err := s.readManifest(ctx, r, t)
		if f.readable() {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
	if asked > 0 {
		return errNoSibling
	}
	return nil
}

// registryDatabase is the registry's own word on an instance with the metadata database: a
// thousand tags a request, with their dates.
type registryDatabase struct {
	registry *registry.Registry
	api
}

// at returns the registry with the token for a repository.
func (s registryDatabase) at(r *repository) *registry.Registry {
	return s.registry.WithRepositories(r.sharesToken)
}

func (s registryDatabase) list(ctx context.Context, r *repository) (listing, error) {
	var tags []listedTag
	for rows, err := range s.at(r).TagRows(ctx, r.Path) {
		if len(tags) == 0 && errors.Is(err, registry.ErrRepositoryNotFound) {
			break
		}
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
func (s registryDatabase) find(_ context.Context, _ *repository, t listedTag, known finding, _ policy.Need) (finding, error) {
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

// recheck makes sure that each candidate still exists and is what it was: by listing the
// repository again where that takes fewer requests than asking for each of them. The same holds
// for the counterparts of orphans.
func (s registryDatabase) recheck(ctx context.Context, candidates []candidate) []rechecked {
	check, listed := s.counterpartsAgain(ctx, candidates)
	rows, err := s.rowsAgain(ctx, candidates)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), s.options.Workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding = c.finding
		if c.orphan != nil {
			result.counterpart, result.err = s.counterpartAgain(ctx, c, check, listed)
		}
		switch {
		case result.err != nil:
		case err != nil:
			result.finding, result.err = finding{}, err
		default:
			result.finding, result.err = s.same(ctx, c, rows[c.tag])
		}
	})
	return results
}

// rowsAgain returns the candidates' rows in a fresh listing, none where asking for each costs
// fewer requests.
func (s registryDatabase) rowsAgain(ctx context.Context, candidates []candidate) (map[string]registry.TagRow, error) {
	c := candidates[0]
	if pages(c.size) >= len(candidates) {
		return nil, nil
	}
	wanted := make(map[string]registry.TagRow, len(candidates))
	for _, c := range candidates {
		wanted[c.tag] = registry.TagRow{}
	}
	for rows, err := range s.at(c.repository).TagRows(ctx, c.Path) {
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if _, ok := wanted[row.Name]; ok {
				wanted[row.Name] = row
			}
		}
	}
	return wanted, nil
}

// pages returns how many requests it takes to list so many tags.
func pages(tags int) int { return 1 + tags/registry.PageSize }

// same makes sure that a tag is still what it was, by its row or, without one, by asking for it:
// a listing does not show that a tag is gone.
func (s registryDatabase) same(ctx context.Context, c candidate, row registry.TagRow) (finding, error) {
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
	return f, nil
}

// counterpartsAgain reads the counterpart's listing afresh where that costs fewer requests than
// asking for each counterpart, and reports whether it did.
func (s registryDatabase) counterpartsAgain(ctx context.Context, candidates []candidate) (check counterpartCheck, listed bool) {
	orphans := 0
	var cache *pair
	for _, c := range candidates {
		if c.orphan != nil {
			cache = c.orphan
			orphans++
		}
	}
	if cache == nil {
		return check, false
	}
	if cache.counterpart != nil {
		first, err := cache.counterpart.get(ctx, s)
		if err != nil || pages(len(first)) >= orphans {
			return check, false
		}
	}
	return s.lookAgain(ctx, candidates, s), true
}

// counterpartAgain says whether an orphan's counterpart is still missing. A listing shows that
// it is only where it goes on beyond the tag's name: lists are known to be cut short. Otherwise
// the registry is asked for the tag itself. Its 404 says all, as no tag is without a manifest
// here.
func (s registryDatabase) counterpartAgain(ctx context.Context, c candidate, check counterpartCheck, listed bool) (policy.Fact[policy.Counterpart], error) {
	if listed {
		found := check.of(c.tag)
		if known, _ := found.Get(); known != policy.CounterpartTagMissing || check.tags.goesBeyond(c.tag) {
			return found, check.err
		}
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
