package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// longestLine bounds what one line of the decisions may take in memory. Names and
// details are short; this program writes no longer line.
const longestLine = 1 << 20

// eachDecision calls do for every line that holds a decision, and returns how many do
// not. The last line of a run that was killed may be cut off.
func eachDecision(r io.Reader, do func(*decisionLine) error) (unread int, err error) {
	lines := bufio.NewReaderSize(r, longestLine)
	for {
		line, err := lines.ReadSlice('\n')
		tooLong := false
		for errors.Is(err, bufio.ErrBufferFull) {
			tooLong = true
			_, err = lines.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return unread, err
		}
		if len(line) > 0 {
			var d decisionLine
			if tooLong || json.Unmarshal(line, &d) != nil || d.Tag == "" {
				unread++
			} else if err := do(&d); err != nil {
				return unread, err
			}
		}
		if err == io.EOF {
			return unread, nil
		}
	}
}

// writeRows writes the decisions as the JSON array that the page's script reads: a row
// is [repository, tag, outcome, reason, kind, bytes, digest, detail, made]. What repeats is
// written out where it first comes, and by its number from then on.
//
// The JSON is in an element of the page. Its encoder escapes <, > and & and the line
// separators of JavaScript, so that no name can end that element.
func writeRows(w io.Writer, decisions io.Reader) error {
	names := newNameTable()
	if _, err := io.WriteString(w, `<script type="application/json" id="rows">[`); err != nil {
		return err
	}
	separator := ""
	_, err := eachDecision(decisions, func(d *decisionLine) error {
		row, err := json.Marshal([]any{
			names.put(d.Repository),
			printable.Escape(d.Tag),
			names.put(string(d.Outcome)),
			names.put(string(d.Reason)),
			names.put(d.Kind),
			d.Bytes,
			shortDigest(d.Digest),
			names.put(d.Detail),
			dateOf(d.Made),
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n%s", separator, row)
		separator = ","
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n]</script>\n")
	return err
}

// dateOf returns the day on which something was made, "" where that is not known.
func dateOf(made time.Time) string {
	if made.IsZero() {
		return ""
	}
	return made.UTC().Format(time.DateOnly)
}

// A nameTable numbers texts in the order in which they first come.
type nameTable struct {
	numbers map[string]int
	next    int
}

// mostNames bounds a nameTable. A full one begins anew: what it knew is written out once
// more, under a new number.
const mostNames = 20_000

func newNameTable() *nameTable { return &nameTable{numbers: make(map[string]int)} }

// put returns the text's number, or the text as the page shows it when it has none yet.
func (t *nameTable) put(name string) any {
	if number, ok := t.numbers[name]; ok {
		return number
	}
	if len(t.numbers) >= mostNames {
		clear(t.numbers)
	}
	t.numbers[name] = t.next
	t.next++
	return printable.Escape(name)
}

// shortDigest returns as much of a digest as people compare, and as engines show.
func shortDigest(digest string) string {
	const enough = 12
	digest = strings.TrimPrefix(digest, "sha256:")
	return printable.Escape(digest[:min(enough, len(digest))])
}
