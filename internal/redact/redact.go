// Package redact removes secrets from what a program writes.
//
// Values that know they are secret (gitlabapi.Secret) do not show themselves. What cannot
// know is text from elsewhere: a server that repeats the request, and libraries that print
// what a server sent, as net/http does through package log. So the last thing before any
// file is a [Redactor].
//
// One way past it is left: the runtime writes a panic straight to standard error. No value
// that is given to panic may hold a secret.
package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"slices"
	"strconv"
	"sync"
)

// Mark is what is written in the place of a secret.
const Mark = "[redacted]"

// minSecret is how long a secret has to be. GitLab's tokens have twenty characters and
// more; to remove every "x" or "tag" would only make the output unreadable.
const minSecret = 8

// A Redactor knows the forms in which secrets may appear. A nil Redactor knows none.
type Redactor struct {
	forms [][]byte // the longest first, so that none is replaced in a part only
}

// New returns a redactor of secrets. Those too short to be any are left out.
func New(secrets ...string) *Redactor {
	r := new(Redactor)
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			r.forms = append(r.forms, formsOf(secret)...)
		}
	}
	slices.SortFunc(r.forms, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b)) })
	r.forms = slices.CompactFunc(r.forms, bytes.Equal)
	return r
}

// formsOf returns the forms of a secret: as it is, in an address, quoted by Go and by JSON,
// in HTML, and in Base64, where it may stand behind a user name and a colon.
func formsOf(secret string) (forms [][]byte) {
	quoted := strconv.Quote(secret)
	encoded, _ := json.Marshal(secret) // a string can always be encoded
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret),
		quoted[1 : len(quoted)-1], string(encoded[1 : len(encoded)-1]),
	} {
		forms = append(forms, []byte(form))
	}
	// Base64 turns three bytes into four characters, so a text looks in three ways,
	// depending on how many bytes are before it. Characters that are made of a neighbour's
	// bits too are not looked for: they tell six bits of the secret at most.
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		first, end := (8*before+5)/6, 8*len(padded)/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, []byte(encoding.EncodeToString(padded)[first:end]))
		}
	}
	return forms
}

// Bytes returns a text without secrets.
func (r *Redactor) Bytes(text []byte) []byte {
	if r == nil {
		return text
	}
	for _, form := range r.forms {
		if bytes.Contains(text, form) {
			text = bytes.ReplaceAll(text, form, []byte(Mark))
		}
	}
	return text
}

// Finds reports whether a text has a secret in it.
func (r *Redactor) Finds(text []byte) bool {
	return r != nil && slices.ContainsFunc(r.forms, func(form []byte) bool { return bytes.Contains(text, form) })
}

// Writer returns a writer that removes secrets from what it passes on, also those that are
// cut in two by two writes: the end of a text that a secret may begin with is kept back
// until the next write, or [Writer.Flush]. A line break is never kept back.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{redactor: r, w: w} }

// A Writer is made by [Redactor.Writer]. It is safe for concurrent use.
type Writer struct {
	redactor *Redactor
	w        io.Writer

	mu   sync.Mutex
	kept []byte
}

// Write implements [io.Writer].
func (w *Writer) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.redactor.Bytes(append(w.kept, text...))
	pass := len(all) - w.redactor.begun(all)
	w.kept = slices.Clone(all[pass:])
	if pass > 0 {
		if _, err := w.w.Write(all[:pass]); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

// Flush writes what was kept back.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.kept
	w.kept = nil
	if len(kept) == 0 {
		return nil
	}
	_, err := w.w.Write(kept)
	return err
}

// begun returns how long the longest end of a text is that a secret begins with.
func (r *Redactor) begun(text []byte) (longest int) {
	if r == nil {
		return 0
	}
	for _, form := range r.forms {
		for n := min(len(form)-1, len(text)); n > longest; n-- {
			if bytes.HasSuffix(text, form[:n]) {
				longest = n
			}
		}
	}
	return longest
}
