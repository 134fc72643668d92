// Package inuse reads lists of images that are in use, so that their tags stay: what a
// cluster runs, for instance, as kubectl prints it.
package inuse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"strings"
)

// A List is what is in use. It is not changed once it is made; a nil one is empty.
//
// Each different reference in it has a number, by which it can be told which were found.
type List struct {
	names   map[name]int32
	digests map[string]int32
	size    int32 // above all numbers
}

// A name is a tag of the repository at a path.
type name struct{ path, tag string }

// What a list may have at most. A hundred thousand references are some 15 MB.
const (
	maxBytes     = 64 << 20
	maxReference = 1024
)

// An Error says what is wrong with a list, and where. It does not show what stands there:
// the file may be another one than was meant, and hold a secret.
type Error struct {
	Name string // of the list's source
	Line int    // from 1; 0 where it is the whole list
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// What can be wrong with a list, besides that it cannot be read.
var (
	ErrNoReference = errors.New("there is something that is no reference of an image, such as registry.example.com/group/app:1.2 or group/app@sha256:…")
	ErrEmpty       = errors.New("names no image; a list without any is what a command that failed leaves behind")
	ErrTooLong     = fmt.Errorf("is longer than %d MiB", maxBytes>>20)
)

// Parse reads a list: references of images, with white space between them. Lines may be
// blank, and end with a comment that begins with # after white space. The source's name is
// for errors, each of which is an [*Error].
func Parse(r io.Reader, source string) (*List, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case err != nil:
		return nil, &Error{Name: source, Err: err}
	case len(text) > maxBytes:
		return nil, &Error{Name: source, Err: ErrTooLong}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // which editors put before a text
	list := Join()
	number := 0
	for line := range bytes.Lines(text) {
		number++
		for field := range bytes.FieldsSeq(line) {
			if field[0] == '#' {
				break
			}
			if !list.add(field) {
				return nil, &Error{Name: source, Line: number, Err: ErrNoReference}
			}
		}
	}
	if len(list.names) == 0 && len(list.digests) == 0 {
		return nil, &Error{Name: source, Err: ErrEmpty}
	}
	return list, nil
}

// The parts of a reference, as the registry's own grammar has them.
const (
	host      = `[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]`
	component = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	digest    = `sha256:[0-9A-Fa-f]{64}|sha512:[0-9A-Fa-f]{128}`
)

var (
	// reference has the groups path with its first component, path below it, tag, digest.
	// A first component in capitals can only be a host.
	reference  = regexp.MustCompile(`^(?:(?:(` + host + `)(?::[0-9]+)?/)?(` + component + `(?:/` + component + `)*))(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(` + digest + `))?$`)
	bareDigest = regexp.MustCompile(`^(?:` + digest + `)$`)
	// transports stand before what container runtimes say that they run.
	transports = regexp.MustCompile(`^(?:docker-pullable|docker|containerd|cri-o|oci)://`)
)

// add takes a reference into the list and reports whether it is one.
func (l *List) add(field []byte) bool {
	if len(field) > maxReference {
		return false
	}
	text := transports.ReplaceAllString(string(field), "")
	if bareDigest.MatchString(text) {
		putIfNew(l.digests, strings.ToLower(text), l.number())
		return true
	}
	match := reference.FindStringSubmatch(text)
	if match == nil {
		return false
	}
	first, path, tag, digest := match[1], match[2], match[3], strings.ToLower(match[4])
	switch {
	case tag != "":
	case digest == "":
		tag = "latest" // as container runtimes read it
	default:
		putIfNew(l.digests, digest, l.number())
		return true
	}
	// Whether the first component is a host or a group, a reference does not tell, and the
	// same registry may have several names: both readings count.
	whole := name{path, tag}
	if first != "" {
		whole.path = strings.ToLower(first) + "/" + path
	}
	number, known := l.names[whole]
	if !known {
		number = l.number()
	}
	putIfNew(l.names, whole, number)
	putIfNew(l.names, name{path, tag}, number)
	if digest != "" {
		putIfNew(l.digests, digest, number)
	}
	return true
}

// number returns a number that no reference has.
func (l *List) number() int32 {
	l.size++
	return l.size - 1
}

// putIfNew lets the first of several references that have a name or a digest in common stand for it.
func putIfNew[K comparable](numbers map[K]int32, key K, number int32) {
	if _, known := numbers[key]; !known {
		numbers[key] = number
	}
}

// Join returns a list of all that is in any of the lists.
func Join(lists ...*List) *List {
	joined := &List{names: make(map[name]int32), digests: make(map[string]int32)}
	for _, l := range lists {
		if l == nil {
			continue
		}
		for n, number := range l.names {
			putIfNew(joined.names, n, joined.size+number)
		}
		for d, number := range l.digests {
			putIfNew(joined.digests, d, joined.size+number)
		}
		joined.size += l.size
	}
	return joined
}

// Names reports whether the list has the tag, by its name, of the repository at the path,
// such as group/app/web. On which host, it does not ask: a doubt keeps the tag.
func (l *List) Names(path, tag string) bool {
	_, found := l.Find(path, tag)
	return found
}

// Find returns the number of the reference that names the tag, as [List.Names] does.
func (l *List) Find(path, tag string) (number int, found bool) {
	if l == nil {
		return 0, false
	}
	n, found := l.names[name{path, tag}]
	return int(n), found
}

// FindDigest returns the number of the reference that has the digest.
func (l *List) FindDigest(digest string) (number int, found bool) {
	if l == nil {
		return 0, false
	}
	n, found := l.digests[digest]
	return int(n), found
}

// Count returns how many different references there are, and how many of them name a digest and no
// tag. All their numbers are below limit.
func (l *List) Count() (references, byDigest, limit int) {
	if l == nil {
		return 0, 0, 0
	}
	numbers := make(map[int32]bool)
	for _, number := range l.names {
		numbers[number] = true
	}
	named := len(numbers)
	for _, number := range l.digests {
		numbers[number] = true
	}
	return len(numbers), len(numbers) - named, int(l.size)
}

// Digests returns the digests that the list has. Each protects every tag of that digest, in
// whatever repository.
func (l *List) Digests() iter.Seq[string] {
	if l == nil {
		return func(func(string) bool) {}
	}
	return maps.Keys(l.digests)
}
