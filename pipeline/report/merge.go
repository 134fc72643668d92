package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Merge makes of the shards of one run what a single run would have reported: it hands
// their decisions to the handler, shard by shard, and returns a summary of them all.
// Decisions are streamed, not held.
//
// Everything is summed up but the time, and what of it requests were held back, where the
// longest counts: shards run side by side. What several of them could not read, such as a
// group, counts for each.
//
// The error says why the summary is not that of a whole run: a shard is missing, was
// killed or stopped by an error, or has not written down all that it decided, or the
// context ended. The summary is returned all the same, with the same in its Error.
func Merge(ctx context.Context, sources []Source, handler Handler, log *slog.Logger) (*Summary, error) {
	m := &merger{sum: NewSummary(false), handler: handler, log: log, owners: make(map[int64]Shard)}
	warnOfStartGap(sources, log)
	for _, source := range sources {
		if ctx.Err() == nil {
			m.mergeShard(ctx, source)
		}
	}
	if ctx.Err() != nil {
		m.sum.Interrupted = true
		m.problems = append(m.problems, fmt.Errorf("merging the shards: %w", context.Cause(ctx)))
	}
	count := sources[0].Shard.Count
	for index := range count {
		if !slices.ContainsFunc(sources, func(s Source) bool { return s.Shard.Index == index }) {
			m.shardFailed(Shard{index, count}, errors.New("is missing"))
		}
	}
	m.mergeRegimes(sources)
	if len(sources) > 1 {
		m.sum.JobURL = "" // each shard has its own
	}
	texts := m.stops
	for _, problem := range m.problems {
		texts = append(texts, problem.Error())
	}
	m.sum.Error = strings.Join(texts, "; ")
	return m.sum, errors.Join(m.problems...)
}

// A merger is what has been merged so far.
type merger struct {
	sum     *Summary
	handler Handler
	log     *slog.Logger
	// owners are the shards of the repositories that have decisions, by the repository's
	// id. They take as much memory as a count of them, and not an entry for each tag.
	owners map[int64]Shard
	stops  []string // why shards that were asked to end ended
	// rulesOf is the folder of the first shard whose rules are known.
	rulesOf     string
	rulesDiffer bool
	merged      int // shards with a summary
	problems    []error
}

func (m *merger) shardFailed(shard Shard, err error) {
	m.problems = append(m.problems, fmt.Errorf("%v: %w", shard, err))
}

// mergeShard adds one shard. Of a run that was killed the decisions that it wrote down
// count, for those tags are gone.
func (m *merger) mergeShard(ctx context.Context, source Source) {
	written, s := NewSummary(false), source.Summary
	err := m.forwardDecisions(ctx, source, Handlers{written, m.handler})
	if err != nil && ctx.Err() == nil {
		m.shardFailed(source.Shard, err)
	}
	if s == nil {
		m.shardFailed(source.Shard, errors.New("was killed, and only what it wrote down is counted"))
		m.sum.addFigures(written)
		return
	}
	m.sum.addFigures(s)
	m.mergeUnmatched(s)
	m.mergeRules(source.Dir, s.Rules)
	m.sum.DryRun, m.sum.GitLabURL, m.sum.Version = s.DryRun, s.GitLabURL, s.Version // the same for all
	switch {
	case s.Interrupted:
		m.stops = append(m.stops, fmt.Sprintf("%v: %s", source.Shard, s.Error))
	case s.Error != "":
		m.shardFailed(source.Shard, errors.New(s.Error))
	}
	if counted := s.Deleted + s.Undecided + s.Failed; err == nil && written.Tags-written.Kept != counted {
		m.shardFailed(source.Shard, fmt.Errorf("%s has %d of %d decisions", DecisionsFile, written.Tags-written.Kept, counted))
	}
}

// forwardDecisions hands the decisions of a shard to the handler: all of them, also when
// the handler cannot do its work any more, unless the context ends.
func (m *merger) forwardDecisions(ctx context.Context, source Source, handler Handler) error {
	path, killed := filepath.Join(source.Dir, DecisionsFile), source.Summary == nil
	lines, err := os.Open(path)
	if killed && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lines.Close()
	var failed, overlap error
	unread, err := eachDecision(lines, func(d *decisionLine) error {
		if err := handler.Handle(Decision(*d)); failed == nil {
			failed = err
		}
		if d.Outcome == Deleted || d.Outcome == Marked {
			m.sum.measureDeletion(Decision(*d)) // the shards' own figures have manifests twice that several have
		}
		// A repository without an id cannot be told from others.
		owner, known := m.owners[d.RepositoryID]
		if d.RepositoryID != 0 && !known {
			m.owners[d.RepositoryID] = source.Shard
		}
		if known && owner != source.Shard && overlap == nil {
			overlap = fmt.Errorf("has decisions on %s, as %v has: tags may be counted twice", d.Repository, owner)
		}
		if killed && d.Outcome == Marked {
			m.sum.DryRun = true // nothing else says so if all were killed
		}
		return context.Cause(ctx)
	})
	if overlap != nil {
		m.shardFailed(source.Shard, overlap)
	}
	if err == nil {
		err = failed
	}
	if unread > 0 {
		m.log.Warn("skipped what is no decision, as a run that is killed leaves at the end", "file", path, "lines", unread)
	}
	if err != nil {
		return fmt.Errorf("merging %s: %w", path, err)
	}
	return nil
}

