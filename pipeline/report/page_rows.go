package report

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
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

// packElement writes what is made of the decisions into an element of the page: packed, since rows and lines
// of a plan are nearly the same in each, and in Base64, so that no name can end the element. The page's script
// unpacks it.
func packElement(w io.Writer, id string, decisions io.ReadSeeker, write func(io.Writer, io.Reader) error) error {
	if _, err := decisions.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	if _, err := fmt.Fprintf(w, `<script type="application/gzip" id="%s">`, id); err != nil {
		return err
	}
	encoded := base64.NewEncoder(base64.StdEncoding, w)
	packed, err := gzip.NewWriterLevel(encoded, gzip.BestSpeed) // others take twice as long for a fifth less
	if err != nil {
		return err
	}
	if err := errors.Join(write(packed, decisions), packed.Close(), encoded.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(w, "</script>\n")
	return err
}

// writeRows writes the decisions as the JSON array that the page's script reads: a row
// is [repository, tag, outcome, reason, kind, bytes, digest, why, made], of which repository is [path, project,
// page in GitLab below the instance]. What repeats is written out where it first comes, and by its number from
// then on.
func writeRows(w io.Writer, decisions io.Reader) error {
	names := &nameTable{numbers: make(map[string]int)}
	if _, err := io.WriteString(w, "["); err != nil {
		return err
	}
	separator := ""
	_, err := eachDecision(decisions, func(d *decisionLine) error {
		row, err := json.Marshal([]any{
			names.putRepository(d),
			printable.Escape(d.Tag),
			names.put(string(d.Outcome)),
			names.put(string(d.Reason)),
			names.put(d.Kind),
			d.Bytes,
			shortDigest(d.Digest),
			names.put(cmp.Or(d.Detail, d.RestsOn)),
			secondsOf(d.Made),
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
	_, err = io.WriteString(w, "\n]")
	return err
}

// secondsOf returns a time as JavaScript's clock counts, in seconds; 0 where it is not known.
func secondsOf(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// A nameTable numbers texts in the order in which they first come.
type nameTable struct {
	numbers map[string]int
	next    int
}

// mostNames bounds a nameTable. A full one begins anew: what it knew is written out once
// more, under a new number.
const mostNames = 20_000

// number returns the number of what is known under a key, and whether it had one before.
func (t *nameTable) number(key string) (number int, known bool) {
	if number, known = t.numbers[key]; known {
		return number, true
	}
	if len(t.numbers) >= mostNames {
		clear(t.numbers)
	}
	t.numbers[key] = t.next
	t.next++
	return t.next - 1, false
}

// put returns the text's number, or the text as the page shows it when it has none yet.
func (t *nameTable) put(name string) any {
	if number, known := t.number(name); known {
		return number
	}
	return printable.Escape(name)
}

// putRepository returns the same of a decision's repository.
func (t *nameTable) putRepository(d *decisionLine) any {
	if number, known := t.number("\n" + strconv.FormatInt(d.RepositoryID, 10) + "\n" + d.Project + "\n" + d.Repository); known {
		return number
	}
	return []string{printable.Escape(d.Repository), printable.Escape(d.Project), pathInGitLab(d.Project, d.RepositoryID)}
}

// pathInGitLab returns the path of a repository's page below the instance, "" where there can be none.
func pathInGitLab(project string, id int64) string {
	const anywhere = "https://gitlab.invalid"
	return strings.TrimPrefix(Links{Instance: anywhere}.Repository(project, id), anywhere)
}

// shortDigest returns as much of a digest as people compare, and as engines show.
func shortDigest(digest string) string {
	const enough = 12
	digest = strings.TrimPrefix(digest, "sha256:")
	return printable.Escape(digest[:min(enough, len(digest))])
}
