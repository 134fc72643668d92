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

// resolveShard finds out which shard this is, by the program's own variables or by those of
// the platform: Kubernetes gives the pods of an Indexed Job their index and not the count,
// GitLab gives the jobs of parallel both, and counts from 1.
//
// An index without a count is a mistake, and so is a count without an index: if that meant
// no shard at all, every process would walk everything.
func (c *Config) resolveShard(lookuper envconfig.Lookuper) (problems []error) {
	set := func(name string) bool { _, ok := lookuper.Lookup(name); return ok }
	indexName, countName, first, indexRange := "SHARD_INDEX", "SHARD_COUNT", 0, "from 0, below SHARD_COUNT"
	switch {
	case set(indexName):
	case set("JOB_COMPLETION_INDEX"):
		indexName = "JOB_COMPLETION_INDEX"
	case !set(countName):
		indexName, countName, first, indexRange = "CI_NODE_INDEX", "CI_NODE_TOTAL", 1, "from 1, up to CI_NODE_TOTAL"
	}
	index, hasIndex := lookuper.Lookup(indexName)
	count, hasCount := lookuper.Lookup(countName)
	c.ShardIndex, c.ShardCount = 0, 1
	if !hasIndex && (!hasCount || count == "1") {
		return nil
	}
	_ = c.ShardCount.UnmarshalText([]byte(count))
	if c.ShardCount < 1 || c.ShardCount > report.MaxShards {
		text := fmt.Sprintf("must be a number from 1 to %d, where %s is set", report.MaxShards, indexName)
		problems = append(problems, &problem{countName, text})
		c.ShardCount = report.MaxShards
	}
	_ = c.ShardIndex.UnmarshalText([]byte(index))
	c.ShardIndex -= shardNumber(first)
	if c.ShardIndex < 0 || c.ShardIndex >= c.ShardCount {
		problems = append(problems, &problem{indexName, "must be a number " + indexRange})
	}
	return problems
}

// shard returns which part of the projects is this process's.
func (c *Config) shard() report.Shard {
	return report.Shard{Index: int(c.ShardIndex), Count: int(c.ShardCount)}
}
