package main

import (
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sethvargo/go-envconfig"
)

// A variable that is mistyped is one that is not set: the program cannot tell by itself
// that something was asked of it. Names that look like those of its variables are all it
// has to go by. Values are never shown: they may be the secrets of other programs.

// variableNames returns the names in an environment, in order.
func variableNames(environment []string) (names []string) {
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A mistyping is a name in the environment that looks like a variable's.
type mistyping struct {
	name, variable string
	edits          int // between them, written alike
}

// mistypings returns the names that look like variables which are not set themselves: where
// the right one is set, it was not forgotten. DRY_RUN is always looked for.
func mistypings(names []string, environment envconfig.Lookuper) (found []mistyping) {
	known := []string{"API_TOKEN"}
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _ := variableOf(field)
		known = append(known, name)
	}
	for _, name := range names {
		if value, _ := environment.Lookup(name); value == "" || slices.Contains(known, name) {
			continue
		}
		for _, variable := range known {
			_, set := environment.Lookup(variable)
			edits := editsBetween(normalized(name), normalized(variable))
			if withoutPrefix(name) == normalized(variable) {
				edits = 0
			}
			if (!set || variable == "DRY_RUN") && (edits == 0 || edits <= 2 && len(variable) > 6) {
				found = append(found, mistyping{name, variable, edits})
				break
			}
		}
	}
	return found
}

// refuseMistyped refuses to delete where a dry run seems to have been asked for: that is
// the one mistake that nothing makes good again. Two edits away, a name such as PRE_RUN
// may well be another program's.
func (c *Config) refuseMistyped(found []mistyping, environment envconfig.Lookuper) error {
	for _, m := range found {
		value, _ := environment.Lookup(m.name)
		on, err := strconv.ParseBool(value)
		if m.variable == "DRY_RUN" && m.edits <= 1 && !c.DryRun && (on || err != nil) {
			return &problem{strconv.Quote(m.name), "is no variable of registry-gc; was DRY_RUN meant? Nothing is deleted before it is spelled so, or unset"}
		}
	}
	return nil
}

// warnOfMistyped names what looks mistyped and stops nothing.
func warnOfMistyped(log *slog.Logger, found []mistyping) {
	for _, m := range found {
		log.Warn("a variable is not known and changes nothing; is it mistyped?", "variable", m.name, "meant", m.variable)
	}
}

// normalized returns a name without what is easily got wrong: case, underscores and dashes.
func normalized(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return unicode.ToUpper(r)
	}, name)
}

// withoutPrefix returns a normalized name without what a user may have put before a variable's, as
// most of those that are required begin with GITLAB_.
func withoutPrefix(name string) string {
	for _, prefix := range []string{"GITLAB", "REGISTRYGC", "RGC"} {
		if bare, found := strings.CutPrefix(normalized(name), prefix); found {
			return bare
		}
	}
	return normalized(name)
}

// editsBetween returns how many bytes have to be put in, taken out or replaced, or
// neighbours to be swapped, to make one text of another.
func editsBetween(a, b string) int {
	var before, last []int // the rows of the two bytes of a before this one
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
