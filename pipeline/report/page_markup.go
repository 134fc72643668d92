package report

import (
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// Markup is what a browser may read as elements. It comes from the page's own files
// alone: whatever else [parts.fill] puts into a part is escaped, so that nothing has to be
// remembered where a name is shown. A test looks at who makes markup.
type markup struct{ html string }

// Parts are the pieces of page.html by name. A part stands between two comments, where it
// belongs in the page,
//
//	<!-- begin note --><b>{{title}}</b><!-- end note -->
//
// and may hold other parts. The line break after a comment goes with the comment. A part
// has a slot for each {{name}} and for each part that it holds.
//
// html/template would be the usual way. It calls methods by names that are known at run
// time only; where something does, the linker leaves no exported method out of the whole
// program, and this one, with GitLab's client in it, becomes 5 MB larger.
type parts map[string]string

// slots are what is put into a part.
type slots map[string]any

var (
	beginning = regexp.MustCompile(`<!-- begin ([a-z-]+) -->\n?`)
	slot      = regexp.MustCompile(`{{[a-z-]+}}`)
)

// splitParts returns the parts of a text, which is itself the one of the name given.
func splitParts(name, text string) parts {
	p := make(parts)
	p.add(name, text)
	return p
}

func (p parts) add(name, text string) {
	for {
		at := beginning.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		inner := text[at[2]:at[3]]
		body, rest, ended := strings.Cut(text[at[1]:], "<!-- end "+inner+" -->")
		if _, twice := p[inner]; twice || !ended {
			panic("page.html: " + inner + " begins twice, or never ends")
		}
		p.add(inner, body)
		text = text[:at[0]] + "{{" + inner + "}}" + strings.TrimPrefix(rest, "\n")
	}
	p[name] = text
}

// fill returns a part with its slots filled. Code and page.html have to agree on the
// slots: it panics where they do not, at the first try.
func (p parts) fill(name string, values slots) markup {
	part, ok := p[name]
	if !ok {
		panic("page.html has no part " + name)
	}
	used := make(map[string]bool)
	filled := slot.ReplaceAllStringFunc(part, func(s string) string {
		s = strings.Trim(s, "{}")
		value, ok := values[s]
		if !ok {
			panic("nothing for the slot " + s + " of " + name)
		}
		used[s] = true
		return escape(value).html
	})
	if len(used) != len(values) {
		panic(fmt.Sprintf("%s has no slots for all of %v", name, slices.Sorted(maps.Keys(values))))
	}
	return markup{filled}
}

// fillIf returns nothing where a part is not wanted. It is filled all the same: whether
// code and page.html agree must not depend on the run.
func (p parts) fillIf(wanted bool, name string, values slots) markup {
	filled := p.fill(name, values)
	if !wanted {
		return markup{}
	}
	return filled
}

// escape returns a value as it stands between tags and in quoted attributes: nothing in
// it hides, and nothing is read as an element, unless it is markup already.
func escape(value any) markup {
	if m, ok := value.(markup); ok {
		return m
	}
	return markup{html.EscapeString(printable.Escape(fmt.Sprint(value)))}
}

// joined returns the markup of all, one after the other.
func joined[T any](all []T, show func(T) markup) markup {
	var b strings.Builder
	for _, one := range all {
		b.WriteString(show(one).html)
	}
	return markup{b.String()}
}
