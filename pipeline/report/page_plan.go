package report

import (
	"io"
	"os"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// A selection is what a page needs beside the decisions so that its readers can have a plan of
// those tags that they select: the header of the run's own plan.
type selection struct {
	header   []byte
	instance string
}

// readSelection reads what is needed from a plan. There is no selection without a plan, nor where its
// header, which has to stay as it is, holds what a page must not.
func readSelection(path string, redactor *redact.Redactor) (*selection, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	header, instance, err := plan.HeaderLine(file)
	if err != nil || redactor.Finds(header) {
		return nil, err
	}
	return &selection{header, instance}, nil
}

// holds reports whether the plan has the decision as it is here. Of what was redacted in the decisions
// the plan has something else. Without a selection nothing is held.
func (s *selection) holds(d *decisionLine) bool {
	if s == nil {
		return false
	}
	e := EntryOf(Decision(*d))
	texts := []string{e.Project, e.Repository, e.Tag, e.Digest, e.MediaType, e.Reason, e.Kind, e.RestsOn}
	return e.Check() == nil && !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, redact.Mark) })
}

// write writes the plan's header, and the plan's line of each decision that is marked, in the order of the
// rows. The page's script puts those that are selected into a plan's order.
func (s *selection) write(w io.Writer, decisions io.Reader) error {
	if _, err := w.Write(s.header); err != nil {
		return err
	}
	_, err := eachDecision(decisions, func(d *decisionLine) error {
		if d.Outcome != Marked {
			return nil
		}
		line, err := EntryOf(Decision(*d)).Line(s.instance)
		if err == nil {
			_, err = w.Write(line)
		}
		return err
	})
	return err
}
