package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// MarkdownFile is the summary in Markdown, for the note of a merge request or a job's page.
const MarkdownFile = "summary.md"

// WriteMarkdown prints the summary in GitLab's Markdown: the same as [Summary.WriteText], with the repositories
// behind a click. What a server has named stands in code, where it is no markup, mentions nobody and is no
// quick action; what else is not ours is escaped.
func (s *Summary) WriteMarkdown(w io.Writer, t Text) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "### registry-gc: %s\n\n%s\n", escapeMarkdown(s.Headline()), escapeMarkdown(s.title()))
	for _, n := range s.before() {
		writeMarkdownNote(&out, n)
	}
	for i, t := range s.tables(Links{}) {
		if i == 2 {
			fmt.Fprint(&out, "\n<details><summary>By repository</summary>\n")
		}
		writeMarkdownTable(&out, t, i > 0)
		if i == 2 {
			fmt.Fprint(&out, "\n</details>\n")
		}
	}
	for i, line := range s.outcomes() {
		if i == 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "- %s\n", escapeMarkdown(line))
	}
	for _, n := range s.notes(Links{}) {
		writeMarkdownNote(&out, n)
	}
	if steps := s.next(t.Files); len(steps) > 0 {
		fmt.Fprint(&out, "\n**Next**\n\n")
		for _, step := range steps {
			fmt.Fprintf(&out, "- %s: %s", escapeMarkdown(step.Label), commandInCode(step.Command))
			if step.Note != "" {
				fmt.Fprintf(&out, " (%s)", escapeMarkdown(step.Note))
			}
			out.WriteByte('\n')
		}
	}
	fmt.Fprintf(&out, "\n%s\n", escapeMarkdown(s.effort()))
	_, err := w.Write(out.Bytes())
	return err
}

// writeMarkdownNote prints a note: its text as a paragraph, other lines as a block of code.
func writeMarkdownNote(out *bytes.Buffer, n note) {
	for i, block := range n.blocks() {
		text := escapeMarkdown(strings.Join(block.lines, " "))
		switch {
		case block.fixed:
			text = "```plaintext\n" + strings.ReplaceAll(strings.Join(block.lines, "\n"), "`", "?") + "\n```"
		case i == 0 && n.warns:
			text = ":warning: " + text
		}
		fmt.Fprintf(out, "\n%s\n", text)
	}
}

// writeMarkdownTable prints a table, whose first column are names of a server's or words.
func writeMarkdownTable(out *bytes.Buffer, t table, names bool) {
	out.WriteByte('\n')
	for i, row := range append([][]string{t.head}, t.rows...) {
		for column, cell := range row[:len(t.head)] {
			if column == 0 && names && i > 0 {
				cell = inCode(cell)
			} else {
				cell = escapeMarkdown(cell)
			}
			fmt.Fprintf(out, "| %s ", cell)
		}
		fmt.Fprint(out, "|\n")
		if i == 0 {
			fmt.Fprintf(out, "|:--|%s\n", strings.Repeat("--:|", len(t.head)-1))
		}
	}
}

// markupCharacters are those by which GitLab's Markdown knows markup, references and HTML.
const markupCharacters = "\\*_{}[]<>#!|~@$&^"

// escapeMarkdown returns a text that Markdown shows as it is, on one line, but for quotes of code.
func escapeMarkdown(text string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(printable.Replace(text, '?'), "`", "'") {
		if strings.ContainsRune(markupCharacters, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// commandInCode returns a command as code within a line, as it is: it is to be copied.
func commandInCode(command string) string {
	if !strings.Contains(command, "`") {
		return "`" + command + "`"
	}
	fence := "``"
	for strings.Contains(command, fence) {
		fence += "`"
	}
	return fence + " " + command + " " + fence
}

// inCode returns a text as code within a line. A cell of a table ends at a bar even there.
func inCode(text string) string {
	return "`" + strings.NewReplacer("`", "?", "|", "?").Replace(printable.Replace(text, '?')) + "`"
}
