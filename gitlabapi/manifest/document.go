package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most that a document of a registry may hold. A BuildKit cache has a few thousand
// layers at worst; what goes beyond these figures is not worth the memory it takes to
// be understood.
const (
	MaxBytes         = 4 << 20 // bytes; what registries themselves take for a manifest
	maxDocumentNodes = 250_000 // values of any kind
	maxDocumentDepth = 32
)

// parseDocument reads a JSON document more strictly than encoding/json does: names
// count in the case they are written in, none may come twice in one object in any
// case, and nothing follows the document. Two readers who disagree about a document
// would disagree about whether it may be deleted.
//
// The document is made of map[string]any, []any, string, [json.Number], bool and nil.
func parseDocument(text []byte) (any, error) {
	switch {
	case len(text) > MaxBytes:
		return nil, fmt.Errorf("it is larger than %d MiB", MaxBytes>>20)
	case !utf8.Valid(text):
		return nil, errors.New("it is not UTF-8")
	case !json.Valid(text):
		return nil, errors.New("it is not valid JSON")
	}
	p := &documentParser{text: text}
	return p.value(0)
}

// documentParser builds the tree of a document that is known to be valid JSON: where one
// value ends and what follows it needs no check. The decoder of encoding/json gives the
// same token by token, at five times the cost, and there is a manifest a tag.
type documentParser struct {
	text  []byte
	at    int // what was read
	nodes int
}

func (p *documentParser) value(depth int) (any, error) {
	if p.nodes++; p.nodes > maxDocumentNodes {
		return nil, fmt.Errorf("it has more than %d values", maxDocumentNodes)
	}
	if depth > maxDocumentDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDocumentDepth)
	}
	switch p.peek() {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	case 't':
		return true, p.skip(len("true"))
	case 'f':
		return false, p.skip(len("false"))
	case 'n':
		return nil, p.skip(len("null"))
	default:
		return p.number(), nil
	}
}

// peek returns the next byte that is no white space.
func (p *documentParser) peek() byte {
	for p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\n' || p.text[p.at] == '\r' {
		p.at++
	}
	return p.text[p.at]
}

func (p *documentParser) skip(bytes int) error {
	p.at += bytes
	return nil
}

// more steps over the opening of a list, or the comma in it, and reports whether an entry
// follows and not its end, which it steps over.
func (p *documentParser) more(end byte) bool {
	if p.peek() != end {
		p.at++
	}
	if p.peek() == end {
		p.at++
		return false
	}
	return true
}

func (p *documentParser) object(depth int) (any, error) {
	object := make(map[string]any)
	var names nameList
	for p.more('}') {
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if !names.add(name) {
			return nil, errors.New("a name stands twice in one object")
		}
		p.peek()
		p.at++ // the colon
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (p *documentParser) array(depth int) (any, error) {
	array := []any{}
	for p.more(']') {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, nil
}

// string reads a string. Most have nothing in them that would have to be replaced.
func (p *documentParser) string() (string, error) {
	p.peek()
	start, plain := p.at, true
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			plain = false
			p.at++
		}
	}
	p.at++
	if plain {
		return string(p.text[start+1 : p.at-1]), nil
	}
	var s string
	err := json.Unmarshal(p.text[start:p.at], &s)
	return s, err
}

func (p *documentParser) number() json.Number {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	return json.Number(p.text[start:p.at])
}

// fewNames is up to where comparing names one by one costs less than keeping a set.
const fewNames = 16

// A nameList is the names in one object. Names that differ only in the case of their
// letters count as the same one, as they do for encoding/json.
type nameList struct {
	few    []string
	folded map[string]bool // once there are many
}

// add reports whether the name was not there yet.
func (l *nameList) add(name string) bool {
	if l.folded == nil && len(l.few) < fewNames {
		for _, other := range l.few {
			if strings.EqualFold(name, other) {
				return false
			}
		}
		l.few = append(l.few, name)
		return true
	}
	if l.folded == nil {
		l.folded = make(map[string]bool)
		for _, other := range l.few {
			l.folded[foldCase(other)] = true
		}
	}
	folded := foldCase(name)
	if l.folded[folded] {
		return false
	}
	l.folded[folded] = true
	return true
}

// foldCase makes names equal that encoding/json takes for the same one.
func foldCase(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
