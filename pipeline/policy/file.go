package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
)

// A File is a list of rules as somebody wrote it. Its conditions have not been looked at yet.
type File struct {
	Name string
	// Text is what was read, comments and all.
	Text  string
	rules []written
}

// Hash identifies what a file says: "sha256:" and 64 hexadecimal digits.
func (f *File) Hash() string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(f.Text))) }

// A Rule is what a file says about it.
type Rule struct {
	// Name is the reason of verdicts by this rule.
	Name   Reason
	Action Action // Keep or Delete
	// Description is the rule's own, or else the comment above it; one line.
	Description string
	Condition   string
	// File and Line are where the rule begins.
	File string
	Line int
}

// written is a rule with the place of its condition.
type written struct {
	Rule
	place place
	// checked is the condition with its types, once it has been found right: settings are no part
	// of it, and rules are compiled with several.
	checked *atomic.Pointer[cel.Ast]
}

// Rules returns the rules in their order.
func (f *File) Rules() []Rule {
	rules := make([]Rule, len(f.rules))
	for i, rule := range f.rules {
		rules[i] = rule.Rule
	}
	return rules
}

var (
	ruleName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	ruleKeys = []string{"name", "description", string(Keep), string(Delete)}
)

// Parse reads a file of rules. All mistakes of its form are returned together, as [Mistakes], and
// with them those of the conditions that could be read; in a file of good form [Compile] finds these.
func Parse(name string, text []byte) (*File, error) { return parse(name, text, Guards().rules) }

// parse is [Parse] with the rules that stand above the file.
func parse(name string, text []byte, above []written) (*File, error) {
	p := &parser{
		file:  &File{Name: name, Text: string(text)},
		lines: lineBreak.Split(string(text), -1),
		above: above,
	}
	if list := p.list(); list != nil {
		for _, node := range list.Content {
			p.rule(node)
		}
		if len(list.Content) == 0 {
			p.mistake(list, "there are no rules", "")
		}
	}
	if len(p.mistakes) > 0 {
		return nil, p.withConditions()
	}
	return p.file, nil
}

// lineBreak is what YAML takes for the end of a line.
var lineBreak = regexp.MustCompile(`\r\n|[\n\r\x{85}\x{2028}\x{2029}]`)

// A parser collects what a file says and what is wrong with it.
type parser struct {
	file  *File
	lines []string
	above []written // the rules that stand above the file
	// conditions has those of all rules, also of such as are left out of the file.
	conditions []written
	mistakes   Mistakes
}

// withConditions returns the mistakes with those of conditions among them: who mends a name should
// not be told of the next mistake only then.
func (p *parser) withConditions() error {
	env, err := environment()
	if err != nil {
		return p.mistakes.err()
	}
	c := &compiler{env: env}
	for _, condition := range p.conditions {
		c.check(condition)
	}
	return append(p.mistakes, c.mistakes...).err()
}

func (p *parser) mistake(node *yaml.Node, text, hint string) {
	p.mistakes = append(p.mistakes, Mistake{p.file.Name, max(node.Line, 1), max(node.Column, 1), text, hint})
}

// list returns the list of rules of the one document; nil when there is none.
func (p *parser) list() *yaml.Node {
	decoder := yaml.NewDecoder(strings.NewReader(p.file.Text))
	var document, another yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		p.mistake(&document, "the file is empty", "it begins with rules:")
		return nil
	case err != nil:
		p.syntax(err)
		return nil
	}
	if err := decoder.Decode(&another); err == nil {
		p.mistake(&another, "a second document begins here", "a rules file has only one")
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		p.mistake(root, "this is "+kindOf(root), "the file begins with rules:")
		return nil
	}
	return p.entries(root)
}

// entries returns the list of rules out of what the file begins with.
func (p *parser) entries(root *yaml.Node) (list *yaml.Node) {
	for key, value := range pairs(root) {
		switch {
		case key.Value != "rules":
			p.mistake(key, fmt.Sprintf("%q is not a key of a rules file", key.Value), didYouMean(key.Value, []string{"rules"}, "its only key is"))
		case list != nil:
			p.mistake(key, `"rules" is there twice`, "")
		case value.Kind != yaml.SequenceNode:
			p.mistake(value, "rules is "+kindOf(value), "it has to be a list")
		default:
			list = value
		}
	}
	if list == nil && len(p.mistakes) == 0 {
		p.mistake(root, "there are no rules", "the file begins with rules:")
	}
	return list
}

// yamlLine is how the YAML library begins its messages.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax reports what is no YAML. The library knows the line alone.
func (p *parser) syntax(err error) {
	found := yamlLine.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(found[1])
	if p.misquoted() {
		return
	}
	text, hint := strings.TrimPrefix(err.Error(), found[0]), ""
	switch {
	case strings.HasPrefix(text, "mapping values are not allowed"):
		hint = "a text with a colon and a space in it has to be in quotes"
	case strings.HasSuffix(text, "unknown escape character"):
		hint = `in "…" YAML has escapes of its own: put the condition on the line below >-`
	}
	p.mistake(&yaml.Node{Line: line}, "not valid YAML: "+text, hint)
}

