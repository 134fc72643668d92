package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// check parses a condition and finds its types. It returns nil when there are mistakes.
func (c *compiler) check(written written) *cel.Ast {
	k := &check{compiler: c, written: written}
	parsed, issues := c.env.Parse(written.Condition)
	if issues.Err() != nil {
		// What follows the first mistake follows from it.
		k.issue(issues.Errors()[0])
		return nil
	}
	k.expressions, k.words = make(map[int64]ast.Expr), make(map[int64]bool)
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		k.expressions[e.ID()] = e
		k.findWords(e)
	}))
	before := len(c.mistakes)
	checked, issues := c.env.Check(parsed)
	if issues.Err() != nil {
		bare := slices.ContainsFunc(issues.Errors(), func(issue *cel.Error) bool { return k.words[issue.ExprID] })
		for _, issue := range issues.Errors() {
			// Of feature-1 without quotes it is also said that it is no text.
			if !bare || !noOverload.MatchString(issue.Message) {
				k.issue(issue)
			}
		}
		return nil
	}
	k.ast = checked.NativeRep()
	if !checked.OutputType().IsExactType(types.BoolType) {
		k.at(1, 0, "a condition is true or false; this is "+typeName(checked.OutputType()), "")
	}
	ast.PostOrderVisit(k.ast.Expr(), ast.NewExprVisitor(k.expression))
	if len(c.mistakes) == before {
		k.bareObjects()
	}
	if len(c.mistakes) > before {
		return nil
	}
	return checked
}

// A check is that of one condition.
type check struct {
	*compiler
	written     written
	expressions map[int64]ast.Expr // by their numbers
	words       map[int64]bool     // names where a text is meant, as in tag.name == main
	ast         *ast.AST           // once it has types
	bare        []ast.Expr         // objects of which no field is taken
}

func (k *check) at(line, column int, text, hint string) {
	k.mistakes = append(k.mistakes, k.written.place.mistake(line, column, text, hint))
}

// atExpression reports a mistake where an expression of the typed condition begins.
func (k *check) atExpression(e ast.Expr, text, hint string) {
	start := k.ast.SourceInfo().GetStartLocation(e.ID())
	k.at(start.Line(), start.Column(), text, hint)
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	undefined  = regexp.MustCompile(`^undefined field '([^']*)'`)
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	unexpected = regexp.MustCompile(`(?:mismatched input|extraneous input|no viable alternative at input|token recognition error at:) '(.*?)'(?: expecting .*)?$`)
)

// issue says in a user's words what CEL found.
func (k *check) issue(issue *cel.Error) {
	text, hint := strings.ReplaceAll(issue.Message, "\n", " "), ""
	line, column := issue.Location.Line(), issue.Location.Column()
	e := k.expressions[issue.ExprID]
	if found := undeclared.FindStringSubmatch(text); found != nil {
		text, hint = k.unknownName(found[1], e)
		word, _, _ := strings.Cut(found[1], ".")
		column = k.before(word, line, column)
		if k.words[issue.ExprID] {
			hint = "text goes in quotes: '" + k.wordAt(line, column) + "'"
		}
	} else if found := undefined.FindStringSubmatch(text); found != nil {
		text, hint = k.unknownField(found[1], e)
		column = k.behind("."+found[1], line, column)
	} else if found := noOverload.FindStringSubmatch(text); found != nil {
		text = fmt.Sprintf("%s cannot be applied to %s", operator(found[1]), found[2])
		if strings.Contains(found[2], "duration") || found[1] == "duration" {
			hint = "durations are written as days(30) or duration('36h')"
		}
		if found[1] == "days" {
			column = k.before(found[1], line, column)
			text, hint = "days() takes a whole number of days", "as in days(30); less than a day is written duration('12h')"
		}
	} else if after, isSyntax := strings.CutPrefix(text, "Syntax error: "); isSyntax {
		text, hint, column = k.syntax(after, line, column)
	} else if text == "invalid argument to has() macro" {
		text, hint = "has() cannot be asked that", "it takes a field, as in has(tag.age)"
	}
	k.at(line, column, text, hint)
}

// operator returns an operator as it is written: CEL has underscores where its operands go.
func operator(function string) string {
	if operator, ok := operators.FindReverse(function); ok && operator != "" {
		return operator
	}
	return strings.Trim(function, "_")
}

// before returns the column where a word begins of which CEL points to the end: the dot after
// an object, or the parenthesis after a function.
func (k *check) before(word string, line, column int) int {
	text := []rune(k.line(line))
	start := min(column, len(text)) - len([]rune(word))
	if start >= 0 && string(text[start:start+len([]rune(word))]) == word {
		return start
	}
	return column
}

// behind returns the column behind the dot of a field, to which CEL points or which follows.
func (k *check) behind(field string, line, column int) int {
	text := []rune(k.line(line))
	if i := strings.Index(string(text[min(column, len(text)):]), field); i >= 0 {
		return column + len([]rune(string(text[min(column, len(text)):])[:i])) + 1
	}
	return column
}

// line returns a line of the condition.
func (k *check) line(number int) string {
	lines := strings.Split(k.written.Condition, "\n")
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// unknownName reports what is neither a variable nor a function.
func (k *check) unknownName(name string, e ast.Expr) (text, hint string) {
	if e != nil && e.Kind() == ast.CallKind {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(k.env.Functions())), func(name string) bool {
			return !isWord(name)
		})
		if sign := signs[strings.ToLower(name)]; sign != "" {
			hint = "write " + sign + " for it"
		} else if closest := closestTo(name, names); closest != "" {
			hint = "did you mean " + closest + "()?"
		}
		return fmt.Sprintf("there is no function %s()", name), hint
	}
	object, field := splitName(name)
	if object != "" { // the object is unknown; the field may tell which was meant
		return fmt.Sprintf("%s is not known", object), didYouMean(object, topNames(), "known are")
	}
	for _, t := range vocabulary {
		if t.object != "" && t.field == field {
			return fmt.Sprintf("%s is not known", name), "did you mean " + string(t.name) + "?"
		}
	}
	return fmt.Sprintf("%s is not known", name), didYouMean(name, topNames(), "known are")
}

