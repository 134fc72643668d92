package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
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

// A page is a run as a file for people.
type page struct {
	*Summary
	selection *selection // nil where no tags can be selected for a plan
	trend     *trend     // of the runs before, nil where nothing is known of them
}

// write writes a run as a page for people. The page has the summary as text for browsers without
// scripts; its script draws the rest of data: what is known of the run, and the decisions, which are read from
// lines in the form of decisions.jsonl. They are read several times, from the beginning, and not held in memory:
// what grows is a few numbers for each project. Lines that cannot be read are skipped, and the page says how
// many there were.
//
// Whatever the summary and the decisions say is shown as text and never as markup. The
// page allows itself no script or style but its own, and no request at all.
func (p *page) write(w io.Writer, decisions io.ReadSeeker) error {
	found := make(findings)
	unread, err := eachDecision(decisions, func(d *decisionLine) error {
		found.count(d)
		if d.Outcome == Marked && !p.selection.holds(d) {
			p.selection = nil // rows and lines of the plan would not be the same
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	if !p.marks() || p.Deleted == 0 {
		p.selection = nil
	}
	if p.trend == nil || len(p.Journals) > 1 {
		p.trend = readTrendOfShards(p.Journals, p.GitLabURL) // of a merged report, which has no journals in its folder
	}
	data, err := json.Marshal(p.data(found, unread))
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := p.WriteText(&text, Text{Width: 100}); err != nil {
		return err
	}
	above, below, _ := strings.Cut(pageText, "{{rows}}\n")
	fill := strings.NewReplacer(
		"{{style-hash}}", contentHash(pageStyle), "{{style}}", pageStyle,
		"{{script-hash}}", contentHash(pageScript), "{{script}}", pageScript,
		"{{title}}", markup(p.title()), "{{headline}}", strings.ReplaceAll(markup(p.Headline()), " %", "\u00a0%"),
		"{{text}}", markup(text.String()), "{{data}}", string(data),
	)
	out := bufio.NewWriter(w)
	_, err = fill.WriteString(out, above)
	if err == nil {
		err = packElement(out, "rows", decisions, writeRows)
	}
	if err == nil && p.selection != nil {
		err = packElement(out, "plan", decisions, p.selection.write)
	}
	if err == nil {
		_, err = fill.WriteString(out, below)
	}
	return errors.Join(err, out.Flush())
}

// markup returns a text as it stands in the page: nothing in it hides but the ends of its lines, and nothing
// is read as an element.
func markup(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = html.EscapeString(printable.Escape(line))
	}
	return strings.Join(lines, "\n")
}

// contentHash names a style or a script to the browser, which then takes no others.
func contentHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
