// Command gitlab-standin serves a GitLab in memory on loopback, for the demo,
// the benchmarks and for trying registry-gc out.
//
//	gitlab-standin [--listen 127.0.0.1:8929] [--world demo|random|even] [...]
//
// Besides the API, in REST and GraphQL, and the registry it serves two pages of
// its own, which need no token: /-/standin/world lists the tags that are left with
// the truth about each, and /-/standin/stats says as JSON what was asked. It ends
// on SIGINT and SIGTERM.
//
// Exit codes: 0 it was told to end, 1 it could not serve, 2 bad usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode prints an error and returns what to exit with.
func exitCode(err error, stderr io.Writer) int {
	var bad usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &bad):
		_, _ = fmt.Fprintln(stderr, "gitlab-standin:", err)
		return 2
	default:
		_, _ = fmt.Fprintln(stderr, "gitlab-standin:", err)
		return 1
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	config, err := parse(args, stdout)
	if err != nil {
		return err
	}
	return serve(ctx, config, stderr)
}
