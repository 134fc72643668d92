package report

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

func textOf(t *testing.T, summary *Summary) string {
	t.Helper()
	var text strings.Builder
	if err := summary.WriteText(&text, Text{}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestWriteText(t *testing.T) {
	sized := func(repository, digest string, bytes int64) Event {
		d := dead(repository, manifest.KindCacheIndex, bytes, Marked)
		d.Digest, d.Made = digest, firstStart.AddDate(0, -5, 0)
		return d
	}
	summary := countEvents(t, true, append(events(),
		sized("g/p/app.cache", "sha256:1", 3<<30),
		sized("g/p/app.cache", "sha256:1", 3<<30), // the same manifest
		dead("g/p/app.cache", manifest.KindCacheManifest, 0, Marked),
		dead("g/p/app.cache", manifest.KindAttestedImage, 0, Marked),
	)...)
	summary.Started = firstStart
	summary.GitLabURL, summary.User = "https://gitlab.example.com", "root"
	summary.Settings = map[string]string{"GITLAB_GROUPS": "acme,labs"}
	summary.Rules, summary.Reasons["mine"] = byDefault(t), 2
	summary.Plans, summary.Interrupted = []string{"reports of/plan.jsonl"}, true
	summary.Requests, summary.Retries = Requests{API: 3000, Registry: 12}, 2
	summary.Duration, summary.Throttled = Seconds(93_254*time.Millisecond), Seconds(1500*time.Millisecond)
	want := `Plan, interrupted, for https://gitlab.example.com · groups acme,labs · as @root
· nothing was changed

  6 of 9 tags would be deleted (67 %), 3.0 GiB or more, in 2 of 1 project; 1 of
  them can still be pulled

  WHY                                              TAGS       SIZE    OLDEST
  older than IMAGE_AGE, and GitLab cannot date it     6  ≥ 3.0 GiB  4 months

  WHERE  TAGS       SIZE    OLDEST
  g         6  ≥ 3.0 GiB  4 months

  REPOSITORY     TAGS       SIZE    OLDEST
  g/p/app.cache     4  ≥ 3.0 GiB  4 months
  g/p/app           2          –         –

  1 kept: no rule deletes it
  1 undecided: mine (2), tag whose details could not be read (1)
  1 failed: GitLab does not let the token's user delete it
  1 could not be read (groups, projects or repositories): nothing is known of
    their tags, and the log names them

! The list is incomplete: the run, or a part of it, ended before its time. Let a
  plan come to its end before tags are deleted.

! Of 2 tags that would be deleted the digest is not known: they could not be
  brought back.

! Images that can still be pulled would be deleted: 1 attested image.
    g/p/app.cache:t
  Those that are to be kept belong in PROTECTED_TAGS, PROTECTED_TAGS_REGEX or
  IN_USE. No such image is deleted whose kind is not in DELETE_KINDS.

- Some projects push tags that GitLab cannot show, and never cleans up. Build
  with --provenance=false, so that GitLab can date and clean up these images:
    1  g/g
  Export with image-manifest=true (--cache-to), so that GitLab can show these
  caches, and they stay as long as their images:
    2  g/g

- In some cache repositories no tag has the name of an image's tag. They are
  named by another convention, so that nothing is deleted there for a missing
  image:
    g/p/b.cache

Next
  why is one kept?  registry-gc explain g/p/app:a

Looked at 9 tags in 1 repository of 1 project; skipped 1 archived project. 3,012
requests (3,000 to GitLab, 12 to the registry, 2 of them again) in 1m33.25s,
held back by the server for 1.5s.
`
	if diff := cmp.Diff(want, textOf(t, summary)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteTextOfNothing: a run that found nothing says so, and how much it looked at.
func TestWriteTextOfNothing(t *testing.T) {
	want := "Run · all projects\n\n  None of 0 tags deleted\n\nLooked at 0 tags in 0 repositories of 0 projects. 0 requests (0 to GitLab, 0 to\nthe registry) in 0s.\n"
	if diff := cmp.Diff(want, textOf(t, NewSummary(false))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTopRows: ten groups and repositories are named, the others counted.
func TestTopRows(t *testing.T) {
	var all []Event
	for i := range 13 {
		for n := range 20 - i {
			d := dead(fmt.Sprintf("app-%02d", i), "", 1<<20, Deleted)
			d.Project, d.Digest = fmt.Sprintf("group-%02d/p", i), fmt.Sprint(i, "-", n)
			all = append(all, d)
		}
	}
	text := textOf(t, countEvents(t, false, all...))
	for _, want := range []string{"\n  app-00        20  20.0 MiB\n", "\n  app-09        11  11.0 MiB\n", "\n  in 3 more     27  27.0 MiB\n", "\n  group-09     11  11.0 MiB\n", "\n  in 3 more    27  27.0 MiB\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "app-10") || strings.Contains(text, "group-10") {
		t.Errorf("an eleventh is named in\n%s", text)
	}
}

// TestTextFits a terminal of any width: lines are broken between words, and nothing gets lost. Commands and names
// that are wider than a terminal stay whole.
func TestTextFits(t *testing.T) {
	long := dead("group/subgroup/with/a/name/that/is/long/and/goes/on/app.cache", manifest.KindCacheIndex, 3<<30, Marked)
	long.Project, long.Made = "group/subgroup/with/a/name/that/is/long", firstStart.AddDate(-3, 0, 0)
	summary := countEvents(t, true, append(events(), long)...)
	summary.Started, summary.Rules = firstStart, byDefault(t)
	summary.Rules.Rules = append(summary.Rules.Rules, Explanation{"evil\x1b[31m", Kept, strings.Repeat("red \x1b[31m and longer ", 20)})
	for _, e := range summary.Explanations() {
		summary.Reasons[e.Reason] = 1_000_000
	}
	var first []string
	for _, width := range []int{60, 80, 100, 140} {
		var out strings.Builder
		if err := summary.WriteText(&out, Text{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := len([]rune(line)); n > width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "registry-gc") {
				t.Errorf("%d of %d columns: %q", n, width, line)
			}
			if strings.Contains(line, "\x1b") {
				t.Errorf("an escape sequence: %q", line)
			}
		}
		words := slices.DeleteFunc(strings.Fields(out.String()), func(word string) bool { return strings.Contains(word, "/") })
		slices.Sort(words)
		if first == nil {
			first = words
		}
		if diff := cmp.Diff(first, words); diff != "" {
			t.Errorf("at %d columns it says other words (-at 60 +):\n%s", width, diff)
		}
	}
}

// TestColours: a terminal with colours shows the same text.
func TestColours(t *testing.T) {
	summary := countEvents(t, true, events()...)
	var out strings.Builder
	if err := summary.WriteText(&out, Text{Colours: true}); err != nil {
		t.Fatal(err)
	}
	if text := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(out.String(), ""); text != textOf(t, summary) || text == out.String() {
		t.Errorf("%s", out.String())
	}
}

// TestHostilePaths: what a server says that paths are cannot forge lines, steer a
// terminal, turn the writing round or push the table apart.
func TestHostilePaths(t *testing.T) {
	lines := 0
	for _, path := range []string{
		"harmless", "evil\x1b[31m\nregistry-gc\r  kept  0", "right\u202eto\u2066left \u05d0", "\xff\xfe\x00\x9b1m", "bell\a\u0085\u2028", strings.Repeat("long/", 1000),
	} {
		decision := dead("x", manifest.KindAttestedImage, 1, Marked)
		decision.Project, decision.Repository = path, path
		kept := decision
		kept.Outcome, kept.Reason = Kept, policy.NoRule
		text := textOf(t, countEvents(t, true, decision, kept))
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > 100 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && !strings.ContainsRune("·–≥", r) }) {
				t.Errorf("%q shows as %q", path, line)
			}
		}
		n := strings.Count(text, "\n")
		if lines == 0 {
			lines = n
		}
		if n > lines { // it need not be explained by a name that no shell could take
			t.Errorf("%q gives %d lines, want %d:\n%s", path, n, lines, text)
		}
	}
}

// TestNext: what may be done after a run, with words that a shell takes as they are.
func TestNext(t *testing.T) {
	marked, deleted := dead("g/p/app", "", 0, Marked), dead("g/p/app", "", 0, Deleted)
	kept := Decision{Repository: "g/p/app", Tag: "v1", Action: policy.Keep, Outcome: Kept, Reason: policy.NoRule}
	for name, test := range map[string]struct {
		change func(*Summary)
		events []Event
		want   []step
	}{
		"nothing": {nil, nil, nil},
		"no plan": {nil, []Event{marked}, []step{{"delete such tags", "registry-gc run", ""}}},
		"a plan":  {func(s *Summary) { s.Plans = []string{"my reports/plan.jsonl"} }, []Event{marked, kept}, []step{{"delete exactly this", "registry-gc apply 'my reports/plan.jsonl'", ""}, {"why is one kept?", "registry-gc explain g/p/app:v1", ""}}},
		"with flags": {func(s *Summary) {
			s.Plans, s.Program = []string{"-p.jsonl"}, "bin/registry-gc"
			s.Flags = map[string][]string{"run": {"--gitlab-groups=acme"}, "apply": {"--exclude=acme/a b", "--max-deletions=7"}, "explain": {"--rules=mine.yaml"}}
		}, []Event{marked, kept, TooManyDeletions{7}}, []step{{"delete exactly this", "bin/registry-gc apply '--exclude=acme/a b' --max-deletions=1 ./-p.jsonl", ""}, {"why is one kept?", "bin/registry-gc explain --rules=mine.yaml g/p/app:v1", ""}}},
		"without digests": {func(s *Summary) {
			s.Plans, s.WithoutDigest, s.Flags = []string{"plan.jsonl"}, 1, map[string][]string{"run": {"--verify=api"}}
		}, []Event{marked}, []step{{"delete such tags", "registry-gc run --verify=api", ""}}},
		"part of a plan":       {func(s *Summary) { s.Plans, s.Interrupted = []string{"plan.jsonl"}, true }, []Event{marked}, nil},
		"too many":             {func(s *Summary) { s.Plans = []string{"plan.jsonl"} }, []Event{marked, TooManyDeletions{5}}, []step{{"delete exactly this", "registry-gc apply --max-deletions=1 plan.jsonl", ""}}},
		"a plan is tried":      {func(s *Summary) { s.Applied = "a.jsonl, b's.jsonl" }, []Event{marked}, []step{{"delete these tags", `registry-gc apply a.jsonl 'b'\''s.jsonl'`, ""}}},
		"a shard":              {func(s *Summary) { s.Shard = &Shard{0, 2} }, []Event{marked}, []step{{"one list of all shards", "registry-gc merge DIR", ""}}},
		"an outage":            {nil, []Event{marked, Decision{Repository: "o", Action: policy.Undecided, Outcome: Undecided, Reason: policy.OutageSuspected}}, nil},
		"a run":                {func(s *Summary) { s.DryRun, s.Journals = false, []string{"j/1.jsonl", "j/2.jsonl"} }, []Event{RegimeFound{registry.Legacy}, deleted}, []step{{"undo", "registry-gc undo j/1.jsonl j/2.jsonl", "until the next registry-garbage-collect -m"}}},
		"with its database":    {func(s *Summary) { s.DryRun, s.Journals, s.Ended = false, []string{"1"}, firstStart }, []Event{RegimeFound{registry.Database}, deleted}, []step{{"undo", "registry-gc undo 1", "until about 2 Mar 02:30 UTC"}}},
		"without a journal":    {func(s *Summary) { s.DryRun, s.WithoutDigest = false, 3 }, []Event{deleted}, []step{{"undo", "registry-gc undo LOG", "LOG is a file with the log of this run; with REPORT_DIR the journal is a file of its own; not 3 tags whose digest is not known"}}},
		"an odd name is kept":  {nil, []Event{Decision{Repository: "g/$(rm)", Tag: "v1", Outcome: Kept, Reason: policy.NoRule}}, nil},
		"nothing went, no tag": {func(s *Summary) { s.DryRun = false }, []Event{kept}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			summary := countEvents(t, true, test.events...)
			if test.change != nil {
				test.change(summary)
			}
			if diff := cmp.Diff(test.want, summary.next(nil)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
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
	if err := NewSummary(false).WriteText(failing{broken}, Text{}); !errors.Is(err, broken) {
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
