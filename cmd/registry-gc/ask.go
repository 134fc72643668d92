package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// An asker asks people on a terminal.
type asker struct{ in, out *os.File }

// errNobodyToAsk says that the program is on a terminal on which nobody can be asked.
var errNobodyToAsk = errors.New("cannot ask on this terminal whether to delete: --yes deletes without asking, and registry-gc plan shows what would be deleted")

// newAsker returns who is asked before anything is deleted: whoever sits at the terminal, if any of the
// program's streams is on one. It is nil where none is.
func newAsker(streams ...any) (*asker, error) {
	onTerminal := false
	for _, stream := range streams {
		file, ok := stream.(*os.File)
		onTerminal = onTerminal || ok && term.IsTerminal(int(file.Fd()))
	}
	if !onTerminal {
		return nil, nil
	}
	// Not standard input, which may be a list of images in use, and not standard error, which may
	// be a file.
	keyboard, display := "/dev/tty", "/dev/tty"
	if runtime.GOOS == "windows" {
		keyboard, display = "CONIN$", "CONOUT$"
	}
	in, err := os.Open(keyboard)
	if err != nil {
		return nil, errNobodyToAsk
	}
	out, err := os.OpenFile(display, os.O_WRONLY, 0)
	if err != nil {
		_ = in.Close()
		return nil, errNobodyToAsk
	}
	return &asker{in, out}, nil
}

func (a *asker) close() { _ = errors.Join(a.in.Close(), a.out.Close()) }

// newFor is how long after its making a plan is new, answer and all.
const newFor = 10 * time.Minute

// runAsking plans, shows what would be deleted and asks; then it applies that plan, and nothing else. The
// plan is in the folder of the reports, or gone at the end.
func (j *job) runAsking(ctx context.Context, asker *asker) int {
	config := *j.config
	config.DryRun = true
	planned := time.Now()
	planning := *j
	planning.config, planning.asks = &config, true
	if planning.json { // for who is asked; what standard output gets is one document
		planning.json, planning.stdout = false, asker.out
	}
	if planning.output = ""; planning.planPath() == "" {
		dir, err := os.MkdirTemp("", "registry-gc-*")
		if err != nil {
			j.log.Error("the plan cannot be written: " + err.Error())
			return exitError
		}
		defer os.RemoveAll(dir)
		planning.output, planning.passing = filepath.Join(dir, planFileName), true
	}
	code := planning.run(ctx)
	if code != exitDone && code != exitIncomplete {
		return code
	}
	p, err := readPlan(planning.planPath(), j.config.instance())
	if err != nil {
		j.log.Error(err.Error())
		return exitError
	}
	if len(p.Entries) == 0 {
		fmt.Fprintln(asker.out, "There is nothing to delete.")
		return j.endAsked(ctx, &planning, code)
	}
	switch yes, err := asker.ask(ctx, j.question(p, time.Now())); {
	case ctx.Err() != nil:
		return exitCode(context.Cause(ctx), j.summary())
	case err != nil || !yes:
		fmt.Fprintln(asker.out, "Nothing was deleted.")
		return j.endAsked(ctx, &planning, code)
	}
	if j.plan == nil { // of a plan that was given, this is what is left
		j.planIsNew = time.Since(planned) < newFor
		if planning.output == "" {
			j.applied = planning.planPath()
		}
	}
	j.plan = p
	if applied := j.run(ctx); applied != exitDone {
		return applied
	}
	return code // what could not be read when the plan was made still was not
}

// endAsked ends a run that deletes nothing after a question: programs get the summary of the plan.
func (j *job) endAsked(ctx context.Context, planning *job, code int) int {
	if !j.json {
		return code
	}
	stdout := newOutlet(j.stdout)
	defer stdout.close()
	summary := j.redactor.Writer(stdout)
	if err := errors.Join(writeJSON(summary, planning.ended), summary.Flush(), stdout.flush(ctx, 0)); err != nil {
		j.log.Error(err.Error())
		return exitError
	}
	return code
}

// question is what is asked before a plan is applied.
func (j *job) question(p *plan.Plan, now time.Time) string {
	projects, pull := make(map[int64]bool), 0
	for _, e := range p.Entries {
		projects[e.ProjectID] = true
		if report.IsImage(e.Kind) {
			pull++
		}
	}
	host := j.config.GitLabURL
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	until := "until the next registry-garbage-collect -m"
	if p.Header.Regime == registry.Database.String() {
		until = "until about " + now.Add(24*time.Hour).Format("2 Jan, 15:04")
	}
	images := ""
	if pull > 0 {
		images = fmt.Sprintf(" %d of them can still be pulled.", pull)
	}
	return fmt.Sprintf("Delete %s in %s of %s?%s\nThis can be undone %s. [y/N] ",
		plural(len(p.Entries), "tag"), plural(len(projects), "project"), host, images, until)
}

// errNoAnswer says that the terminal has ended without an answer.
var errNoAnswer = errors.New("there was no answer")

// ask asks a question until it is answered; anything but yes is no, and so is the end of a context. What was
// typed before the question could be read answers nothing.
func (a *asker) ask(ctx context.Context, question string) (yes bool, err error) {
	discardTyped(a.in)
	fmt.Fprint(a.out, "\n"+question)
	answers := make(chan string, 1)
	go func() { // which ends with the program where nobody answers
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil {
			line = ""
		}
		answers <- line
	}()
	select {
	case line := <-answers:
		if line == "" {
			fmt.Fprintln(a.out)
			return false, errNoAnswer
		}
		answer := strings.ToLower(strings.TrimSpace(line))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(a.out)
		return false, context.Cause(ctx)
	}
}
