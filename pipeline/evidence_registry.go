package pipeline

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// registryLegacy is the registry's own word on an instance without the metadata
// database: the manifest of each tag, and the config where a date matters. What Rails
// would say of the tag follows from the manifest, and that an error is an error from the
// status.
type registryLegacy struct {
	run      *run
	registry *registry.Registry
}

func (registryLegacy) guarded() bool { return false }

func (registryLegacy) readings() int { return 1 }

func (registryLegacy) alive(context.Context, *tag) error { return nil }

func (e registryLegacy) list(ctx context.Context, repo *repository) (listing, error) {
	names, err := repo.project.at(e.registry).Tags(ctx, repo.Path)
	if errors.Is(err, registry.ErrRepositoryNotFound) {
		err = nil // GitLab knows it since somebody began to push, and nothing came
	}
	tags := make([]listed, len(names))
	for i, name := range names {
		tags[i].name = name
	}
	return newListing(tags), err
}

// look reads the manifest at once. A HEAD would spare bytes; but of an index everything
// depends on what is in it, and the 404 of a HEAD proves nothing. A date is left for
// when the verdict turns out to depend on it.
func (e registryLegacy) look(ctx context.Context, t *tag) error {
	m, err := e.read(ctx, t)
	_, odd := errors.AsType[*manifest.Error](err)
	switch {
	case odd && !m.IsIndex(): // Rails shows a manifest whatever is in it
		t.facts.Details = policy.Known(policy.DetailsFound)
		return nil
	case err != nil || m == nil:
		return err
	case e.run.dateDecides(t) && !showsDate(*m):
		t.facts.Details = policy.Known(policy.DetailsFound)
		t.manifest = m
		return nil
	}
	t.examined = true
	t.facts.Details, err = e.details(ctx, t, *m)
	return err
}

// examine reads the manifest, unless it has only just been read, and where a date
// decides the config.
func (e registryLegacy) examine(ctx context.Context, t *tag) error {
	m := t.manifest
	t.manifest, t.examined = nil, true
	var err error
	if m == nil {
		m, err = e.read(ctx, t)
	}
	if err == nil && m != nil {
		t.facts.Details, err = e.details(ctx, t, *m)
	}
	return err
}

// read reads a tag's manifest and notes what it says. That there is none is an answer,
// too, and all that there is to know: it returns nil and no error. What is known of a
// manifest of no known kind is returned beside the error.
func (e registryLegacy) read(ctx context.Context, t *tag) (*manifest.Manifest, error) {
	t.facts.Details, t.facts.Kind = policy.Unknown[policy.Details](), policy.Unknown[policy.Kind]()
	m, err := t.repository.project.at(e.registry).Manifest(ctx, t.repository.Path, t.facts.Tag)
	if errors.Is(err, registry.ErrManifestNotFound) {
		t.examined = true
		t.facts.Details = policy.Known(policy.DetailsMissing)
		t.facts.Kind = policy.Known(policy.KindMissingManifest)
		return nil, nil
	}
	if err == nil {
		t.digest, t.bytes = m.Digest, m.Bytes
		t.facts.Kind = policy.Known(policy.Kind(m.Kind))
		t.facts.Young = e.run.isYoung(m.Newest)
	}
	return &m, err
}

// showsDate reports whether a manifest alone says which date Rails shows for it.
func showsDate(m manifest.Manifest) bool {
	return m.IsIndex() && m.Amd64 == "" || m.Kind == manifest.KindCacheManifest
}

// details is what Rails says about a manifest: it reads no index, but for the
// linux/amd64 child of a Docker list.
func (e registryLegacy) details(ctx context.Context, t *tag, m manifest.Manifest) (policy.Fact[policy.Details], error) {
	switch {
	case m.IsIndex() && m.Amd64 == "":
		return policy.Known(policy.DetailsMissing), nil
	case !e.run.dateDecides(t):
		return policy.Known(policy.DetailsFound), nil
	case m.Kind == manifest.KindCacheManifest:
		return policy.Known(policy.DetailsUndated), nil
	case m.IsIndex():
		return e.run.detailsByAPI(ctx, t)
	}
	created, err := t.repository.project.at(e.registry).ConfigCreated(ctx, t.repository.Path, m.ConfigDigest)
	_, elsewhere := errors.AsType[*registry.ElsewhereError](err)
	switch {
	case elsewhere: // in an object store, where the token may not go
		return e.run.detailsByAPI(ctx, t)
	case err != nil:
		return policy.Unknown[policy.Details](), err
	case created.IsZero():
		return policy.Known(policy.DetailsUndated), nil
	default:
		return policy.Known(policy.DetailsDated), nil
	}
}

