package pipeline

import (
	"context"
	"errors"
	"fmt"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// registryLegacy is the registry's own word on an instance without the metadata database: the
// manifest of each tag, and the config where a date matters. What GitLab would say of the tag
// follows from the manifest, and that an error is an error from the status.
type registryLegacy struct{ registrySource }

func (s registryLegacy) list(ctx context.Context, r *repository) (listing, error) {
	names, err := s.at(r).Tags(ctx, r.Path)
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
		_, dated, err := s.at(r).ConfigCreated(ctx, r.Path, m.ConfigDigest)
		if _, elsewhere := errors.AsType[*registry.ElsewhereError](err); !elsewhere {
			if err != nil {
				return unknown, err
			}
			return policy.Known(dated), nil
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
	check := s.recheckCounterparts(ctx, candidates, s)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), s.workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding = c.finding
		if c.orphan != nil {
			result.counterpart, result.err = s.recheckCounterpart(ctx, c, check)
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

// recheckCounterpart says whether an orphan's counterpart is still missing.
func (s registryLegacy) recheckCounterpart(ctx context.Context, c candidate, check counterpartCheck) (policy.Fact[policy.Counterpart], error) {
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

// maxSiblings is how many other tags of a repository are read to find one whose manifest can be:
// more than may have lost theirs.
const maxSiblings = fewLost + 5

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
	parallel(len(lost), s.workers, func(i int) {
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

// readSibling returns nil when the manifest of another tag can be read than of those that have
// lost theirs, or when there is no other: the run may have deleted them.
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
