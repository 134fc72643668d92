// Demo shows the whole job on this machine: it builds registry-gc and a stand-in for
// GitLab, starts the stand-in on a free port of the loopback interface, makes a dry run
// and then the real one, and holds what is left against what had to stay.
//
//	go run ./demo [-keep]
//
// It is run from the root of the module and needs nothing but Go. Whatever it started
// is gone when it ends, however it ends, and so is what it wrote: -keep leaves the
// programs and the runs' reports, and says where.
//
// Exit codes: 0 all was as it had to be, 1 something was not, 2 bad usage, 130 it was
// interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// enough is how long everything after the build may take. It takes a second or two;
// the bound keeps a run that hangs from holding up whoever waits for it.
const enough = time.Minute

func main() {
	keep := flag.Bool("keep", false, "keep the programs and the runs' reports")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "demo: it takes no argument but -keep")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := demonstrate(ctx, newScreen(os.Stdout), *keep)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; everything it started has ended")
		os.Exit(130)
	case err != nil:
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

// demonstrate plays the whole demo in a temporary folder.
func demonstrate(ctx context.Context, to *screen, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "registry-gc-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave(to, dir, keep)) }()

	if err := build(ctx, to, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, enough, fmt.Errorf("it took more than %v", enough))
	defer cancel()
	standin, err := startStandin(ctx, to, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, standin.stop()) }()
	return play(ctx, to, dir, standin)
}

// leave removes the demo's folder, or says where it is kept. Paths were on the screen:
// nobody should look for reports that are gone.
func leave(to *screen, dir string, keep bool) error {
	if keep {
		to.printf("Kept: %s, with the reports of both runs in dry-run and run.\n", dir)
		return nil
	}
	to.printf("%s is removed, with the reports of both runs; `go run ./demo -keep` keeps it.\n", dir)
	return os.RemoveAll(dir)
}

// build makes both programs the way a release is made.
func build(ctx context.Context, to *screen, dir string) error {
	to.heading("Build registry-gc and a stand-in for GitLab")
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator), "./cmd/registry-gc", "./cmd/gitlab-standin"}
	to.command([]string{"CGO_ENABLED=0"}, "go", args...)
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stdout, command.Stderr = to, os.Stderr
	politely(command)
	if err := command.Run(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	return nil
}

// play makes both runs and checks what each did to the instance.
func play(ctx context.Context, to *screen, dir string, standin *standin) error {
	before, err := standin.world(ctx)
	if err != nil {
		return err
	}
	to.printf("It holds %d tags, %d of them dead.\n", len(before), len(before)-len(before.alive()))
	if n := before.outOfReach(); n > 0 {
		to.printf("The runs count %d: the other %d lie where they do not look, such as archived projects.\n", len(before)-n, n)
	}

	to.heading("Dry run: decides and reports, deletes nothing")
	dry, err := standin.clean(ctx, to, dir, "dry-run", "--dry-run")
	if err != nil {
		return err
	}
	dry.writeTags(to)
	if err := standin.checkUntouched(ctx, before); err != nil {
		return err
	}
	to.printf("\nThe stand-in was sent no request that changes anything.\n")

	to.heading("The real run")
	run, err := standin.clean(ctx, to, dir, "run")
	if err != nil {
		return err
	}

	to.heading("What is left, and why it stays")
	table, err := standin.get(ctx, "/-/standin/world")
	if err != nil {
		return err
	}
	to.printf("%s", table)
	after := parseWorld(table)
	if err := checkLeft(before, after); err != nil {
		return err
	}
	if counted := len(before) - before.outOfReach(); dry.Tags != counted || run.Tags != counted {
		return fmt.Errorf("%d tags can be reached, but the dry run counted %d and the run %d", counted, dry.Tags, run.Tags)
	}
	if gone := len(before) - len(after); dry.Deleted != gone || run.Deleted != gone {
		return fmt.Errorf("%d tags are gone, but the dry run marked %d and the run says that it deleted %d", gone, dry.Deleted, run.Deleted)
	}
	to.printf("\nAll %d dead tags are gone, all %d others are there.\n", run.Deleted, len(after))
	return nil
}

// startStandin starts the stand-in on a port that the system picks.
func startStandin(ctx context.Context, to *screen, dir string) (*standin, error) {
	to.heading("Start the stand-in")
	file := filepath.Join(dir, "address")
	args := []string{"--listen", "127.0.0.1:0", "--addr-file", file}
	to.command(nil, "gitlab-standin", args...)
	s, err := start(ctx, file, filepath.Join(dir, "gitlab-standin"), args...)
	if err != nil {
		return nil, fmt.Errorf("starting the stand-in: %w", err)
	}
	to.printf("It serves %s, to this machine only.\n", s.url)
	return s, nil
}

// clean makes one run of registry-gc and reads its reports.
func (s *standin) clean(ctx context.Context, to *screen, dir, name string, args ...string) (*reports, error) {
	folder := filepath.Join(dir, name)
	variables := []string{
		"GITLAB_URL=" + s.url,
		"GITLAB_TOKEN=glpat-standin", // the stand-in's default, which is no secret
		"VERIFY=registry",
		"RATE_LIMIT=0", // nobody else uses the stand-in
		"LOG_LEVEL=warn",
		"REPORT_DIR=" + folder,
	}
	to.command(variables, "registry-gc", args...)
	command := exec.CommandContext(ctx, filepath.Join(dir, "registry-gc"), args...)
	// Nothing else of the environment: whoever tries the demo may have a real
	// GitLab's address and token in theirs.
	command.Env = slices.Concat(variables, []string{"TMPDIR=" + dir})
	command.Stdout, command.Stderr = to, os.Stderr
	politely(command)
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("registry-gc %s: %w", strings.Join(args, " "), err)
	}
	return readReports(folder)
}
