package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// What those write who know other languages than that of conditions, or none.

// signs are what words and signs of other languages are in conditions.
var signs = map[string]string{"and": "&&", "or": "||", "not": "!", "&": "&&", "|": "||", "=": "=="}

var (
	notBefore   = regexp.MustCompile(`(?i)\bnot\s*$`)
	numeral     = regexp.MustCompile(`(?:^|[^\w.])(\d+)$`)
	lettersOnly = regexp.MustCompile(`^[A-Za-z]+`)
)

// syntax says what cannot be read, and what may have been meant.
func (k *check) syntax(message string, line, at int) (text, hint string, column int) {
	found := unexpected.FindStringSubmatch(message)
	switch {
	case found == nil:
		return "the condition cannot be read: " + message, "", at
	case found[1] == "<EOF>":
		return "the condition ends too early", "", at
	}
	token := strings.TrimSpace(found[1])
	runes := []rune(k.line(line))
	before := string(runes[:min(at, len(runes))])
	switch number := numeral.FindStringSubmatch(before); {
	case strings.HasPrefix(token, "'") || strings.HasPrefix(token, `"`):
		hint = "a quote is missing at the end of the text"
		if strings.Contains(token, `\`) {
			hint = "a backslash in a text is doubled, or the text is written r'…'"
		}
	case number != nil && strings.EqualFold(token, "d"):
		hint = "write days(" + number[1] + ")"
	case number != nil && slices.Contains([]string{"h", "m", "s"}, token):
		hint = "write duration('" + number[1] + token + "')"
	case notBefore.MatchString(before):
		at = len([]rune(notBefore.ReplaceAllString(before, "")))
		token, hint = "not", "write ! for it"
	default:
		sign := lettersOnly.FindString(token)
		if sign == "" && !strings.HasPrefix(token, "=>") && !strings.HasPrefix(token, "=<") {
			sign = token[:min(1, len(token))]
		}
		if meant := signs[strings.ToLower(sign)]; meant != "" {
			token, hint = sign, "write "+meant+" for it"
		}
	}
	return fmt.Sprintf("the condition cannot be read: %s is not expected here", token), hint, at
}

// findWords finds the names that are compared with something, are in a list or are looked for in a
// text, and are no value by themselves: those that are not known are texts whose quotes are missing.
func (k *check) findWords(e ast.Expr) {
	switch e.Kind() {
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			k.word(element)
		}
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.Equals, operators.NotEquals, operators.In:
			for i, arg := range args {
				if other := args[1-i].Kind(); other != ast.LiteralKind && (i == 0 || call.FunctionName() != operators.In) {
					k.word(arg)
				}
			}
		case "matches", "startsWith", "endsWith", "contains":
			if call.IsMemberFunction() && len(args) == 1 {
				k.word(args[0])
			}
		}
	}
}

// word takes a name for a text, or that with which one such as feature-1 begins.
func (k *check) word(e ast.Expr) {
	for e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Subtract {
		e = e.AsCall().Args()[0]
	}
	if e.Kind() == ast.IdentKind && termOf(e.AsIdent()) == nil && !slices.Contains(topNames(), e.AsIdent()) {
		k.words[e.ID()] = true
	}
}

// wordAt returns the text whose quotes are missing.
func (k *check) wordAt(line, column int) string {
	text := []rune(k.line(line))
	rest := string(text[min(column, len(text)):])
	end := strings.IndexFunc(rest, func(r rune) bool {
		return !strings.ContainsRune("-._/", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		return rest
	}
	return rest[:end]
}

// globHint says how a glob is written as a regular expression; empty for what is none.
func globHint(text string) string {
	if !strings.HasPrefix(text, "*") {
		return ""
	}
	end := "$"
	if strings.HasSuffix(text, "*") {
		end = ""
	}
	parts := strings.Split(strings.Trim(text, "*"), "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	quote, pattern := "'", strings.Join(parts, ".*")+end
	if strings.Contains(pattern, `\`) {
		quote = "r'"
	}
	return "this is a regular expression, not a glob: write " + quote + pattern + "'"
}

// inDays is a duration as settings write it, which conditions do not.
var inDays = regexp.MustCompile(`^(\d+)d(.*)$`)

// duration reads a duration that is written as such.
func (k *check) duration(e ast.Expr) {
	text, ok := textIn(e)
	if !ok || !types.IsError(types.String(text).ConvertToType(types.DurationType)) {
		return
	}
	hint := "durations are written as days(30) or duration('36h')"
	switch found := inDays.FindStringSubmatch(text); {
	case found == nil:
	case found[2] == "":
		hint = "write days(" + found[1] + ")"
	case !types.IsError(types.String(found[2]).ConvertToType(types.DurationType)):
		hint = "write days(" + found[1] + ") + duration('" + found[2] + "')"
	}
	k.atExpression(e, fmt.Sprintf("'%s' is not a duration here", text), hint)
}
