package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A grid is rows of cells that are printed as columns, two blanks apart. Columns are as
// wide as their widest cell, and a line ends where its last cell does.
type grid struct {
	right []bool // the columns, from the first, that are flush right
	rows  [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

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

// plain makes a path of the server fit for a terminal: one line, no control characters, no
// writing that runs the other way, bounded. GitLab's paths are ASCII; what is not has been
// forged. A long one loses its middle, for both ends tell more.
func plain(path string) string {
	path = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, path)
	if len(path) <= maxName {
		return path
	}
	const gap = "..."
	head := (maxName - len(gap)) / 2
	return path[:head] + gap + path[len(path)-(maxName-len(gap)-head):]
}

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
