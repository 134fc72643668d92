// Bench measures the whole program beside the sequential algorithm that it replaces. It
// builds registry-gc and the stand-in for GitLab and runs each as a process of its own, so
// that time, processor time and memory are the program's alone, and the requests are those
// that a server has counted.
//
//	go run ./bench [-quick] [-run REGEXP] [-out FOLDER]
//
// It is run from the root of the module and speaks to the loopback interface only. It holds
// each number that the program has to reach against its target, and shows how requests,
// time, processor time and memory grow with the tags. A run of everything writes tables,
// JSON and charts into FOLDER; with -quick or -run nothing is written unless FOLDER is
// named.
//
// Exit codes: 0 all was measured, 1 something went wrong. That a target was missed shows
// in the table; it is no error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

// config is what the command line says.
type config struct {
	quick      bool
	only       *regexp.Regexp
	out        string
	sequential string // the URL, when this process is the sequential algorithm
	regime     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	c, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	if c.sequential != "" {
		return runSequential(ctx, c.sequential, c.regime, os.Stdout)
	}
	return measureAll(ctx, c)
}

// parse reads the command line.
func parse(args []string, output io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&c.quick, "quick", false, "use instances of a hundredth of the size, to see that everything works")
	only := flags.String("run", "", "measure only rows whose name matches this `regexp`, or growth: the names are in the last column")
	flags.StringVar(&c.out, "out", "", "`folder` to write results to (a run of everything: bench/results)")
	flags.StringVar(&c.sequential, "sequential", "", "be the sequential algorithm and walk the instance at this `URL`")
	flags.StringVar(&c.regime, "regime", "database", "of that instance: legacy or database")
	flags.SetOutput(output)
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if c.only, err = regexp.Compile(*only); err != nil {
		return c, fmt.Errorf("-run: %w", err)
	}
	if c.out == "" && !c.quick && *only == "" {
		c.out = "bench/results"
	}
	return c, nil
}

// command is how to make the same measurements again.
func (c config) command() string {
	only := c.only.String()
	if !c.quick && only == "" {
		return "make bench"
	}
	command := "go run ./bench"
	if c.quick {
		command += " -quick"
	}
	if only != "" {
		command += " -run '" + only + "'"
	}
	return command
}

// measureAll measures what is asked for, prints it, and writes it down.
func measureAll(ctx context.Context, c config) (err error) {
	dir, err := os.MkdirTemp("", "registry-gc-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir, false); err != nil {
		return err
	}
	b := newBench(dir, os.Stderr)
	if c.quick {
		b.divisor = 100
	}
	results := results{Machine: thisMachine(ctx), Command: c.command()}
	if results.Targets, err = b.targets(ctx, c.only); err != nil {
		return err
	}
	if c.only.MatchString(growthName) {
		if results.Growth, err = b.growth(ctx); err != nil {
			return err
		}
	}
	if err := results.print(os.Stdout); err != nil || c.out == "" {
		return err
	}
	if err := results.write(c.out); err != nil || len(results.Growth) == 0 {
		return err
	}
	return drawCharts(ctx, c.out)
}

// drawCharts draws the charts of results that are written. What draws is a module of its
// own and no import: the library that it needs is nothing for the program's go.mod.
func drawCharts(ctx context.Context, folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "run", "-C", "bench/chart", ".", folder)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	interruptOnCancel(command)
	if err := command.Run(); err != nil {
		return fmt.Errorf("drawing the charts; the figures are written: %w", err)
	}
	return nil
}
