package pipeline

import "testing"

// TestEachProjectHasOneShard: whatever the ids, each belongs to one shard, and no shard
// has more than its part and a fifth, also where ids come in steps.
func TestEachProjectHasOneShard(t *testing.T) {
	const projects = 20_000
	for count := 1; count <= 12; count++ {
		for _, step := range []int64{1, 2, 3, 6, 8, 100, 1 << 20} {
			sizes := make([]int, count)
			for n := range int64(projects) {
				owners := 0
				for index := range count {
					if (Shard{index, count}).owns(1 + n*step) {
						owners++
						sizes[index]++
					}
				}
				if owners != 1 {
					t.Fatalf("project %d belongs to %d of %d shards", 1+n*step, owners, count)
				}
			}
			for index, size := range sizes {
				if fair := projects / count; size > fair*6/5 || size < fair*4/5 {
					t.Errorf("ids in steps of %d: shard %d of %d has %d of %d projects", step, index, count, size, projects)
				}
			}
		}
	}
}

// TestShardsStay: which shard has a project is part of the contract. Two releases that
// run side by side must agree.
func TestShardsStay(t *testing.T) {
	for id, want := range map[int64]int{1: 2, 2: 1, 3: 0, 278964: 2, 1 << 40: 0} {
		for index := range 3 {
			if got := (Shard{index, 3}).owns(id); got != (index == want) {
				t.Errorf("shard %d of 3 owns project %d: %v", index, id, got)
			}
		}
	}
	if mix(0) != 0xe220a8397b1dcdaf {
		t.Errorf("mix(0) is %#x, which is not SplitMix64's first number", mix(0))
	}
}
