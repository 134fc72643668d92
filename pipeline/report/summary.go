package report

import (
	"encoding/json"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A Summary is the run in figures. As a [Handler] it counts events; what is no event
// (requests, times, how the run ended) is set from outside. Its JSON form is
// summary.json of the contract with users.
//
// Tags is always Kept + Deleted + Undecided + Failed, since each counts decisions.
type Summary struct {
	Schema    int       `json:"schema"`
	Shard     *Shard    `json:"shard,omitempty"` // nil for a run that is not shared out
	Started   time.Time `json:"started,omitzero"`
	GitLabURL string    `json:"gitlab_url,omitempty"`
	User      string    `json:"user,omitempty"` // of the token
	// JobURL and PipelineURL are the pages in GitLab of the CI job that ran this, if one did.
	JobURL      string `json:"job_url,omitempty"`
	PipelineURL string `json:"pipeline_url,omitempty"`
	// Settings are those that were given, by variable, without secrets.
	Settings map[string]string `json:"settings,omitempty"`
	// Applied is the plan that was applied, Plans the ones that were made, and Journals what undo
	// needs: paths, those of all shards where there are several.
	Applied  string   `json:"applied_plan,omitempty"`
	Plans    []string `json:"plans,omitempty"`
	Journals []string `json:"journals,omitempty"`
	// WithoutDigest are tags that were deleted, or would be, and could not be brought back, as
	// their digest is not known.
	WithoutDigest int    `json:"without_digest,omitempty"`
	Version       string `json:"version,omitempty"` // of the program
	DryRun        bool   `json:"dry_run"`
	Interrupted   bool   `json:"interrupted"`
	Error         string `json:"error,omitempty"`                  // what ended the run before its time
	MaxDeletions  int    `json:"max_deletions_exceeded,omitempty"` // the limit because of which nothing was deleted
	ScopeMissing  bool   `json:"scope_missing,omitempty"`          // what ended it: a group or project of the scope
	Refused       string `json:"refused,omitempty"`                // what was said to all deletions, which ended them
	// AdminModeLacking says that the token is an administrator's without scope admin_mode, so that
	// some projects may have been out of its sight.
	AdminModeLacking bool                  `json:"admin_mode_lacking,omitempty"`
	Rules            *Rules                `json:"rules,omitempty"`
	Regime           string                `json:"regime"`
	Verify           Evidence              `json:"verify"`
	Projects         int                   `json:"projects"`
	Repositories     int                   `json:"repositories"`
	Tags             int                   `json:"tags"`
	Kept             int                   `json:"kept"`
	Deleted          int                   `json:"deleted"` // marked, in a dry run
	Undecided        int                   `json:"undecided"`
	Failed           int                   `json:"failed"`
	Reasons          map[policy.Reason]int `json:"reasons"`
	Skipped          map[SkipReason]int    `json:"skipped"`
	Unreadable       int                   `json:"unreadable"` // groups, projects and repositories
	// UndatableImages are those tags among the kept ones that are images, that GitLab cannot date
	// and so never cleans up, and that stay for no other reason than that no rule deletes them.
	UndatableImages int `json:"undatable_images"`
	// Program is how people call the program, and Flags are those that the commands by which they go on
	// need, by command.
	Program string              `json:"-"`
	Flags   map[string][]string `json:"-"`
	// Deletions measure the deleted or marked tags.
	Deletions Deletions `json:"deletions"`
	// Examples are a few of the tags of each reason that are not deleted, as repository:tag.
	Examples map[policy.Reason][]string `json:"examples,omitempty"`
	// Pullable are those among the deleted or marked tags that are images which could be pulled: they
	// were not dead.
	Pullable Images `json:"pullable"`
	// PullableStay are the images that stay for want of their kind in DELETE_KINDS.
	PullableStay StayingImages `json:"pullable_stay"`
	// NamingDiffers are the cache repositories whose tags are named by another convention than the
	// images, full paths, as they were found.
	NamingDiffers []string `json:"naming_differs,omitempty"`
	// ExcludeUnmatched are the patterns of EXCLUDE that matched nothing.
	ExcludeUnmatched []string `json:"exclude_unmatched,omitempty"`
	// InUse counts the references of images in use; nil where no list was given, or the walk was
	// not whole.
	InUse     *InUse    `json:"in_use,omitempty"`
	Requests  Requests  `json:"requests"`
	Retries   int64     `json:"retries"`
	Throttled Seconds   `json:"throttled_s"`
	Duration  Seconds   `json:"duration_s"`
	Ended     time.Time `json:"ended,omitzero"`
}

// InUse counts the references of images in use.
type InUse struct {
	References int `json:"references"` // different ones
	ByDigest   int `json:"by_digest"`  // of them, those that name a digest alone
	Seen       int `json:"seen"`       // of all, those that are tags which were listed
}

// Evidence is whose word the deletions rest on. The codes are part of the reports.
type Evidence string

// Whose word it is.
const (
	ByRegistry Evidence = "registry" // the registry's own
	ByAPI      Evidence = "api"      // that of GitLab's API alone
)

// Requests are the HTTP requests sent, retries included.
type Requests struct {
	API      int64 `json:"api"`      // to the instance
	Registry int64 `json:"registry"` // to the registry's host
}

// Seconds is a duration that JSON shows in seconds, to the millisecond.
type Seconds time.Duration

// MarshalJSON implements [json.Marshaler].
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Round(time.Millisecond).Seconds())
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var seconds float64
	err := json.Unmarshal(text, &seconds)
	*s = Seconds(time.Duration(seconds * float64(time.Second)).Round(time.Millisecond))
	return err
}

