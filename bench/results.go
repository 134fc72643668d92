package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
)

// results are what a run has measured.
type results struct {
	Command string  `json:"command"`
	Machine machine `json:"machine"`
	Targets []row   `json:"targets,omitempty"`
	Growth  []point `json:"growth,omitempty"`
}

// A grid is a table, its heading first.
type grid [][]string

// targetGrid has the numbers beside their targets.
func (r results) targetGrid() grid {
	table := grid{{"", "target", "measured", "", "requests", "sequential", "command"}}
	for _, row := range r.Targets {
		reached := "reached"
		switch {
		case row.Target == "":
			reached = ""
		case !row.Reached:
			reached = "MISSED"
		}
		table = append(table, []string{row.What, row.Target, row.Figure, reached, thousands(row.Requests), thousands(row.Sequential), row.Command})
	}
	return table
}

// growthGrid has both algorithms side by side.
func (r results) growthGrid() grid {
	table := grid{{"", "tags", "requests", "sequential", "fewest", "time", "sequential", "processor", "resident"}}
	for _, p := range r.Growth {
		mark := ""
		if p.Computed {
			mark = "*"
		}
		table = append(table, []string{
			strings.ToUpper(p.Regime), thousands(p.Tags),
			thousands(p.Program.requests()), thousands(p.Sequential.requests()) + mark, thousands(p.Fewest),
			seconds(p.Program.Seconds), seconds(p.Sequential.Seconds) + mark,
			seconds(p.Program.Processor), fmt.Sprintf("%.1f MiB", p.Program.mebibytes()),
		})
	}
	return table
}

// computedNote says what the marked figures are.
const computedNote = "* computed: the requests by the formula that the smaller instances confirm, the time by theirs a request"

// print shows the tables on a terminal.
func (r results) print(to io.Writer) error {
	var text strings.Builder
	if len(r.Targets) > 0 {
		r.targetGrid().plain(&text)
	}
	if len(r.Growth) > 0 {
		text.WriteByte('\n')
		r.growthGrid().plain(&text)
		fmt.Fprintln(&text, computedNote)
	}
	fmt.Fprintf(&text, "\n%s\n", r.made())
	_, err := io.WriteString(to, text.String())
	return err
}

func (g grid) plain(to io.Writer) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, line := range g {
		_, _ = fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	_ = table.Flush()
}

// markdown is the grid for a page; commands are set as code.
func (g grid) markdown(to io.Writer) {
	for i, line := range g {
		for _, cell := range line {
			if strings.HasPrefix(cell, "go run") {
				cell = "`" + cell + "`"
			}
			fmt.Fprintf(to, "| %s ", cell)
		}
		fmt.Fprintln(to, "|")
		if i == 0 {
			fmt.Fprintln(to, strings.Repeat("|---", len(line))+"|")
		}
	}
}

// made says by what command the results were made, and on what.
func (r results) made() string {
	m := r.Machine
	return fmt.Sprintf("Made on %s by `%s`, commit %s, with %s for %s on %d cores of: %s",
		m.Date, r.Command, m.Commit, m.Go, m.System, m.Cores, m.Processor)
}

// write writes tables and figures to a folder.
func (r results) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	files := map[string][]byte{"README.md": r.page()}
	var err error
	for name, part := range map[string]results{
		"targets.json": {Command: r.Command, Machine: r.Machine, Targets: r.Targets},
		"growth.json":  {Command: r.Command, Machine: r.Machine, Growth: r.Growth},
	} {
		if files[name], err = json.MarshalIndent(part, "", "  "); err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
		files[name] = append(files[name], '\n')
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
	}
	return nil
}

// page is what GitLab shows of the folder.
func (r results) page() []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "# What was measured\n\n%s.\n\nThe command writes the whole folder anew.\n\n", r.made())
	text.WriteString("Memory is the largest resident size, processor time user and system time, both of registry-gc's process,\n" +
		"requests what the stand-in counted. Everything is on one machine, and where no other time is named a\n" +
		"request takes 5 ms at least.\n\n## The numbers it has to reach\n\n")
	r.targetGrid().markdown(&text)
	text.WriteString("\nBeside each are the requests of that run and those of the sequential algorithm for the same instance.\n")
	text.WriteString("\n## How the cost grows\n\nWithout a limit on requests, 16 in flight; one tag in a hundred is dead. By the registry's word.\n\n")
	r.growthGrid().markdown(&text)
	fmt.Fprintf(&text, "\n\\%s.\n\n![Requests against tags](requests.svg)\n\n![Time against tags](time.svg)\n", computedNote)
	return []byte(text.String())
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func seconds(s float64) string {
	switch {
	case s >= 7200:
		return fmt.Sprintf("%.1f h", s/3600)
	case s >= 120:
		return fmt.Sprintf("%.1f min", s/60)
	default:
		return fmt.Sprintf("%.2f s", s)
	}
}
