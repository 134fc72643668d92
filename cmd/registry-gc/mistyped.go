package main

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/internal/edits"
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

// A mistyping is a name in the environment that looks like a variable's, or is one of
// another tool's.
type mistyping struct {
	name     string
	variable string // that may have been meant; empty if there is none
	edits    int    // between them, written alike
	foreign  bool   // of another tool
}

// otherTools are variables by which tools of the same kind are told what to keep, each with
// that of ours which serves this, if there is one.
var otherTools = map[string]string{
	"KEEP_N": "RULES", "KEEP_LAST": "RULES", "OLDER_THAN": "RULES",
	"EXCLUDE_TAGS": "PROTECTED_TAGS_REGEX", "NAME_REGEX_KEEP": "PROTECTED_TAGS_REGEX",
	"EXCLUDE_GROUPS": "EXCLUDE", "EXCLUDE_PROJECTS": "EXCLUDE", "MAX_DELETE": "MAX_DELETIONS",
}

// narrowNothing are the variables that decide how a run goes and not what goes. All others
// narrow what goes, so that a mistyped one deletes more than was meant.
var narrowNothing = []string{"GITLAB_URL", "GITLAB_TOKEN", "API_TOKEN", "GITLAB_TOKEN_FILE", "REGISTRY_URL",
	"SHARD_INDEX", "SHARD_COUNT", "CONCURRENCY", "RATE_LIMIT", "RATE_BURST", "REQUEST_TIMEOUT", "MAX_RETRIES",
	"MAX_RUNTIME", "LOG_FORMAT", "LOG_LEVEL", "REPORT_DIR", "REPORT_KEPT", "MERGE_REQUEST_NOTE", "PUSHGATEWAY_URL", "INCOMPLETE_EXIT_CODE"}

// mistypings returns the names that look like variables which are not set themselves: where
// the right one is set, it was not forgotten. DRY_RUN is always looked for.
func mistypings(names []string, environment envconfig.Lookuper) (found []mistyping) {
	known := []string{"API_TOKEN"}
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _ := variableOf(field)
		known = append(known, name)
	}
	for _, name := range names {
		bare := strings.TrimPrefix(name, ownPrefix)
		if value, _ := environment.Lookup(name); value == "" || slices.Contains(known, bare) {
			continue
		}
		if variable, foreign := ofOtherTool(name); foreign {
			found = append(found, mistyping{name: name, variable: variable, foreign: true})
			continue
		}
		for _, variable := range known {
			_, set := environment.Lookup(variable)
			n := edits.Between(normalized(bare), normalized(variable))
			if withoutPrefix(name) == normalized(variable) {
				n = 0
			}
			if (!set || variable == "DRY_RUN") && n <= mostEdits(variable) {
				found = append(found, mistyping{name: name, variable: variable, edits: n})
				break
			}
		}
	}
	return found
}

// ofOtherTool reports whether a name is a variable of another tool, however it is written,
// and returns that of ours which serves the same.
func ofOtherTool(name string) (variable string, ok bool) {
	for foreign, variable := range otherTools {
		if normalized(name) == normalized(foreign) || withoutPrefix(name) == normalized(foreign) {
			return variable, true
		}
	}
	return "", false
}

// mostEdits returns how many edits a name may be away from a variable's to look like it. Near
// a short one are the names of other programs: IMAGE_TAG is two edits from IMAGE_AGE.
func mostEdits(variable string) int {
	switch {
	case variable == "DRY_RUN" || len(normalized(variable)) > 8:
		return 2
	case len(variable) > 6:
		return 1
	default:
		return 0
	}
}

// refuseMistyped refuses to delete where more would go than was meant: that is the one
// mistake that nothing makes good again.
func (c *Config) refuseMistyped(found []mistyping, environment envconfig.Lookuper) error {
	if c.DryRun {
		return nil
	}
	var problems []error
	for _, m := range found {
		value, _ := environment.Lookup(m.name)
		if !m.foreign && !m.narrows(value) {
			continue
		}
		meant := "."
		if m.variable != "" {
			meant = "; was " + m.variable + " meant?"
		}
		text := "is no variable of registry-gc" + meant + " Nothing is deleted while it is set"
		problems = append(problems, &problem{strconv.Quote(m.name), text})
	}
	return errors.Join(problems...)
}

// narrows reports whether less would go if what looks mistyped counted. Of DRY_RUN that
// depends on the value; and two edits away from so short a name, one such as PRE_RUN may
// well be another program's.
func (m mistyping) narrows(value string) bool {
	if m.variable != "DRY_RUN" {
		return !slices.Contains(narrowNothing, m.variable)
	}
	on, ok := parseBool(value)
	return m.edits <= 1 && (on || !ok)
}

// warnOfMistyped names what looks mistyped and stops nothing.
func warnOfMistyped(log *slog.Logger, found []mistyping) {
	for _, m := range found {
		attrs := []any{"variable", m.name}
		if m.variable != "" {
			attrs = append(attrs, "meant", m.variable)
		}
		log.Warn("a variable is not known and changes nothing; is it mistyped, or meant for another tool?", attrs...)
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
