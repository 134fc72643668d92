// Package printable makes text of a server fit to be shown to people.
//
// A name or an error message of a server may hold characters that steer a terminal, break
// a line in two, run the other way or are not seen at all. Any of them could make a line
// of a log or a report say what the program did not say. There is one notion of such
// characters here, [Hidden], and one function for each place where they are shown.
package printable

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden reports whether a character has no form of its own: control characters, format
// characters (which turn the direction of writing, join, or have no width), line and
// paragraph separators, variation selectors, private use, and what is not valid UTF-8.
// It looks at ASCII first, for nearly all names are made of that.
func Hidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Replace returns a text with a mark in the place of each hidden character. It is on one
// line. Spaces other than the ASCII one count as hidden, for in a log or an error they
// cannot be told from what separates fields.
func Replace(text string, mark rune) string {
	return strings.Map(func(r rune) rune {
		if Hidden(r) || !unicode.IsPrint(r) {
			return mark
		}
		return r
	}, text)
}

// Escape returns a text with hidden characters written as their code, \u{202e}, so that
// names that differ look different.
func Escape(text string) string {
	if strings.IndexFunc(text, Hidden) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if Hidden(r) {
			fmt.Fprintf(&b, `\u{%x}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// JSON returns encoded JSON with hidden characters in its strings escaped, which decodes
// to the same values. Encoders escape those below U+0020 by themselves; where one is left
// it separates tokens, and stays.
func JSON(encoded []byte) []byte {
	hidden := func(r rune) bool { return r >= ' ' && Hidden(r) }
	at := bytes.IndexFunc(encoded, hidden)
	if at < 0 {
		return encoded
	}
	escaped := append(make([]byte, 0, len(encoded)+32), encoded[:at]...)
	for _, r := range string(encoded[at:]) {
		switch {
		case !hidden(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

// Bound cuts a text to at most n bytes and not within a character.
func Bound(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// Path returns a path of GitLab for a table: ASCII without spaces, since GitLab's paths are
// that and everything else was forged, and at most n bytes. A long path loses its middle,
// for both ends say more.
func Path(path string, n int) string {
	path = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, path)
	if len(path) <= n {
		return path
	}
	const gap = "..."
	head := (n - len(gap)) / 2
	return path[:head] + gap + path[len(path)-(n-len(gap)-head):]
}
