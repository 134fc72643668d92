package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// withRace reports whether the tests are built with the race detector.
func withRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestEveryMeasurement makes every measurement on small instances, each with the programs'
// own processes, which end with an error when the race detector has seen something.
func TestEveryMeasurement(t *testing.T) {
	dir := t.TempDir()
	if err := build(t.Context(), dir, withRace()); err != nil {
		t.Fatal(err)
	}
	b := newBench(dir, io.Discard)
	b.divisor = 500
	rows, err := b.targets(t.Context(), regexp.MustCompile(""))
	if err != nil {
		t.Fatal(err)
	}
	points, err := b.growth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "results")
	measured := results{Command: "make bench", Machine: thisMachine(t.Context()), Targets: rows, Growth: points}
	if err := measured.write(out); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"README.md":    "| 2,000 |", // a million tags, shrunk
		"targets.json": `"measured"`,
		"growth.json":  `"fewest_seconds"`,
	} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q (%v)", name, want, err)
		}
	}
}

// TestFormula: what stands in for the sequential algorithm, where it would take hours, is
// what it does.
func TestFormula(t *testing.T) {
	for name, size := range map[string]gitlabtest.EvenWorld{
		"small":                   {Projects: 3, EmptyProjects: 17, Repositories: 9, Tags: 180, Dead: 0.02, Protected: 0.1},
		"whole hundreds":          {Projects: 50, EmptyProjects: 50, Repositories: 150, Tags: 300, Dead: 0.3},
		"pages of repositories":   {Projects: 1, EmptyProjects: 100, Repositories: 110, Tags: 220, Dead: 0.1},
		"pages of tags":           {Projects: 1, Repositories: 2, Tags: 300, Dead: 0.1, Protected: 0.7},
		"images with attestation": {Projects: 4, Repositories: 12, Tags: 120, Attested: 0.1, Dead: 0.1},
		"no caches":               {Projects: 4, Repositories: 4, Tags: 100, Protected: 0.1},
	} {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			t.Run(name+" "+regime.String(), func(t *testing.T) {
				size.Regime = regime
				checkFormula(t, size)
			})
		}
	}
}

func checkFormula(t *testing.T, size gitlabtest.EvenWorld) {
	t.Helper()
	server := gitlabtest.New(size.World())
	loop := &sequential{client: client(t, server), database: size.Regime == gitlabtest.Database}
	if err := loop.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if asked := server.Stats().Total; asked != sequentialRequests(size) {
		t.Errorf("%d requests, the formula says %d: %v", asked, sequentialRequests(size), server.Stats().ByEndpoint)
	}
	if loop.tags != size.Tags || loop.deleted != size.Deletions() {
		t.Errorf("saw %d tags of %d, deleted %d of %d", loop.tags, size.Tags, loop.deleted, size.Deletions())
	}
}