// lookAgain has nothing to ask: a listing shows names alone.
func (registryLegacy) lookAgain(context.Context, *repository, []string) *secondLook { return nil }

func (e registryLegacy) counterpart(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	return e.run.counterpartByRegistry(ctx, e.registry, t)
}

// registryDatabase is the registry's own word on an instance with the metadata
// database: a thousand tags a request, with their dates.
type registryDatabase struct {
	run      *run
	registry *registry.Registry
}

func (registryDatabase) guarded() bool { return false }

func (registryDatabase) readings() int { return 1 }

func (registryDatabase) alive(context.Context, *tag) error { return nil }

func (e registryDatabase) list(ctx context.Context, repo *repository) (listing, error) {
	var tags []listed
	for rows, err := range repo.project.at(e.registry).TagRows(ctx, repo.Path) {
		if len(tags) == 0 && errors.Is(err, registry.ErrRepositoryNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			tags = append(tags, listedOf(row))
		}
	}
	return newListing(tags), nil
}

// listedOf keeps what matters of a row.
func listedOf(row registry.TagRow) listed {
	l := listed{name: row.Name, dated: true, mark: markOf(row.Digest), bytes: row.Bytes}
	if !row.PublishedAt.IsZero() {
		l.published = row.PublishedAt.Unix()
	}
	return l
}

// look has nothing to ask: the listing has said it all.
func (e registryDatabase) look(_ context.Context, t *tag) error {
	e.believe(t)
	return nil
}

// believe notes what a listing says of a tag by naming it.
func (e registryDatabase) believe(t *tag) {
	t.examined = true
	t.facts.Details = policy.Known(policy.DetailsDated)
	if t.published != 0 {
		t.facts.Young = e.run.isYoung(time.Unix(t.published, 0))
	}
}

// A secondLook is what a listing said of tags when it was read again.
type secondLook struct {
	rows map[string]registry.TagRow
	err  error
}

// lookAgain reads the repository's listing once more, where that takes no more requests
// than asking for each of the tags.
func (e registryDatabase) lookAgain(ctx context.Context, repo *repository, tags []string) *secondLook {
	if pagesOf(repo.size) >= len(tags) {
		return nil
	}
	again := &secondLook{rows: make(map[string]registry.TagRow)}
	for rows, err := range repo.project.at(e.registry).TagRows(ctx, repo.Path) {
		again.err = err
		for _, row := range rows {
			if slices.Contains(tags, row.Name) {
				again.rows[row.Name] = row
			}
		}
	}
	return again
}

// pagesOf returns how many requests it takes to list so many tags.
func pagesOf(tags int) int { return 1 + tags/registry.PageSize }

// examine makes sure that the tag is still there, and still what it was. A listing can
// show that; that the tag is not there, the registry has to say itself.
func (e registryDatabase) examine(ctx context.Context, t *tag) error {
	if t.batch != nil && t.batch.again != nil {
		again := t.batch.again
		if again.err != nil {
			t.facts.Details = policy.Unknown[policy.Details]()
			return again.err
		}
		if row, listed := again.rows[t.facts.Tag]; listed {
			t.bytes = row.Bytes
			return e.compare(t, row.Digest)
		}
	}
	head, err := t.repository.project.at(e.registry).Head(ctx, t.repository.Path, t.facts.Tag)
	switch {
	case errors.Is(err, registry.ErrManifestNotFound):
		t.facts.Details = policy.Known(policy.DetailsMissing)
		return nil
	case err != nil:
		t.facts.Details = policy.Unknown[policy.Details]()
		return err
	}
	return e.compare(t, head.Digest)
}

