package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// topRepositories is how many repositories the summary names.
const topRepositories = 10

// WriteText prints the summary for people: the figures, the reasons, where most dead
// tags are, what to do next, and where the reports are if there are any. Without a
// deadTags only what the summary knows is shown.
func (s *Summary) WriteText(w io.Writer, dead *DeadTags, files *Files) error {
	if dead == nil {
		dead = new(DeadTags)
	}
	var out bytes.Buffer
	fmt.Fprintln(&out, s.title())
	s.writeFigures(&out)
	if s.OutOfReach {
		fmt.Fprintf(&out, "\nbeware\n  %s\n", strings.Join(s.outOfReachWords(), "\n  "))
	}
	s.writeReasons(&out)
	dead.writeTop(&out)
	for i, hint := range s.hints(dead) {
		if i == 0 {
			fmt.Fprint(&out, "\nnext\n")
		}
		fmt.Fprintf(&out, "  - %s\n", strings.Join(hint, "\n    "))
	}
	files.writeNames(&out)
	_, err := w.Write(out.Bytes())
	return err
}

func (s *Summary) title() string {
	title := "registry-gc"
	if s.DryRun {
		title += ", dry run"
	}
	if s.Shard != nil {
		title += ", " + s.Shard.String()
	}
	switch {
	case s.Interrupted:
		title += ", interrupted"
	case s.Error != "":
		title += ", stopped"
	}
	return title
}

func (s *Summary) writeFigures(out *bytes.Buffer) {
	g := &grid{right: []bool{false, true}}
	number := func(name string, n int, notes ...string) { g.row(name, strconv.Itoa(n), strings.Join(notes, ", ")) }
	number("projects", s.Projects)
	number("repositories", s.Repositories)
	number("tags", s.Tags)
	number("kept", s.Kept)
	number(string(s.shown(Deleted)), s.Deleted)
	number("undecided", s.Undecided)
	number("failed", s.Failed)
	if s.Unreadable > 0 {
		number("unreadable", s.Unreadable, "groups, projects or repositories")
	}
	if n := s.skippedTotal(); n > 0 {
		number("passed over", n, s.skippedNotes()...)
	}
	number("requests", int(s.Requests.API+s.Requests.Registry),
		fmt.Sprintf("api %d", s.Requests.API), fmt.Sprintf("registry %d", s.Requests.Registry))
	g.row("time", rounded(s.Duration), strings.Join(s.delays(), ", "))
	g.writeTo(out)
}

// shown is how an outcome is called in this run.
func (s *Summary) shown(outcome Outcome) Outcome {
	if outcome == Deleted && s.DryRun {
		return Marked
	}
	return outcome
}

// skippedTotal returns how many projects and repositories were skipped.
func (s *Summary) skippedTotal() int {
	sum := 0
	for _, n := range s.Skipped {
		sum += n
	}
	return sum
}

func (s *Summary) skippedNotes() []string {
	var notes []string
	for why, n := range s.Skipped {
		notes = append(notes, fmt.Sprintf("%s %d", shortPath(string(why)), n))
	}
	slices.Sort(notes)
	return notes
}

// delays says what the time was lost on that the instance, not the work, asked for.
func (s *Summary) delays() []string {
	var notes []string
	if s.Retries > 0 {
		notes = append(notes, fmt.Sprintf("retries %d", s.Retries))
	}
	if s.Throttled > 0 {
		notes = append(notes, "held back by the server "+rounded(s.Throttled))
	}
	return notes
}

func rounded(s Seconds) string { return time.Duration(s).Round(10 * time.Millisecond).String() }

// writeReasons prints how many tags there are of each reason, outcome by outcome, and
// within one the most frequent first.
func (s *Summary) writeReasons(out *bytes.Buffer) {
	if len(s.Reasons) == 0 {
		return
	}
	g := &grid{right: []bool{false, true}}
	for _, outcome := range []Outcome{Kept, Deleted, Undecided, Failed} {
		for _, e := range s.explained(outcome) {
			g.row(string(s.shown(outcome)), strconv.Itoa(s.Reasons[e.Reason]), string(e.Reason), e.Text)
		}
	}
	fmt.Fprint(out, "\nwhat became of the tags, and why\n")
	g.writeTo(out)
}

// explained returns the reasons of an outcome that any tag has.
func (s *Summary) explained(outcome Outcome) []Explanation {
	group := slices.DeleteFunc(Explanations(), func(e Explanation) bool {
		return e.Outcome != outcome || s.Reasons[e.Reason] == 0
	})
	slices.SortStableFunc(group, func(a, b Explanation) int {
		return cmp.Compare(s.Reasons[b.Reason], s.Reasons[a.Reason])
	})
	return group
}

// writeTop prints the repositories with most dead tags.
func (t *DeadTags) writeTop(out *bytes.Buffer) {
	if t.total.Tags == 0 {
		return
	}
	g := &grid{right: []bool{true}}
	if t.sized() {
		g = &grid{right: []bool{true, true}}
		g.row("tags", "references", "repository")
	}
	var rest Dead
	for i, repository := range t.Top(t.Repositories()) {
		if i < topRepositories {
			t.addRow(g, repository, shortPath(repository.Repository), t.Links.Repository(repository.Project, repository.id))
		} else {
			rest.merge(repository)
		}
	}
	if n := t.Repositories() - topRepositories; n > 0 {
		t.addRow(g, rest, fmt.Sprintf("in %d more", n))
	}
	fmt.Fprint(out, "\nrepositories with most dead tags\n")
	g.writeTo(out)
	if t.sized() {
		fmt.Fprint(out, "  (what these tags reference, layers that tags share counted for each of them: not\n"+
			"  what will be freed)\n")
	}
}

// sized reports whether the bytes of any dead tag are known.
func (t *DeadTags) sized() bool { return t.total.Sized > 0 }

// addRow adds a repository, with its bytes if those of any are known.
func (t *DeadTags) addRow(g *grid, d Dead, name ...string) {
	cells := []string{strconv.Itoa(d.Tags)}
	switch {
	case !t.sized():
	case d.Sized == 0:
		cells = append(cells, "unknown")
	case d.Sized < d.Tags:
		cells = append(cells, "over "+size(d.Bytes))
	default:
		cells = append(cells, size(d.Bytes))
	}
	g.row(append(cells, name...)...)
}
