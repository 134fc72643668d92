package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const (
	module = "gitlab.com/registry-gc/registry-gc"
	// token is the stand-in's default, which is no secret.
	token = gitlabtest.DefaultToken
)

// build makes the programs the way a release is made, or, from what `go test -race` has
// compiled already, with the race detector.
func build(ctx context.Context, dir string, race bool) error {
	how, cgo := []string{"-trimpath", "-ldflags", "-s -w"}, "CGO_ENABLED=0"
	if race {
		how, cgo = []string{"-race"}, "CGO_ENABLED=1"
	}
	args := slices.Concat([]string{"build", "-o", dir + string(filepath.Separator)}, how,
		[]string{module + "/cmd/registry-gc", module + "/cmd/gitlab-standin", module + "/bench"})
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = append(os.Environ(), cgo)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	return nil
}

// walker is the command that walks an instance by a setup; its reports go to a folder.
func (s setup) walker(ctx context.Context, dir, url, reports string) *exec.Cmd {
	if s.Sequential {
		command := exec.CommandContext(ctx, filepath.Join(dir, "bench"), "-sequential", url, "-regime", s.World.Regime.String())
		command.Env = bare(dir)
		politely(command)
		return command
	}
	command := exec.CommandContext(ctx, filepath.Join(dir, "registry-gc"))
	command.Env = append(bare(dir),
		"GITLAB_URL="+url, "GITLAB_TOKEN="+token, "VERIFY="+s.Verify,
		"CONCURRENCY="+strconv.Itoa(inFlight), "RATE_LIMIT="+strconv.Itoa(s.RateLimit),
		"LOG_LEVEL=warn", "REPORT_DIR="+reports)
	politely(command)
	return command
}

// bare is an environment that has nothing of the user's, who may have a real GitLab's
// address and token in theirs.
func bare(dir string) []string { return []string{"TMPDIR=" + dir} }

// politely makes the end of a command's context an interrupt, and a kill only if that
// does not help.
func politely(command *exec.Cmd) {
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
}
