package policy

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A condition has the quotes and signs of another language than the file that it stands in. What
// YAML makes of these it says in its own words, and often of another line: so the lines are looked
// at once more.

// To YAML an ! begins the type of a text, and is not part of it: a delete would have the opposite
// of its condition.
const (
	negationText = "a condition that begins with ! has to be in quotes"
	negationHint = `as in "!tag.in_use"`
)

// isNegation reports whether a text begins with an ! that YAML has taken away.
func (p *parser) isNegation(node *yaml.Node) bool {
	if node.Line < 1 || node.Line > len(p.lines) {
		return false
	}
	line := []rune(p.lines[node.Line-1])
	return node.Column >= 1 && node.Column <= len(line) && beginsWithNegation(string(line[node.Column-1:]))
}

func beginsWithNegation(text string) bool {
	return strings.HasPrefix(text, "!") && !strings.HasPrefix(text, "!!")
}

var (
	// conditionKey is what stands before a condition on its line; in braces, a comma or the brace.
	conditionKey = regexp.MustCompile(`(?:^ *(?:- +)*|([{,]) *)(?:keep|delete):[ \t]+`)
	// blockKey begins a text on the lines below, which are indented further than its key.
	blockKey = regexp.MustCompile(`^( *(?:- +)*)[a-z]+:[ \t]+[|>][-+0-9]*[ \t]*(?:#.*)?$`)
	// nextKey begins another text than the one whose end is looked for.
	nextKey = regexp.MustCompile(`^ *(?:- +)*(?:rules|name|description|keep|delete):`)
)

// misquoted reports the conditions of a file that is no YAML which begin with ! or whose quotes do
// not begin and end them, and whether there are any.
func (p *parser) misquoted() bool {
	before, block := len(p.mistakes), -1
	for i, line := range p.lines {
		line = strings.TrimSuffix(line, "\r")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if block >= 0 && (indent > block || strings.TrimSpace(line) == "") {
			continue
		}
		if block = -1; blockKey.MatchString(line) {
			block = len(blockKey.FindStringSubmatch(line)[1])
			continue
		}
		for _, found := range conditionKey.FindAllStringSubmatchIndex(line, -1) {
			p.quotesOf(i, found[1], found[2] >= 0)
		}
	}
	return len(p.mistakes) > before
}

// quotesOf reports what is wrong with the quotes of a condition that begins at an index of a line.
func (p *parser) quotesOf(i, start int, inBraces bool) {
	text := p.lines[i][start:]
	switch {
	case beginsWithNegation(text):
		p.mistakeAt(i, start, negationText, negationHint)
		return
	case !strings.HasPrefix(text, "'") && !strings.HasPrefix(text, `"`):
		return
	}
	end := endOfQuotes(text)
	for next := i + 1; end < 0 && next < len(p.lines) && !nextKey.MatchString(p.lines[next]); next++ {
		text += "\n" + p.lines[next]
		end = endOfQuotes(text)
	}
	if end < 0 {
		p.mistakeAt(i, start, "not valid YAML: the quotes that begin here do not end", "")
		return
	}
	rest, _, _ := strings.Cut(text[end:], "\n")
	after := strings.TrimLeft(rest, " \t\r")
	if after == "" || after[0] == '#' && len(after) < len(rest) || inBraces && strings.ContainsRune(",}]", rune(after[0])) {
		return
	}
	column := start + end - 1
	if lines := strings.Count(text[:end], "\n"); lines > 0 {
		i, column = i+lines, end-1-strings.LastIndex(text[:end], "\n")-1
	}
	p.mistakeAt(i, column, "not valid YAML: the quotes end here, and the condition goes on", "put the whole condition in quotes of the other kind, or on the line below >-")
}

// endOfQuotes returns where the quotes end with which a text begins, or -1.
func endOfQuotes(text string) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case quote == '\'' && strings.HasPrefix(text[i:], "''"):
			i++ // two are one within them
		case text[i] == quote:
			return i + 1
		}
	}
	return -1
}

// mistakeAt reports a mistake at an index of a line.
func (p *parser) mistakeAt(i, index int, text, hint string) {
	p.mistake(&yaml.Node{Line: i + 1, Column: utf8.RuneCountInString(p.lines[i][:index]) + 1}, text, hint)
}
