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
	// patience is how long the stand-in may take to make its world.
	patience = time.Minute
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

// standin is the stand-in's process.
type standin struct {
	url    string
	cancel context.CancelFunc
	ended  chan struct{} // closed when the process is gone
	output bytes.Buffer  // to be read after that
}

// start runs the stand-in until ctx ends or it is told to stop, and returns once it
// serves.
func start(ctx context.Context, dir string, s setup) (*standin, error) {
	address := filepath.Join(dir, "address")
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	process := &standin{cancel: cancel, ended: make(chan struct{})}
	command := exec.CommandContext(ctx, filepath.Join(dir, "gitlab-standin"), s.flags(address)...)
	command.Env = bare(dir)
	command.Stderr = &process.output
	politely(command)
	if err := command.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = command.Wait() // how it ended shows in what it does, or does not
		close(process.ended)
	}()
	url, err := process.await(ctx, address)
	if err != nil {
		process.stop()
		return nil, fmt.Errorf("starting the stand-in: %w", err)
	}
	process.url = url
	return process, nil
}

// flags are those of the stand-in that serves the setup's world.
func (s setup) flags(address string) []string {
	share := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	w := s.World
	return []string{
		"--listen", "127.0.0.1:0", "--addr-file", address, "--world", "sized", "--regime", w.Regime.String(),
		"--projects", strconv.Itoa(w.Projects), "--empty-projects", strconv.Itoa(w.EmptyProjects),
		"--repositories", strconv.Itoa(w.Repositories), "--tags", strconv.Itoa(w.Tags),
		"--dead", share(w.Dead), "--attested", share(w.Attested), "--protected", share(w.Protected),
		"--latency", s.Latency.String(),
	}
}

// await returns the address once the stand-in has written it.
func (p *standin) await(ctx context.Context, file string) (string, error) {
	timeout := time.After(patience)
	for {
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-p.ended:
			return "", fmt.Errorf("it ended at once: %s", &p.output)
		case <-timeout:
			return "", fmt.Errorf("it does not listen after %v", patience)
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
