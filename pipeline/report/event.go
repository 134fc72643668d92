package report

import (
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An Event is something that happened in a run: one of the types below.
type Event interface{ event() }

// A Handler is given what happens, one event at a time. An error means that it cannot do
// its work any more, and stops the run: no deletion is begun after that. It is still given
// the outcome of those under way then, at most forty tags for every four workers; where GitLab's word
// alone is asked and there is no metadata database, as much as a quarter of a large repository.
type Handler interface {
	Handle(Event) error
}

// Handlers passes each event to several handlers, in order. All of them get it, also when
// one cannot do its work any more: what has happened is counted where it still can be.
type Handlers []Handler

// Handle implements [Handler].
func (hs Handlers) Handle(e Event) error {
	var errs []error
	for _, h := range hs {
		errs = append(errs, h.Handle(e))
	}
	return errors.Join(errs...)
}

// RegimeFound says how the instance stores the metadata of tags.
type RegimeFound struct{ Regime registry.Regime }

// RegimeUnclear says that signs of the regime contradict each other, so that the run
// takes the stricter reading of each.
type RegimeUnclear struct {
	API, Header, V1 string // what each shows: the API, the registry's header, its own API
}

// ProjectScanned says that a project's repositories are known.
type ProjectScanned struct{ Project string }

// RepositoryScanned says that a repository's tags are known.
type RepositoryScanned struct {
	Project, Repository string
	Tags                int
}

// Skipped says that something is left alone on purpose.
type Skipped struct {
	Name string // full path of the project or repository
	Why  SkipReason
	// Asked says that the scope names it, so that its absence needs a word.
	Asked bool
}

// A SkipReason says why something was skipped. The codes are part of the reports.
type SkipReason string

// Why a project or a repository is skipped.
const (
	Excluded           SkipReason = "excluded"            // the settings exclude it
	ProjectArchived    SkipReason = "project-archived"    // nothing can be deleted there
	ProjectDeleting    SkipReason = "project-deleting"    // it is marked for deletion, and read-only
	RegistryDisabled   SkipReason = "registry-disabled"   // the project has no registry
	RepositoryDeleting SkipReason = "repository-deleting" // GitLab is deleting it whole
)

// Unreadable says that something could not be read, and what lies below it is
// unknown to the run.
type Unreadable struct {
	Name string // full path of the project or repository, or the name of a group
	Err  error

	Project      string // full path, unless it is more than one project
	RepositoryID int64  // if it is a repository
}

// NamingDiffers says that no tag of a cache repository has its name in the counterpart repository,
// which has tags: they are named by another convention, and say nothing of images that are gone.
type NamingDiffers struct {
	Project, Repository string
	Tags                int // of the cache repository
}

// ProtectionUnknown says that the instance does not say which tags its projects protect by rules.
type ProtectionUnknown struct{ Err error }

// TooManyDeletions says that more tags would go than may, so that none does: those that would have
// gone are marked, as in a dry run.
type TooManyDeletions struct{ Limit int }

// AdminModeLacking says that the token is an administrator's and lacks the scope admin_mode, so that
// it does not see all projects where Admin Mode is on.
type AdminModeLacking struct{}

// ExcludeUnmatched names the patterns of what is to be left alone that matched no project and no
// repository. It is told at the end of a walk that was whole.
type ExcludeUnmatched struct {
	Patterns []string
	// Part says that the run walked a part of what the token can see, so that a pattern may be
	// meant for another.
	Part bool
}

// InUseCounted says at the end of a walk that was whole how many of the references of images in use
// are tags that were listed.
type InUseCounted struct {
	References int // different ones, in all lists
	// ByDigest are those among them that name a digest and no tag. They are compared where the
	// digest of a tag is known, which is not asked for where nothing depends on it.
	ByDigest int
	Seen     int
	Part     bool // as that of [ExcludeUnmatched]
}

// DeletionsRefused says that no more deletions are sent, since so many before were refused alike. It is
// told once of a project or of the whole run; what was still to be deleted there is undecided, for
// the reason [DeletionsStopped].
type DeletionsRefused struct {
	Project string // full path; "" for the whole run
	Err     error  // what GitLab or the registry said
}

// ImageStays says that an image which GitLab cannot date stays for no other reason than that
// DELETE_KINDS does not name its kind. It is told in a dry run, beside the decision.
type ImageStays struct {
	Image
	ImageAge  time.Duration // IMAGE_AGE, than which it is older; 0 where the rules do not ask for it
	AgeUnread bool          // its age could not be read, so that it may be younger
}

// A Decision says what became of one tag. Every tag of a run has exactly one.
type Decision struct {
	Project      string
	ProjectID    int64
	Repository   string // full path
	RepositoryID int64
	Tag          string
	Action       policy.Action
	Outcome      Outcome
	Reason       policy.Reason
	Digest       string    // of its manifest, if known
	MediaType    string    // of its manifest, if known
	Kind         string    // of its manifest, if known
	Bytes        int64     // what it references, layers and all, shared or not; 0 if unknown
	Made         time.Time // when it was pushed, or what it points to was made; zero if unknown
	RestsOn      string    // for people: what was found of a tag that goes
	// CounterpartEmpty says of a build cache that goes that the repository of its image has no tags at
	// all.
	CounterpartEmpty bool
	Detail           string // for people: why it was not deleted, or could not be decided
}

// An Outcome is what became of a tag in the end.
type Outcome string

// The outcomes. In a dry run Marked is what Deleted is in others.
const (
	Kept      Outcome = "kept"
	Deleted   Outcome = "deleted"
	Marked    Outcome = "marked"
	Undecided Outcome = "undecided"
	Failed    Outcome = "failed"
)

// Reasons of tags that are in a plan and are not deleted when it is applied, beside those of rules.
const (
	Changed     policy.Reason = "changed"      // it is not what it was when the plan was made
	GoneAlready policy.Reason = "gone-already" // it is not there any more
	// WithoutDigest is that of a tag of which the plan does not say what it pointed to.
	WithoutDigest policy.Reason = "without-digest"
	LeftAlone     policy.Reason = "left-alone" // its repository is excluded, or being deleted
)

// Reasons of failed deletions, beside those of package policy.
const (
	DeleteForbidden policy.Reason = "delete-forbidden"
	DeleteFailed    policy.Reason = "delete-failed"
	// DeletionsStopped is that of tags that were not tried: deletions before theirs were refused.
	DeletionsStopped policy.Reason = "deletions-stopped"
)

func (RegimeFound) event()       {}
func (RegimeUnclear) event()     {}
func (ProjectScanned) event()    {}
func (RepositoryScanned) event() {}
func (Skipped) event()           {}
func (Unreadable) event()        {}
func (NamingDiffers) event()     {}
func (AdminModeLacking) event()  {}
func (ProtectionUnknown) event() {}
func (TooManyDeletions) event()  {}
func (DeletionsRefused) event()  {}
func (ExcludeUnmatched) event()  {}
func (InUseCounted) event()      {}
func (ImageStays) event()        {}
func (Decision) event()          {}
