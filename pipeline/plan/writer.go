package plan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// mostHeld is how many entries a [Writer] has in memory, some 5 MiB. More are put aside, sorted,
// in files of their own.
const mostHeld = 10_000

// A Writer writes a plan. Entries come in any order, and stand in the file by project, repository and
// tag, so that two plans can be compared line by line. The file appears whole, when the writer is
// closed, or not at all.
type Writer struct {
	// Clean removes secrets from the JSON of what is written; nil removes none. It is set before the
	// first entry.
	Clean func([]byte) []byte

	path     string
	instance string
	held     []Entry
	parts    []*os.File // sorted; removed in the end
	tags     int
}

// NewWriter returns a writer of a plan of an instance. Nothing is written yet; that it can be is
// made sure of.
func NewWriter(path, instance string) (*Writer, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w := &Writer{path: path, instance: instance}
	probe, err := w.temporary()
	if err != nil {
		return nil, err
	}
	return w, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (w *Writer) temporary() (*os.File, error) {
	return os.CreateTemp(filepath.Dir(w.path), ".plan-*")
}

// Add adds an entry.
func (w *Writer) Add(e Entry) error {
	if err := cleaned(&e, w.Clean); err != nil {
		return err
	}
	w.tags++
	if w.held = append(w.held, e); len(w.held) < mostHeld {
		return nil
	}
	return w.putAside()
}

// cleaned removes secrets from a value, which then is what its JSON says.
func cleaned[T any](value *T, clean func([]byte) []byte) error {
	if clean == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	without := clean(text)
	if bytes.Equal(text, without) {
		return nil
	}
	return json.Unmarshal(without, value)
}

// putAside writes the entries in memory, sorted, into a file.
func (w *Writer) putAside() error {
	slices.SortFunc(w.held, compare)
	part, err := w.temporary()
	if err != nil {
		return err
	}
	w.parts = append(w.parts, part)
	out := bufio.NewWriter(part)
	encoder := json.NewEncoder(out)
	for _, e := range w.held {
		if err := encoder.Encode(e); err != nil {
			return err
		}
	}
	w.held = w.held[:0]
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = part.Seek(0, 0)
	return err
}

// Close writes the plan with its header, in which it fills in version, instance and the number of
// tags.
func (w *Writer) Close(h Header) (err error) {
	defer w.removeParts()
	h.Plan, h.Instance, h.Tags = version, w.instance, w.tags
	if err := cleaned(&h, w.Clean); err != nil {
		return err
	}
	slices.SortFunc(w.held, compare)
	file, err := w.temporary()
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the plan: %w", errors.Join(err, os.Remove(file.Name())))
		}
	}()
	out := bufio.NewWriter(file)
	if err := errors.Join(w.write(out, h), out.Flush(), file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), w.path)
}

// write writes header and entries.
func (w *Writer) write(out *bufio.Writer, h Header) error {
	sealed, err := seal(w.instance, h)
	if err != nil {
		return err
	}
	line, err := json.Marshal(sealedHeader{h, sealed})
	if err != nil {
		return err
	}
	if _, err := out.Write(append(printable.JSON(line), '\n')); err != nil {
		return err
	}
	return w.merged(func(e Entry) error {
		line, err := e.Line(w.instance)
		if err != nil {
			return err
		}
		_, err = out.Write(line)
		return err
	})
}

// merged calls do with all entries in their order: the smallest of those that come next in each
// part and in memory, until there are none.
func (w *Writer) merged(do func(Entry) error) error {
	var sources []func() (Entry, bool, error)
	for _, part := range w.parts {
		decoder := json.NewDecoder(bufio.NewReader(part))
		sources = append(sources, func() (e Entry, more bool, err error) {
			if more = decoder.More(); more {
				err = decoder.Decode(&e)
			}
			return e, more, err
		})
	}
	held := w.held
	sources = append(sources, func() (e Entry, more bool, err error) {
		if more = len(held) > 0; more {
			e, held = held[0], held[1:]
		}
		return e, more, nil
	})
	next := make([]*Entry, len(sources))
	advance := func(i int) error {
		e, more, err := sources[i]()
		if next[i] = nil; more {
			next[i] = &e
		}
		return err
	}
	for i := range sources {
		if err := advance(i); err != nil {
			return err
		}
	}
	for {
		least := -1
		for i, e := range next {
			if e != nil && (least < 0 || compare(*e, *next[least]) < 0) {
				least = i
			}
		}
		if least < 0 {
			return nil
		}
		if err := do(*next[least]); err != nil {
			return err
		}
		if err := advance(least); err != nil {
			return err
		}
	}
}

// Discard forgets the plan: no file appears.
func (w *Writer) Discard() { w.removeParts() }

func (w *Writer) removeParts() {
	for _, part := range w.parts {
		_ = part.Close() // it is not read any more
		_ = os.Remove(part.Name())
	}
	w.parts = nil
}
