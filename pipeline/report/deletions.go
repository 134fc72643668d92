package report

import (
	"cmp"
	"path"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// Deletions measure the tags that a run has deleted or, where it marks, would delete: in all, by reason,
// by group and by repository. In each of these a manifest counts once, whatever the others have, so that they
// may add up to more than all. Images that could be pulled are among them.
//
// Of repositories, it remembers those with deletions and no others, at some 300 bytes each with the name:
// 3 MiB for 10,000 of them, whatever the number of tags.
type Deletions struct {
	Measure
	Projects     int                        `json:"projects"`     // with deletions
	Repositories int                        `json:"repositories"` // with deletions
	ByReason     map[policy.Reason]*Measure `json:"by_reason,omitempty"`

	counted      manifests
	projects     map[string]struct{}
	groups       map[string]*Place // by full path
	repositories map[string]*Place // by full path
	attested     int               // images with attestations
	cacheIndex   int               // build caches exported as an index
}

// A Place is what has deletions: a repository, or the projects right in one group or a user's namespace.
type Place struct {
	Path string // in full
	Measure

	// Of repositories alone:
	Project    string
	id         int64
	attested   int // images with attestations
	cacheIndex int // build caches exported as an index
}

// add measures a tag. It reports whether its manifest was measured before.
func (t *Deletions) add(d Decision) (again bool) {
	if t.repositories == nil {
		t.repositories, t.groups, t.projects = make(map[string]*Place), make(map[string]*Place), make(map[string]struct{})
	}
	if t.ByReason == nil {
		t.ByReason = make(map[policy.Reason]*Measure)
	}
	repository := entry(t.repositories, d.Repository)
	repository.Path, repository.Project, repository.id = d.Repository, d.Project, d.RepositoryID
	t.projects[d.Project] = struct{}{}
	t.Projects, t.Repositories = len(t.projects), len(t.repositories)
	group := entry(t.groups, path.Dir(d.Project))
	group.Path = path.Dir(d.Project)
	again = d.Bytes > 0 && t.counted.again("", d.Digest)
	t.Measure.add(d.Bytes, d.Made, again)
	for _, row := range []struct {
		name    string
		measure *Measure
	}{
		{"repository " + d.Repository, &repository.Measure}, {"group " + group.Path, &group.Measure}, {"reason " + string(d.Reason), entry(t.ByReason, d.Reason)},
	} {
		row.measure.add(d.Bytes, d.Made, d.Bytes > 0 && t.counted.again(row.name, d.Digest))
	}
	switch manifest.Kind(d.Kind) {
	case manifest.KindAttestedImage:
		repository.attested++
		t.attested++
	case manifest.KindCacheIndex:
		repository.cacheIndex++
		t.cacheIndex++
	}
	return again
}

// entry returns what a map has for a key, a new value where it has none.
func entry[K comparable, V any](m map[K]*V, key K) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

// Top returns the repositories with deletions, that with most of them first; of equals that which references
// more.
func (t *Deletions) Top() []Place { return sortedPlaces(t.repositories) }

// Groups returns the groups with deletions, in the same order.
func (t *Deletions) Groups() []Place { return sortedPlaces(t.groups) }

func sortedPlaces(places map[string]*Place) []Place {
	all := make([]Place, 0, len(places))
	for _, place := range places {
		all = append(all, *place)
	}
	slices.SortFunc(all, func(a, b Place) int {
		return cmp.Or(cmp.Compare(b.Tags, a.Tags), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
	})
	return all
}

// topProjects returns the projects for which count counts any tags, those with most first.
func (t *Deletions) topProjects(count func(*Place) int) []projectCount {
	byProject := make(map[string]int)
	for _, repository := range t.repositories {
		if n := count(repository); n > 0 {
			byProject[repository.Project] += n
		}
	}
	return sortedCounts(byProject)
}
