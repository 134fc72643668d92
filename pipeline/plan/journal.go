package plan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// An Event says what a line of a journal is about.
type Event string

// The events of a journal.
const (
	Started  Event = "started"  // the header
	Deleting Event = "deleting" // a deletion is about to be sent
	Deleted  Event = "deleted"  // it was done
	Failed   Event = "failed"   // it was refused, or nothing was heard of it
)

// A JournalHeader is the first line of a journal.
type JournalHeader struct {
	Time     time.Time `json:"time"`
	Event    Event     `json:"event"` // [Started]
	Journal  int       `json:"journal"`
	Instance string    `json:"gitlab_url"`
	Version  string    `json:"version"` // of the program
	Rules    Rules     `json:"rules"`
	// Regime says whether the registry has its metadata database: how long a deletion can be undone
	// hangs on that.
	Regime string `json:"regime,omitempty"`
}

// A Record is a line of a journal.
type Record struct {
	Time  time.Time `json:"time"`
	Event Event     `json:"event"`
	Entry
	Detail string `json:"detail,omitempty"` // why a deletion failed
}

// A Journal is a file that is being written. It is made with the first deletion: a run without any
// leaves none. It is safe for concurrent use: each of several deleters writes down what it is about to
// delete.
type Journal struct {
	clean func([]byte) []byte

	mu     sync.Mutex
	path   string
	header JournalHeader
	begun  bool // the header was written
	out    io.Writer
	sync   func() error // waits until what was written to out can be lost no more
	file   *os.File     // nil where there is none
	err    error        // why no further line can be written
}

// FolderName is the folder of the journals in the one of the reports.
const FolderName = "journal"

// NewJournal returns the journal of a run that began at a time, in the folder of its reports. What is
// written goes through clean. No later run touches the file: where there is one of that name, it takes
// another.
func NewJournal(reports string, header JournalHeader, clean func([]byte) []byte) *Journal {
	header.Event, header.Journal = Started, version
	name := header.Time.UTC().Format("2006-01-02T150405Z") + ".jsonl"
	return &Journal{path: filepath.Join(reports, FolderName, name), header: header, clean: clean}
}

// NewJournalIn returns a journal that is written among other lines, such as those of a log. What was written
// is sure when sync has returned nil.
func NewJournalIn(out io.Writer, sync func() error, header JournalHeader, clean func([]byte) []byte) *Journal {
	header.Event, header.Journal = Started, version
	return &Journal{out: out, sync: sync, header: header, clean: clean}
}

// Path returns where the journal is, "" where nothing was recorded.
func (j *Journal) Path() string {
	if j == nil {
		return ""
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return ""
	}
	return j.path
}

// Record writes what is about to happen, or what happened, in a registry of a regime. When one of the
// records says [Deleting] it waits until all are on the disk. After an error it writes nothing any
// more: the next line would be glued to one that may have been cut off.
func (j *Journal) Record(regime string, records ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.header.Regime = regime
		j.err = j.record(records)
	}
	return j.err
}

func (j *Journal) record(records []Record) error {
	var text []byte
	if j.out == nil {
		if err := j.create(); err != nil {
			return fmt.Errorf("making the journal: %w", err)
		}
	}
	if !j.begun {
		j.begun = true
		text = append(text, j.line(j.header)...)
	}
	for _, r := range records {
		text = append(text, j.line(r)...)
	}
	_, err := j.out.Write(text)
	if err == nil && slices.ContainsFunc(records, func(r Record) bool { return r.Event == Deleting }) {
		err = j.sync()
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// line returns a value as a line. What a record has can always be written as JSON.
func (j *Journal) line(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return append(j.clean(text), '\n')
}

// create makes the file, with a number in its name where there is one already.
func (j *Journal) create() error {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return err
	}
	base := j.path[:len(j.path)-len(".jsonl")]
	for n := 2; ; n++ {
		file, err := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, os.ErrExist) {
			j.file, j.out, j.sync = file, file, file.Sync
			return errors.Join(err, syncFolder(filepath.Dir(j.path)))
		}
		j.path = fmt.Sprintf("%s-%d.jsonl", base, n)
	}
}

// syncFolder has the name of a new file survive a crash, where the system can do that.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync() // not all file systems can
	return folder.Close()
}

// Close ends the journal, when all is on the disk.
func (j *Journal) Close() error {
	if j == nil || j.file == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}

// ReadJournal reads the records of a journal, or of a log in JSON that has them: lines that are neither
// are skipped. It calls do with each record, and returns the header, the zero value where there is
// none, and how many lines could not be read at all: the last one of a run that was killed may be cut
// off.
func ReadJournal(r io.Reader, do func(Record)) (header JournalHeader, unread int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		text := lines.Bytes()
		if start := bytes.IndexByte(text, '{'); start > 0 && bytes.Contains(text[start:], []byte(`"event":`)) {
			text = text[start:] // behind the time that a runner puts before each line
		}
		var kind struct {
			Event   Event `json:"event"`
			Journal int   `json:"journal"`
		}
		if err := json.Unmarshal(text, &kind); err != nil {
			if bytes.HasPrefix(text, []byte("{")) {
				unread++
			}
			continue
		}
		switch kind.Event {
		case Started:
			if kind.Journal != version {
				return header, unread, errVersion
			}
			earlier := header.Instance
			if err := json.Unmarshal(text, &header); err != nil {
				return header, unread, err
			}
			if earlier != "" && header.Instance != earlier {
				return header, unread, errInstances
			}
		case Deleting, Deleted, Failed:
			var record Record
			if json.Unmarshal(text, &record) != nil || record.Check() != nil {
				unread++
				continue
			}
			do(record)
		}
	}
	return header, unread, lines.Err()
}
