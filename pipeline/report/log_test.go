package report

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// logged returns the lines that events give, when the run is asked to end before the last
// of them.
func logged(t *testing.T, before []Event, after ...Event) string {
	t.Helper()
	var out bytes.Buffer
	stopped := false
	log := &Log{Logger: slog.New(slog.NewTextHandler(&out, nil)), Stopped: func() bool { return stopped }}
	for i, e := range append(before, after...) {
		stopped = i >= len(before)
		if err := log.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	log.End()
	return out.String()
}

// TestLogOfStop: what a stop leaves undecided is one line, what it fails to delete is not
// lost among it, and what was undecided before has its own.
func TestLogOfStop(t *testing.T) {
	undecided := func(tag string) Event {
		return Decision{Repository: "g/p", Tag: tag, Action: policy.Undecided, Outcome: Undecided, Reason: policy.DetailsUnknown}
	}
	text := logged(t, []Event{undecided("early")}, undecided("late-1"), dead("g/p", "", 0, Failed), undecided("late-2"), undecided("late-3"))
	for _, want := range []string{"tag=early", `msg="tag not deleted"`, `msg="tags were left undecided, as the run was asked to end" tags=3`} {
		if strings.Count(text, want) != 1 {
			t.Errorf("not once %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "late") {
		t.Errorf("tags of the stop have lines of their own:\n%s", text)
	}
	if text := logged(t, []Event{undecided("early")}); strings.Contains(text, "left undecided") {
		t.Errorf("a run that nobody stopped says\n%s", text)
	}
}

// TestLogKind: which of the deleted tags were images is in their lines.
func TestLogKind(t *testing.T) {
	text := logged(t, []Event{dead("g/p", manifest.KindAttestedImage, 0, Deleted), dead("g/p", "", 0, Marked)})
	if !strings.Contains(text, `msg="tag deleted" repository=g/p`) || strings.Count(text, "kind=") != 1 || !strings.Contains(text, "kind=attested-image") {
		t.Errorf("%s", text)
	}
}

// TestLogBranches: a project whose branches are not known has one warning, and one more for each
// other cause.
func TestLogBranches(t *testing.T) {
	undecided := func(project, tag, detail string) Event {
		return Decision{Project: project, Repository: project + "/app", Tag: tag, Action: policy.Undecided, Outcome: Undecided, Reason: policy.BranchUnknown, Detail: detail}
	}
	text := logged(t, []Event{
		undecided("g/p", "a", "403"), undecided("g/p", "b", "403"), undecided("g/q", "c", "403"), undecided("g/p", "d", "500"), undecided("g/q", "e", "403"),
	})
	if strings.Count(text, "\n") != 3 || strings.Count(text, "project=g/p") != 2 || strings.Count(text, "detail=403") != 2 || strings.Contains(text, "tag=b") {
		t.Errorf("%s", text)
	}
}

// TestLogUnmatched: what names nothing is a warning, which says where that may be right.
func TestLogUnmatched(t *testing.T) {
	for want, event := range map[string]Event{
		`level=WARN msg="EXCLUDE has patterns that matched nothing" patterns=[a/b]`:         ExcludeUnmatched{Patterns: []string{"a/b"}},
		`that may be right, as this run covers only a part of the instance" patterns=[a/b]`: ExcludeUnmatched{Patterns: []string{"a/b"}, Part: true},
		`level=INFO msg="IN_USE: 2 of 12 references are tags here"`:                         InUseCounted{References: 12, Seen: 2, Part: true},
		`level=WARN msg="IN_USE: 0 of 12 references are tags here; that may be right, as`:   InUseCounted{References: 12, Part: true},
		`tags here; 3 name only a digest, which is compared before a tag is deleted"`:       InUseCounted{References: 12, ByDigest: 3},
	} {
		if text := logged(t, []Event{event}); !strings.Contains(text, want) {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

// TestLogOfManyTags: in a log for people a repository has so many lines of tags that go, and one that counts
// the others.
func TestLogOfManyTags(t *testing.T) {
	for most, want := range map[int]int{0: 6, 2: 3, 5: 6} {
		var out bytes.Buffer
		log := &Log{Logger: slog.New(slog.NewTextHandler(&out, nil)), Most: most}
		for _, d := range []Decision{
			dead("g/p", "", 0, Deleted), dead("g/p", "", 0, Marked), dead("g/p", "", 0, Deleted), dead("g/q", "", 0, Deleted),
			dead("g/p", "", 0, Deleted), dead("g/p", "", 0, Failed), dead("g/p", "", 0, Deleted),
		} {
			if err := log.Handle(d); err != nil {
				t.Fatal(err)
			}
		}
		log.End()
		text := out.String()
		if got := strings.Count(text, `"tag deleted"`) + strings.Count(text, `"tag would be deleted"`); got != want || strings.Count(text, `"tag not deleted"`) != 1 {
			t.Errorf("%d at most: %d lines of tags that go, want %d:\n%s", most, got, want, text)
		}
		if counts := strings.Contains(text, "repository=g/p tags=3"); counts != (most == 2) || strings.Contains(text, "repository=g/q tags") {
			t.Errorf("%d at most: the others are counted: %t\n%s", most, counts, text)
		}
	}
}
