package plan

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// version is that of the files' format.
const version = 1

// A Header is the first line of a plan: where it is from.
type Header struct {
	Plan       int               `json:"plan"` // version of the format
	Instance   string            `json:"gitlab_url"`
	Time       time.Time         `json:"time"`           // when the run began that made it
	Version    string            `json:"version"`        // of the program
	User       string            `json:"user,omitempty"` // of the token
	Rules      Rules             `json:"rules"`
	Settings   map[string]string `json:"settings,omitempty"` // those that are set, by variable
	Regime     string            `json:"regime,omitempty"`
	Tags       int               `json:"tags"`                 // lines that were written
	Incomplete string            `json:"incomplete,omitempty"` // why the run did not see all tags
}

// A sealed line ends with its seal.
type sealedHeader struct {
	Header
	Seal string `json:"seal"`
}

type sealedEntry struct {
	Entry
	Seal string `json:"seal"`
}

// Line returns an entry as the line that a [Writer] writes of it into a plan of an instance.
func (e Entry) Line(instance string) ([]byte, error) {
	sealed, err := seal(instance, e)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(sealedEntry{e, sealed})
	return append(printable.JSON(line), '\n'), err
}

// A Plan is what was read from a file, or from several of one instance.
type Plan struct {
	Header  Header
	Entries []Entry
}

// A LineError says what is wrong with a line.
type LineError struct {
	File string
	Line int
	Err  error
}

// Error implements error. What a file says is made harmless for a terminal.
func (e *LineError) Error() string {
	return printable.Replace(fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err), '?')
}

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// What is wrong with a plan.
var (
	errNoHeader  = errors.New("this is no plan: its first line says neither version nor instance")
	errVersion   = errors.New("the plan was written by another version of the program, in a format that is not known here")
	errInstance  = errors.New("the plan is of another instance")
	errInstances = errors.New("the journals in it are of different instances")
	errChanged   = errors.New("the line was changed, or is of another instance; lines can be taken out, and nothing else")
	errNoJSON    = errors.New("this is no line of JSON")
	errTwice     = errors.New("the tag stands in a line before")
	errLineLong  = errors.New("the line is too long")
	errNoEntries = errors.New("the plan is empty: it has no header")
)

const (
	// longestLine bounds what one line may take in memory.
	longestLine = 1 << 20
	// mostErrors is how many lines are named that are wrong.
	mostErrors = 10
)

// Read reads a plan of an instance. The error names lines that are wrong, as [*LineError] each, the
// first ten at most: a plan of which one line is wrong is not applied at all.
func Read(r io.Reader, file, instance string) (*Plan, error) {
	p := new(Plan)
	var wrong []error
	fail := func(line int, err error) { wrong = append(wrong, &LineError{file, line, err}) }
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	seen := make(map[Key]bool)
	number := 0
	for number = 1; lines.Scan() && len(wrong) < mostErrors; number++ {
		text := lines.Bytes()
		switch {
		case number == 1:
			header, err := readHeader(text, instance)
			if err != nil {
				return nil, &LineError{file, 1, err}
			}
			p.Header = header
		case len(text) == 0:
		default:
			entry, err := readEntry(text, instance)
			if err == nil && seen[entry.Key()] {
				err = errTwice
			}
			if err != nil {
				fail(number, err)
				continue
			}
			seen[entry.Key()] = true
			p.Entries = append(p.Entries, entry)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		fail(number, errLineLong)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", file, err)
	case number == 1:
		return nil, &LineError{file, 1, errNoEntries}
	}
	return p, errors.Join(wrong...)
}

// HeaderLine reads the first line of a plan, and returns it as it stands there with the instance that the
// plan is of.
func HeaderLine(r io.Reader) (line []byte, instance string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	if !lines.Scan() {
		return nil, "", cmp.Or(lines.Err(), errNoEntries)
	}
	var h Header
	if json.Unmarshal(lines.Bytes(), &h) != nil {
		return nil, "", errNoHeader
	}
	_, err = readHeader(lines.Bytes(), h.Instance)
	return append(lines.Bytes(), '\n'), h.Instance, err
}

func readHeader(text []byte, instance string) (Header, error) {
	var h sealedHeader
	if json.Unmarshal(text, &h) != nil || h.Plan == 0 || h.Instance == "" {
		return Header{}, errNoHeader
	}
	sealed, err := seal(h.Instance, h.Header)
	switch {
	case err != nil:
		return Header{}, err
	case h.Plan != version:
		return Header{}, errVersion
	case h.Instance != instance:
		return Header{}, fmt.Errorf("%w, %s; GITLAB_URL is %s", errInstance, h.Instance, instance)
	case h.Seal != sealed:
		return Header{}, errChanged
	}
	return h.Header, nil
}

func readEntry(text []byte, instance string) (Entry, error) {
	var e sealedEntry
	if json.Unmarshal(text, &e) != nil {
		return Entry{}, errNoJSON
	}
	if err := e.Check(); err != nil {
		return Entry{}, err
	}
	// What is not a field of an entry the seal does not see: the line has to be the one that was
	// written, but for the space around it.
	line, err := e.Entry.Line(instance)
	if err != nil {
		return Entry{}, err
	}
	if string(trimLine(text)) != string(trimLine(line)) {
		return e.Entry, errChanged
	}
	return e.Entry, nil
}

// trimLine returns a line without its end.
func trimLine(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}

// compare orders entries as a plan has them: by project, repository and tag.
func compare(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag))
}
