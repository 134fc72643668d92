package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The table of the display: a row for every stage, and one for the requests.
const (
	tableRows = 5
	tableCols = 5 // name, done, found, in flight, remark
)

// A labels is what the display says with words: only figures, and nothing that came from
// a server.
type labels struct {
	cells [tableRows][tableCols]string
	time  string
}

// gaps are what lies before each of the table's columns.
var gaps = [tableCols]string{"", "  ", " ", "  ", "  "}

// cell returns what a cell shows where so much room is left. A column that does not fit is
// left out whole: half a number is worse than none.
func (l *labels) cell(row, col, room int) string {
	for _, cells := range l.cells {
		if len(gaps[col]+cells[col]) > room {
			return ""
		}
	}
	if l.cells[row][col] == "" {
		return ""
	}
	return gaps[col] + l.cells[row][col]
}

// A wording is what labels depend on beside the view.
type wording struct {
	limit  float64 // requests a second; 0: none
	dryRun bool
}

// labels returns the words for a view.
func (w wording) labels(v view) *labels {
	verb := "deleted"
	if w.dryRun {
		verb = "marked"
	}
	soFar := " so far"
	if v.AllProjects {
		soFar = ""
	}
	return &labels{
		cells: [tableRows][tableCols]string{
			{"projects", number(v.Projects.Done), "of " + number(v.Projects.Found) + soFar, inFlight(v.Projects.InFlight), ""},
			{"repositories", number(v.Repositories.Done), "of " + number(v.Repositories.Found), inFlight(v.Repositories.InFlight), ""},
			{"tags", number(v.Tags.Done), "of " + number(v.Tags.Found), inFlight(v.Tags.InFlight),
				list(perSecond(v.TagRate), some(v.Undecided, "undecided"))},
			{"dead tags", number(v.Dead.Done), "of " + number(v.Dead.Found), inFlight(v.Dead.InFlight),
				list(some(v.Deleted, verb), some(v.Failed, "failed"))},
			{"requests", number(v.Requests), w.speed(v.RequestRate), "", w.remark(v)},
		},
		time: w.time(v),
	}
}

// speed says how fast requests are sent, and how fast they may be.
func (w wording) speed(rate float64) string {
	if w.limit == 0 {
		return perSecond(rate)
	}
	return fmt.Sprintf("%.1f of %s/s", rate, strconv.FormatFloat(w.limit, 'f', -1, 64))
}

// remark says what holds the run up.
func (w wording) remark(v view) string {
	switch {
	case v.Stopping:
		return "stopping"
	case v.Held:
		return "GitLab asks to wait"
	default:
		return ""
	}
}

// time says how long the run has gone on, and how long it will.
func (w wording) time(v view) string {
	elapsed := v.Elapsed.Truncate(time.Second).String()
	if v.Left == 0 {
		return elapsed
	}
	return fmt.Sprintf("%s, %s left", elapsed, roughly(v.Left))
}

// number writes a count with a comma between thousands.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func inFlight(n int64) string { return some(n, "in flight") }

// some says how many there are of something, unless there are none.
func some(n int64, of string) string {
	if n == 0 {
		return ""
	}
	return number(n) + " " + of
}

func perSecond(rate float64) string { return fmt.Sprintf("%.1f/s", rate) }

// list joins what is not empty.
func list(items ...string) string {
	var said []string
	for _, item := range items {
		if item != "" {
			said = append(said, item)
		}
	}
	return strings.Join(said, ", ")
}
