package main

import "gitlab.com/registry-gc/registry-gc/pipeline"

// An undoResult is what undo prints for programs.
type undoResult struct {
	GitLabURL string                       `json:"gitlab_url"`
	DryRun    bool                         `json:"dry_run"`
	Deletions int                          `json:"deletions"`
	Outcomes  map[pipeline.UndoOutcome]int `json:"outcomes"`
	// NotRestored has each tag that was neither restored nor there already.
	NotRestored []notRestored `json:"not_restored"`
	UnreadLines int           `json:"unread_lines,omitempty"`
}

type notRestored struct {
	Repository string               `json:"repository"`
	Tag        string               `json:"tag"`
	Digest     string               `json:"digest,omitempty"`
	Outcome    pipeline.UndoOutcome `json:"outcome"`
	Now        string               `json:"now,omitempty"` // the digest that the tag names
	Error      string               `json:"error,omitempty"`
}

// json returns the summary for programs.
func (s *undoSummary) json() *undoResult {
	result := &undoResult{
		GitLabURL: s.instance, DryRun: s.dryRun, Deletions: len(s.records), Outcomes: s.counts, NotRestored: []notRestored{}, UnreadLines: s.unread,
	}
	for _, o := range undoOutcomes {
		for _, r := range s.named[o.outcome] {
			result.NotRestored = append(result.NotRestored, notRestored{r.Repository, r.Tag, r.Digest, r.Outcome, r.Now, textOf(r.Err)})
		}
	}
	return result
}