// rule reads one rule. It is left out of the file when something is wrong with it.
func (p *parser) rule(node *yaml.Node) {
	before := len(p.mistakes)
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		p.mistake(node, "a rule is "+kindOf(node), "it has to have the keys name and keep, or name and delete")
		return
	}
	rule := written{
		Rule:    Rule{File: p.file.Name, Line: node.Line, Description: p.commentAbove(node.Line)},
		checked: new(atomic.Pointer[cel.Ast]),
	}
	seen := make(map[string]*yaml.Node)
	for key, value := range pairs(node) {
		if seen[key.Value] != nil {
			p.mistake(key, fmt.Sprintf("%q is there twice", key.Value), "")
			continue
		}
		seen[key.Value] = value
		p.key(&rule, key, value)
	}
	switch keep, del := seen[string(Keep)], seen[string(Delete)]; {
	case keep != nil && del != nil:
		p.mistake(node, "a rule has keep and delete", "it has to have one of them")
	case keep == nil && del == nil && len(p.mistakes) == before:
		p.mistake(node, "a rule has neither keep nor delete", "it has to have one of them, with a condition")
	}
	if seen["name"] == nil {
		p.mistake(node, "a rule has no name", "")
	}
	if described := seen["description"]; described == nil && rule.Description == "" && seen["name"] != nil {
		rule.Description = uncommented(seen["name"].LineComment)
	}
	if len(p.mistakes) == before {
		p.file.rules = append(p.file.rules, rule)
	}
}

// key reads one key of a rule.
func (p *parser) key(rule *written, key, value *yaml.Node) {
	if !slices.Contains(ruleKeys, key.Value) {
		p.mistake(key, fmt.Sprintf("%q is not a key of a rule", key.Value), didYouMean(key.Value, ruleKeys, "its keys are"))
		return
	}
	for value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	isCondition := key.Value == string(Keep) || key.Value == string(Delete)
	if isCondition && p.isNegation(value) {
		p.mistake(value, negationText, negationHint)
		return
	}
	// A condition that is always true is a boolean to YAML.
	if value.Kind != yaml.ScalarNode || value.Tag != "!!str" && !(isCondition && value.Tag == "!!bool") && !(key.Value == "name" && value.Tag == "!!int") {
		p.mistake(value, fmt.Sprintf("%s is %s", key.Value, kindOf(value)), "it has to be a text")
		return
	}
	switch {
	case strings.TrimSpace(value.Value) == "":
		p.mistake(value, key.Value+" is empty", "")
	case isCondition:
		rule.Action, rule.Condition = Action(key.Value), strings.TrimRight(value.Value, " \n")
		if value.Tag == "!!bool" {
			rule.Condition = strings.ToLower(value.Value)
		}
		rule.place = newPlace(p.file.Name, p.lines, value)
		p.conditions = append(p.conditions, *rule)
	case key.Value == "name":
		p.name(value)
		rule.Name = Reason(value.Value)
	default:
		rule.Description = strings.Join(strings.Fields(value.Value), " ")
	}
}

// name looks at a rule's name: it is a reason in reports, and in metrics.
func (p *parser) name(node *yaml.Node) {
	name := Reason(node.Value)
	if !ruleName.MatchString(node.Value) {
		p.mistake(node, fmt.Sprintf("%q cannot be a rule's name", name), "use small letters and digits, with single dashes between them")
	}
	if slices.Contains(reserved, name) {
		p.mistake(node, fmt.Sprintf("%q cannot be a rule's name", name), "the program uses it as a reason of its own")
	}
	if slices.ContainsFunc(p.above, func(rule written) bool { return rule.Name == name }) {
		p.mistake(node, fmt.Sprintf("%q cannot be a rule's name", name), "it is the name of a rule that stands above any file")
	}
	if i := slices.IndexFunc(p.file.rules, func(rule written) bool { return rule.Name == name }); i >= 0 {
		p.mistake(node, fmt.Sprintf("a second rule has the name %q", name), fmt.Sprintf("the first is in line %d", p.file.rules[i].Line))
	}
}

// commentAbove returns the lines of comment that end right above a line.
func (p *parser) commentAbove(line int) string {
	if line > len(p.lines) {
		return "" // YAML has more line breaks than are known here
	}
	first := line - 1
	for first > 0 && strings.HasPrefix(strings.TrimSpace(p.lines[first-1]), "#") {
		first--
	}
	return uncommented(strings.Join(p.lines[first:max(line-1, first)], "\n"))
}

// uncommented returns the words of a comment.
func uncommented(comment string) string {
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.Fields(strings.TrimLeft(strings.TrimSpace(line), "#"))...)
	}
	return strings.Join(words, " ")
}

// pairs visits the keys of a mapping with their values.
func pairs(mapping *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}

// kindOf says in a user's words what a node is.
func kindOf(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Tag == "!!null":
		return "empty"
	case node.Tag == "!!bool":
		return "true or false"
	case node.Tag == "!!int" || node.Tag == "!!float":
		return "a number"
	default:
		return "a text"
	}
}
