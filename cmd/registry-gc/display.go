package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A display lays out a status for a terminal: a table with a row for every stage and one
// for the requests, and below it a bar. It shows figures and the program's own words, and
// nothing that came from a server.
type display struct {
	rateLimit float64 // requests a second; 0: none
	dryRun    bool
	undo      bool // deletions are taken back: there are no other stages than tags
	color     bool
}

// What colours are called on a terminal.
const (
	faint  = "2"
	green  = "32"
	yellow = "33"
)

// The columns that the bar takes; where there is no room for minBarWidth it is left out.
const (
	barWidth    = 30
	minBarWidth = 8
)

// rows returns the rows for a terminal of some size. Where it is too low the first are left
// out, where it is too narrow the last columns: half a number is worse than none.
func (d *display) rows(s status, width, height int) []string {
	table := d.table(s)
	gaps := [...]string{"", "  ", " ", "  ", "  "} // what is before each column
	lines := make([]string, len(table))
	left := width
	for column := range gaps {
		cellWidth := 0
		for _, row := range table {
			cellWidth = max(cellWidth, len(row[column]))
		}
		if left -= len(gaps[column]) + cellWidth; left < 0 {
			break
		}
		for i, row := range table {
			cell := fmt.Sprintf("%-*s", cellWidth, row[column])
			if column == 1 || column == 3 { // numbers end in one column, and words begin so
				cell = fmt.Sprintf("%*s", cellWidth, row[column])
			}
			switch {
			case column == 0:
				cell = d.paint(faint, cell)
			case i == len(table)-1 && column == len(gaps)-1: // what holds the run up
				cell = d.paint(yellow, cell)
			}
			lines[i] += gaps[column] + cell
		}
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	lines = append(lines, d.bar(s, width))
	return lines[max(0, len(lines)-height):]
}

// table returns the cells of the table: name, done, found, in flight, remark.
func (d *display) table(s status) [][5]string {
	deleted, soFar, remark := "deleted", " so far", ""
	if d.dryRun {
		deleted = "marked"
	}
	if s.AllProjects {
		soFar = ""
	}
	rate := perSecond(s.RequestRate)
	if d.rateLimit > 0 {
		rate = fmt.Sprintf("%.1f of %s/s", s.RequestRate, strconv.FormatFloat(d.rateLimit, 'f', -1, 64))
	}
	switch {
	case s.Stopping:
		remark = "stopping"
	case s.Throttled:
		remark = "GitLab asks to wait"
	}
	requests := [5]string{"requests", grouped(s.Requests), rate, "", remark}
	if d.undo {
		return [][5]string{
			{"tags", grouped(s.Tags.Done), "of " + grouped(s.Tags.Found), countOf(s.Tags.InFlight, "in flight"),
				commaList(countOf(s.Restored, "restored"), countOf(s.Failed, "not restored"))},
			requests,
		}
	}
	return [][5]string{
		{"projects", grouped(s.Projects.Done), "of " + grouped(s.Projects.Found) + soFar, countOf(s.Projects.InFlight, "in flight"), ""},
		{"repositories", grouped(s.Repositories.Done), "of " + grouped(s.Repositories.Found), countOf(s.Repositories.InFlight, "in flight"), ""},
		{"tags", grouped(s.Tags.Done), "of " + grouped(s.Tags.Found), countOf(s.Tags.InFlight, "in flight"),
			commaList(perSecond(s.TagRate), countOf(s.Undecided, "undecided"))},
		{"to delete", grouped(s.Dead.Done), "of " + grouped(s.Dead.Found), countOf(s.Dead.InFlight, "in flight"),
			commaList(countOf(s.Deleted, deleted), countOf(s.Failed, "failed"))},
		requests,
	}
}

// bar returns the last row: a bar, unless the share is unknown or there is no room, and
// the time.
func (d *display) bar(s status, width int) string {
	text := s.Elapsed.Truncate(time.Second).String()
	if s.TimeLeft > 0 {
		text += ", " + roughly(s.TimeLeft) + " left"
	}
	room := min(width-len(text)-1, barWidth)
	if s.Share == 0 || room < minBarWidth {
		if utf8.RuneCountInString(text) > width {
			text = text[:width-1] + "…"
		}
		return text
	}
	room -= len("[]")
	full := min(int(s.Share*float64(room)+0.5), room)
	done, rest := strings.Repeat("=", full), strings.Repeat("-", room-full)
	if full > 0 && full < room {
		done = done[1:] + ">"
	}
	return "[" + d.paint(green, done) + d.paint(faint, rest) + "] " + text
}

// paint colours a text, where colours are wanted.
func (d *display) paint(color, text string) string {
	if !d.color || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// grouped writes a count with a comma between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// countOf returns a count and what it counts, or nothing for 0.
func countOf(n int64, what string) string {
	if n == 0 {
		return ""
	}
	return grouped(n) + " " + what
}

func perSecond(rate float64) string { return fmt.Sprintf("%.1f/s", rate) }

// commaList joins what is not empty.
func commaList(items ...string) string {
	return strings.Join(slices.DeleteFunc(items, func(item string) bool { return item == "" }), ", ")
}
