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
	"regexp"
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

// listEndpoint matches the endpoints that give a page of a list, and not one tag or
// account. What is asked of GraphQL without changing anything are lists, too.
var listEndpoint = regexp.MustCompile(`^GET .*/(projects|repositories|tags|tags/list)/?$|^POST .*/graphql query$`)

// listings counts the requests that read a page of a list.
func (m measurement) listings() int {
	n := 0
	for endpoint, count := range m.ByEndpoint {
		if listEndpoint.MatchString(endpoint) {
			n += count
		}
	}
	return n
}

func (m measurement) microsecondsATag() float64 { return m.Processor * 1e6 / float64(max(m.Tags, 1)) }

func (m measurement) mebibytes() float64 { return float64(m.Peak) / (1 << 20) }

// summary is what a walk says of itself, by the names of the program's contract.
type summary struct {
	Tags    int `json:"tags"`
	Deleted int `json:"deleted"`
}

// bench measures setups, each once.
type bench struct {
	dir     string // where the programs are
	log     io.Writer
	divisor int // of the size of all instances
	done    map[setup]measurement
}

func newBench(dir string, log io.Writer) *bench {
	return &bench{dir: dir, log: log, divisor: 1, done: make(map[setup]measurement)}
}

// measure walks the instance of a setup, if nobody has measured it yet. Instance and walker
// are processes of their own.
func (b *bench) measure(ctx context.Context, s setup) (measurement, error) {
	s = s.shrink(b.divisor)
	if m, ok := b.done[s]; ok {
		return m, nil
	}
	fmt.Fprintf(b.log, "measuring %s\n", s)
	standin, err := startStandin(ctx, b.dir, s)
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

// walk runs the walker, watches it, and asks the stand-in what it was asked.
func (b *bench) walk(ctx context.Context, s setup, standin *standin) (measurement, error) {
	reports := filepath.Join(b.dir, "reports")
	command := s.walkCommand(ctx, b.dir, standin.url, reports)
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

// check makes sure that a walk did what it was there for: a quick one that passes over
// tags would be no achievement.
func (s setup) check(m measurement) error {
	if m.Tags != s.World.Tags || m.Deleted != s.World.Deletions() {
		return fmt.Errorf("it saw %d tags and deleted %d; there are %d, and %d dead ones", m.Tags, m.Deleted, s.World.Tags, s.World.Deletions())
	}
	return nil
}
