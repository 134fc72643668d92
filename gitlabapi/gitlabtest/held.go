package gitlabtest

import (
	"maps"
	"slices"
)

// hold notes that a manifest is in the repository, with all it refers to.
func (r *storedRepository) hold(m *manifest) {
	if m == nil || r.held[m.digest] {
		return
	}
	if r.held == nil {
		r.held = map[string]bool{}
	}
	// Children come first: one that is noted already is noted with all it needs.
	for _, part := range m.parts {
		r.hold(part)
	}
	r.held[m.digest] = true
	for _, digest := range m.references() {
		r.held[digest] = true
	}
}

// copy returns the repository as it is now.
func (r *storedRepository) copy() *storedRepository {
	return &storedRepository{tags: slices.Clone(r.live()), held: maps.Clone(r.held), complete: r.complete}
}

// holds says whether the repository has a manifest or a blob. It reads the tags
// the first time only, and no tag at all where nobody asks for digests.
func (r *storedRepository) holds(digest string) bool {
	if !r.complete {
		for i := range r.tags {
			r.hold(r.tags[i].manifest)
		}
		r.complete = true
	}
	return r.held[digest]
}
