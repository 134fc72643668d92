package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// results are what a run has measured.
type results struct {
	Command string  `json:"command"`
	Machine machine `json:"machine"`
	Targets []row   `json:"targets,omitempty"`
	Growth  []point `json:"growth,omitempty"`
}

// machine is what figures depend on besides the program, without anything that says whose
// it is.
type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Commit    string `json:"commit"`
	Date      string `json:"date"`
}

func thisMachine(ctx context.Context) machine {
	m := machine{
		Processor: "unknown", Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), Commit: "unknown", Date: time.Now().UTC().Format(time.DateOnly),
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.Processor = processorName(string(text), m.Processor)
	}
	if text, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(text))
	}
	return m
}

// processorName finds the model in what Linux says about processors.
func processorName(cpuinfo, otherwise string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// A table has its heading in the first row.
type table [][]string

// targetTable has the numbers beside their targets.
func (r results) targetTable() table {
	rows := table{{"", "target", "measured", "", "requests", "sequential", "command"}}
	for _, row := range r.Targets {
		reached := "reached"
		switch {
		case row.Target == "":
			reached = ""
		case !row.Reached:
			reached = "MISSED"
		}
		rows = append(rows, []string{row.What, row.Target, row.Figure, reached, thousands(row.Requests), thousands(row.Sequential), row.Command})
	}
	return rows
}

// growthTable has both algorithms side by side.
func (r results) growthTable() table {
	rows := table{{"", "tags", "requests", "sequential", "fewest", "time", "sequential", "processor", "resident"}}
	for _, p := range r.Growth {
		mark := ""
		if p.Computed {
			mark = "*"
		}
		rows = append(rows, []string{
			strings.ToUpper(p.Regime), thousands(p.Tags),
			thousands(p.Program.requests()), thousands(p.Sequential.requests()) + mark, thousands(p.Fewest),
			seconds(p.Program.Seconds), seconds(p.Sequential.Seconds) + mark,
			seconds(p.Program.Processor), fmt.Sprintf("%.1f MiB", p.Program.mebibytes()),
		})
	}
	return rows
}

// computedNote explains the figures that are marked with an asterisk.
const computedNote = "* computed: the requests by the formula that the smaller instances confirm, the time by theirs a request"

// print shows the tables on a terminal.
func (r results) print(to io.Writer) error {
	var text strings.Builder
	if len(r.Targets) > 0 {
		r.targetTable().writePlain(&text)
	}
	if len(r.Growth) > 0 {
		text.WriteByte('\n')
		r.growthTable().writePlain(&text)
		fmt.Fprintln(&text, computedNote)
	}
	fmt.Fprintf(&text, "\n%s\n", r.origin())
	_, err := io.WriteString(to, text.String())
	return err
}

// writePlain writes the table for a terminal.
func (t table) writePlain(to *strings.Builder) {
	columns := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, row := range t {
		_, _ = fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	_ = columns.Flush()
}

// writeMarkdown writes the table for a page; commands are set as code.
func (t table) writeMarkdown(to *strings.Builder) {
	for i, row := range t {
		for _, cell := range row {
			if strings.HasPrefix(cell, "go run") {
				cell = "`" + cell + "`"
			}
			fmt.Fprintf(to, "| %s ", cell)
		}
		fmt.Fprintln(to, "|")
		if i == 0 {
			fmt.Fprintln(to, strings.Repeat("|---", len(row))+"|")
		}
	}
}

// origin says by what command the results were made, and on what.
func (r results) origin() string {
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
	for name, part := range map[string]results{
		"targets.json": {Command: r.Command, Machine: r.Machine, Targets: r.Targets},
		"growth.json":  {Command: r.Command, Machine: r.Machine, Growth: r.Growth},
	} {
		text, err := json.MarshalIndent(part, "", "  ")
		if err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
		files[name] = append(text, '\n')
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
	}
	return nil
}

// page is the folder's README.md.
func (r results) page() []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "# What was measured\n\n%s.\n\nThe command writes the whole folder anew.\n\n", r.origin())
	text.WriteString("Memory is the largest resident size, processor time user and system time, both of registry-gc's process,\n" +
		"requests what the stand-in counted. Everything is on one machine, and where no other time is named a\n" +
		"request takes 5 ms at least. DATABASE is an instance whose registry has the metadata database, LEGACY one\n" +
		"whose registry has none.\n\n## The numbers it has to reach\n\n")
	r.targetTable().writeMarkdown(&text)
	text.WriteString("\nBeside each are the requests of that run and those of the sequential algorithm for the same instance.\n")
	text.WriteString("\n## How the cost grows\n\nWithout a limit on requests, 16 in flight; one tag in a hundred is dead. By the registry's word.\n\n")
	r.growthTable().writeMarkdown(&text)
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
