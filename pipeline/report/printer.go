package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

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
