package report

import (
	"fmt"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A notice is what has to be known before any figure is believed.
type notice struct {
	Class, Title, Text string
}

// notices says how the run ended and what it left open, the gravest first.
func notices(s *Summary, unread int) []notice {
	var all []notice
	if n := s.Reasons[policy.OutageSuspected]; n > 0 {
		all = append(all, notice{"failed", "A guard stopped deletions",
			tags(n) + " look dead, but so do tags that are not, or there was none to compare. Look at the registry behind GitLab, then run again."})
	}
	if s.MaxDeletions > 0 {
		all = append(all, notice{"failed", "More than MAX_DELETIONS",
			tags(s.Deleted) + " would have been deleted, and " + number(s.MaxDeletions) + " are allowed: none was. “Marked” are those that would have been."})
	}
	if s.Refused != "" {
		all = append(all, notice{"failed", "Deletions were refused",
			"Every deletion was refused alike, so that no more were sent: " + s.Refused})
	}
	if lines := s.warning(); lines != nil {
		all = append(all, notice{"failed", "Beware", strings.Join(lines, " ")})
	}
	switch {
	case s.Interrupted:
		all = append(all, notice{"undecided", "Interrupted", "The run ended before its time (" + s.Error + "): figures and table are what it knew by then."})
	case s.Error != "":
		all = append(all, notice{"failed", "Stopped by an error", s.Error})
	}
	if n := len(s.NamingDiffers); n > 0 {
		all = append(all, notice{"kept", "Caches named by another convention",
			"Cache repositories of which no tag has the name of a tag of their images: " + number(n) + ". What of them is dead cannot be told by names, so nothing goes for them. " + SummaryFile + " names them (naming_differs)."})
	}
	if n := len(s.ExcludeUnmatched); n > 0 {
		all = append(all, notice{"undecided", "EXCLUDE names what matched nothing",
			"Patterns that leave nothing alone, as they matched no project and no repository: " + strings.Join(s.ExcludeUnmatched, ", ") + "."})
	}
	if s.InUse != nil && s.InUse.Seen == 0 {
		all = append(all, notice{"undecided", "IN_USE names nothing that is here",
			"References of images in use: " + number(s.InUse.References) + ". None is a tag that was listed, so none is known to keep one."})
	}
	if s.AdminModeLacking {
		all = append(all, notice{"undecided", "The token lacks scope admin_mode",
			"It is an administrator’s. Where the instance has Admin Mode on, the run saw public projects only, and those that the token’s user is a member of."})
	}
	if s.Unreadable > 0 {
		all = append(all, notice{"undecided", "Not everything could be read",
			"Groups, projects and repositories that could not be read: " + number(s.Unreadable) + ". Nothing is known of their tags. The run's log says which."})
	}
	if unread > 0 {
		all = append(all, notice{"undecided", "Some decisions are missing here",
			"Lines of " + DecisionsFile + " that could not be read: " + number(unread) + ". They are neither in the charts nor in the table."})
	}
	if s.Shard != nil {
		all = append(all, notice{"kept", "A part", "This is " + s.Shard.String() + ". The projects of the others are not in it."})
	}
	if s.DryRun {
		all = append(all, notice{"gone", "Dry run", "Nothing was deleted. “Marked” are the tags that would have been."})
	}
	return all
}

// A figure is one number with its name.
type figure struct {
	Class, Name, Value, Note string
}

// figures are the summary's, as the page shows them.
func figures(s *Summary) []figure {
	skipped := ""
	if n := s.skippedTotal(); n > 0 {
		skipped = number(n) + " skipped"
	}
	all := []figure{
		{"", "projects", number(s.Projects), skipped},
		{"", "repositories", number(s.Repositories), ""},
		{"", "tags", number(s.Tags), ""},
		outcomeFigure("kept", "kept", s.Kept, s.Tags),
		outcomeFigure("gone", string(s.nameOf(Deleted)), s.Deleted, s.Tags),
		outcomeFigure("undecided", "undecided", s.Undecided, s.Tags),
		outcomeFigure("failed", "failed", s.Failed, s.Tags),
	}
	if n := s.Pullable.Tags; n > 0 {
		all = append(all, outcomeFigure("gone", s.pullableName(), n, s.Tags))
	}
	return all
}

// outcomeFigure is how many of all tags have an outcome. Its colour is for those that do.
func outcomeFigure(class, name string, n, all int) figure {
	if n == 0 {
		class = ""
	}
	return figure{class, name, number(n), share(n, all)}
}

// share returns a part of all in percent, or nothing where that says nothing.
func share(part, all int) string {
	percent := 100 * float64(part) / float64(max(all, 1))
	switch {
	case part == 0:
		return ""
	case percent < 0.1:
		return "under 0.1 %"
	default:
		return fmt.Sprintf("%.1f %%", percent)
	}
}

// origin says which run this is: when it began, of which instance, by which version.
func (p *page) origin() string {
	var words []string
	if !p.Started.IsZero() {
		words = append(words, "begun "+p.Started.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if p.GitLabURL != "" {
		words = append(words, "on "+p.GitLabURL)
	}
	if p.Version != "" {
		words = append(words, "by registry-gc "+p.Version)
	}
	return strings.Join(words, ", ")
}

// regimeWords says how the instance stores what it knows about tags.
func (p *page) regimeWords() string {
	switch p.Regime {
	case registry.Legacy.String():
		return "legacy: a registry without its metadata database"
	case registry.Database.String():
		return "database: a registry with its metadata database"
	default:
		return p.Regime
	}
}

// verifyWords says whose word the deletions rest on.
func (p *page) verifyWords() string {
	if p.Verify == ByAPI {
		return "api: by the word of GitLab’s API alone"
	}
	return "registry: by the registry’s own word"
}

// requestsWords says how many requests the run took.
func (p *page) requestsWords() string {
	words := number(int(p.Requests.API)) + " to GitLab, " + number(int(p.Requests.Registry)) + " to the registry"
	if p.Retries > 0 {
		words += "; " + number(int(p.Retries)) + " retried"
	}
	return words
}

// nameOf returns what an outcome is called in this run.
func (s *Summary) nameOf(outcome Outcome) Outcome {
	if outcome == Deleted && s.marks() {
		return Marked
	}
	return outcome
}

// pullableName is what those among the deleted or marked tags are called that are no dead ones.
func (s *Summary) pullableName() string {
	if s.marks() {
		return "can still be pulled"
	}
	return "could be pulled"
}
