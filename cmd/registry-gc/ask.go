package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// An asker asks people on a terminal.
type asker struct {
	in  *os.File
	out io.Writer
}

// asker returns who is asked before anything is deleted: nobody where nothing is going to be, and where
// there is no terminal to ask on.
func (j *job) asker(stdin io.Reader, stderr io.Writer) *asker {
	in, readable := stdin.(*os.File)
	out, writable := stderr.(*os.File)
	if j.config.DryRun || !readable || !writable || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return &asker{in, out}
}

// runAsking plans, shows what would be deleted and asks; then it applies that plan, and nothing else. The
// plan is in the folder of the reports, or gone at the end.
func (j *job) runAsking(ctx context.Context, asker *asker) int {
	config := *j.config
	config.DryRun = true
	planning := *j
	planning.config, planning.asks = &config, true
	if planning.planPath() == "" {
		dir, err := os.MkdirTemp("", "registry-gc-*")
		if err != nil {
			j.log.Error("the plan cannot be written: " + err.Error())
			return exitError
		}
		defer os.RemoveAll(dir)
		planning.output = filepath.Join(dir, planFileName)
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
		return code
	}
	switch yes, err := asker.ask(ctx, j.question(p, time.Now())); {
	case ctx.Err() != nil:
		return exitCode(context.Cause(ctx), j.summary())
	case err != nil || !yes:
		fmt.Fprintln(asker.out, "Nothing was deleted.")
		return code
	}
	j.plan, j.applied = p, planning.output
	return j.run(ctx)
}

// question is what is asked before a plan is applied.
func (j *job) question(p *plan.Plan, now time.Time) string {
	projects := make(map[int64]bool)
	for _, e := range p.Entries {
		projects[e.ProjectID] = true
	}
	host := j.config.GitLabURL
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	until := "until the next registry-garbage-collect -m"
	if p.Header.Regime == registry.Database.String() {
		until = "until about " + now.Add(24*time.Hour).Format("2 Jan, 15:04")
	}
	return fmt.Sprintf("Delete %s in %s of %s?\nThis can be undone %s. [y/N] ",
		counted(len(p.Entries), "tag"), counted(len(projects), "project"), host, until)
}

// counted writes how many things there are.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// errNoAnswer says that the terminal has ended without an answer.
var errNoAnswer = errors.New("there was no answer")

// ask asks a question until it is answered by yes or no; nothing is no, and so is the end of a context.
func (a *asker) ask(ctx context.Context, question string) (yes bool, err error) {
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