// unknownField reports a field that an object does not have.
func (k *check) unknownField(field string, e ast.Expr) (text, hint string) {
	if e == nil || e.Kind() != ast.SelectKind || e.AsSelect().Operand().Kind() != ast.IdentKind {
		return fmt.Sprintf("there is no field %s", field), ""
	}
	object := e.AsSelect().Operand().AsIdent()
	text = fmt.Sprintf("%s has no field %s", object, field)
	own := fieldsOf(object)
	if slices.Contains(fieldsOf(""), field) {
		return text, "did you mean " + field + "?"
	}
	if closest := closestTo(field, own); closest != "" {
		return text, fmt.Sprintf("did you mean %s.%s?", object, closest)
	}
	for _, t := range vocabulary {
		if t.object != "" && t.field == field {
			return text, "did you mean " + string(t.name) + "?"
		}
	}
	return text, "its fields are " + strings.Join(own, ", ")
}

// topNames returns the names that a condition may begin with.
func topNames() []string { return slices.Concat(objects(), fieldsOf("")) }

// isWord reports whether a function can be called by its name.
func isWord(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
}

// typeName says in a user's words what a type is.
func typeName(t *types.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "a text"
	case types.IntKind, types.UintKind, types.DoubleKind:
		return "a number"
	case types.ListKind:
		return "a list"
	case types.StructKind:
		return t.TypeName() + ", which has fields"
	default:
		return cel.FormatCELType(t)
	}
}

// expression looks at one expression of a condition that has its types.
func (k *check) expression(e ast.Expr) {
	switch e.Kind() {
	case ast.ComprehensionKind:
		for _, name := range []string{e.AsComprehension().IterVar(), e.AsComprehension().IterVar2()} {
			if slices.Contains(topNames(), name) {
				k.atExpression(e, fmt.Sprintf("%s is the name of a fact", name), "use another name for the elements of the list")
			}
		}
	case ast.IdentKind:
		if k.ast.GetType(e.ID()).Kind() == types.StructKind {
			k.bare = append(k.bare, e)
		}
	case ast.SelectKind: // its object was visited right before
		if last := len(k.bare) - 1; last >= 0 && k.bare[last].ID() == e.AsSelect().Operand().ID() {
			k.bare = k.bare[:last]
		}
	case ast.StructKind:
		k.atExpression(e, "a condition cannot make objects", "")
	case ast.CallKind:
		k.call(e.AsCall())
	}
}

// bareObjects reports objects that are taken as a whole: there is nothing to compare them with.
func (k *check) bareObjects() {
	for _, e := range k.bare {
		object := e.AsIdent()
		k.atExpression(e, object+" is not a value", "its fields are "+strings.Join(fieldsOf(object), ", "))
	}
}

// call looks at the operands of a call: at patterns, and at texts which are compared with
// what has but few values.
func (k *check) call(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case "matches":
		k.pattern(args[len(args)-1])
	case "duration":
		k.duration(args[0])
	case operators.Equals, operators.NotEquals:
		k.possible(args[0], args[1])
		k.possible(args[1], args[0])
	case operators.In:
		k.possible(args[1], args[0]) // 'x' in settings.delete_kinds
		if args[1].Kind() == ast.ListKind {
			for _, element := range args[1].AsList().Elements() {
				k.possible(args[0], element)
			}
		}
	}
}

// pattern compiles a pattern that is written as such.
func (k *check) pattern(e ast.Expr) {
	text, ok := textIn(e)
	if !ok {
		return
	}
	_, err := regexp.Compile(text)
	switch begin, glob := strings.CutSuffix(text, "*"); {
	case err != nil:
		k.atExpression(e, patternError(err), globHint(text))
	case glob && globLike.MatchString(begin):
		// 'pr-*' holds of sprint-1 and april, too, which a rule may delete.
		k.atExpression(e, "the star of a pattern repeats the character before it, and "+quoteText(text)+" matches anywhere",
			"was startsWith("+quoteText(begin)+") meant?")
	}
}

// globLike is what stands before the star of a pattern that was meant for the names that begin so.
var globLike = regexp.MustCompile(`^[A-Za-z0-9._/-]*[A-Za-z_/-]$`)

// quoteText writes a text as a condition has it.
func quoteText(text string) string { return "'" + text + "'" }

// patternError says what is wrong with a pattern.
func patternError(err error) string {
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Sprintf("the pattern cannot be read: %s: %s", wrong.Code, wrong.Expr)
	}
	return "the pattern cannot be read: " + err.Error()
}

// possible reports a text that a term can never be.
func (k *check) possible(e, literal ast.Expr) {
	t, _ := termIn(k.ast, e)
	text, ok := textIn(literal)
	if t == nil || t.values == nil || !ok || slices.Contains(t.values, text) {
		return
	}
	verb := "is never"
	if t.typ.Kind() == types.ListKind {
		verb = "never has"
	}
	k.atExpression(literal, fmt.Sprintf("%s %s '%s'", t.name, verb, text), didYouMean(text, t.values, "known are"))
}

// textIn returns the text that a literal is.
func textIn(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
