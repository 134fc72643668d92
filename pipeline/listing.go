package pipeline

import (
	"hash/maphash"
	"slices"
	"strings"
)

// A listedTag is what is kept of a tag's entry in a listing. It is small, since one
// repository may have a million of them: 48 bytes and the name.
type listedTag struct {
	name       string
	pushed     int64  // time of the last push, in seconds of Unix; 0 if the list does not say
	digestHash uint64 // see hashDigest; 0 if the list does not say
	bytes      int64  // size of what the tag references; 0 if the list does not say
	dated      bool   // the list says a date
}

// hashSeed is the seed of hashDigest, the same for a whole process.
var hashSeed = maphash.MakeSeed()

// hashDigest returns what is kept of a digest to notice another one: a million of them take
// 8 MB instead of 80.
func hashDigest(digest string) uint64 { return maphash.String(hashSeed, digest) }

// A listing is the tags of a repository, each once, sorted by name. It is not changed once
// it is made.
type listing []listedTag

// newListing sorts a list, which most servers have done already.
func newListing(tags []listedTag) listing {
	byName := func(a, b listedTag) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(tags, byName) {
		slices.SortFunc(tags, byName)
	}
	return slices.CompactFunc(tags, func(a, b listedTag) bool { return a.name == b.name })
}

// find returns the entry of a tag, and whether the listing has it.
func (l listing) find(tag string) (listedTag, bool) {
	i, found := slices.BinarySearchFunc(l, tag, func(t listedTag, name string) int {
		return strings.Compare(t.name, name)
	})
	if !found {
		return listedTag{}, false
	}
	return l[i], true
}

// has reports whether the listing names a tag.
func (l listing) has(tag string) bool {
	_, found := l.find(tag)
	return found
}

// covers reports whether the listing names all tags of another, but for those that are
// excepted.
func (l listing) covers(other listing, except *names) bool {
	for _, t := range other {
		if !l.has(t.name) && !except.has(t.name) {
			return false
		}
	}
	return true
}
