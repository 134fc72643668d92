package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// skippedWords says how much was skipped, and why.
func (s *Summary) skippedWords() string {
	var words []string
	for _, why := range slices.Sorted(maps.Keys(s.Skipped)) {
		words = append(words, number(s.Skipped[why])+" "+skipWords(why, s.Skipped[why]))
	}
	return strings.Join(words, ", ")
}

// skipWords says what was skipped, and why.
func skipWords(why SkipReason, n int) string {
	words := map[SkipReason][2]string{
		Excluded:           {"excluded project or repository", "excluded projects and repositories"},
		ProjectArchived:    {"archived project", "archived projects"},
		RegistryDisabled:   {"project without a container registry", "projects without a container registry"},
		ProjectDeleting:    {"project marked for deletion", "projects marked for deletion"},
		RepositoryDeleting: {"repository that GitLab is deleting", "repositories that GitLab is deleting"},
	}[why]
	if n == 1 {
		return cmp.Or(words[0], shortPath(string(why)))
	}
	return cmp.Or(words[1], shortPath(string(why)))
}

// number writes thousands apart.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural returns what the word for so many things ends in.
func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// tags counts them in words.
func tags(n int) string { return number(n) + " tag" + plural(n) }

// requests counts them in words.
func requests(n int) string { return number(n) + " request" + plural(n) }

// projects counts them in words.
func projects(n int) string { return number(n) + " project" + plural(n) }

// repositories counts them in words.
func repositories(n int) string {
	if n == 1 {
		return "1 repository"
	}
	return number(n) + " repositories"
}

// shortenedFront returns a path cut to at most n characters, from the front: what comes last
// says most.
func shortenedFront(path string, n int) string {
	runes := []rune(path)
	if len(runes) <= n {
		return path
	}
	return "…" + string(runes[len(runes)-n+1:])
}
