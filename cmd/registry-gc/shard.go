package main

import (
	"fmt"
	"strconv"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A shardNumber is an index or a count of shards as a variable holds it, and -1 if that is
// no number. What range it has to be in depends on other variables: see resolveShard.
type shardNumber int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *shardNumber) UnmarshalText(text []byte) error {
	value, err := strconv.ParseUint(string(text), 10, 31)
	*n = shardNumber(value)
	if err != nil {
		*n = -1
	}
	return nil
}

// A numbering is a pair of variables that say which of how many processes this is.
type numbering struct {
	index, count string
	first        int    // what the index counts from
	rangeText    string // of the index
}

// numberingOf returns the pair that counts. Kubernetes tells the pods of an Indexed Job
// their index and not how many there are; GitLab tells the jobs of parallel both.
func numberingOf(lookuper envconfig.Lookuper) numbering {
	set := func(name string) bool { _, ok := lookuper.Lookup(name); return ok }
	switch n := (numbering{"SHARD_INDEX", "SHARD_COUNT", 0, "from 0, below SHARD_COUNT"}); {
	case !set(n.index) && set("JOB_COMPLETION_INDEX"):
		n.index = "JOB_COMPLETION_INDEX"
		return n
	case set(n.index) || set(n.count):
		return n
	default:
		return numbering{"CI_NODE_INDEX", "CI_NODE_TOTAL", 1, "from 1, up to CI_NODE_TOTAL"}
	}
}

// resolveShard finds out which shard this is. An index without a count is a mistake, and
// so is a count without an index: if that meant no shard at all, every process would walk
// everything.
func (c *Config) resolveShard(lookuper envconfig.Lookuper) (problems []error) {
	n := numberingOf(lookuper)
	index, hasIndex := lookuper.Lookup(n.index)
	count, hasCount := lookuper.Lookup(n.count)
	c.ShardIndex, c.ShardCount = 0, 1
	if !hasIndex && (!hasCount || count == "1") {
		return nil
	}
	_ = c.ShardCount.UnmarshalText([]byte(count))
	if c.ShardCount < 1 || c.ShardCount > report.MaxShards {
		text := fmt.Sprintf("must be a number from 1 to %d, where %s is set", report.MaxShards, n.index)
		problems = append(problems, &problem{n.count, text})
		c.ShardCount = report.MaxShards
	}
	_ = c.ShardIndex.UnmarshalText([]byte(index))
	c.ShardIndex -= shardNumber(n.first)
	if c.ShardIndex < 0 || c.ShardIndex >= c.ShardCount {
		problems = append(problems, &problem{n.index, "must be a number " + n.rangeText})
	}
	return problems
}

// shard returns which part of the projects is this process's.
func (c *Config) shard() report.Shard {
	return report.Shard{Index: int(c.ShardIndex), Count: int(c.ShardCount)}
}
