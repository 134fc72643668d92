package pipeline

// A Shard is the part of the scope that one of several processes walks. The zero value
// is all of it.
//
// Each process lists the same projects and takes those that are its own. What a tag's
// fate depends on lies in its project, so that shards together decide what one run
// decides, and no two of them touch the same tag.
type Shard struct {
	Index int // from 0
	Count int // how many there are; less than 2 is one
}

// owns reports whether a project belongs to the shard. Each project belongs to exactly
// one, the same in every run with as many shards.
//
// The remainder of the id itself would not do: ids come in steps, as when an instance
// creates three projects for each of its products, and all of one kind would be in one
// shard. So the id is mixed first.
func (s Shard) owns(projectID int64) bool {
	return s.Count < 2 || mix(uint64(projectID))%uint64(s.Count) == uint64(s.Index)
}

// mix is the finalizer of SplitMix64: each bit of the input changes half of the
// output's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
