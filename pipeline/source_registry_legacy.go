package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
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
// depends on what is in it, and the 404 of a HEAD proves nothing. Dates that are not in the
// manifest are read when the rules need them.
func (s registryLegacy) find(ctx context.Context, r *repository, t listedTag, known finding, need policy.Name) (finding, error) {
	if need == needNothing {
		return known, nil
	}
	if known.hasDetails.IsUnknown() {
		var err error
		if known, err = s.readManifest(ctx, r, t); err != nil {
			return known, err
		}
	}
	switch {
	case need == policy.FactDated && known.dated.IsUnknown():
		return s.readDate(ctx, r, t, known)
	case need == policy.FactAge && known.made.IsUnknown(), need == policy.FactSize && known.size.IsUnknown():
		return s.readContents(ctx, r, known)
	default:
		return known, nil
	}
}

// readManifest says what follows from a tag's manifest. GitLab reads no index, but for the
// linux/amd64 child of a Docker manifest list; it shows a manifest whatever is in it. What is no
// manifest that anybody understands pulls all the same: it is an artifact.
func (s registryLegacy) readManifest(ctx context.Context, r *repository, t listedTag) (finding, error) {
	m, err := s.at(r).Manifest(ctx, r.Path, t.name)
	lost, isLost := errors.AsType[*registry.LostManifestError](err)
	_, odd := errors.AsType[*manifest.Error](err)
	switch {
	case isLost:
		f := finding{hasDetails: policy.Known(false), broken: policy.Known(true), dated: policy.Known(false), digest: lost.Digest}
		f.made, f.size = policy.Absent[time.Time](), policy.Absent[int64]()
		return f.withKind(manifest.KindMissingManifest), nil
	case errors.Is(err, registry.ErrManifestNotFound):
		return finding{}, fmt.Errorf("%w: %w", errNoSuchTag, err)
	case odd && m.Digest != "":
		m.Kind = manifest.KindArtifact
	case err != nil:
		return finding{}, err
	}
	f := finding{broken: policy.Known(false), digest: m.Digest, mediaType: m.MediaType, size: sizeOf(m.Bytes), manifest: m}.withKind(m.Kind)
	if report.IsUndatableImage(m.Kind) {
		f.size = policy.Unknown[int64]() // its children reference what is large
	}
	undatable := m.IsIndex() && m.Amd64 == ""
	f.hasDetails = policy.Known(!undatable)
	if isCache, _ := f.isCache.Get(); isCache {
		f.made = madeAt(m.Newest)
		undatable = undatable || m.Kind == manifest.KindCacheManifest
	}
	if undatable {
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
func (s registryLegacy) readDate(ctx context.Context, r *repository, t listedTag, known finding) (finding, error) {
	if !known.manifest.IsIndex() {
		created, dated, err := s.at(r).ConfigCreated(ctx, r.Path, known.manifest.ConfigDigest)
		if err == nil {
			known.dated, known.made = policy.Known(dated), madeAt(created)
			return known, nil
		}
		if _, elsewhere := errors.AsType[*registry.ElsewhereError](err); !elsewhere {
			return known, err
		}
	}
	f, err := s.details(ctx, r, t)
	if dated, _ := f.dated.Get(); err != nil || !dated {
		return known, cmp.Or(err, errDateElsewhere)
	}
	known.dated = f.dated
	if !known.manifest.IsIndex() {
		known.made = f.made // of a list it is the date of one image of several
	}
	return known, nil
}

// readContents reads when what the tag points to was made, and how large it is: of an image its
// config says it, of an index those of its children.
func (s registryLegacy) readContents(ctx context.Context, r *repository, known finding) (finding, error) {
	contents, err := s.at(r).Contents(ctx, r.Path, known.manifest)
	if err != nil {
		return known, err
	}
	if known.made.IsUnknown() {
		known.made = madeAt(contents.Created)
		if !contents.Dated {
			known.made = policy.Absent[time.Time]()
		}
	}
	if known.size.IsUnknown() {
		known.size = sizeOf(contents.Bytes)
	}
	return known, nil
}

// recheck reads the manifest of each candidate, and its date where that decided. A lost manifest
// needs more: see confirmLost. Of an orphan's counterpart the registry's own 404 is wanted, in
// which it says that there is no such tag, and a fresh listing without it.
func (s registryLegacy) recheck(ctx context.Context, candidates []candidate) []rechecked {
	check := s.recheckCounterparts(ctx, candidates, s)
	results := make([]rechecked, len(candidates))
	parallel(len(candidates), s.workers, func(i int) {
		c, result := candidates[i], &results[i]
		result.finding, result.since = c.finding, check.since
		if c.orphan != nil {
			result.counterpart, result.err = s.recheckCounterpart(ctx, c, check)
		}
		if result.err != nil {
			return
		}
		result.finding, result.err = s.readManifest(ctx, c.repository, c.listed)
		if result.err == nil && c.finding.dated.IsKnown() {
			result.finding, result.err = s.find(ctx, c.repository, c.listed, result.finding, policy.FactDated)
		}
		if result.finding.digest == c.finding.digest && result.made.IsUnknown() {
			result.made = c.finding.made // which the digest settles
		}
		if result.finding.digest == c.finding.digest && result.size.IsUnknown() {
			result.size = c.finding.size // and this
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
		if result.finding.lost() {
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
		switch {
		case listErr != nil:
			result.err = listErr
		case err != nil:
			result.err = err
		case !f.lacksDetails():
			result.finding.hasDetails, result.err = f.hasDetails, errContradiction
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
		if lost[t.name] || t.isStray() {
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
