package policy

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A place says where a condition stands in its file, so that a mistake in it can be shown
// there. YAML writes a text in five ways; where the way is too involved to be followed, all of
// the condition is said to be at its beginning.
type place struct {
	file         string
	line, column int // of the condition's first character, from 1
	// columns has the column of each character of a condition that stands on one line.
	columns []int
	// indent is how far the lines of a block are moved to the right; the block begins
	// on the line after. It is 0 for what is no block.
	indent int
}

// newPlace returns the place of a condition.
func newPlace(file string, lines []string, node *yaml.Node) place {
	p := place{file: file, line: node.Line, column: node.Column}
	if node.Line < 1 || node.Line > len(lines) {
		return p
	}
	line := []rune(strings.TrimSuffix(lines[node.Line-1], "\r"))
	if node.Column < 1 || node.Column > len(line) {
		return p
	}
	switch node.Style &^ yaml.TaggedStyle {
	case yaml.LiteralStyle:
		p.indent = blockIndent(string(line), lines[node.Line:])
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		p.columns = quotedColumns(line, node.Column-1)
	case 0:
		for i := range utf8.RuneCountInString(node.Value) {
			p.columns = append(p.columns, node.Column+i)
		}
	}
	// What goes on in the next line is not followed.
	if len(p.columns) != utf8.RuneCountInString(node.Value) || strings.Contains(node.Value, "\n") ||
		p.columns != nil && p.columns[len(p.columns)-1] > len(line) {
		p.columns = nil
	}
	return p
}

// at returns the line and column of a character of the condition: its line from 1 and its
// column from 0, as CEL counts.
func (p place) at(line, column int) (int, int) {
	switch {
	case p.indent > 0 && line >= 1:
		return p.line + line, p.indent + column + 1
	case line == 1 && len(p.columns) > 0:
		if column >= len(p.columns) { // the condition ends too early
			return p.line, p.columns[len(p.columns)-1] + 1
		}
		return p.line, p.columns[max(column, 0)]
	default:
		return p.line, p.column
	}
}

// mistake returns a mistake at a character of the condition.
func (p place) mistake(line, column int, text, hint string) Mistake {
	line, column = p.at(line, column)
	return Mistake{p.file, line, column, text, hint}
}

// blockIndent returns how far the lines of a block are indented: as far as the first that is
// not empty. It is 0 when the block says so itself, with a digit.
func blockIndent(header string, lines []string) int {
	if _, after, _ := strings.Cut(header, "|"); strings.ContainsAny(after, "0123456789") {
		return 0
	}
	for _, line := range lines {
		if text := strings.TrimLeft(line, " "); strings.TrimSpace(text) != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

// quotedColumns returns the column of each character in quotes, which begin at an index.
// It is nil when they do not end on this line.
func quotedColumns(line []rune, start int) (columns []int) {
	quote := line[start]
	if quote != '\'' && quote != '"' { // a tag stands before the text
		return nil
	}
	for i := start + 1; i < len(line); i++ {
		columns = append(columns, i+1)
		switch {
		case quote == '\'' && line[i] == quote && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return columns[:len(columns)-1]
		case quote == '"' && line[i] == '\\' && i+1 < len(line):
			i++
			i += map[rune]int{'x': 2, 'u': 4, 'U': 8}[line[i]]
		}
	}
	return nil
}
