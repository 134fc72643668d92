package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDrawAll: both charts come out of a folder as the bench writes it, with every line
// and with labels as people write numbers.
func TestDrawAll(t *testing.T) {
	folder := t.TempDir()
	const growth = `{"growth": [
		{"regime": "database", "tags": 1000, "fewest_requests": 11, "fewest_seconds": 0.0034,
			"registry_gc": {"api_requests": 9, "registry_requests": 18, "seconds": 0.1},
			"sequential": {"api_requests": 2013, "seconds": 11.5}},
		{"regime": "database", "tags": 10000, "fewest_requests": 97, "fewest_seconds": 0.03,
			"registry_gc": {"api_requests": 83, "registry_requests": 100, "seconds": 0.2},
			"sequential": {"api_requests": 20122, "seconds": 115}, "sequential_is_computed": true},
		{"regime": "legacy", "tags": 1000, "fewest_requests": 20, "fewest_seconds": 0.006,
			"registry_gc": {"api_requests": 9, "registry_requests": 1017, "seconds": 0.5},
			"sequential": {"api_requests": 2013, "seconds": 11.6}}]}`
	if err := os.WriteFile(filepath.Join(folder, "growth.json"), []byte(growth), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"requests.svg", "time.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"registry-gc, LEGACY", "registry-gc, DATABASE", "sequential", "floor on DATABASE", ">10,000<", "Arial"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
	}
}

// TestLinesTellMeasuredFromComputed: only what the sequential algorithm did not walk is dashed.
func TestLinesTellMeasuredFromComputed(t *testing.T) {
	points := []point{{Tags: 1}, {Tags: 10}, {Tags: 100, Computed: true}, {Regime: "legacy", Tags: 1, Computed: true}}
	got := lines(points, func(cost) float64 { return 1 }, func(point) float64 { return 1 })
	for i, want := range []struct{ points, measured int }{{3, 2}, {1, 1}, {3, 3}, {3, 3}} {
		if len(got[i].points) != want.points || got[i].measured != want.measured {
			t.Errorf("%s: %d points, %d of them measured; want %v", got[i].name, len(got[i].points), got[i].measured, want)
		}
	}
}

// TestNothingToDraw: a folder without points is an error, and its charts stay as they are.
func TestNothingToDraw(t *testing.T) {
	for growth, want := range map[string]string{`{}`: "has no points", `{`: "reading growth.json", "": "no such file"} {
		folder := t.TempDir()
		if growth != "" {
			if err := os.WriteFile(filepath.Join(folder, "growth.json"), []byte(growth), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := drawAll(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", growth, err, want)
		}
	}
}
