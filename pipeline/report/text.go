package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

const (
	topRepositories = 10 // that the summary names
	maxNameWidth    = 64 // of repositories and projects
)

// WriteText prints the summary for people: the figures, the reasons, where most dead
// tags are, what to do next, and where the reports are if there are any. Dead may be nil,
// then only what the summary knows is shown; files may be nil, too.
func (s *Summary) WriteText(w io.Writer, dead *DeadTags, files *Files) error {
	if dead == nil {
		dead = new(DeadTags)
	}
	var out bytes.Buffer
	fmt.Fprintln(&out, s.title())
	if lines := s.warning(); lines != nil {
		// It is what has to be known before any figure is believed.
		fmt.Fprintf(&out, "\nwarning\n  %s\n\n", strings.Join(lines, "\n  "))
	}
	s.writeFigures(&out)
	if s.Refused != "" {
		fmt.Fprintf(&out, "\nrefused\n  Every deletion was refused alike, so that no more were sent:\n  %s\n", printable.Replace(s.Refused, ' '))
	}
	s.writeReasons(&out)
	dead.writeTop(&out)
	for i, hint := range s.hints(dead) {
		if i == 0 {
			fmt.Fprint(&out, "\nnext\n")
		}
		fmt.Fprintf(&out, "  - %s\n", strings.Join(hint, "\n    "))
	}
	for i, line := range s.reportLines(files) {
		if i == 0 {
			fmt.Fprint(&out, "\nreports\n")
		}
		fmt.Fprintf(&out, "  %s\n", line)
	}
	s.writeUndo(&out)
	_, err := w.Write(out.Bytes())
	return err
}

// reportLines names the files that were written, and what each is for.
func (s *Summary) reportLines(files *Files) (lines []string) {
	if files != nil && files.hasPage {
		lines = append(lines, filepath.Join(files.dir, PageFile)+" for a browser")
	}
	switch {
	case files == nil:
	case files.err != nil:
		lines = append(lines, filepath.Join(files.dir, DecisionsFile)+" names some of the tags that are not kept: it could not be written to the end")
	default:
		which := "that is not kept"
		if files.Everything {
			which = "of the plan"
		}
		lines = append(lines, filepath.Join(files.dir, DecisionsFile)+" names each tag "+which)
	}
	for _, plan := range s.Plans {
		lines = append(lines, plan+" is the plan")
	}
	return lines
}

// writeUndo prints the command that brings back what was deleted, and until when it can.
func (s *Summary) writeUndo(out *bytes.Buffer) {
	if s.Deleted == 0 || s.marks() {
		return
	}
	lines := []string{"registry-gc undo " + strings.Join(s.Journals, " ")}
	if len(s.Journals) == 0 {
		lines = []string{
			"registry-gc undo LOG, where LOG is a file with the log of this run (with REPORT_DIR the journal is a",
			"file of its own)",
		}
	}
	switch s.Regime {
	case registry.Database.String():
		lines = append(lines, "until about "+s.Ended.Add(24*time.Hour).Format("2 Jan 15:04 MST")+", a day after the deletions")
	case registry.Legacy.String():
		lines = append(lines, "until the next registry-garbage-collect -m")
	}
	if n := s.WithoutDigest; n > 0 {
		lines = append(lines, fmt.Sprintf("Of %s the digest is not known: what they were cannot be brought back.", tags(n)))
	}
	fmt.Fprintf(out, "\nundo\n  %s\n", strings.Join(lines, "\n  "))
}

// title names the run, and says whether it came to its end.
func (s *Summary) title() string {
	title := "registry-gc"
	if s.Applied != "" {
		title += ", applying a plan"
	}
	switch {
	case s.DryRun && s.MaxDeletions > 0:
		title += ", dry run, more than MAX_DELETIONS"
	case s.DryRun:
		title += ", dry run"
	case s.MaxDeletions > 0:
		title += ", more than MAX_DELETIONS: nothing was deleted"
	}
	if s.Shard != nil {
		title += ", " + s.Shard.String()
	}
	switch {
	case s.Interrupted:
		title += ", interrupted"
	case s.Error != "":
		title += ", stopped"
	}
	return title
}

