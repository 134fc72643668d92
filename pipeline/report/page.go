package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
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

// pageTemplates are the two halves of the page, around the decisions.
var pageTemplates = template.Must(template.New("page").Funcs(template.FuncMap{
	"number":  number,
	"shown":   shown,
	"size":    size,
	"rounded": rounded,
}).Parse(pageText))

// WriteHTML writes a run as a page for people: figures, charts, what to change in which
// build, and a table of the decisions, which are read from lines in the form of
// decisions.jsonl. They are read twice, from the beginning, and not held in memory: what
// grows is a few numbers for each project. Lines that cannot be read are passed over,
// and the page says how many there were.
//
// Whatever the summary and the decisions say is shown as text and never as markup. The
// page allows itself no script or style but its own, and no request at all.
func WriteHTML(w io.Writer, s *Summary, decisions io.ReadSeeker) error {
	found := newFindings()
	unread, err := eachDecision(decisions, func(d *decisionLine) error { found.add(d); return nil })
	if err == nil {
		_, err = decisions.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	page := newPage(s, found, unread)
	out := bufio.NewWriter(w)
	if err := pageTemplates.ExecuteTemplate(out, "top", page); err != nil {
		return err
	}
	if err := writeRows(out, decisions); err != nil {
		return err
	}
	if err := pageTemplates.ExecuteTemplate(out, "bottom", page); err != nil {
		return err
	}
	return out.Flush()
}

// A page is what the templates show.
type page struct {
	*Summary
	Title   string
	Notices []notice
	Figures []figure
	Charts  []chart
	Advice  []advice
	Found   *findings
	Unread  int // lines of the decisions

	Style  template.CSS
	Script template.JS
}

func newPage(s *Summary, f *findings, unread int) *page {
	return &page{
		Summary: s,
		Title:   s.title(),
		Notices: notices(s, unread),
		Figures: figures(s),
		Charts:  []chart{reasonChart(s), kindChart(s, f), projectChart(s, f)},
		Advice:  advise(f),
		Found:   f,
		Unread:  unread,
		Style:   template.CSS(pageStyle),
		Script:  template.JS(pageScript),
	}
}

// StyleHash and ScriptHash name the page's own style and script to the browser, which
// then takes no others.
func (p *page) StyleHash() string  { return contentHash(pageStyle) }
func (p *page) ScriptHash() string { return contentHash(pageScript) }

func contentHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
