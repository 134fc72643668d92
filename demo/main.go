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
	"syscall"
	"time"
)

// timeout is how long everything after the build may take, so that a run that hangs does
// not hold up whoever waits for it. Usually it takes a second or two.
const timeout = time.Minute

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

// demonstrate runs the whole demo in a temporary folder.
func demonstrate(ctx context.Context, to *screen, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "registry-gc-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeOrKeep(to, dir, keep)) }()

	if err := build(ctx, to, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took more than %v", timeout))
	defer cancel()
	standin, err := startStandin(ctx, to, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, standin.stop()) }()
	return runTwice(ctx, to, dir, standin)
}

// removeOrKeep removes the demo's folder, unless it is to be kept, and says so: paths in it
// were on the screen, and nobody should look for reports that are gone.
func removeOrKeep(to *screen, dir string, keep bool) error {
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
	interruptOnCancel(command)
	if err := command.Run(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	return nil
}

// runTwice makes the dry run and the real one, and checks what each did to the instance.
func runTwice(ctx context.Context, to *screen, dir string, standin *standin) error {
	before, err := standin.world(ctx)
	if err != nil {
		return err
	}
	to.printf("It holds %d tags, %d of them dead.\n", len(before), len(before)-len(before.live()))
	if n := before.outOfReach(); n > 0 {
		to.printf("The runs count %d: the other %d lie where they do not look, such as archived projects.\n", len(before)-n, n)
	}

	to.heading("Dry run: decides and reports, deletes nothing")
	dry, err := runProgram(ctx, to, dir, standin.url, "dry-run", "--dry-run")
	if err != nil {
		return err
	}
	dry.writeTags(to)
	if err := standin.checkUntouched(ctx, before); err != nil {
		return err
	}
	to.printf("\nThe stand-in was sent no request that changes anything.\n")

	to.heading("The real run")
	run, err := runProgram(ctx, to, dir, standin.url, "run")
	if err != nil {
		return err
	}

	to.heading("What is left, and why it stays")
	table, err := standin.get(ctx, "/-/standin/world")
	if err != nil {
		return err
	}
	to.printf("The last column has the reasons that the summary explains above, as the stand-in knows them itself.\n" +
		"out-of-reach is what no run looks at: an archived project, one without a registry, a repository\n" +
		"that GitLab is deleting.\n\n")
	writeWorld(to, table)
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
