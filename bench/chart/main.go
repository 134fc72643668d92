// Chart draws what the bench has measured: it reads growth.json in a folder of the bench's
// results, and writes requests.svg and time.svg beside it. It is a module of its own, so
// that the program does not carry the library that draws.
//
//	go run -C bench/chart . FOLDER
//
// Relative folders are taken from bench/chart.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run -C bench/chart . FOLDER")
		os.Exit(2)
	}
	if err := drawAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// point is one size of a growing instance, as in growth.json.
type point struct {
	Regime        string  `json:"regime"`
	Tags          int     `json:"tags"`
	Fewest        int     `json:"fewest_requests"`
	FewestSeconds float64 `json:"fewest_seconds"`
	Program       cost    `json:"registry_gc"`
	Sequential    cost    `json:"sequential"`
	Computed      bool    `json:"sequential_is_computed"`
}

// cost is what an algorithm needed at that size.
type cost struct {
	API      int     `json:"api_requests"`
	Registry int     `json:"registry_requests"`
	Seconds  float64 `json:"seconds"`
}

// drawAll draws both charts of a folder.
func drawAll(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "growth.json"))
	if err != nil {
		return err
	}
	var results struct {
		Growth []point `json:"growth"`
	}
	if err := json.Unmarshal(text, &results); err != nil {
		return fmt.Errorf("reading growth.json: %w", err)
	}
	if len(results.Growth) == 0 {
		return fmt.Errorf("growth.json in %s has no points", folder)
	}
	requests := lines(results.Growth,
		func(c cost) float64 { return float64(c.API + c.Registry) },
		func(p point) float64 { return float64(p.Fewest) })
	time := lines(results.Growth,
		func(c cost) float64 { return c.Seconds },
		func(p point) float64 { return p.FewestSeconds })
	for name, chart := range map[string]chart{
		"requests.svg": {"Requests against tags", "requests", requests},
		"time.svg":     {"Time against tags, at 5 ms a request", "seconds", time},
	} {
		text, err := chart.svg()
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lines turns the points of both regimes into lines. The sequential algorithm and the floor
// are shown on DATABASE; on LEGACY the sequential algorithm needs as much.
func lines(points []point, of func(cost) float64, floor func(point) float64) []line {
	sequential := line{name: "sequential (dashed: computed)", colour: orange, mark: draw.CircleGlyph{}}
	legacy := line{name: "registry-gc, LEGACY", colour: green, mark: draw.BoxGlyph{}}
	database := line{name: "registry-gc, DATABASE", colour: blue, mark: draw.PyramidGlyph{}}
	fewest := line{name: "floor on DATABASE: pages, deletions ÷ 20", colour: grey, floor: true}
	for _, p := range points {
		x := float64(p.Tags)
		if p.Regime == "legacy" {
			legacy.points = append(legacy.points, plotter.XY{X: x, Y: of(p.Program)})
			continue
		}
		if !p.Computed {
			sequential.measured = len(sequential.points) + 1
		}
		sequential.points = append(sequential.points, plotter.XY{X: x, Y: of(p.Sequential)})
		database.points = append(database.points, plotter.XY{X: x, Y: of(p.Program)})
		fewest.points = append(fewest.points, plotter.XY{X: x, Y: floor(p)})
	}
	for _, l := range []*line{&legacy, &database, &fewest} {
		l.measured = len(l.points)
	}
	return []line{sequential, legacy, database, fewest}
}
