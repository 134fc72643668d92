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
	"strconv"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// patience is how long the stand-in may take to make its world.
const patience = time.Minute

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
		"--listen", "127.0.0.1:0", "--addr-file", address, "--world", "even", "--regime", w.Regime.String(),
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