// compare holds a tag's digest against the one that its first listing gave.
func (e registryDatabase) compare(t *tag, digest string) error {
	if markOf(digest) != t.mark {
		t.facts.Details = policy.Unknown[policy.Details]()
		return errPushedAgain
	}
	t.digest = digest
	e.believe(t)
	return nil
}

// marks is the seed of markOf, the same for a whole run.
var marks = maphash.MakeSeed()

// markOf returns what is kept of a digest to notice another one: a million of them take
// 8 MB and not 80.
func markOf(digest string) uint64 { return maphash.String(marks, digest) }

// counterpart looks for the counterpart in a fresh listing, where one does for several
// tags. That lists are cut short is a known fault, so a listing shows that a tag is
// missing only if it goes on behind it, and was read without a pause. Otherwise the registry is asked for the tag
// itself: its 404 says all, as no tag is without a manifest here.
func (e registryDatabase) counterpart(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	repo, exists := e.run.counterpartOf(t.repository)
	if !exists {
		return e.run.counterpartListed(ctx, t)
	}
	listed, err := repo.list(ctx, e)
	if err == nil && pagesOf(len(listed)) < len(t.batch.tags) {
		fresh, took, err := e.run.freshListing(ctx, t)
		proof := took <= maxFresh && fresh.reaches(t.facts.Tag)
		if err != nil || fresh.has(t.facts.Tag) || proof {
			return found(fresh, t, err)
		}
	}
	err = repo.project.at(e.registry).Exists(ctx, repo.Path, t.facts.Tag)
	switch {
	case err == nil:
		return policy.Known(policy.CounterpartPresent), nil
	case errors.Is(err, registry.ErrManifestNotFound):
		return policy.Known(policy.CounterpartTagMissing), nil
	default:
		return policy.Unknown[policy.Counterpart](), err
	}
}

// isYoung says whether a cache of that age has only just come; unknown where the age
// is.
func (r *run) isYoung(born time.Time) policy.Fact[bool] {
	if born.IsZero() || r.options.MinAge == 0 {
		return policy.Unknown[bool]()
	}
	return policy.Known(r.started.Sub(born) < r.options.MinAge)
}

// dateDecides reports whether the verdict on a tag may depend on its date.
func (r *run) dateDecides(t *tag) bool {
	_, cache := r.options.Rules.CounterpartOf(t.repository.Name)
	return cache && !r.options.Rules.DeletesDated(t.facts.Regime)
}

// errDateElsewhere says why a date is unknown that GitLab does not show.
var errDateElsewhere = errors.New("the date is in an object store, and GitLab shows none, which may be because it cannot read it just now")

// detailsByAPI asks GitLab for a date that the registry would not give. That GitLab has
// none proves nothing: it shows none, too, while it cannot read the config.
func (r *run) detailsByAPI(ctx context.Context, t *tag) (policy.Fact[policy.Details], error) {
	asked := *t
	err := apiLegacy{run: r}.examine(ctx, &asked)
	if details, _ := asked.facts.Details.Get(); err != nil || details == policy.DetailsDated {
		return asked.facts.Details, err
	}
	return policy.Unknown[policy.Details](), errDateElsewhere
}

// counterpartByRegistry asks the registry for the counterpart's tag. Its 404 is proof
// that there is nothing behind a tag; that there is no tag either, one that has lost its
// manifest, is for a fresh listing to say. That there is no such repository at all is
// GitLab's to know.
func (r *run) counterpartByRegistry(ctx context.Context, reg *registry.Registry, t *tag) (policy.Fact[policy.Counterpart], error) {
	if repo, exists := r.counterpartOf(t.repository); exists {
		err := repo.project.at(reg).Exists(ctx, repo.Path, t.facts.Tag)
		switch {
		case err == nil:
			return policy.Known(policy.CounterpartPresent), nil
		case !errors.Is(err, registry.ErrManifestNotFound):
			return policy.Unknown[policy.Counterpart](), err
		}
	}
	return r.counterpartListed(ctx, t)
}
