package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// startTimeout is how long the stand-in may take until it listens.
	startTimeout = 10 * time.Second
	// stopTimeout is how long a program may take to end after it was asked to.
	stopTimeout = 10 * time.Second
)

// standin is the stand-in's process.
type standin struct {
	url    string
	cancel context.CancelFunc
	ended  chan struct{} // closed when the process is gone
	output bytes.Buffer  // to be read after that
}

// startStandin starts the stand-in on a port that the system picks, and waits until it has
// written its address to a file. It runs until ctx ends or stop is called.
func startStandin(ctx context.Context, to *screen, dir string) (*standin, error) {
	to.heading("Start the stand-in")
	file := filepath.Join(dir, "address")
	args := []string{"--listen", "127.0.0.1:0", "--addr-file", file}
	to.command(nil, "gitlab-standin", args...)
	ctx, cancel := context.WithCancel(ctx)
	s := &standin{cancel: cancel, ended: make(chan struct{})}
	command := exec.CommandContext(ctx, filepath.Join(dir, "gitlab-standin"), args...)
	command.Stderr = &s.output
	interruptOnCancel(command)
	if err := command.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting the stand-in: %w", err)
	}
	go func() {
		_ = command.Wait() // how it ended shows in what it does, or does not
		close(s.ended)
	}()
	if err := s.awaitURL(ctx, file); err != nil {
		return nil, fmt.Errorf("starting the stand-in: %w", errors.Join(err, s.stop()))
	}
	to.printf("It serves %s, to this machine only.\n", s.url)
	return s, nil
}

// awaitURL waits until the stand-in has written its address to the file.
func (s *standin) awaitURL(ctx context.Context, file string) error {
	timeout := time.After(startTimeout)
	for {
		if text, err := os.ReadFile(file); err == nil {
			s.url = strings.TrimSpace(string(text))
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ended:
			return fmt.Errorf("it ended at once: %s", &s.output)
		case <-timeout:
			return fmt.Errorf("it does not listen after %v", startTimeout)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop ends the stand-in and returns when it is gone.
func (s *standin) stop() error {
	s.cancel()
	select {
	case <-s.ended:
		return nil
	case <-time.After(2 * stopTimeout):
		return errors.New("the stand-in does not end")
	}
}

// interruptOnCancel makes the end of a command's context an interrupt, and a kill only if
// that does not help.
func interruptOnCancel(command *exec.Cmd) {
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopTimeout
}

// get fetches a page about the stand-in.
func (s *standin) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking the stand-in: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("asking the stand-in for %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking the stand-in for %s: %s", path, response.Status)
	}
	return string(text), nil
}

// world returns the tags that there are.
func (s *standin) world(ctx context.Context) (world, error) {
	table, err := s.get(ctx, "/-/standin/world")
	if err != nil {
		return nil, err
	}
	return parseWorld(table), nil
}

// checkUntouched fails when anything was changed, or somebody only tried to.
func (s *standin) checkUntouched(ctx context.Context, before world) error {
	after, err := s.world(ctx)
	if err != nil {
		return err
	}
	if err := checkSame(before, after); err != nil {
		return fmt.Errorf("the dry run was none: %w", err)
	}
	text, err := s.get(ctx, "/-/standin/stats")
	if err != nil {
		return err
	}
	var stats struct {
		Total    int `json:"total"`
		Changing int `json:"changing"`
	}
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		return fmt.Errorf("reading the stand-in's figures: %w", err)
	}
	if stats.Total == 0 || stats.Changing != 0 {
		return fmt.Errorf("the dry run was none: %d of its %d requests would have changed something", stats.Changing, stats.Total)
	}
	return nil
}
