package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// The page is one file without outside resources, so that it can be mailed, kept as an
// artifact and opened from a disk. Its parts are files of their own here.
var (
	//go:embed page/page.html
	pageText string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
)

var pageParts = splitParts("page", pageText)

// WriteHTML writes a run as a page for people: figures, charts, what to change in which
// build, and a table of the decisions, which are read from lines in the form of
// decisions.jsonl. They are read several times, from the beginning, and not held in memory: what
// grows is a few numbers for each project. Lines that cannot be read are skipped,
// and the page says how many there were.
//
// Whatever the summary and the decisions say is shown as text and never as markup. The
// page allows itself no script or style but its own, and no request at all.
func WriteHTML(w io.Writer, s *Summary, decisions io.ReadSeeker) error {
	return writePage(w, s, decisions, nil)
}

// writePage writes a page, in which tags can be selected if there is a selection.
func writePage(w io.Writer, s *Summary, decisions io.ReadSeeker, selection *selection) error {
	found := newFindings()
	unread, err := eachDecision(decisions, func(d *decisionLine) error {
		found.countDecision(d)
		if selection != nil && d.Outcome == Marked && !selection.holds(d) {
			selection = nil // rows and lines of the plan would not be the same
		}
		return nil
	})
	if err == nil {
		_, err = decisions.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	page := &page{Summary: s, found: found, advice: advise(found, s.Rules), unread: unread, selects: selection != nil && s.marks() && s.Deleted > 0}
	above, below, _ := strings.Cut(page.markup().html, rowsHere)
	out := bufio.NewWriter(w)
	if _, err := out.WriteString(above); err != nil {
		return err
	}
	if err := writeRows(out, decisions); err != nil {
		return err
	}
	if page.selects {
		if _, err := decisions.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading the decisions: %w", err)
		}
		if err := selection.write(out, decisions); err != nil {
			return err
		}
	}
	if _, err := out.WriteString(below); err != nil {
		return err
	}
	return out.Flush()
}

// rowsHere is where the rows belong in page.html. No text that is shown can be taken for
// it, since it is escaped.
const rowsHere = "<!-- rows -->\n"

// A page is what page.html is filled with.
type page struct {
	*Summary
	found   *findings
	advice  []advice
	unread  int  // lines of the decisions
	selects bool // whether tags can be selected for a plan
}

func (p *page) charts() []chart {
	return []chart{reasonChart(p.Summary), kindChart(p.Summary, p.found), projectChart(p.Summary, p.found)}
}

// contentHash names a style or a script to the browser, which then takes no others.
func contentHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
