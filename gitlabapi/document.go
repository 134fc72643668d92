package gitlabapi

import (
	"bytes"
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
	maxDocument      = 4 << 20 // bytes; what registries themselves take for a manifest
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
	case len(text) > maxDocument:
		return nil, fmt.Errorf("it is larger than %d MiB", maxDocument>>20)
	case !utf8.Valid(text):
		return nil, errors.New("it is not UTF-8")
	case !json.Valid(text):
		return nil, errors.New("it is not valid JSON")
	}
	p := &documentParser{decoder: json.NewDecoder(bytes.NewReader(text))}
	p.decoder.UseNumber()
	return p.value(0)
}

// documentParser builds the tree of a document that is known to be valid JSON.
type documentParser struct {
	decoder *json.Decoder
	nodes   int
}

func (p *documentParser) value(depth int) (any, error) {
	if p.nodes++; p.nodes > maxDocumentNodes {
		return nil, fmt.Errorf("it has more than %d values", maxDocumentNodes)
	}
	if depth > maxDocumentDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDocumentDepth)
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	switch token {
	case json.Delim('{'):
		return p.object(depth)
	case json.Delim('['):
		return p.array(depth)
	default:
		return token, nil
	}
}

func (p *documentParser) object(depth int) (any, error) {
	object, seen := make(map[string]any), make(map[string]bool)
	for p.decoder.More() {
		token, err := p.decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("it is not valid JSON")
		}
		if folded := foldCase(name); seen[folded] {
			return nil, errors.New("a name stands twice in one object")
		} else {
			seen[folded] = true
		}
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, _ = p.decoder.Token() // the closing brace of valid JSON
	return object, nil
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

func (p *documentParser) array(depth int) (any, error) {
	array := []any{}
	for p.decoder.More() {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, _ = p.decoder.Token() // the closing bracket of valid JSON
	return array, nil
}
