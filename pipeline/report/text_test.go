package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

func textOf(t *testing.T, summary *Summary, deadTags *DeadTags) string {
	t.Helper()
	var text strings.Builder
	if err := summary.WriteText(&text, deadTags, nil); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestWriteText(t *testing.T) {
	summary, deadTags := countEvents(t, true, append(events(),
		dead("g/p/app.cache", manifest.KindCacheIndex, 3<<30, Marked),
		dead("g/p/app.cache", manifest.KindCacheIndex, 0, Marked),
		dead("g/p/app.cache", manifest.KindCacheManifest, 0, Marked),
	)...)
	summary.Rules, summary.Reasons["mine"] = byDefault(t), 2
	summary.Interrupted = true
	summary.Requests, summary.Retries = Requests{API: 30, Registry: 12}, 2
	summary.Duration, summary.Throttled = Seconds(93_254*time.Millisecond), Seconds(1500*time.Millisecond)
	want := `registry-gc, dry run, interrupted
  projects             1
  repositories         1
  tags                 8
  kept                 1
  marked               5
  undecided            1
  failed               1
  unreadable           1  groups, projects or repositories
  skipped              1  project-archived 1
  requests            42  api 30, registry 12
  time          1m33.25s  retries 2, held back by the server 1.5s

results
  kept       1  no-rule           No rule deletes it
  marked     5  undatable         GitLab cannot tell how old it is, and never
                                  cleans it up
  undecided  1  details-unknown   What it is could not be found out
  failed     1  delete-forbidden  GitLab does not let the token's user delete it
             2  mine

repositories with most tags to delete
  tags    references  repository
     3  over 3.0 GiB  g/p/app.cache
     3       unknown  g/p/app
  (what these tags reference, layers that tags share counted for each of them: not
  what will be freed)

next
  - The list is incomplete: the run, or a part of it, ended before its time.
    Let a dry run come to its end before a real one.
  - Of 2 tags that would go the digest is not known: what they are could not be brought back.
  - Some projects push tags that GitLab cannot show, and never cleans up.
    Export with image-manifest=true (--cache-to), so that GitLab can show these caches, and they stay
    as long as their images:
      2  g/g
  - In some cache repositories no tag has the name of an image's tag. They are named by another
    convention, so that nothing goes there for a missing image:
      g/p/b.cache
`
	if diff := cmp.Diff(want, textOf(t, summary, deadTags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteTextOfNothing: a run that found nothing has figures and nothing else.
func TestWriteTextOfNothing(t *testing.T) {
	if text := textOf(t, NewSummary(false), nil); strings.Count(text, "\n") != 10 || strings.Contains(text, "\n\n") {
		t.Errorf("%s", text)
	}
}

// TestTopRepositories: ten are named, the others counted.
func TestTopRepositories(t *testing.T) {
	var all []Event
	for i := range 13 {
		for range 20 - i {
			all = append(all, dead(fmt.Sprintf("app-%02d", i), "", 1<<20, Deleted))
		}
	}
	summary, deadTags := countEvents(t, false, all...)
	text := textOf(t, summary, deadTags)
	for _, want := range []string{"\n    20    20.0 MiB  app-00\n", "\n    11    11.0 MiB  app-09\n", "\n    27    27.0 MiB  in 3 more\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "app-10") {
		t.Errorf("an eleventh is named in\n%s", text)
	}
}

// TestExplanationsFit a terminal: what is too long goes on below, and is cut at a word.
func TestExplanationsFit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              {""},
		"one two":                       {"one two"},
		"one two three":                 {"one two", "three"},
		"one two three four":            {"one two", "three four"},
		"one two three four five":       {"one two", "three four", "five"},
		"1 two three four 5 seven si":   {"1 two", "three four", "5 seven si"},
		"1 two three four 5 six a b":    {"1 two", "three four", "5 six a b"},
		"1 two three four 5 six a bc":   {"1 two", "three four", "5 six a bc"},
		"1 two three four 5 six a bcd":  {"1 two", "three four", "5 six a …"},
		"1 two three four verylong a b": {"1 two", "three four", "verylong …"},
		"averyverylongword and":         {"averyvery…", "and"},
		"one two averyverylongword a":   {"one two", "averyvery…", "a"},
	} {
		got := wrapped(text, 10)
		if !slices.Equal(got, want) {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	rules := byDefault(t)
	summary := NewSummary(true)
	summary.Rules = rules
	rules.Rules = append(rules.Rules, Explanation{"evil\x1b[31m", Kept, strings.Repeat("red \x1b[31m and longer ", 20)})
	for _, e := range summary.Explanations() {
		summary.Reasons[e.Reason] = 1_000_000
	}
	_, text, _ := strings.Cut(textOf(t, summary, nil), "\nresults\n")
	text, _, _ = strings.Cut(text, "\n\n")
	for line := range strings.Lines(text) {
		if n := len([]rune(line)) - 1; n > lineWidth || strings.Contains(line, "\x1b") {
			t.Errorf("%d characters: %q", n, line)
		}
	}
	if !strings.Contains(text, "…") || strings.Count(text, "1000000") != len(summary.Reasons) {
		t.Errorf("not all is shown:\n%s", text)
	}
}

// TestHostilePaths: what a server says that paths are cannot forge lines, steer a
// terminal, turn the writing round or push the table apart.
func TestHostilePaths(t *testing.T) {
	for _, path := range []string{
		"evil\x1b[31m\nregistry-gc\r  kept  0", "right\u202eto\u2066left \u05d0", "\xff\xfe\x00\x9b1m", "bell\a\u0085\u2028", strings.Repeat("long/", 1000),
	} {
		decision := dead("x", manifest.KindAttestedImage, 1, Marked)
		decision.Project, decision.Repository = path, path
		summary, deadTags := countEvents(t, true, decision)
		text := textOf(t, summary, deadTags)
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > 100 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
				t.Errorf("%q shows as %q", path, line)
			}
		}
		if n, want := strings.Count(text, "\n"), 31; n != want {
			t.Errorf("%q gives %d lines, want %d:\n%s", path, n, want, text)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 29: "2.5 GiB",
		1<<63 - 1: "8.0 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d shows as %q, want %q", bytes, got, want)
		}
	}
}

// TestBrokenOutput: who cannot print the summary hears of it.
func TestBrokenOutput(t *testing.T) {
	broken := errors.New("broken pipe")
	if err := NewSummary(false).WriteText(failing{broken}, nil, nil); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	for path, want := range map[string]string{"short": "short", "exactly-ten": "…actly-ten", "group/sub/project": "…b/project"} {
		if got := shortenedFront(path, 10); got != want {
			t.Errorf("shortenedFront(%q) = %q, want %q", path, got, want)
		}
	}
}
