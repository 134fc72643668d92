package main

import (
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestNoteBody: the name of a job cannot end the line that nobody sees, and no secret is behind it.
func TestNoteBody(t *testing.T) {
	const secret = "glpat-0123456789abcdef"
	j := &job{redactor: redact.New(secret), ci: ciJob{name: "a-->\n/merge <b> `" + secret + "` @all ü"}}
	summary := report.NewSummary(true)
	summary.Refused = "bad header: " + secret
	body := j.noteBody(summary, nil)
	first, rest, _ := strings.Cut(body, "\n")
	if strings.Count(first, "-->") != 1 || !strings.HasSuffix(first, " -->") || strings.ContainsAny(first[4:len(first)-3], "<>/@`") {
		t.Errorf("the first line is %q", first)
	}
	if strings.Contains(body, secret) || !strings.Contains(rest, "bad header: ") {
		t.Errorf("the note is\n%s", body)
	}
}

func TestCutNote(t *testing.T) {
	body := strings.Repeat("a line\n", 100)
	if got := cutNote(body, len(body)); got != body {
		t.Errorf("it is cut for no reason:\n%s", got)
	}
	got := cutNote(body, len(body)-1)
	lines, rest, _ := strings.Cut(got, "\n\n")
	if len(got) >= len(body) || len(got) < len(body)-80 || !strings.HasSuffix(lines, "a line") || rest == "" {
		t.Errorf("%d of %d bytes:\n%s", len(got), len(body), got)
	}
}
