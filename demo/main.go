// Demo shows the whole job on this machine: it builds registry-gc and a stand-in for
// GitLab, starts the stand-in on a free port of the loopback interface, makes a plan, explains a
// tag of it, applies it, holds what is left against what had to stay, and brings back what was deleted.
//
//	go run ./demo [-reports DIR]
//
// It is run from the root of the module and needs nothing but Go. Whatever it started
// is gone when it ends, however it ends. The reports of its runs stay in DIR, bin/demo otherwise, in folders
// named after commands. It removes those of an earlier demo when it begins, and nothing else in DIR.
//
// Exit codes: 0 all was as it had to be, 1 something was not, 2 bad usage, 130 it was
// interrupted, 141 nobody reads on, as in make demo | head.
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
	reports := flag.String("reports", filepath.Join("bin", "demo"), "the `folder` of the reports; plan, explain, apply and undo in it are replaced")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "demo: it takes no argument but -reports")
		os.Exit(2)
	}
	os.Exit(run(*reports))
}

// run runs the demo and returns its exit code.
func run(reports string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The signal would end the demo where it stands, and leave behind what it has started: a
	// write that nobody reads is an error instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := newScreen(os.Stdout)
	to.unread = func() { cancel(errUnread) }
	err := demonstrate(ctx, to, reports)
	switch {
	case errors.Is(context.Cause(ctx), errUnread):
		return 141
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; everything it started has ended")
		return 130
	case err != nil:
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		return 1
	}
	return 0
}

// errUnread says that nobody reads what the demo shows.
var errUnread = errors.New("nobody reads on")

// demonstrate runs the whole demo, with its programs in a temporary folder.
func demonstrate(ctx context.Context, to *screen, reports string) (err error) {
	dir, err := os.MkdirTemp("", "registry-gc-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := removeReports(reports); err != nil {
		return err
	}

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
	if err := planApplyUndo(ctx, to, &programs{dir, reports, standin.url}, standin); err != nil {
		return err
	}
	to.printf("\nThe plan's report, for a browser: %s\n", filepath.Join(reports, "plan", "report.html"))
	return nil
}

// removeReports removes what an earlier demo has left in the folder of its reports. What else is in it may be
// anybody's.
func removeReports(folder string) error {
	for _, command := range []string{"plan", "explain", "apply", "undo"} {
		if err := os.RemoveAll(filepath.Join(folder, command)); err != nil {
			return err
		}
	}
	return nil
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
func planApplyUndo(ctx context.Context, to *screen, programs *programs, standin *standin) error {
	before, err := standin.world(ctx)
	if err != nil {
		return err
	}
	to.printf("It holds %d tags, %d of them dead.\n", len(before), len(before)-len(before.live()))
	if n := before.outOfReach(); n > 0 {
		to.printf("A plan counts %d: the other %d lie where it does not look, such as archived projects.\n", len(before)-n, n)
	}

	to.heading("A plan: says what would be deleted, and changes nothing")
	planned, err := programs.run(ctx, to, "plan")
	if err != nil {
		return err
	}
	planned.writeTags(to)

	to.heading("Why is a tag deleted? What is known of it, and what each rule makes of it")
	if len(planned.decisions) == 0 {
		return errors.New("the plan has no tags")
	}
	if err := programs.execute(ctx, to, "explain", planned.decisions[0].name()); err != nil {
		return err
	}
	if err := standin.checkUntouched(ctx, before); err != nil {
		return err
	}
	to.printf("\nThe stand-in was sent no request that changes anything.\n")

	to.heading("The plan is applied: what is in it is deleted, and nothing else")
	applied, err := programs.run(ctx, to, "apply", planned.file("plan.jsonl"))
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
	if err := programs.execute(ctx, to, "undo", applied.Journals...); err != nil {
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
