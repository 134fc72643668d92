package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

func TestAgeWords(t *testing.T) {
	const day = 24 * time.Hour
	for age, want := range map[time.Duration]string{
		-time.Second: "in the future", 0: "0 seconds", 119 * time.Second: "119 seconds", 2 * time.Minute: "2 minutes",
		47 * time.Hour: "47 hours", 3 * day: "3 days", 59 * day: "59 days", 330 * day: "11 months", 729 * day: "24 months",
		730 * day: "2 years",
	} {
		if got := ageWords(age); got != want {
			t.Errorf("%s is %q; want %q", age, got, want)
		}
	}
}

// TestExplanationHidesNothing: a server's names and errors neither steer a terminal nor make lines
// of their own, wherever they are shown.
func TestExplanationHidesNothing(t *testing.T) {
	const evil = "\n\x1b[31mevil\u202e\n  tag.kind  true"
	x := &pipeline.Explanation{
		Repository: evil, Tag: evil, Doubt: errors.New(evil),
		Verdict: policy.Verdict{Action: policy.Undecided}, Description: evil,
		Facts: []pipeline.ExplainedFact{
			{Name: policy.FactTopics, State: pipeline.FactKnown, Value: []string{evil}, Where: evil},
			{Name: policy.FactKind, State: pipeline.FactUnknown, Err: errors.New(evil + evil)},
		},
		Rules: []policy.Step{{Rule: policy.Rule{Name: "a", Action: policy.Keep}, Result: policy.Fails, Failure: evil}},
	}
	var out bytes.Buffer
	writeExplanation(&out, x, new(Config))
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, printable.Hidden) || strings.HasPrefix(line, "  tag.kind  true") {
			t.Errorf("%q", line)
		}
	}
}

// TestExplanationIsNarrow: lines end at the width, but for words that are longer.
func TestExplanationIsNarrow(t *testing.T) {
	var out bytes.Buffer
	writeWrapped(&out, "  begin  ", 9, strings.Repeat("word ", 40)+strings.Repeat("x", 90)+" end")
	for line := range strings.Lines(out.String()) {
		if width := utf8.RuneCountInString(strings.TrimSpace(line)); width > explainWidth && width != 90 {
			t.Errorf("%d columns: %s", width, line)
		}
	}
}
