package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// A grid is rows of cells that are printed as columns, two blanks apart. Columns are as
// wide as their widest cell, and a line ends where its last cell does.
type grid struct {
	right []bool // the columns, from the first, that are flush right
	rows  [][]string
}

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

// writeTo prints the grid, indented by two blanks.
func (g *grid) writeTo(out *bytes.Buffer) {
	var widths []int
	for _, row := range g.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g.rows {
		var line strings.Builder
		for i, cell := range row {
			width := -widths[i] // flush left
			if i < len(g.right) && g.right[i] {
				width = widths[i]
			}
			fmt.Fprintf(&line, "  %*s", width, cell)
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// maxName is the width to which names are cut.
const maxName = 64

// shortPath returns a path of the server for a line of the summary.
func shortPath(path string) string { return printable.Path(path, maxName) }

// size renders bytes as GitLab does, in units of 1024.
func size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for value >= 1023.95 && unit < len("KMGTPE")-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
