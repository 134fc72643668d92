package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

const (
	topRows      = 10 // of groups and of repositories that the summary names
	maxNameWidth = 64 // of repositories and projects
)

// Text says how a summary is printed for people. The zero value is 80 columns without colours.
type Text struct {
	Width   int   // of the terminal, in columns; 0: 80
	Colours bool  // whether escape sequences set them
	Links   Links // of the repositories that are named
	Asks    bool  // whether whoever reads it is asked next whether to delete
	Files   *Files
}

// WriteText prints the summary for people: what they asked for first, then why and where, what they should
// know, and what they may do next.
func (s *Summary) WriteText(w io.Writer, t Text) error {
	if t.Width == 0 {
		t.Width = lineWidth
	}
	p := &printer{width: t.Width, colours: t.Colours}
	p.text(bold, "", 0, s.title())
	for _, n := range s.before() {
		p.gap()
		p.note(n)
	}
	if s.Tags > 0 || s.whole() {
		p.gap()
		p.text(bold, "  ", 2, s.Headline())
	}
	for _, t := range s.tables(t.Links) {
		p.gap()
		p.table(t)
	}
	for i, line := range s.outcomes() {
		if i == 0 {
			p.gap()
		}
		p.text(plain, "  ", 4, line)
	}
	for _, n := range s.notes(t.Links) {
		p.gap()
		p.note(n)
	}
	if steps := s.next(t.Files); len(steps) > 0 && !t.Asks {
		p.gap()
		p.steps(steps)
	}
	p.gap()
	p.text(faint, "", 0, s.effort())
	_, err := w.Write(p.out.Bytes())
	return err
}

// title says what ran and whether it came to its end, where, and as whom.
func (s *Summary) title() string {
	what := "Run"
	switch {
	case s.Applied != "" && s.DryRun:
		what = "Plan tried"
	case s.Applied != "":
		what = "Plan applied"
	case s.DryRun:
		what = "Plan"
	}
	switch {
	case s.Interrupted:
		what += ", interrupted,"
	case s.Error != "":
		what += ", stopped by an error,"
	case s.MaxDeletions > 0 && !s.DryRun:
		what += ", stopped by MAX_DELETIONS,"
	}
	parts := []string{what}
	if s.GitLabURL != "" {
		parts[0] += " for " + printable.Replace(s.GitLabURL, '?')
	}
	parts = append(parts, s.scope())
	if s.Shard != nil {
		parts = append(parts, s.Shard.String())
	}
	if s.User != "" {
		parts = append(parts, "as @"+printable.Replace(s.User, '?'))
	}
	if s.marks() {
		parts = append(parts, "nothing was changed")
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " · ")
}

// scope says which projects were looked at, as it was set.
func (s *Summary) scope() string {
	var parts []string
	for _, setting := range []struct{ variable, one, several string }{
		{"GITLAB_GROUPS", "group ", "groups "}, {"GITLAB_PROJECTS", "project ", "projects "},
	} {
		switch value := printable.Replace(strings.Trim(s.Settings[setting.variable], ", "), '?'); {
		case value == "":
		case strings.Contains(value, ","):
			parts = append(parts, setting.several+value)
		default:
			parts = append(parts, setting.one+value)
		}
	}
	if len(parts) == 0 && s.Applied == "" {
		return "all projects"
	}
	return strings.Join(parts, ", ")
}

// Headline says in a sentence how many tags are deleted or would be, how large they are and where, and how
// many of them can be pulled.
func (s *Summary) Headline() string {
	were := "deleted"
	if s.marks() {
		were = "would be deleted"
	}
	of := "of " + tags(s.Tags)
	if s.Applied != "" {
		of += " in the plan"
	}
	if s.Deleted == 0 {
		return "None " + of + " " + were
	}
	words := fmt.Sprintf("%s %s %s (%s)", number(s.Deleted), of, were, percentage(s.Deleted, s.Tags))
	if size := s.Deletions.Size(); size != "" {
		words += ", " + size
	}
	if n := s.Deletions.Projects; n > 0 {
		words += fmt.Sprintf(", in %s of %s project%s", number(n), number(s.Projects), plural(s.Projects))
	}
	if n := s.Pullable.Tags; n > 0 && s.marks() {
		words += fmt.Sprintf("; %s of them can still be pulled", number(n))
	} else if n > 0 {
		words += fmt.Sprintf("; %s of them could be pulled", number(n))
	}
	return words
}

