package pipeline

import (
	"hash/maphash"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
)

// A listedTag is what is kept of a tag's entry in a listing. It is small, since one
// repository may have a million of them: 48 bytes and the name.
type listedTag struct {
	name       string
	pushed     int64  // time of the last push, in seconds of Unix; 0 if the list does not say
	digestHash uint64 // see hashDigest; 0 if the list does not say
	bytes      int64  // size of what the tag references; 0 if the list does not say
	dated      bool   // the list says a date
	isIndex    bool   // the list says the media type of an index, as which no build cache is listed
}

// isStray reports whether an entry is no tag, as its name is none that a tag can have.
func (t listedTag) isStray() bool { return registry.CheckTag(t.name) != nil }

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

// place returns where in the listing a tag is, and whether it is.
func (l listing) place(tag string) (int, bool) {
	return slices.BinarySearchFunc(l, tag, func(t listedTag, name string) int {
		return strings.Compare(t.name, name)
	})
}

// has reports whether the listing names a tag.
func (l listing) has(tag string) bool {
	_, found := l.place(tag)
	return found
}

// size returns how many tags the listing has, without what is no tag.
func (l listing) size() int {
	n := 0
	for _, t := range l {
		if !t.isStray() {
			n++
		}
	}
	return n
}

// names returns the names in their order.
func (l listing) names() []string {
	names := make([]string, len(l))
	for i, t := range l {
		names[i] = t.name
	}
	return names
}

// sharesNames reports whether any name is in both listings.
func (l listing) sharesNames(other listing) bool {
	return slices.ContainsFunc(l, func(t listedTag) bool { return other.has(t.name) })
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
