package report

import (
	"compress/gzip"
	"encoding/base64"
	"errors"
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
// the plan has something else.
func (s *selection) holds(d *decisionLine) bool {
	e := EntryOf(Decision(*d))
	texts := []string{e.Project, e.Repository, e.Tag, e.Digest, e.MediaType, e.Reason, e.Kind, e.RestsOn}
	return e.Check() == nil && !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, redact.Mark) })
}

// write writes the plan's header, and the plan's line of each decision that is marked, in the order of the
// rows. They are packed, since 100,000 of them have 50 MB that are nearly the same in each, and in
// Base64, so that no name can end the element that they are in. The page's script unpacks them when a
// plan is wanted, and puts those that are selected into a plan's order.
func (s *selection) write(w io.Writer, decisions io.Reader) error {
	if _, err := io.WriteString(w, `<script type="application/gzip" id="plan">`); err != nil {
		return err
	}
	encoded := base64.NewEncoder(base64.StdEncoding, w)
	packed := gzip.NewWriter(encoded)
	_, err := packed.Write(s.header)
	if err == nil {
		_, err = eachDecision(decisions, func(d *decisionLine) error {
			if d.Outcome != Marked {
				return nil
			}
			line, err := EntryOf(Decision(*d)).Line(s.instance)
			if err == nil {
				_, err = packed.Write(line)
			}
			return err
		})
	}
	if err = errors.Join(err, packed.Close(), encoded.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(w, "</script>\n")
	return err
}
