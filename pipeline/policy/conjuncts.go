package policy

import (
	"strings"
	"sync/atomic"

	"cel.dev/cel-go/cel"
)

// conjuncts returns the parts of a condition that && joins, as they are written; nil when it is not
// such a chain.
func conjuncts(condition string) (parts []string) {
	depth, begin := 0, 0
	for i := 0; i < len(condition); i++ {
		rest := condition[i:]
		switch {
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			i += end - 1
		case rest[0] == '\'' || rest[0] == '"':
			i += endOfText(rest, i > 0 && (condition[i-1] == 'r' || condition[i-1] == 'R')) - 1
		case strings.IndexByte("([{", rest[0]) >= 0:
			depth++
		case strings.IndexByte(")]}", rest[0]) >= 0:
			depth--
		case depth > 0:
		case strings.HasPrefix(rest, "||"), rest[0] == '?':
			return nil // it joins less closely than &&
		case strings.HasPrefix(rest, "&&"):
			parts = append(parts, strings.TrimSpace(condition[begin:i]))
			i++
			begin = i + 1
		}
	}
	if parts == nil {
		return nil
	}
	return append(parts, strings.TrimSpace(condition[begin:]))
}

// endOfText returns the length of the text in quotes that a condition goes on with.
func endOfText(condition string, raw bool) int {
	quotes := condition[:1]
	if three := strings.Repeat(quotes, 3); strings.HasPrefix(condition, three) {
		quotes = three
	}
	for i := len(quotes); i < len(condition); i++ {
		switch {
		case condition[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(condition[i:], quotes):
			return i + len(quotes)
		}
	}
	return len(condition)
}

// falsePart returns the first of the parts of a condition, joined by &&, that is false; empty when
// there is none, as in a condition of one part. The parts are compiled for this only: who runs needs
// none of them.
func (r *Rules) falsePart(rule *rule, e *evaluation) string {
	for _, part := range conjuncts(rule.Condition) {
		c := &compiler{env: r.env, settings: r.settings, rules: &Rules{uses: make(map[string]bool)}}
		c.compile(written{
			Rule:    Rule{Name: rule.Name, Action: rule.Action, Condition: part},
			checked: new(atomic.Pointer[cel.Ast]),
		})
		if len(c.rules.rules) == 0 {
			return "" // it says nothing by itself
		}
		if result := c.rules.rules[0].evaluate(e); result.failure == nil && result.unknown == 0 && !result.value {
			return part
		}
	}
	return ""
}
