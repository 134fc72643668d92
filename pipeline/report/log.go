package report

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A Log writes events as log lines, one an event at most. What is kept, and what
// succeeds for a whole repository, is for the debug level. A line that needs a look has a
// link, if there are any.
//
// Tags that are undecided because of a stop have no line each: there are as many as tags
// were under way, they say nothing new, and push what was found off the screen. They are
// counted for [Log.End]. The files have each of them.
type Log struct {
	*slog.Logger
	Links   Links
	Rules   *Rules
	Stopped func() bool // whether the run has been asked to end; nil if it never is
	// Most is how many deleted tags of a repository have a line; 0 for all. The log of a GitLab job ends
	// after some megabytes, and with it the summary behind it.
	Most int

	inWords   map[policy.Reason]string // see words
	gone      map[string]int           // tags that have gone or would go, by repository
	undecided int                      // tags, since the run was asked to end
	branches  map[[2]string]bool       // projects and why their branches are not known, of which a line told
}

// End says how many tags had no line, if any: of repositories in which many are deleted, and those that a
// stop has left undecided.
func (l *Log) End() {
	for _, repository := range slices.Sorted(maps.Keys(l.gone)) {
		if n := l.gone[repository] - l.Most; n > 0 {
			l.Info("more such tags in the repository, not logged one by one", "repository", repository, "tags", n)
		}
	}
	if l.undecided > 0 {
		l.Warn("tags were left undecided, as the run was asked to end", "tags", l.undecided)
	}
}

// Handle implements [Handler].
func (l *Log) Handle(e Event) error {
	switch e := e.(type) {
	case RegimeFound:
		l.logRegime(e.Regime)
	case RegimeUnclear:
		l.Warn("it is not clear whether the registry has a metadata database: what counts as dead only with one, or only without one, is kept", "api", e.API, "header", e.Header, "v1", e.V1)
	case NamingDiffers:
		l.Info("no tag of the cache repository has the name of an image's tag: the tags are named by another convention, and are kept", "repository", e.Repository, "tags", e.Tags)
	case TooManyDeletions:
		l.Error("more tags would be deleted than MAX_DELETIONS allows: nothing is deleted, and the run goes on as a dry run", "max_deletions", e.Limit)
	case ProtectionUnknown:
		l.Info("the project rules that protect tags in GitLab could not be read", "why", e.Err)
	case AdminModeLacking:
		l.Info("the token is an administrator's but lacks the scope admin_mode: where Admin Mode is on, it sees only public projects and those that its user is a member of")
	case RepositoryScanned:
		l.Debug("repository scanned", "repository", e.Repository, "tags", e.Tags)
	case Skipped:
		level := slog.LevelDebug
		if e.Asked {
			level = slog.LevelWarn
		}
		l.Log(context.Background(), level, "skipped", "name", e.Name, "why", string(e.Why))
	case ExcludeUnmatched:
		l.Warn("EXCLUDE has patterns that matched nothing"+partWords(e.Part), "patterns", e.Patterns)
	case InUseCounted:
		l.logInUse(e)
	case Unreadable:
		l.Warn("could not be read", append([]any{"name", e.Name, "error", e.Err}, l.Links.attrs(e.Project, e.RepositoryID)...)...)
	case DeletionsRefused:
		where := "the whole run"
		if e.Project != "" {
			where = e.Project
		}
		l.Warn("every deletion is refused with the same answer: no more are sent", "in", where, "said", e.Err)
	case Decision:
		l.logDecision(e)
	}
	return nil
}

// logRegime says which kind of registry was found.
func (l *Log) logRegime(regime registry.Regime) {
	text := "the registry has no metadata database"
	switch regime {
	case registry.Database:
		text = "the registry has a metadata database"
	case registry.RegimeUnknown:
		text = "it is not known whether the registry has a metadata database"
	}
	l.Info(text, "regime", regime.String())
}

// logInUse says how many references of images in use were found: where that is none, the list may be
// of another registry, and keeps nothing.
func (l *Log) logInUse(e InUseCounted) {
	level := slog.LevelInfo
	text := fmt.Sprintf("IN_USE: %d of %d references are tags here", e.Seen, e.References)
	if e.Seen == 0 {
		level, text = slog.LevelWarn, text+partWords(e.Part)
	}
	if e.ByDigest > 0 {
		text += fmt.Sprintf("; %d name only a digest, which is compared before a tag is deleted", e.ByDigest)
	}
	l.Log(context.Background(), level, text)
}

// partWords says why what was not found may be right.
func partWords(part bool) string {
	if part {
		return "; that may be right, as this run covers only a part of the instance"
	}
	return ""
}

// logBranches says once a project and cause that its branches are not known: there may be thousands
// of tags, of which the lines say nothing new.
func (l *Log) logBranches(d Decision, attrs []any) {
	cause := [2]string{d.Project, d.Detail}
	if l.branches[cause] {
		l.Debug("tag undecided", attrs...)
		return
	}
	if l.branches == nil {
		l.branches = make(map[[2]string]bool)
	}
	l.branches[cause] = true
	l.Warn("branches could not be listed, so tags of the project are undecided; only the first is logged",
		append([]any{"project", d.Project, "tag", d.Tag, "reason", string(d.Reason), "detail", d.Detail}, l.Links.attrs(d.Project, 0)...)...)
}

func (l *Log) logDecision(d Decision) {
	attrs := []any{"repository", d.Repository, "tag", d.Tag}
	if l.Most > 0 {
		attrs = append(attrs, "why", l.words(d.Reason))
	} else {
		attrs = append(attrs, "reason", string(d.Reason))
	}
	if d.Kind != "" {
		attrs = append(attrs, "kind", d.Kind)
	}
	if d.Detail != "" {
		attrs = append(attrs, "detail", d.Detail)
	}
	switch {
	case d.Outcome == Kept:
		l.Debug("tag kept", attrs...)
	case (d.Outcome == Marked || d.Outcome == Deleted) && !l.hasLine(d.Repository):
	case d.Outcome == Marked:
		l.Info("tag would be deleted", attrs...)
	case d.Outcome == Deleted:
		l.Info("tag deleted", attrs...)
	case d.Reason == DeletionsStopped:
		l.Debug("tag not deleted", attrs...) // there may be a hundred thousand, and they say nothing new
	case d.Action == policy.Delete:
		l.Warn("tag not deleted", append(attrs, l.Links.attrs(d.Project, d.RepositoryID)...)...)
	case l.Stopped != nil && l.Stopped():
		l.undecided++
	case d.Reason == policy.BranchUnknown:
		l.logBranches(d, attrs)
	default:
		l.Warn("tag undecided", append(attrs, l.Links.attrs(d.Project, d.RepositoryID)...)...)
	}
}

// words says a reason in the words of the summary, for people.
func (l *Log) words(reason policy.Reason) string {
	if l.inWords == nil {
		l.inWords = make(map[policy.Reason]string)
		for _, e := range (&Summary{Rules: l.Rules}).Explanations() {
			l.inWords[e.Reason] = e.Words()
		}
	}
	return cmp.Or(l.inWords[reason], string(reason))
}

// hasLine counts a deleted tag of a repository, and reports whether it has a line.
func (l *Log) hasLine(repository string) bool {
	if l.Most == 0 {
		return true
	}
	if l.gone == nil {
		l.gone = make(map[string]int)
	}
	l.gone[repository]++
	return l.gone[repository] <= l.Most
}
