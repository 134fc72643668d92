package report

import (
	"fmt"
	"log/slog"
	"time"
)

// Two signs that shards are not of the same run, or did not share it out as they should
// have. Neither is proof enough to refuse them.

// usualStarts is how far apart shards begin that nothing holds up.
const usualStarts = time.Hour

// warnOfStarts names the shards that began first and last if there is long between them:
// where runs are hours apart, one may be what an earlier run has left.
func warnOfStarts(sources []Source, log *slog.Logger) {
	var first, last *Source
	for i := range sources {
		s := &sources[i]
		if s.Summary == nil || s.Summary.Started.IsZero() {
			continue
		}
		if first == nil || s.Summary.Started.Before(first.Summary.Started) {
			first = s
		}
		if last == nil || s.Summary.Started.After(last.Summary.Started) {
			last = s
		}
	}
	if first != nil && last.Summary.Started.Sub(first.Summary.Started) > usualStarts {
		log.Warn("shards began hours apart, are they of the same run?",
			"first", first.Dir, "started", first.Summary.Started, "last", last.Dir, "last_started", last.Summary.Started)
	}
}

// owners holds which shard each repository is of that has decisions. That takes as much
// memory as a deadTags of them, and not one entry for each tag.
type owners map[int64]Shard

// claim returns an error if the repository is another shard's: its tags are counted
// twice. Decisions without an id say nothing.
func (o owners) claim(d *decisionLine, shard Shard) error {
	owner, known := o[d.RepositoryID]
	switch {
	case d.RepositoryID == 0 || known && owner == shard:
		return nil
	case known:
		return fmt.Errorf("has decisions on %s, as %v has: tags may be counted twice", d.Repository, owner)
	default:
		o[d.RepositoryID] = shard
		return nil
	}
}