func client(t *testing.T, server *gitlabtest.Server) *gitlabapi.Client {
	t.Helper()
	client, err := gitlabapi.New(gitlabapi.Config{
		URL:            "http://gitlab.test",
		Token:          throttle.NewSecret(gitlabtest.DefaultToken),
		Concurrency:    concurrency,
		RequestTimeout: time.Minute,
		MaxRetries:     5,
		Transport:      server.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestCheck: a walk that skipped tags, or deleted others than the dead, is no
// measurement.
func TestCheck(t *testing.T) {
	s := setup{World: gitlabtest.EvenWorld{Projects: 2, Repositories: 6, Tags: 600, Dead: 0.1}}
	for m, right := range map[[2]int]bool{{600, 60}: true, {599, 60}: false, {600, 59}: false, {600, 61}: false} {
		if err := s.check(measurement{Tags: m[0], Deleted: m[1]}); (err == nil) != right {
			t.Errorf("%d tags, %d deleted: %v", m[0], m[1], err)
		}
	}
}

// TestCommand: results say how they were made, and without a path.
func TestCommand(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "make bench",
		"-out elsewhere":           "make bench",
		"-quick -out elsewhere":    "go run ./bench -quick",
		"-run ^memory -out /tmp/x": "go run ./bench -run '^memory'",
	} {
		c, err := parse(strings.Fields(args), io.Discard)
		if err != nil || c.command() != want {
			t.Errorf("%q: %q (%v), want %q", args, c.command(), err, want)
		}
	}
}

// TestFewestRequests: the floor by hand for one small instance.
func TestFewestRequests(t *testing.T) {
	size := gitlabtest.EvenWorld{Projects: 2, EmptyProjects: 99, Repositories: 4, Tags: 4_400, Dead: 0.01}
	for regime, want := range map[gitlabtest.Regime]int{
		gitlabtest.Database: 2 + 4*2 + 3,  // 44 dead
		gitlabtest.Legacy:   2 + 4*11 + 3, // 1,100 tags in each repository
	} {
		size.Regime = regime
		if got := fewestRequests(size); got != want {
			t.Errorf("%v: %d, want %d", regime, got, want)
		}
	}
}

func TestListings(t *testing.T) {
	m := measurement{ByEndpoint: map[string]int{
		"GET /projects": 1, "GET /projects/:id/registry/repositories": 10,
		"GET /projects/:id/registry/repositories/:rid/tags": 100, "GET /gitlab/v1/repositories/:path/tags/list/": 1000,
		"GET /projects/:id/registry/repositories/:rid/tags/:name": 7, "GET /personal_access_tokens/self": 7,
		"DELETE /projects/:id/registry/repositories/:rid/tags": 7,
		"POST /api/graphql query":                              10_000, "POST /api/graphql mutation": 7,
	}}
	if got := m.listings(); got != 11_111 {
		t.Errorf("%d listings, want 11111", got)
	}
}

func TestTargetsAreReachedAtTheirLimit(t *testing.T) {
	tags := func(m measurement) float64 { return float64(m.Tags) }
	for _, test := range []struct {
		read func(m, _ measurement) figure
		m    measurement
		want figure
	}{
		{atMost(20, "%.0f µs", tags), measurement{Tags: 20}, figure{20, "20 µs", true}},
		{atMost(20, "%.0f µs", tags), measurement{Tags: 21}, figure{21, "21 µs", false}},
		{atLeast(50, "%.0f times", tags), measurement{Tags: 50}, figure{50, "50 times", true}},
		{atLeast(50, "%.0f times", tags), measurement{Tags: 49}, figure{49, "49 times", false}},
		{requestsWithin(tags), measurement{Tags: 1_000, API: 900, Registry: 100}, figure{1_000, "1,000 of 1,000", true}},
		{requestsWithin(tags), measurement{Tags: 1_000, API: 901, Registry: 100}, figure{1_001, "1,001 of 1,000", false}},
		{residentAtMost(64), measurement{Peak: 64 << 20}, figure{64, "64.0 MiB", true}},
		{residentAtMost(64), measurement{Peak: 65 << 20}, figure{65, "65.0 MiB", false}},
		{residentAtMost(64), measurement{}, figure{0, "not known on this system", false}},
	} {
		if got := test.read(test.m, measurement{}); got != test.want {
			t.Errorf("%+v, want %+v", got, test.want)
		}
	}
}

// TestShrink: a smaller instance has the shape of the one that it stands for.
func TestShrink(t *testing.T) {
	for name, test := range map[string]struct{ world, want gitlabtest.EvenWorld }{
		"many projects":    {neverCleaned(gitlabtest.Legacy, 100_000), neverCleaned(gitlabtest.Legacy, 1_000)},
		"attested":         {attested(100_000), attested(1_000)},
		"one repository":   {oneRepository(100_000), oneRepository(1_000)},
		"one with a cache": {oneRepositoryAndCache(100_000), oneRepositoryAndCache(1_000)},
	} {
		if got := (setup{World: test.world}).shrink(100).World; got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestParsePeak(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n": 12345 << 10,
		"Name:\tkthread\n": 0,
		"":                 0,
	} {
		if got := parsePeak(status); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
}

func TestWatchPeakOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		return // not a system that tells
	}
	if got := watchPeak(os.Getpid())(); got < 1<<20 {
		t.Errorf("this process has had %d bytes", got)
	}
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1_000: "1,000", 1_234_567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written as %q", n, got)
		}
	}
	for s, want := range map[float64]string{0.123: "0.12 s", 119: "119.00 s", 600: "10.0 min", 36_000: "10.0 h"} {
		if got := seconds(s); got != want {
			t.Errorf("%g is written as %q", s, got)
		}
	}
}

func TestBadUsage(t *testing.T) {
	for _, args := range []string{"-run (", "-nonsense", "everything"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no complaint", args)
		}
	}
}
