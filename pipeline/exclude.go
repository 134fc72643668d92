package pipeline

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// An Exclude is what is left alone of a scope: groups, projects and repositories by their
// paths. The zero value is nothing. It is not changed once it is made.
type Exclude struct{ patterns []pathPattern }

// A pathPattern is a pattern of paths, as it was written and as what it stands for.
type pathPattern struct {
	text  string
	paths *regexp.Regexp
}

// A PatternError says that a pattern can match no path that GitLab gives.
type PatternError struct{ Pattern, Problem string }

// Error implements error.
func (e *PatternError) Error() string { return fmt.Sprintf("%q %s", e.Pattern, e.Problem) }

var (
	// patternLike is what a pattern looks like: names with slashes between them, * in any.
	patternLike = regexp.MustCompile(`^[A-Za-z0-9_.*-]+(?:/[A-Za-z0-9_.*-]+)*$`)
	onlyDigits  = regexp.MustCompile(`^[0-9]+$`)
	stars       = regexp.MustCompile(`/\*\*/|^\*\*/|/\*\*$|\*\*+|\*`)
)

// ParseExclude reads paths and patterns of paths. In a pattern * stands for any text within
// a name, ** also for slashes, and between slashes for no name at all, too. The error is a
// [*PatternError].
func ParseExclude(patterns []string) (Exclude, error) {
	var exclude Exclude
	for _, pattern := range patterns {
		trimmed := strings.Trim(pattern, "/")
		switch {
		case !patternLike.MatchString(trimmed):
			return Exclude{}, &PatternError{pattern, "is no path, nor a pattern of paths"}
		case onlyDigits.MatchString(trimmed):
			return Exclude{}, &PatternError{pattern, "seems to be an id; what is left alone is named by its path"}
		}
		exclude.patterns = append(exclude.patterns, pathPattern{trimmed, regexp.MustCompile(expressionOf(trimmed))})
	}
	return exclude, nil
}

// expressionOf returns a pattern as a regular expression, which matches what lies below,
// too. GitLab tells no two paths apart that differ in case alone.
func expressionOf(pattern string) string {
	var expression strings.Builder
	rest := 0
	for _, found := range stars.FindAllStringIndex(pattern, -1) {
		expression.WriteString(regexp.QuoteMeta(pattern[rest:found[0]]))
		switch pattern[found[0]:found[1]] {
		case "*":
			expression.WriteString(`[^/]*`)
		case "/**/":
			expression.WriteString(`/(?:.*/)?`)
		case "**/":
			expression.WriteString(`(?:.*/)?`)
		case "/**":
			expression.WriteString(`(?:/.*)?`)
		default:
			expression.WriteString(`.*`)
		}
		rest = found[1]
	}
	expression.WriteString(regexp.QuoteMeta(pattern[rest:]))
	return `(?i)^(?:` + expression.String() + `)(?:/.*)?$`
}

// Has reports whether the path of a project or a repository, or a group above it, is left
// alone.
func (e Exclude) Has(path string) bool {
	for _, pattern := range e.patterns {
		if pattern.paths.MatchString(path) {
			return true
		}
	}
	return false
}

// An exclusion is what a run leaves alone, with which of its patterns have matched something: one that
// never does is mistyped, and what it was meant for is deleted.
type exclusion struct {
	Exclude
	found []atomic.Bool // by pattern
}

func newExclusion(exclude Exclude) *exclusion {
	return &exclusion{exclude, make([]atomic.Bool, len(exclude.patterns))}
}

// has is [Exclude.Has], and remembers each pattern that matches, not the first alone.
func (e *exclusion) has(path string) bool {
	has := false
	for i, pattern := range e.patterns {
		if pattern.paths.MatchString(path) {
			e.found[i].Store(true)
			has = true
		}
	}
	return has
}

// passOver says that nothing below a project is looked at. What a pattern names there stays anyway.
func (e *exclusion) passOver(project string) {
	for i, pattern := range e.patterns {
		if below := project + "/"; len(pattern.text) > len(below) && strings.EqualFold(pattern.text[:len(below)], below) {
			e.found[i].Store(true)
		}
	}
}

// unmatched returns the patterns that have matched nothing.
func (e *exclusion) unmatched() (patterns []string) {
	for i, pattern := range e.patterns {
		if !e.found[i].Load() {
			patterns = append(patterns, pattern.text)
		}
	}
	return patterns
}

// tellUnmatched tells at the end of a walk what EXCLUDE and IN_USE name that was not found. A walk that
// was cut short does not know.
func (r *run) tellUnmatched(ctx context.Context) {
	if ctx.Err() != nil || !r.progress.listed.Load() || r.application != nil { // which sees little of the instance
		return
	}
	scope := r.options.Scope
	part := len(scope.Groups) > 0 || len(scope.Projects) > 0 || scope.Shard.Count > 1 || r.unreadable.Load()
	if patterns := r.exclude.unmatched(); patterns != nil {
		r.tell(report.ExcludeUnmatched{Patterns: patterns, Part: part})
	}
	if r.options.InUse == nil {
		return
	}
	event := report.InUseCounted{Part: part}
	event.References, event.ByDigest, _ = r.options.InUse.Count()
	for i := range r.inUseSeen {
		if r.inUseSeen[i].Load() {
			event.Seen++
		}
	}
	r.tell(event)
}