func (s *Summary) writeFigures(out *bytes.Buffer) {
	var skipped, delays []string
	for why, n := range s.Skipped {
		skipped = append(skipped, fmt.Sprintf("%s %d", shortPath(string(why)), n))
	}
	slices.Sort(skipped)
	if s.Retries > 0 {
		delays = append(delays, fmt.Sprintf("retries %d", s.Retries))
	}
	if s.Throttled > 0 {
		delays = append(delays, "held back by the server "+s.Throttled.rounded())
	}
	t := &table{right: []bool{false, true}}
	figure := func(name string, n int, notes ...string) { t.row(name, strconv.Itoa(n), strings.Join(notes, ", ")) }
	figure("projects", s.Projects)
	figure("repositories", s.Repositories)
	figure("tags", s.Tags)
	figure("kept", s.Kept)
	figure(string(s.nameOf(Deleted)), s.Deleted)
	if s.Pullable.Tags > 0 {
		figure(s.pullableName(), s.Pullable.Tags, s.Pullable.kindWords())
		if measures := s.Pullable.measures(s.Started); len(measures) > 0 {
			t.row("", "", strings.Join(measures, ", "))
		}
	}
	figure("undecided", s.Undecided)
	figure("failed", s.Failed)
	if s.InUse != nil {
		figure("in use", s.InUse.Seen, fmt.Sprintf("of %d references in IN_USE are tags here", s.InUse.References))
	}
	if s.Unreadable > 0 {
		figure("unreadable", s.Unreadable, "groups, projects or repositories")
	}
	if n := s.skippedTotal(); n > 0 {
		figure("skipped", n, skipped...)
	}
	figure("requests", int(s.Requests.API+s.Requests.Registry),
		fmt.Sprintf("api %d", s.Requests.API), fmt.Sprintf("registry %d", s.Requests.Registry))
	t.row("time", s.Duration.rounded(), strings.Join(delays, ", "))
	t.writeTo(out)
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

// skippedTotal returns how many projects and repositories were skipped.
func (s *Summary) skippedTotal() int {
	sum := 0
	for _, n := range s.Skipped {
		sum += n
	}
	return sum
}

func (s Seconds) rounded() string { return time.Duration(s).Round(10 * time.Millisecond).String() }

// writeReasons prints how many tags there are of each reason, outcome by outcome, and
// within one the most frequent first. Of an outcome that is not known it says nothing.
func (s *Summary) writeReasons(out *bytes.Buffer) {
	if len(s.Reasons) == 0 {
		return
	}
	t := &table{right: []bool{false, true}}
	var texts []string
	for _, outcome := range []Outcome{Kept, Deleted, Undecided, Failed, ""} {
		found := slices.DeleteFunc(s.Explanations(), func(e Explanation) bool {
			return e.Outcome != outcome || s.Reasons[e.Reason] == 0
		})
		slices.SortStableFunc(found, func(a, b Explanation) int { return cmp.Compare(s.Reasons[b.Reason], s.Reasons[a.Reason]) })
		for _, e := range found {
			t.row(string(s.nameOf(outcome)), strconv.Itoa(s.Reasons[e.Reason]), shortPath(string(e.Reason)))
			texts = append(texts, firstSentence(printable.Replace(e.Text, '?')))
		}
	}
	if len(t.rows) == 0 {
		return
	}
	t.explain(texts)
	fmt.Fprint(out, "\nresults\n")
	t.writeTo(out)
}

// writeTop prints the repositories with most tags that go, and what these tags reference if
// that is known of any.
func (t *DeadTags) writeTop(out *bytes.Buffer) {
	if t.total.Tags == 0 {
		return
	}
	sized := t.total.Sized > 0
	rows := &table{right: []bool{true, sized}}
	row := func(d Dead, name ...string) {
		cells := []string{strconv.Itoa(d.Tags)}
		switch {
		case !sized:
		case d.Sized == 0:
			cells = append(cells, "unknown")
		case d.Sized < d.Tags:
			cells = append(cells, "over "+Size(d.Bytes))
		default:
			cells = append(cells, Size(d.Bytes))
		}
		rows.row(append(cells, name...)...)
	}
	if sized {
		rows.row("tags", "references", "repository")
	}
	var rest Dead
	for i, repository := range t.Top(t.Repositories()) {
		if i < topRepositories {
			row(repository, shortPath(repository.Repository), t.Links.Repository(repository.Project, repository.id))
		} else {
			rest.merge(repository)
		}
	}
	if n := t.Repositories() - topRepositories; n > 0 {
		row(rest, fmt.Sprintf("in %d more", n))
	}
	fmt.Fprint(out, "\nrepositories with most tags to delete\n")
	rows.writeTo(out)
	if sized {
		fmt.Fprint(out, "  (what these tags reference, layers that tags share counted for each of them: not\n"+
			"  what will be freed)\n")
	}
}

// A table is rows of cells that are printed as columns, two blanks apart. Columns are as
// wide as their widest cell, and a line ends where its last cell does.
type table struct {
	right []bool // the columns, from the first, that are flush right
	rows  [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// writeTo prints the table, indented by two blanks.
func (t *table) writeTo(out *bytes.Buffer) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			width := -widths[i] // flush left
			if i < len(t.right) && t.right[i] {
				width = widths[i]
			}
			fmt.Fprintf(&line, "  %*s", width, cell)
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// lines returns the table in lines.
func (t *table) lines() []string {
	if len(t.rows) == 0 {
		return nil
	}
	var out bytes.Buffer
	t.writeTo(&out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

const (
	lineWidth    = 80 // of a terminal
	minTextWidth = 24 // of an explanation, where names are long
	maxTextLines = 3
)

// explain adds a last column of texts to the rows, one each, that go on below themselves in lines
// of a terminal's width. What is too long is cut at a word.
func (t *table) explain(texts []string) {
	before := 0
	for column := range t.rows[0] {
		widest := 0
		for _, row := range t.rows {
			widest = max(widest, utf8.RuneCountInString(row[column]))
		}
		before += widest + 2
	}
	var rows [][]string
	for i, row := range t.rows {
		for n, line := range wrapped(texts[i], max(lineWidth-before-2, minTextWidth)) {
			if n > 0 {
				row = make([]string, len(row))
			}
			rows = append(rows, append(row, line))
		}
	}
	t.rows = rows
}

// wrapped breaks a text into lines between words, the first few: the last ends in dots if there
// is more.
func wrapped(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch length := utf8.RuneCountInString(*last); {
		case length == 0:
			*last = shortenedBack(word, width)
		case length+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		case len(lines) < maxTextLines:
			lines = append(lines, shortenedBack(word, width))
		default:
			for length+2 > width && strings.Contains(*last, " ") {
				*last = (*last)[:strings.LastIndexByte(*last, ' ')]
				length = utf8.RuneCountInString(*last)
			}
			*last = shortenedBack(*last+" …", width)
			return lines
		}
	}
	return lines
}

// shortenedBack returns a text cut to at most n characters.
func shortenedBack(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return strings.TrimRight(string(runes[:n-1]), " ") + "…"
}

// firstSentence returns the first sentence of a text, without the full stop.
func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// shortPath returns a path of the server for a line of the summary.
func shortPath(path string) string { return printable.Path(path, maxNameWidth) }

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

// number writes thousands apart.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
