package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A measurement is one walk over an instance, seen from outside.
type measurement struct {
	Tags       int            `json:"tags"`
	Deleted    int            `json:"deleted"`
	API        int            `json:"api_requests"`
	Registry   int            `json:"registry_requests"`
	InFlight   float64        `json:"average_in_flight"`
	Seconds    float64        `json:"seconds"`           // from start to end of the process
	Processor  float64        `json:"processor_seconds"` // user and system time of the process
	Peak       int64          `json:"peak_bytes"`        // resident; 0 where the system does not tell
	ByEndpoint map[string]int `json:"-"`

	world gitlabtest.EvenWorld
}

// requests are those to the instance and to its registry.
func (m measurement) requests() int { return m.API + m.Registry }

// summary is what a walk says of itself, by the names of the program's contract.
type summary struct {
	Tags    int `json:"tags"`
	Deleted int `json:"deleted"`
}

// bench measures setups, each once.
type bench struct {
	dir    string // where the programs are
	log    io.Writer
	shrink int // divides the size of all worlds
	done   map[setup]measurement
}

func newBench(dir string, log io.Writer) *bench {
	return &bench{dir: dir, log: log, shrink: 1, done: map[setup]measurement{}}
}

// measure walks the instance of a setup once, in processes of their own.
func (b *bench) measure(ctx context.Context, s setup) (measurement, error) {
	if m, ok := b.done[s]; ok {
		return m, nil
	}
	fmt.Fprintf(b.log, "measuring %s\n", s)
	standin, err := start(ctx, b.dir, s)
	if err != nil {
		return measurement{}, err
	}
	defer standin.stop()
	m, err := b.walk(ctx, s, standin)
	if err == nil {
		err = s.check(m)
	}
	if err != nil {
		return measurement{}, fmt.Errorf("%s: %w", s, err)
	}
	b.done[s] = m
	return m, nil
}

func (s setup) String() string {
	who := "registry-gc, VERIFY=" + s.Verify
	if s.Sequential {
		who = "the sequential algorithm"
	}
	return fmt.Sprintf("%s on %v, %d tags in %d repositories", who, s.World.Regime, s.World.Tags, s.World.Repositories)
}

// check makes sure that a walk did what it was there for: a quick one that passes over
// tags would be no achievement.
func (s setup) check(m measurement) error {
	if m.Tags != s.World.Tags || m.Deleted != s.World.Deletions() {
		return fmt.Errorf("it saw %d tags and deleted %d; there are %d, and %d dead ones", m.Tags, m.Deleted, s.World.Tags, s.World.Deletions())
	}
	return nil
}

// walk runs the walker, watches it, and asks the stand-in what it was asked.
func (b *bench) walk(ctx context.Context, s setup, standin *standin) (measurement, error) {
	reports := filepath.Join(b.dir, "reports")
	command := s.walker(ctx, b.dir, standin.url, reports)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	started := time.Now()
	if err := command.Start(); err != nil {
		return measurement{}, err
	}
	peak := watchPeak(command.Process.Pid)
	err := command.Wait()
	m := measurement{world: s.World, Seconds: time.Since(started).Seconds(), Peak: peak()}
	if err != nil {
		return m, errors.Join(err, errors.New(stderr.String()))
	}
	m.Processor = (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	stats, err := standin.stats(ctx)
	if err != nil {
		return m, err
	}
	m.API, m.Registry, m.ByEndpoint = stats.Total-stats.Registry, stats.Registry, stats.ByEndpoint
	m.InFlight = stats.AverageInFlight
	text := stdout.Bytes()
	if !s.Sequential {
		if text, err = os.ReadFile(filepath.Join(reports, "summary.json")); err != nil {
			return m, err
		}
	}
	var said summary
	if err := json.Unmarshal(text, &said); err != nil {
		return m, fmt.Errorf("reading the summary: %w", err)
	}
	m.Tags, m.Deleted = said.Tags, said.Deleted
	return m, nil
}
