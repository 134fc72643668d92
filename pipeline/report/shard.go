package report

import "fmt"

// MaxShards is how many shards there may be. A rate limit leaves nothing to share out long
// before.
const MaxShards = 1000

// A Shard says which of several runs, that share the projects out among them, a summary
// is of.
type Shard struct {
	Index int `json:"index"` // from 0
	Count int `json:"count"`
}

// String names the shard for people.
func (s Shard) String() string { return fmt.Sprintf("shard %d of %d", s.Index, s.Count) }

// Folder returns the name of the folder for the shard's reports. Shards write into one
// REPORT_DIR, on a shared volume or as artifacts that a later job unpacks over each other.
func (s Shard) Folder() string { return fmt.Sprintf("shard-%d-of-%d", s.Index, s.Count) }

// shardOfFolder returns the shard that a folder is for by its name.
func shardOfFolder(name string) (s Shard, ok bool) {
	_, err := fmt.Sscanf(name, "shard-%d-of-%d", &s.Index, &s.Count)
	return s, err == nil && s.Folder() == name && s.valid()
}

func (s Shard) valid() bool { return s.Index >= 0 && s.Index < s.Count && s.Count <= MaxShards }
