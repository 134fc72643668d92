package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// programs are what the demo has built.
type programs struct {
	dir     string // where they are
	reports string // the folder of the reports, of each command in one of its name
	url     string // of the stand-in
}

// run runs a command of registry-gc and reads its reports.
func (p *programs) run(ctx context.Context, to *screen, command string, args ...string) (*reports, error) {
	if err := p.execute(ctx, to, command, args...); err != nil {
		return nil, err
	}
	return readReports(filepath.Join(p.reports, command))
}

// execute runs a command of registry-gc.
func (p *programs) execute(ctx context.Context, to *screen, command string, args ...string) error {
	variables := []string{
		"GITLAB_URL=" + p.url,
		"GITLAB_TOKEN=glpat-standin", // the stand-in's default, which is no secret
		"VERIFY=registry",
		"RATE_LIMIT=0", // nobody else uses the stand-in
		"LOG_FORMAT=text", "LOG_LEVEL=warn",
		"REPORT_DIR=" + filepath.Join(p.reports, command),
	}
	args = append([]string{command}, args...)
	to.command(variables, "registry-gc", args...)
	program := exec.CommandContext(ctx, filepath.Join(p.dir, "registry-gc"), args...)
	program.Args[0] = "registry-gc" // as it is shown: the commands that it prints are to be read
	// Nothing else of the environment: whoever tries the demo may have a real
	// GitLab's address and token in theirs.
	program.Env = slices.Concat(variables, []string{"TMPDIR=" + p.dir})
	program.Stdout, program.Stderr = to, os.Stderr
	interruptOnCancel(program)
	err := program.Run()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("registry-gc %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// reports are the figures of summary.json and the lines of decisions.jsonl that the demo
// shows. It has the names of their fields for itself and does not take them from the
// program, so that a renamed field shows up here.
type reports struct {
	Tags      int      `json:"tags"`
	Deleted   int      `json:"deleted"`
	Journals  []string `json:"journals"`
	folder    string
	decisions []decision
}

// file returns a file among the reports.
func (r *reports) file(name string) string { return filepath.Join(r.folder, name) }

// decision is one line of decisions.jsonl.
type decision struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Reason     string `json:"reason"`
}

// name is the tag's, as explain takes it.
func (d decision) name() string { return d.Repository + ":" + d.Tag }

// readReports reads both files.
func readReports(dir string) (*reports, error) {
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		return nil, err
	}
	r := &reports{folder: dir}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("reading the summary: %w", err)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "decisions.jsonl")); err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var d decision
		err := lines.Decode(&d)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the decisions: %w", err)
		}
		r.decisions = append(r.decisions, d)
	}
}

// longestTag is how many characters of a tag's name the demo shows.
const longestTag = 24

// The stand-in says how a tag was pushed, and the program what its manifest is.
var programKinds = map[string]string{
	"docker-image": "image", "docker-list": "multi-arch", "cache-list": "cache-index", "manifest-missing": "missing-manifest",
}

// writeWorld prints the stand-in's table in the program's words, with long names of tags cut short, so
// that lines stay as long as a terminal is wide. Where no rule deletes an image for several platforms the
// program has a word of its own for it.
func writeWorld(w io.Writer, table string) {
	lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "REPOSITORY\tTAG\tKIND\tWHY IT STAYS")
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		fields := strings.Fields(row)
		if len(fields) < 4 {
			continue
		}
		repository, tag, kind, why := fields[0], fields[1], fields[2], strings.Join(fields[3:], " ")
		if len(tag) > longestTag {
			tag = tag[:longestTag-1] + "…"
		}
		kind = cmp.Or(programKinds[kind], kind)
		if why = strings.TrimPrefix(why, "stays: "); kind == "multi-arch" && why == "no-rule" {
			why = kind
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\t%s\n", repository, tag, kind, why)
	}
	lines.Flush()
}

// writeTags prints every tag that is not kept, by repository.
func (r *reports) writeTags(w io.Writer) {
	tags := make(map[string][]string)
	for _, d := range r.decisions {
		tags[d.Repository] = append(tags[d.Repository], d.Tag+"\t"+d.Reason)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\nThe tags that it would delete:\n")
	for _, repository := range slices.Sorted(maps.Keys(tags)) {
		slices.Sort(tags[repository])
		for _, tag := range tags[repository] {
			fmt.Fprintf(table, "  %s\t%s\n", repository, tag)
		}
	}
	table.Flush()
}
