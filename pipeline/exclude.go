package pipeline

import (
	"fmt"
	"regexp"
	"strings"
)

// An Exclude is what is left alone of a scope: groups, projects and repositories by their
// paths. The zero value is nothing. It is not changed once it is made.
type Exclude struct{ paths []*regexp.Regexp }

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
		exclude.paths = append(exclude.paths, regexp.MustCompile(expressionOf(trimmed)))
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
	for _, excluded := range e.paths {
		if excluded.MatchString(path) {
			return true
		}
	}
	return false
}
