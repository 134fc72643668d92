package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

const (
	module = "gitlab.com/registry-gc/registry-gc"
	// token is the stand-in's default, which is no secret.
	token = gitlabtest.DefaultToken
	// startTimeout is how long the stand-in may take to make its world.
	startTimeout = time.Minute
)

// build makes the programs the way a release is made, or, from what `go test -race` has
// compiled already, with the race detector.
func build(ctx context.Context, dir string, race bool) error {
	flags, cgo := []string{"-trimpath", "-ldflags", "-s -w"}, "CGO_ENABLED=0"
	if race {
		flags, cgo = []string{"-race"}, "CGO_ENABLED=1"
	}
	args := slices.Concat([]string{"build", "-o", dir + string(filepath.Separator)}, flags,
		[]string{module + "/cmd/registry-gc", module + "/cmd/gitlab-standin", module + "/bench"})
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = append(os.Environ(), cgo)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	return nil
}

// newCommand prepares one of the programs. Its environment has nothing of the user's, who
// may have a real GitLab's address and token in theirs. Built with the race detector, a program
// would sleep for a second whenever it ends.
func newCommand(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(dir, program), args...)
	command.Env = []string{"TMPDIR=" + dir, "GORACE=atexit_sleep_ms=50"}
	interruptOnCancel(command)
	return command
}

// interruptOnCancel makes the end of a command's context an interrupt, and a kill only if
// that does not help.
func interruptOnCancel(command *exec.Cmd) {
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
}

// walkCommand is the command that walks an instance by a setup; its reports go to a folder.
func (s setup) walkCommand(ctx context.Context, dir, url, reports string) *exec.Cmd {
	if s.Sequential {
		return newCommand(ctx, dir, "bench", "-sequential", url, "-regime", s.World.Regime.String())
	}
	command := newCommand(ctx, dir, "registry-gc")
	command.Env = append(command.Env,
		"GITLAB_URL="+url, "GITLAB_TOKEN="+token, "VERIFY="+s.Verify,
		"CONCURRENCY="+strconv.Itoa(concurrency), "RATE_LIMIT="+strconv.Itoa(s.RateLimit),
		"LOG_LEVEL=warn", "REPORT_DIR="+reports)
	if s.Rules != "" {
		command.Env = append(command.Env, "RULES="+s.Rules)
	}
	if s.DeleteKinds != "" {
		command.Env = append(command.Env, "DELETE_KINDS="+s.DeleteKinds)
	}
	return command
}

// standin is the stand-in's process.
type standin struct {
	url    string
	cancel context.CancelFunc
	ended  chan struct{} // closed when the process is gone
	output bytes.Buffer  // to be read after that
}

// startStandin serves the setup's instance until ctx ends or stop is called. It returns
// once the stand-in listens.
func startStandin(ctx context.Context, dir string, s setup) (*standin, error) {
	address := filepath.Join(dir, "address")
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	share := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	w := s.World
	ctx, cancel := context.WithCancel(ctx)
	command := newCommand(ctx, dir, "gitlab-standin",
		"--listen", "127.0.0.1:0", "--addr-file", address, "--world", "even", "--regime", w.Regime.String(),
		"--projects", strconv.Itoa(w.Projects), "--empty-projects", strconv.Itoa(w.EmptyProjects),
		"--repositories", strconv.Itoa(w.Repositories), "--tags", strconv.Itoa(w.Tags),
		"--dead", share(w.Dead), "--attested", share(w.Attested), "--protected", share(w.Protected),
		"--latency", s.Latency.String())
	process := &standin{cancel: cancel, ended: make(chan struct{})}
	command.Stderr = &process.output
	if err := command.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = command.Wait() // how it ended shows in what it does, or does not
		close(process.ended)
	}()
	if err := process.awaitURL(ctx, address); err != nil {
		process.stop()
		return nil, fmt.Errorf("starting the stand-in: %w", err)
	}
	return process, nil
}

// awaitURL waits until the stand-in has written its address to the file.
func (p *standin) awaitURL(ctx context.Context, file string) error {
	timeout := time.After(startTimeout)
	for {
		if text, err := os.ReadFile(file); err == nil {
			p.url = strings.TrimSpace(string(text))
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ended:
			return fmt.Errorf("it ended at once: %s", &p.output)
		case <-timeout:
			return fmt.Errorf("it does not listen after %v", startTimeout)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop ends the stand-in and returns when it is gone.
func (p *standin) stop() {
	p.cancel()
	<-p.ended
}

// stats asks what the stand-in has counted.
func (p *standin) stats(ctx context.Context) (gitlabtest.Stats, error) {
	var stats gitlabtest.Stats
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/-/standin/stats", nil)
	if err != nil {
		return stats, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return stats, fmt.Errorf("asking the stand-in: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		return stats, fmt.Errorf("reading the stand-in's figures: %w", err)
	}
	return stats, nil
}
