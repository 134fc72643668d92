package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	all := []table{{head: []string{"WHY"}}, {head: []string{"WHERE"}}, {head: []string{"REPOSITORY"}}}
	row := func(t *table, name string, m Measure, more ...string) {
		cells := []string{name, number(m.Tags)}
		if sized {
			cells = append(cells, orDash(m.shortSize()))
		}
		if dated {
			cells = append(cells, orDash(ageAt(s.Started, m.Oldest)))
		}
		t.rows = append(t.rows, append(cells, more...))
	}
	for i := range all {
		all[i].folds = true
		all[i].head = append(all[i].head, "TAGS")
		if sized {
			all[i].head = append(all[i].head, "SIZE")
		}
		if dated {
			all[i].head = append(all[i].head, "OLDEST")
		}
		all[i].right = []bool{false, true, true, true}
	}
	for _, e := range s.found(Deleted) {
		if m := s.Deletions.ByReason[e.Reason]; m != nil {
			row(&all[0], e.Words(), *m)
		}
	}
	var rest Measure
	groups := s.Deletions.Groups()
	for i, group := range groups {
		if i < topRows {
			row(&all[1], shortPath(group.Group), group.Measure)
		} else {
			rest.merge(group.Measure)
		}
	}
	if n := len(groups) - topRows; n > 0 {
		row(&all[1], "in "+number(n)+" more", rest)
	}
	rest = Measure{}
	repositories := s.Deletions.Top()
	for i, repository := range repositories {
		if i < topRows {
			row(&all[2], shortPath(repository.Repository), repository.Measure, links.Repository(repository.Project, repository.id))
		} else {
			rest.merge(repository.Measure)
		}
	}
	if n := len(repositories) - topRows; n > 0 {
		row(&all[2], "in "+number(n)+" more", rest)
	}
	return all
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

func (s Seconds) rounded() string { return time.Duration(s).Round(10 * time.Millisecond).String() }

// skippedTotal returns how many projects and repositories were skipped.
func (s *Summary) skippedTotal() int {
	sum := 0
	for _, n := range s.Skipped {
		sum += n
	}
	return sum
}

// Words say in a few words what the reason means, to go on with in a sentence; its code where nothing is
// known of it.
func (e Explanation) Words() string {
	text := firstSentence(printable.Replace(e.Text, '?'))
	if text == "" {
		return shortPath(string(e.Reason))
	}
	first, size := utf8.DecodeRuneInString(text)
	word, _, _ := strings.Cut(text[size:], " ")
	if word == "" || strings.ContainsFunc(word, unicode.IsUpper) {
		return text // a name, such as GitLab
	}
	return string(unicode.ToLower(first)) + text[size:]
}

// firstSentence returns the first sentence of a text, without the full stop.
func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// shortPath returns a path of the server for a line of the summary.
func shortPath(path string) string { return printable.Path(path, maxNameWidth) }

// lineWidth is how wide a line is where the width of a terminal is not known.
const lineWidth = 80

// A style is an escape sequence that sets how a text looks.
type style string

// Styles of a terminal, for readers who look for what matters.
const (
	plain  style = ""
	bold   style = "\x1b[1m"
	faint  style = "\x1b[2m"
	yellow style = "\x1b[33m"
)

// A printer breaks what it prints into lines of a width, never within a word.
type printer struct {
	out     bytes.Buffer
	width   int
	colours bool
}

// gap prints an empty line.
func (p *printer) gap() { p.out.WriteByte('\n') }

// line prints a line in a style.
func (p *printer) line(s style, text string) {
	if text = strings.TrimRight(text, " "); p.colours && s != plain {
		text = string(s) + text + "\x1b[0m"
	}
	p.out.WriteString(text + "\n")
}

// text prints a text behind what its first line begins with, and its further lines with a margin.
func (p *printer) text(s style, begin string, margin int, text string) {
	for i, line := range folded(text, p.width-max(margin, utf8.RuneCountInString(begin))) {
		if i > 0 {
			begin = strings.Repeat(" ", margin)
		}
		p.line(s, begin+line)
	}
}

// note prints a note: its text as there is room, other lines as they are.
func (p *printer) note(n note) {
	begin, s := "- ", plain
	if n.warns {
		begin, s = "! ", yellow
	}
	for _, block := range n.blocks() {
		if block.fixed {
			for _, line := range block.lines {
				p.line(plain, "  "+line)
			}
			continue
		}
		p.text(s, begin, 2, strings.Join(block.lines, " "))
		begin, s = "  ", plain
	}
}

// A block is lines of a note that belong together.
type block struct {
	fixed bool // they stay as they are
	lines []string
}

// blocks returns a note in pieces, each a text or lines that stay as they are.
func (n note) blocks() (all []block) {
	for _, line := range n.lines {
		fixed := strings.HasPrefix(line, "  ")
		if len(all) == 0 || all[len(all)-1].fixed != fixed {
			all = append(all, block{fixed: fixed})
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, line)
	}
	return all
}

// steps prints what may be done next. Commands are never broken, so that they can be copied.
func (p *printer) steps(steps []step) {
	width := 0
	for _, s := range steps {
		width = max(width, utf8.RuneCountInString(s.Label))
	}
	p.line(bold, "Next")
	for _, s := range steps {
		p.line(plain, fmt.Sprintf("  %-*s  %s", width, s.Label, s.Command))
		if s.Note != "" {
			p.text(plain, strings.Repeat(" ", width+4), width+4, s.Note)
		}
	}
}

// A table is rows of cells that are printed as columns, two blanks apart. Columns are as
// wide as their widest cell, and a line ends where its last cell does.
type table struct {
	head  []string
	right []bool // the columns, from the first, that are flush right
	folds bool   // the first column is broken where there is no room for it
	rows  [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// lines returns the table in lines of a width, indented by two blanks. Cells behind the last one of the head,
// such as addresses, may lead beyond it.
func (t *table) lines(width int) (lines []string) {
	rows := t.rows
	if t.head != nil {
		rows = slices.Insert(slices.Clone(t.rows), 0, t.head)
	}
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if t.folds && len(widths) > 0 {
		others := 2
		for _, n := range widths[1:max(1, len(t.head))] {
			others += n + 2
		}
		widths[0] = min(widths[0], max(width-others, minCellWidth))
	}
	for _, row := range rows {
		below := []string{}
		var line strings.Builder
		for i, cell := range row {
			if i == 0 && t.folds {
				parts := folded(cell, widths[0])
				cell, below = shortenedFront(parts[0], widths[0]), parts[1:]
			}
			width := -widths[i] // flush left
			if i < len(t.right) && t.right[i] {
				width = widths[i]
			}
			fmt.Fprintf(&line, "  %*s", width, cell)
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
		for _, text := range below {
			lines = append(lines, "  "+shortenedFront(text, widths[0]))
		}
	}
	return lines
}

// minCellWidth is how narrow a column may become that is broken.
const minCellWidth = 16

// table prints a table.
func (p *printer) table(t table) {
	for i, line := range t.lines(p.width) {
		s := plain
		if i == 0 && t.head != nil {
			s = faint
		}
		p.line(s, line)
	}
}

// folded breaks a text into lines between words. A word that is too long has a line of its own.
func folded(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch length := utf8.RuneCountInString(*last); {
		case length == 0:
			*last = word
		case length+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// Size renders bytes as GitLab does, in units of 1024.
func Size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for value >= 1023.95 && unit < len("KMGTPE")-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