// percentage writes a part of all in whole percent.
func percentage(part, all int) string {
	switch hundredths := 100 * float64(part) / float64(max(all, 1)); {
	case hundredths < 1:
		return "under 1 %"
	case part < all && hundredths > 99:
		return "over 99 %"
	default:
		return fmt.Sprintf("%.0f %%", hundredths)
	}
}

// tables say why tags are deleted and where, each with how many, how large and how old they are.
func (s *Summary) tables(links Links) []table {
	if s.Deletions.Tags == 0 {
		return nil
	}
	sized, dated := s.Deletions.Sized > 0, !s.Deletions.Oldest.IsZero()
	headed := func(name string) table {
		t := table{head: []string{name, "TAGS"}, right: []bool{false, true, true, true}, folds: true}
		if sized {
			t.head = append(t.head, "SIZE")
		}
		if dated {
			t.head = append(t.head, "OLDEST")
		}
		return t
	}
	row := func(t *table, name string, m Measure, more ...string) {
		cells := []string{name, number(m.Tags)}
		if sized {
			cells = append(cells, orDash(m.shortSize()))
		}
		if dated {
			cells = append(cells, orDash(ageAt(s.Started, m.Oldest)))
		}
		t.row(append(cells, more...)...)
	}
	why, where, repository := headed("WHY"), headed("WHERE"), headed("REPOSITORY")
	for _, e := range s.found(Deleted) {
		if m := s.Deletions.ByReason[e.Reason]; m != nil {
			row(&why, e.Words(), *m)
		}
	}
	places := func(t *table, all []Place, link func(Place) string) {
		named := all[:min(topRows, len(all))]
		for _, place := range named {
			row(t, shortPath(place.Path), place.Measure, link(place))
		}
		var rest Measure
		for _, place := range all[len(named):] {
			rest.merge(place.Measure)
		}
		if n := len(all) - len(named); n > 0 {
			row(t, "in "+number(n)+" more", rest)
		}
	}
	places(&where, s.Deletions.Groups(), func(Place) string { return "" })
	places(&repository, s.Deletions.Top(), func(place Place) string { return links.Repository(place.Project, place.id) })
	return []table{why, where, repository}
}

// orDash returns a text, or a dash for none.
func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// outcomes say of the tags that are not deleted how many there are for each reason.
func (s *Summary) outcomes() (lines []string) {
	for _, o := range []struct {
		outcome Outcome
		tags    int
	}{{Kept, s.Kept}, {Undecided, s.Undecided}, {Failed, s.Failed}} {
		var reasons []string
		found := s.found(o.outcome)
		for _, e := range found {
			words := e.Words()
			if len(found) > 1 {
				words += " (" + number(s.Reasons[e.Reason]) + ")"
			}
			reasons = append(reasons, words)
		}
		if o.tags > 0 {
			lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", number(o.tags), o.outcome, strings.Join(reasons, ", ")), ": "))
		}
	}
	if s.Unreadable > 0 {
		lines = append(lines, fmt.Sprintf("%s could not be read (groups, projects or repositories): nothing is known of their tags, and the log names them", number(s.Unreadable)))
	}
	if s.InUse != nil {
		lines = append(lines, fmt.Sprintf("%s of %s references in IN_USE are tags here", number(s.InUse.Seen), number(s.InUse.References)))
	}
	return lines
}

// effort says how much was looked at, in how many requests, and how long it took.
func (s *Summary) effort() string {
	looked := fmt.Sprintf("Looked at %s in %s of %s", tags(s.Tags), repositories(s.Repositories), projects(s.Projects))
	if n := s.skippedTotal(); n > 0 {
		looked += fmt.Sprintf("; skipped %s", s.skippedWords())
	}
	took := fmt.Sprintf("%s (%s to GitLab, %s to the registry", requests(int(s.Requests.API+s.Requests.Registry)), number(int(s.Requests.API)), number(int(s.Requests.Registry)))
	if s.Retries > 0 {
		took += fmt.Sprintf(", %s of them again", number(int(s.Retries)))
	}
	took += ") in " + s.Duration.rounded()
	if s.Throttled > 0 {
		took += ", held back by the server for " + s.Throttled.rounded()
	}
	return looked + ". " + took + "."
}
