package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A step is what people may do next: a command, or a file to look at.
type step struct{ Label, Command, Note string }

// next are the steps after a run, with the files that it has written.
func (s *Summary) next(files *Files) (steps []step) {
	add := func(label, command string) { steps = append(steps, step{Label: label, Command: command}) }
	if files != nil && files.hasPage {
		add("look at it", quoted(filepath.Join(files.dir, PageFile)))
	}
	if files != nil && files.err == nil {
		add("each tag", quoted(filepath.Join(files.dir, DecisionsFile)))
	}
	if s.marks() && s.Deleted > 0 && s.whole() && s.Reasons[policy.OutageSuspected] == 0 {
		steps = append(steps, s.applying())
	}
	if tag := s.keptExample(); tag != "" && s.marks() && s.Applied == "" {
		add("why is one kept?", s.command("explain", tag))
	}
	if s.Deleted > 0 && !s.marks() {
		steps = append(steps, s.undoing())
	}
	return steps
}

// whole reports whether the run came to its end.
func (s *Summary) whole() bool { return !s.Interrupted && s.Error == "" }

// command returns a command to go on with, as a shell takes it. It has the flags that this run was given, without
// which it would do something else.
func (s *Summary) command(name string, words ...string) string {
	const limit = "--max-deletions="
	flags := slices.Clone(s.Flags[name])
	if s.MaxDeletions > 0 && (name == "run" || name == "apply") {
		flags = slices.DeleteFunc(flags, func(flag string) bool { return strings.HasPrefix(flag, limit) })
		flags = append(flags, limit+strconv.Itoa(s.Deleted))
	}
	return quotedAll(slices.Concat([]string{cmp.Or(s.Program, "registry-gc"), name}, flags, words))
}

// applying says how what would be deleted is deleted.
func (s *Summary) applying() step {
	switch {
	case s.Shard != nil:
		return step{Label: "one list of all shards", Command: s.command("merge", "DIR")}
	case s.Applied != "":
		return step{Label: "delete these tags", Command: s.command("apply", files(strings.Split(s.Applied, ", "))...)}
	case len(s.Plans) > 0 && s.WithoutDigest < s.Deleted:
		return step{Label: "delete exactly this", Command: s.command("apply", files(s.Plans)...)}
	default:
		return step{Label: "delete such tags", Command: s.command("run")}
	}
}

// undoing says how what was deleted is brought back, and until when it can be.
func (s *Summary) undoing() step {
	undo := step{Label: "undo", Command: s.command("undo", files(s.Journals)...)}
	if len(s.Journals) == 0 {
		undo.Command = s.command("undo", "LOG")
		undo.Note = "LOG is a file with the log of this run; with REPORT_DIR the journal is a file of its own; "
	}
	switch s.Regime {
	case registry.Database.String():
		undo.Note += "until about " + s.Ended.Add(24*time.Hour).Format("2 Jan 15:04 MST")
	case registry.Legacy.String():
		undo.Note += "until the next registry-garbage-collect -m"
	}
	undo.Note = strings.TrimSuffix(undo.Note, "; ")
	if n := s.WithoutDigest; n > 0 {
		undo.Note = strings.TrimPrefix(undo.Note+fmt.Sprintf("; not %s whose digest is not known", tags(n)), "; ")
	}
	return undo
}

// files returns names of files that are taken for no flags.
func files(names []string) []string {
	all := slices.Clone(names)
	for i, name := range all {
		if strings.HasPrefix(name, "-") {
			all[i] = "./" + name
		}
	}
	return all
}

// keptExample is a tag about which people may want to know why it is kept, "" where none is known.
func (s *Summary) keptExample() string {
	var candidates []string
	for _, image := range s.PullableStay.Largest {
		candidates = append(candidates, image.Repository+":"+image.Tag)
	}
	for _, e := range s.found(Kept) {
		candidates = append(candidates, s.Examples[e.Reason]...)
	}
	for _, tag := range candidates {
		if quoted(tag) == tag && len(tag) <= 2*maxNameWidth {
			return tag
		}
	}
	return ""
}

// plainWord is what a shell takes as one word and as nothing else.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quoted returns a word of a command as a shell takes it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(printable.Replace(word, '?'), "'", `'\''`) + "'"
}

// quotedAll returns words of a command.
func quotedAll(words []string) string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = quoted(word)
	}
	return strings.Join(all, " ")
}
