package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// explainWidth is how wide an explanation is, in columns.
const explainWidth = 80

// writeExplanation prints the verdict, then the facts, then the rules.
func writeExplanation(out *bytes.Buffer, x *pipeline.Explanation, config *Config) {
	writeWrapped(out, x.Repository+":"+x.Tag+"  ", 2, headline(x))
	if x.Doubt != nil {
		writeWrapped(out, "  ", 2, x.Doubt.Error())
	}
	if x.Skipped != "" {
		return
	}
	if x.Full.Action != x.Verdict.Action {
		out.WriteString("\n")
		writeWrapped(out, "  ", 2, "With its manifest read, the rules have it otherwise: "+verdictWords(x.Full, x.FullDescription)+" A run takes the tags of a cache repository for build caches "+
			"until it deletes; then it reads one in twenty of them, and all as soon as one is something else.")
	}
	out.WriteString("\n")
	writeFacts(out, x)
	out.WriteString("\n")
	writeRules(out, x)
	if x.Verdict.Action == policy.Delete {
		out.WriteString("\n")
		writeWrapped(out, "  ", 2, "A run reads what this rests on again right before the deletion, and goes by what it finds then.")
	}
	if len(config.Groups)+len(config.Projects) > 0 {
		out.WriteString("\n")
		writeWrapped(out, "  ", 2, "Whether GITLAB_GROUPS and GITLAB_PROJECTS have a run come here was not looked at.")
	}
}

// headline says what becomes of the tag, and why.
func headline(x *pipeline.Explanation) string {
	switch x.Skipped {
	case "":
		return verdictWords(x.Verdict, x.Description)
	case report.ProjectArchived:
		return "kept: a run skips archived projects."
	case report.RegistryDisabled:
		return "kept: a run skips projects whose registry is switched off."
	default:
		return "kept: a run skips repositories that GitLab is deleting."
	}
}

// verdictWords says what becomes of a tag, why, and by which rule.
func verdictWords(verdict policy.Verdict, description string) string {
	words := report.Explanation{Reason: verdict.Reason, Text: description}.Words()
	_, more, _ := strings.Cut(description, ". ")
	return strings.TrimSpace(fmt.Sprintf("%s: %s (%s). %s", outcomeWords(verdict), words, verdict.Reason, more))
}

func outcomeWords(verdict policy.Verdict) string {
	switch verdict.Action {
	case policy.Delete:
		return "would be deleted"
	case policy.Keep:
		return "kept"
	default:
		return "undecided"
	}
}

// writeFacts prints each fact by the name that rules have for it, its value, and where it comes from.
func writeFacts(out *bytes.Buffer, x *pipeline.Explanation) {
	labelWidth, valueWidth := 0, 0
	for _, fact := range x.Facts {
		labelWidth = max(labelWidth, len(fact.Name))
		valueWidth = max(valueWidth, min(utf8.RuneCountInString(factValue(fact)), 18))
	}
	shown := make(map[string]bool) // errors, several facts may have the same
	if x.Doubt != nil {
		shown[x.Doubt.Error()] = true
	}
	for _, fact := range x.Facts {
		where := fact.Where
		switch {
		case fact.Err != nil && shown[fact.Err.Error()]:
			where = strings.TrimPrefix(where+"; see above", "; ")
		case fact.Err != nil:
			where = strings.TrimPrefix(where+"; "+fact.Err.Error(), "; ")
			shown[fact.Err.Error()] = true
		}
		begin := fmt.Sprintf("  %-*s  %-*s  ", labelWidth, fact.Name, valueWidth, factValue(fact))
		writeWrapped(out, begin, labelWidth+valueWidth+6, where)
	}
}

// factValue returns a fact's value in words, as rules write it where they can.
func factValue(fact pipeline.ExplainedFact) string {
	switch value := fact.Value.(type) {
	case nil:
		return string(fact.State)
	case time.Duration:
		return ageWords(value)
	case int64:
		return report.Size(value)
	case []string:
		return strings.Join(value, ", ")
	default:
		return fmt.Sprint(value)
	}
}

// ageWords writes an age in the largest unit of which it has two or more.
func ageWords(age time.Duration) string {
	const day = 24 * time.Hour
	if age < 0 {
		return "in the future"
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{365 * day, "years"}, {30 * day, "months"}, {day, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if age >= 2*unit.length {
			return fmt.Sprintf("%d %s", age/unit.length, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", age/time.Second)
}

// writeRules prints what each rule makes of the facts. Those behind the one that decides are
// looked at, too.
func writeRules(out *bytes.Buffer, x *pipeline.Explanation) {
	width := 0
	for _, step := range x.Rules {
		width = max(width, len(step.Name))
	}
	var above string // what makes a rule that holds decide nothing
	if x.Verdict.Action == policy.Undecided {
		above = " (a rule above may decide)"
	}
	for _, step := range x.Rules {
		begin := fmt.Sprintf("  %-*s  %-7s  ", width, step.Name, resultWord(step))
		remark := stepRemark(step)
		if remark != "" && step.Result != policy.IsUnknown && step.Result != policy.HoldsNot {
			remark += above
		}
		writeWrapped(out, begin, width+13, remark)
		if step.Result == policy.Holds || step.Result == policy.Fails && step.Action == policy.Keep {
			above = " (a rule above has decided)"
		}
	}
}

func resultWord(step policy.Step) string {
	switch step.Result {
	case policy.Holds:
		return "yes"
	case policy.HoldsNot:
		return "no"
	case policy.IsUnknown:
		return "unknown"
	default:
		return "fails"
	}
}

// stepRemark says what comes of a rule's result, where something does. A doubt keeps, whatever the
// rule is about.
func stepRemark(step policy.Step) string {
	switch step.Result {
	case policy.Holds:
		return string(step.Action)
	case policy.IsUnknown:
		var names []string
		for _, name := range step.Unknown {
			names = append(names, string(name))
		}
		return "for want of: " + strings.Join(names, ", ")
	case policy.Fails:
		if step.Action == policy.Delete {
			return step.Failure + ", so that it does not delete"
		}
		return step.Failure + ", so that it keeps"
	case policy.HoldsNot:
		if step.False != "" {
			return step.False + " is false"
		}
	}
	return ""
}

// writeWrapped prints a text after what its first line begins with, and further lines with a margin. What a
// server has put into a text to steer a terminal is shown as what it is.
func writeWrapped(out io.Writer, begin string, margin int, text string) {
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = printable.Escape(word)
	}
	writeWords(out, printable.Escape(begin), margin, explainWidth, words)
}

// writeWords prints words in lines of a width, the first behind what it begins with, further ones with a margin. A
// word that is too long for any line has one of its own.
func writeWords(out io.Writer, begin string, margin, width int, words []string) {
	line, column := begin, utf8.RuneCountInString(begin)
	for _, word := range words {
		length := utf8.RuneCountInString(word)
		if column+length > width && column > margin {
			fmt.Fprintln(out, strings.TrimRight(line, " "))
			line, column = strings.Repeat(" ", margin), margin
		}
		line, column = line+word+" ", column+length+1
	}
	fmt.Fprintln(out, strings.TrimRight(line, " "))
}
