package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// Names of the files in REPORT_DIR.
const (
	SummaryFile   = "summary.json"
	DecisionsFile = "decisions.jsonl"
	MetricsFile   = "metrics.txt"
	PageFile      = "report.html"
)

// Files writes the reports of one run into a folder. Opening it shows whether the
// folder can be written, before anything else is done.
type Files struct {
	// Redactor removes secrets from whatever is written; nil removes none. It is set
	// before the first event.
	Redactor *redact.Redactor
	// Everything has tags written, too, that are kept.
	Everything bool
	// Plan is the file of the plan that the run has made, "" where it made none: in the page some of
	// its tags can be selected for another. It is set before Close.
	Plan string

	dir         string
	decisions   *os.File
	err         error // why no further decision can be written
	withoutPage bool
	hasPage     bool // it was written
}

// OpenFiles creates the folder where it is missing, and empties an earlier run's
// reports in it.
func OpenFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{SummaryFile, MarkdownFile, MetricsFile, PageFile} {
		for _, file := range []string{name, name + unfinished} {
			if err := os.Remove(filepath.Join(dir, file)); err != nil && !os.IsNotExist(err) {
				return nil, err
			}
		}
	}
	decisions, err := os.Create(filepath.Join(dir, DecisionsFile))
	if err != nil {
		return nil, err
	}
	return &Files{dir: dir, decisions: decisions}, nil
}

// decisionLine is one line of decisions.jsonl.
type decisionLine struct {
	Project      string        `json:"project"`
	ProjectID    int64         `json:"project_id"`
	Repository   string        `json:"repository"`
	RepositoryID int64         `json:"repository_id"`
	Tag          string        `json:"tag"`
	Action       policy.Action `json:"action"`
	Outcome      Outcome       `json:"outcome"`
	Reason       policy.Reason `json:"reason"`
	Digest       string        `json:"digest,omitempty"`
	MediaType    string        `json:"media_type,omitempty"`
	Kind         string        `json:"kind,omitempty"`
	Bytes        int64         `json:"bytes,omitempty"`
	Made         time.Time     `json:"made,omitzero"`
	RestsOn      string        `json:"rests_on,omitempty"`
	// CounterpartEmpty is for a plan that is made of decisions.
	CounterpartEmpty bool   `json:"counterpart_empty,omitempty"`
	Detail           string `json:"detail,omitempty"`
}

// Handle implements [Handler]: it writes a line for every tag that is not kept, or for all, at
// once and whole, so that what a killed run wrote can be read. After an error it
// writes no more: the next line would be glued to one that may have been cut off.
//
// It waits for the disk, also after a stop, and so holds up further deletions: one that
// is not recorded would be worse than a run that ends late. So it must be called before
// handlers that may wait for anything else.
func (f *Files) Handle(e Event) error {
	d, ok := e.(Decision)
	if !ok || d.Outcome == Kept && !f.Everything || f.err != nil {
		return f.err
	}
	line, err := json.Marshal(decisionLine(d))
	if err == nil {
		_, err = f.decisions.Write(append(CleanJSON(f.Redactor, line), '\n'))
	}
	if err != nil {
		f.err = fmt.Errorf("writing the decision on %s:%s: %w", d.Repository, d.Tag, err)
	}
	return f.err
}

// CleanJSON removes from JSON what must not be in a file: secrets, and characters that would steer a terminal
// that it is printed on.
func CleanJSON(r *redact.Redactor, text []byte) []byte { return r.Bytes(printable.JSON(text)) }

// LeaveOutPage makes Close write no page. It takes longer than all else, and can be made
// of the other files later: see [Merge].
func (f *Files) LeaveOutPage() { f.withoutPage = true }

// Close ends the decisions, and writes the summary and the page.
func (f *Files) Close(s *Summary) error {
	var errs []error
	if err := f.decisions.Close(); err != nil {
		errs = append(errs, fmt.Errorf("closing the decisions: %w", err))
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		errs = append(errs, fmt.Errorf("writing the summary: %w", err))
	} else {
		errs = append(errs, f.Write(SummaryFile, append(CleanJSON(f.Redactor, text), '\n')))
	}
	if !f.withoutPage {
		// The decisions are read back: no run holds them in memory.
		err := f.replace(PageFile, func(w io.Writer) error {
			decisions, err := os.Open(f.decisions.Name())
			if err != nil {
				return err
			}
			defer decisions.Close()
			selection, err := readSelection(f.Plan, f.Redactor)
			if err != nil {
				return fmt.Errorf("reading the plan: %w", err)
			}
			page := &page{Summary: s, selection: selection, trend: readTrend(f.dir, s.GitLabURL)}
			return page.write(w, decisions)
		})
		f.hasPage = err == nil
		errs = append(errs, err)
	}
	// It names the page, if there is one.
	errs = append(errs, f.replace(MarkdownFile, func(w io.Writer) error { return s.WriteMarkdown(w, Text{Files: f}) }))
	return errors.Join(errs...)
}

// Write writes a file of that name, which appears whole or not at all.
func (f *Files) Write(name string, text []byte) error {
	return f.replace(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// unfinished ends the name of a file that is being written.
const unfinished = ".tmp"

// replace writes a file under another name and then gives it its own. One that could not
// be written is removed: a disk that is full needs the room.
func (f *Files) replace(name string, write func(io.Writer) error) error {
	final := filepath.Join(f.dir, name)
	file, err := os.Create(final + unfinished)
	if err == nil {
		clean := f.Redactor.Writer(file)
		err = errors.Join(write(clean), clean.Flush(), file.Close())
	}
	if err == nil {
		err = os.Rename(final+unfinished, final)
	}
	if err != nil {
		_ = os.Remove(final + unfinished) // why it was not written says more
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
