package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/edits"
)

// A Mistake is what is wrong at one place of a rules file.
type Mistake struct {
	File         string
	Line, Column int // both from 1; the column counts characters
	Text         string
	Hint         string // what was meant or what is known; may be empty
}

// Error says all on one line.
func (m Mistake) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
	if m.Hint != "" {
		text += "; " + m.Hint
	}
	return text
}

// Mistakes are all that were found in a file, in its order.
type Mistakes []Mistake

// Error has a line for each mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// err returns the mistakes in order, or nil when there are none.
func (m Mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return m
}

// didYouMean returns a hint that names the known word closest to one that is not known, or
// else all of them, introduced by a text.
func didYouMean(word string, known []string, all string) string {
	if closest := closestTo(word, known); closest != "" {
		return "did you mean " + closest + "?"
	}
	return all + " " + strings.Join(known, ", ")
}

// closestTo returns the known word that is a slip away from another; empty when none is.
// A third of the letters may differ, but not more than two.
func closestTo(word string, known []string) (closest string) {
	fewest := min(2, (len(word)+2)/3) + 1
	for _, candidate := range known {
		if n := edits.Between(strings.ToLower(word), strings.ToLower(candidate)); n < fewest {
			closest, fewest = candidate, n
		}
	}
	return closest
}