// NewSummary returns the summary of a run in which nothing has happened yet.
func NewSummary(dryRun bool) *Summary {
	return &Summary{
		Schema:  1,
		DryRun:  dryRun,
		Regime:  "unknown",
		Verify:  ByRegistry,
		Reasons: make(map[policy.Reason]int),
		Skipped: make(map[SkipReason]int),
	}
}

// Handle implements [Handler].
func (s *Summary) Handle(e Event) error {
	switch e := e.(type) {
	case RegimeFound:
		s.Regime = e.Regime.String()
	case TooManyDeletions:
		s.MaxDeletions = e.Limit
	case ProjectScanned:
		s.Projects++
	case RepositoryScanned:
		s.Repositories++
	case Skipped:
		s.Skipped[e.Why]++
	case Unreadable:
		s.Unreadable++
	case AdminModeLacking:
		s.AdminModeLacking = true
	case ExcludeUnmatched:
		s.ExcludeUnmatched = e.Patterns
	case InUseCounted:
		s.InUse = &InUse{References: e.References, ByDigest: e.ByDigest, Seen: e.Seen}
	case NamingDiffers:
		s.NamingDiffers = append(s.NamingDiffers, e.Repository)
	case DeletionsRefused:
		if e.Project == "" {
			s.Refused = e.Err.Error()
		}
	case ImageStays:
		s.PullableStay.add(e)
	case Decision:
		s.countDecision(e)
	}
	return nil
}

// marks reports whether the run deleted nothing, but marked what it would have.
func (s *Summary) marks() bool { return s.DryRun || s.MaxDeletions > 0 }

func (s *Summary) countDecision(d Decision) {
	s.Tags++
	s.Reasons[d.Reason]++
	switch d.Outcome {
	case Kept:
		s.Kept++
		if StaysUnnamed(d.Reason) && IsUndatableImage(manifest.Kind(d.Kind)) {
			s.UndatableImages++
		}
	case Deleted, Marked:
		s.Deleted++
		if d.Digest == "" {
			s.WithoutDigest++
		}
		s.measureDeletion(d)
		return
	case Failed:
		s.Failed++
	default:
		s.Undecided++
	}
	if len(s.Examples[d.Reason]) < mostExamples { // of a million tags a few are named
		s.addExamples(d.Reason, d.Repository+":"+d.Tag)
	}
}

// measureDeletion measures a tag that is deleted, or would be.
func (s *Summary) measureDeletion(d Decision) {
	again := s.Deletions.add(d)
	if IsImage(d.Kind) {
		s.Pullable.add(Image{d.Project, d.Repository, d.RepositoryID, d.Tag, d.Digest, d.Kind, d.Bytes, d.Made}, again)
	}
}

// mostExamples is how many tags of a reason are named.
const mostExamples = 3

// addExamples names tags of a reason, as long as few are named.
func (s *Summary) addExamples(reason policy.Reason, tags ...string) {
	room := mostExamples - len(s.Examples[reason])
	if room <= 0 || len(tags) == 0 {
		return
	}
	if s.Examples == nil {
		s.Examples = make(map[policy.Reason][]string)
	}
	s.Examples[reason] = append(s.Examples[reason], tags[:min(room, len(tags))]...)
}
