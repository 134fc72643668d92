package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
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

// Words say in a few words what the reason means, to go on with in a sentence; its code where nothing is
// known of it.
func (e Explanation) Words() string {
	text := firstSentence(printable.Replace(e.Text, '?'))
	if text == "" {
		return shortPath(string(e.Reason))
	}
	first, size := utf8.DecodeRuneInString(text)
	word, _, _ := strings.Cut(text[size:], " ")
	if word == "" || strings.ContainsFunc(word, unicode.IsUpper) {
		return text // a name, such as GitLab
	}
	return string(unicode.ToLower(first)) + text[size:]
}

// firstSentence returns the first sentence of a text, without the full stop.
func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// shortPath returns a path of the server for a line of the summary.
func shortPath(path string) string { return printable.Path(path, maxNameWidth) }

func (s Seconds) rounded() string { return time.Duration(s).Round(10 * time.Millisecond).String() }

// skippedTotal returns how many projects and repositories were skipped.
func (s *Summary) skippedTotal() int {
	sum := 0
	for _, n := range s.Skipped {
		sum += n
	}
	return sum
}

// Size renders bytes as GitLab does, in units of 1024.
func Size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for value >= 1023.95 && unit < len("KMGTPE")-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