// mergeUnmatched adds what a shard did not find of EXCLUDE and IN_USE: what one of them has found
// is there.
func (m *merger) mergeUnmatched(s *Summary) {
	if m.merged++; m.merged == 1 {
		m.sum.ExcludeUnmatched, m.sum.InUse = slices.Clone(s.ExcludeUnmatched), s.InUse
		return
	}
	m.sum.ExcludeUnmatched = slices.DeleteFunc(m.sum.ExcludeUnmatched, func(pattern string) bool {
		return !slices.Contains(s.ExcludeUnmatched, pattern)
	})
	if m.sum.InUse == nil || s.InUse == nil {
		m.sum.InUse = nil // what a shard did not count may be there
		return
	}
	both := *m.sum.InUse
	both.Seen = min(both.Seen+s.InUse.Seen, both.References)
	m.sum.InUse = &both
}

// mergeRules adds the rules of a shard. Shards of one run have the same.
func (m *merger) mergeRules(dir string, rules *Rules) {
	switch {
	case rules == nil:
	case m.sum.Rules == nil:
		m.sum.Rules, m.rulesOf = new(Rules), dir
		*m.sum.Rules = *rules
		m.sum.Rules.Rules = slices.Clone(rules.Rules)
	default:
		if !m.rulesDiffer && rules.Hash != m.sum.Rules.Hash {
			m.rulesDiffer = true
			m.log.Warn("shards decided by different rules, are they of the same run?", "one", m.rulesOf, "rules", m.sum.Rules.Name, "another", dir, "other_rules", rules.Name)
		}
		m.sum.Rules.merge(rules)
	}
}

// mergeRegimes takes the regime that the shards found. A shard without repositories found
// none.
func (m *merger) mergeRegimes(sources []Source) {
	none := m.sum.Regime
	for _, source := range sources {
		switch s := source.Summary; {
		case s == nil || s.Regime == none || s.Regime == m.sum.Regime:
		case m.sum.Regime == none:
			m.sum.Regime = s.Regime
		default:
			m.log.Warn("shards found different regimes", "one", m.sum.Regime, "another", s.Regime)
			m.sum.Regime = none
			return
		}
	}
}

// addFigures adds the figures of another summary.
func (s *Summary) addFigures(o *Summary) {
	s.Interrupted = s.Interrupted || o.Interrupted
	if s.Started.IsZero() || !o.Started.IsZero() && o.Started.Before(s.Started) {
		s.Started = o.Started
	}
	if o.Ended.After(s.Ended) {
		s.Ended = o.Ended
	}
	s.User, s.Applied = cmp.Or(s.User, o.User), cmp.Or(s.Applied, o.Applied)
	s.JobURL, s.PipelineURL = cmp.Or(s.JobURL, o.JobURL), cmp.Or(s.PipelineURL, o.PipelineURL)
	if s.Settings == nil {
		s.Settings = maps.Clone(o.Settings)
	}
	s.Plans, s.Journals = append(s.Plans, o.Plans...), append(s.Journals, o.Journals...)
	s.WithoutDigest += o.WithoutDigest
	s.ScopeMissing = s.ScopeMissing || o.ScopeMissing
	s.MaxDeletions = max(s.MaxDeletions, o.MaxDeletions)
	s.Refused = cmp.Or(s.Refused, o.Refused)
	if o.Verify == ByAPI {
		s.Verify = ByAPI // the weaker word is what can be said of all
	}
	s.Projects += o.Projects
	s.Repositories += o.Repositories
	s.Tags += o.Tags
	s.Kept += o.Kept
	s.Deleted += o.Deleted
	s.Undecided += o.Undecided
	s.Failed += o.Failed
	s.Unreadable += o.Unreadable
	s.UndatableImages += o.UndatableImages
	s.PullableStay.merge(o.PullableStay)
	s.NamingDiffers = append(s.NamingDiffers, o.NamingDiffers...)
	s.AdminModeLacking = s.AdminModeLacking || o.AdminModeLacking
	s.Requests.API += o.Requests.API
	s.Requests.Registry += o.Requests.Registry
	s.Retries += o.Retries
	s.Throttled = max(s.Throttled, o.Throttled)
	s.Duration = max(s.Duration, o.Duration)
	for reason, n := range o.Reasons {
		s.Reasons[reason] += n
	}
	for reason, tags := range o.Examples {
		s.addExamples(reason, tags...)
	}
	for why, n := range o.Skipped {
		s.Skipped[why] += n
	}
}
