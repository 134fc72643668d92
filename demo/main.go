// Demo shows the whole job on this machine: it builds registry-gc and a stand-in for
// GitLab, starts the stand-in on a free port of the loopback interface, makes a plan, applies
// it, holds what is left against what had to stay, and brings back what was deleted.
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
	keep := flag.Bool("keep", false, "keep the programs and the reports")
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
	return planApplyUndo(ctx, to, dir, standin)
}

// removeOrKeep removes the demo's folder, unless it is to be kept, and says so: paths in it
// were on the screen, and nobody should look for reports that are gone.
func removeOrKeep(to *screen, dir string, keep bool) error {
	if keep {
		to.printf("Kept: %s, with the reports in plan and apply.\n", dir)
		return nil
	}
	to.printf("%s is removed, with its reports; `go run ./demo -keep` keeps it.\n", dir)
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

// planApplyUndo makes a plan, applies it and takes that back, and checks what each did to the instance.
func planApplyUndo(ctx context.Context, to *screen, dir string, standin *standin) error {
	before, err := standin.world(ctx)
	if err != nil {
		return err
	}
	to.printf("It holds %d tags, %d of them dead.\n", len(before), len(before)-len(before.live()))
	if n := before.outOfReach(); n > 0 {
		to.printf("A plan counts %d: the other %d lie where it does not look, such as archived projects.\n", len(before)-n, n)
	}

	to.heading("A plan: says what would be deleted, and changes nothing")
	planned, err := runProgram(ctx, to, dir, standin.url, "plan")
	if err != nil {
		return err
	}
	planned.writeTags(to)
	if err := standin.checkUntouched(ctx, before); err != nil {
		return err
	}
	to.printf("\nThe stand-in was sent no request that changes anything.\n")

	to.heading("The plan is applied: what is in it is deleted, and nothing else")
	applied, err := runProgram(ctx, to, dir, standin.url, "apply", planned.file("plan.jsonl"))
	if err != nil {
		return err
	}

	to.heading("What is left, and why it stays")
	after, err := showLeft(ctx, to, standin)
	if err != nil {
		return err
	}
	if err := checkLeft(before, after); err != nil {
		return err
	}
	if counted := len(before) - before.outOfReach(); planned.Tags != counted {
		return fmt.Errorf("%d tags can be reached, but the plan counted %d", counted, planned.Tags)
	}
	if gone := len(before) - len(after); planned.Deleted != gone || applied.Deleted != gone {
		return fmt.Errorf("%d tags are gone, but the plan has %d and %d count as deleted", gone, planned.Deleted, applied.Deleted)
	}
	to.printf("\nAll %d dead tags are gone, all %d others are there.\n", applied.Deleted, len(after))

	to.heading("Undo: what was deleted comes back, as long as the registry has it")
	if err := undo(ctx, to, dir, standin.url, applied); err != nil {
		return err
	}
	again, err := standin.world(ctx)
	if err != nil {
		return err
	}
	if err := checkSame(before.withManifests(), again); err != nil {
		return fmt.Errorf("not all came back: %w", err)
	}
	to.printf("\n%d of them are back; %d pointed to nothing.\n", len(again)-len(after), len(before)-len(again))
	return nil
}

// showLeft prints the tags that are left, and why.
func showLeft(ctx context.Context, to *screen, standin *standin) (world, error) {
	table, err := standin.get(ctx, "/-/standin/world")
	if err != nil {
		return nil, err
	}
	to.printf("The last column has the reasons that the summary explains above, as the stand-in knows them itself.\n" +
		"out-of-reach is what no run looks at: an archived project, one without a registry, a repository\n" +
		"that GitLab is deleting.\n\n")
	writeWorld(to, table)
	return parseWorld(table), nil
}
