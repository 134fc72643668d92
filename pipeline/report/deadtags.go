package report

import (
	"cmp"
	"math"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// DeadTags counts the tags of each repository that go, those that can be pulled among them: that were
// deleted, marked or could not be deleted. The zero value is ready to use, as a [Handler].
//
// It remembers repositories with dead tags and no others, at some 250 bytes each with
// the name: 3 MiB for 10,000 of them, whatever the number of tags.
type DeadTags struct {
	Links Links // of the repositories that are named
	// Asks says that whoever reads of them is asked next whether to delete them.
	Asks bool

	repositories map[string]*Dead
	total        Dead
}

// Dead is what a repository holds of dead tags.
type Dead struct {
	Project    string
	Repository string // full path
	Tags       int
	id         int64
	Sized      int   // of them, those whose bytes are known
	Bytes      int64 // that the sized ones reference, layers that they share counted for each
	attested   int   // images with attestations
	cacheIndex int   // build caches exported as an index
}

// Handle implements [Handler].
func (t *DeadTags) Handle(e Event) error {
	d, ok := e.(Decision)
	if !ok || d.Action != policy.Delete {
		return nil
	}
	if t.repositories == nil {
		t.repositories = make(map[string]*Dead)
	}
	repository, known := t.repositories[d.Repository]
	if !known {
		repository = &Dead{Project: d.Project, Repository: d.Repository, id: d.RepositoryID}
		t.repositories[d.Repository] = repository
	}
	repository.countTag(d)
	t.total.countTag(d)
	return nil
}

func (r *Dead) countTag(d Decision) {
	r.Tags++
	if d.Bytes > 0 {
		r.Sized++
		r.Bytes = saturated(r.Bytes, d.Bytes)
	}
	switch manifest.Kind(d.Kind) {
	case manifest.KindAttestedImage:
		r.attested++
	case manifest.KindCacheIndex:
		r.cacheIndex++
	}
}

// merge adds what another repository holds.
func (r *Dead) merge(other Dead) {
	r.Tags += other.Tags
	r.Sized += other.Sized
	r.Bytes = saturated(r.Bytes, other.Bytes)
}

// plural returns what the word for so many things ends in.
func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// saturated adds sizes that the server named, which may be anything.
func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Repositories returns how many repositories have dead tags.
func (t *DeadTags) Repositories() int { return len(t.repositories) }

// Total returns the sums over all repositories; it names none.
func (t *DeadTags) Total() Dead { return t.total }

// Top returns the n repositories with most dead tags, the worst first; of equals that
// which references more.
func (t *DeadTags) Top(n int) []Dead {
	all := make([]Dead, 0, len(t.repositories))
	for _, repository := range t.repositories {
		all = append(all, *repository)
	}
	slices.SortFunc(all, func(a, b Dead) int {
		return cmp.Or(cmp.Compare(b.Tags, a.Tags), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Repository, b.Repository))
	})
	return all[:min(n, len(all))]
}

// topProjects returns the projects for which count counts any tags, those with most first.
func (t *DeadTags) topProjects(count func(*Dead) int) []projectCount {
	byProject := make(map[string]int)
	for _, repository := range t.repositories {
		if n := count(repository); n > 0 {
			byProject[repository.Project] += n
		}
	}
	return sortedCounts(byProject)
}
