package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// reports is what a run wrote down: summary.json and decisions.jsonl, as far as the
// demo shows them. The names are those of the contract, written out once more, so that
// a report that breaks it does not show up here as if nothing were wrong.
type reports struct {
	Tags      int `json:"tags"`
	Deleted   int `json:"deleted"`
	decisions []decision
}

// decision is one line of decisions.jsonl.
type decision struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Reason     string `json:"reason"`
}

// readReports reads both files.
func readReports(dir string) (*reports, error) {
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		return nil, err
	}
	r := new(reports)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("reading the summary: %w", err)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "decisions.jsonl")); err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var d decision
		err := lines.Decode(&d)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the decisions: %w", err)
		}
		r.decisions = append(r.decisions, d)
	}
}

// writeTags prints every tag that is not kept, by repository.
func (r *reports) writeTags(w io.Writer) {
	tags := make(map[string][]string)
	for _, d := range r.decisions {
		tags[d.Repository] = append(tags[d.Repository], d.Tag+"\t"+d.Reason)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\nThe tags that it would delete:\n")
	for _, repository := range slices.Sorted(maps.Keys(tags)) {
		slices.Sort(tags[repository])
		for _, tag := range tags[repository] {
			fmt.Fprintf(table, "  %s\t%s\n", repository, tag)
		}
	}
	table.Flush()
}
