package policy_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// mistakesIn returns what is wrong with a file, by its form or else by its conditions.
func mistakesIn(t *testing.T, name, text string) string {
	t.Helper()
	file, err := policy.Parse(name, []byte(text))
	if err == nil {
		_, err = policy.Compile(file, settings)
	}
	if err == nil {
		return ""
	}
	if mistakes, ok := errors.AsType[policy.Mistakes](err); !ok || len(mistakes) == 0 {
		t.Errorf("%T: %v", err, err)
	}
	return err.Error()
}

// TestMistakes: all that is wrong is said together, each with its place.
func TestMistakes(t *testing.T) {
	text, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := mistakesIn(t, "mistakes.yaml", string(text)) + "\n"; got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestMistakesOfForm are those that are no matter of conditions.
func TestMistakesOfForm(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "f:1:1: the file is empty; it begins with rules:"},
		{"# only this\n", "f:1:1: the file is empty; it begins with rules:"},
		{"[]", "f:1:1: this is a list; the file begins with rules:"},
		{"{}", "f:1:1: there are no rules; the file begins with rules:"},
		{"rules:", "f:1:7: rules is empty; it has to be a list"},
		{"rules: []", "f:1:8: there are no rules"},
		{"rule:\n- name: a\n  keep: true", `f:1:1: "rule" is not a key of a rules file; did you mean rules?`},
		{"rules:\n- name: a\n  keep: true\n---\nrules: []", "f:4:1: a second document begins here; a rules file has only one"},
		{"rules:\n- name: a\n keep: true", "f:2:1: not valid YAML: did not find expected key"},
		{"rules:\n- name: a\n  delete: !tag.in_use && tag.dated", `f:3:11: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules:\n- name: a\n  delete: !tag.in_use || tag.dated", `f:3:11: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules:\n- name: a\n  delete: !tag.in_use", `f:3:11: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules:\n- name: a\n  delete: ! tag.in_use", `f:3:11: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules:\n- name: a\n  delete:\n    !has(tag.age)", `f:4:5: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules: [{name: a, keep: !tag.dated && true}]", `f:1:25: a condition that begins with ! has to be in quotes; as in "!tag.in_use"`},
		{"rules:\n- name: a\n  keep: !!str true", ""},
		{"rules:\n- name: a\n  keep: 'tag.name == 'main''", "f:3:22: not valid YAML: the quotes end here, and the condition goes on; put the whole condition in quotes of the other kind, or on the line below >-"},
		{"rules:\n- name: ok\n  keep: 'true' # yes\n- keep: \"tag.name == \"mäin\"\"\n  name: a\n- name: b\n  keep: 'docker' in project.topics", "f:4:22: not valid YAML: the quotes end here, and the condition goes on; put the whole condition in quotes of the other kind, or on the line below >-\n" +
			"f:7:16: not valid YAML: the quotes end here, and the condition goes on; put the whole condition in quotes of the other kind, or on the line below >-"},
		{"rules:\n- name: a\n  keep: 'tag.dated &&\n    tag.name == 'ü''", "f:4:17: not valid YAML: the quotes end here, and the condition goes on; put the whole condition in quotes of the other kind, or on the line below >-"},
		{"rules: [{name: a, keep: 'tag.dated'}, {name: b, keep: \"tag.name == \"b\"\"}]", "f:1:68: not valid YAML: the quotes end here, and the condition goes on; put the whole condition in quotes of the other kind, or on the line below >-"},
		{"rules:\n- name: a\n  keep: 'tag.dated\n- name: b\n  keep: 'true'", "f:3:9: not valid YAML: the quotes that begin here do not end"},
		{"rules:\n- name: a\n  description: |\n    keep: 'a' b\n  keep: a: b", "f:5:1: not valid YAML: mapping values are not allowed in this context; a text with a colon and a space in it has to be in quotes"},
		{"rules:\n- name: a\n  keep: \"tag.name.matches('\\d')\"", `f:3:1: not valid YAML: found unknown escape character; in "…" YAML has escapes of its own: put the condition on the line below >-`},
		{"rules:\n- name: a\n  keep: a: b", "f:3:1: not valid YAML: mapping values are not allowed in this context; a text with a colon and a space in it has to be in quotes"},
		{"rules:\n- keep", "f:2:3: a rule is a text; it has to have the keys name and keep, or name and delete"},
		{"rules:\n- name: a", "f:2:3: a rule has neither keep nor delete; it has to have one of them, with a condition"},
		{"rules:\n- keep: true", "f:2:3: a rule has no name"},
		{"rules:\n- name: a\n  keep: true\n  delete: true", "f:2:3: a rule has keep and delete; it has to have one of them"},
		{"rules:\n- name: a\n  kep: true", `f:3:3: "kep" is not a key of a rule; did you mean keep?`},
		{"rules:\n- name: a\n  when: true\n  keep: true", `f:3:3: "when" is not a key of a rule; its keys are name, description, keep, delete`},
		{"rules:\n- name: a\n  keep: [x]", "f:3:9: keep is a list; it has to be a text"},
		{"rules:\n- name: a\n  keep: 5", "f:3:9: keep is a number; it has to be a text"},
		{"rules:\n- name: a\n  keep:", "f:3:8: keep is empty; it has to be a text"},
		{"rules:\n- name: a\n  keep: ''", "f:3:9: keep is empty"},
		{"rules:\n- name: a\n  name: b\n  keep: true", `f:3:3: "name" is there twice`},
		{"rules:\n- name: A_b\n  keep: true", `f:2:9: "A_b" cannot be a rule's name; use small letters and digits, with single dashes between them`},
		{"rules:\n- name: no-rule\n  keep: true", `f:2:9: "no-rule" cannot be a rule's name; the program uses it as a reason of its own`},
		{"rules:\n- name: in-use\n  keep: true", `f:2:9: "in-use" cannot be a rule's name; it is the name of a rule that stands above any file`},
		{"rules:\n- name: protected-in-gitlab\n  keep: true", `f:2:9: "protected-in-gitlab" cannot be a rule's name; it is the name of a rule that stands above any file`},
		{"rules:\n- name: referrer\n  keep: true", `f:2:9: "referrer" cannot be a rule's name; it is the name of a rule that stands above any file`},
		{"rules:\n- name: delete-failed\n  keep: true", `f:2:9: "delete-failed" cannot be a rule's name; the program uses it as a reason of its own`},
		{"rules:\n- delete: tag.nam == 'x'\n- name: b\n  keep: tag.dated\n- name: b\n  keep: tag.agee > days(1)\n  delete: tag.bad", "f:2:3: a rule has no name\nf:2:15: tag has no field nam; did you mean tag.name?\n" +
			"f:5:3: a rule has keep and delete; it has to have one of them\n" + `f:5:9: a second rule has the name "b"; the first is in line 3` + "\n" +
			"f:6:13: tag has no field agee; did you mean tag.age?\nf:7:15: tag has no field bad; its fields are name, kind, broken, has_details, dated, age, size, rank, protected, in_use, is_cache"},
		{"rules:\n- name: a\n  keep: true\n- name: a\n  keep: true", `f:4:9: a second rule has the name "a"; the first is in line 2`},
		{"rules:\n- name: 7\n  keep: True", ""},
		{"x: 1\nrules:\n- nam: a\n  keep: true\n- name: b\n  keep: {}", `f:1:1: "x" is not a key of a rules file; its only key is rules` + "\n" +
			`f:3:3: "nam" is not a key of a rule; did you mean name?` + "\n" + "f:3:3: a rule has no name\nf:6:9: keep is a mapping; it has to be a text"},
	} {
		if got := mistakesIn(t, "f", test.text); got != test.want {
			t.Errorf("%q\ngot  %s\nwant %s", test.text, got, test.want)
		}
	}
}

// TestMistakesOfConditions: what is said, and that it points to where it is wrong.
func TestMistakesOfConditions(t *testing.T) {
	for _, test := range []struct{ condition, want string }{
		{"tag.«nmae == 'x'", "tag has no field nmae; did you mean tag.name?"},
		{"tag.«owner == 'x'", "tag has no field owner; its fields are name, kind, broken, has_details, dated, age, size, rank, protected, in_use, is_cache"},
		{"repository.«topics == []", "repository has no field topics; did you mean project.topics?"},
		{"tag.dated || has(tag.«agee)", "tag has no field agee; did you mean tag.age?"},
		{"«tga.name == 'x'", "tga is not known; did you mean tag?"},
		{"«age > days(3)", "age is not known; did you mean tag.age?"},
		{"«owner == 'x'", "owner is not known; known are tag, repository, project, registry, settings, counterpart, branch"},
		{"tag.age > «dayz(3)", "there is no function dayz(); did you mean days()?"},
		{"tag.age «> 30", "> cannot be applied to (duration, int); durations are written as days(30) or duration('36h')"},
		{"tag.age > duration(«'30d')", "'30d' is not a duration here; write days(30)"},
		{"tag.age > duration(«'1d12h')", "'1d12h' is not a duration here; write days(1) + duration('12h')"},
		{"tag.age > duration(«'soon')", "'soon' is not a duration here; durations are written as days(30) or duration('36h')"},
		{"tag.age > «days('30')", "days() takes a whole number of days; as in days(30); less than a day is written duration('12h')"},
		{"tag.age > «days(0.5)", "days() takes a whole number of days; as in days(30); less than a day is written duration('12h')"},
		{"tag.age > 30«d", "the condition cannot be read: d is not expected here; write days(30)"},
		{"tag.name == «main", "main is not known; text goes in quotes: 'main'"},
		{"tag.name != «stage || tag.dated", "stage is not known; text goes in quotes: 'stage'"},
		{"tag.name == «feature-1", "feature is not known; text goes in quotes: 'feature-1'"},
		{"tag.kind in ['image', «artifact]", "artifact is not known; text goes in quotes: 'artifact'"},
		{"«docker in project.topics", "docker is not known; text goes in quotes: 'docker'"},
		{"tag.name.startsWith(«dev)", "dev is not known; text goes in quotes: 'dev'"},
		{"tag.dated «and tag.broken", "the condition cannot be read: and is not expected here; write && for it"},
		{"tag.dated «OR tag.broken", "the condition cannot be read: OR is not expected here; write || for it"},
		{"tag.dated && «not tag.broken", "the condition cannot be read: not is not expected here; write ! for it"},
		{"«not(tag.broken)", "there is no function not(); write ! for it"},
		{"tag.name «= 'x'", "the condition cannot be read: = is not expected here; write == for it"},
		{"tag.name «='x'", "the condition cannot be read: = is not expected here; write == for it"},
		{"tag.dated «& tag.broken", "the condition cannot be read: & is not expected here; write && for it"},
		{"tag.name == «'x", "the condition cannot be read: 'x is not expected here; a quote is missing at the end of the text"},
		{`tag.name.matches(«'^v\d+')`, `the condition cannot be read: '^v\d is not expected here; a backslash in a text is doubled, or the text is written r'…'`},
		{"tag.«branch == 'missing'", "tag has no field branch; did you mean branch?"},
		{"tag.«counterpart == 'present'", "tag has no field counterpart; did you mean counterpart?"},
		{"tag.name.matches(«'*-cache')", "the pattern cannot be read: missing argument to repetition operator: *; this is a regular expression, not a glob: write '-cache$'"},
		{"tag.name.matches(«'*a.b*c*')", `the pattern cannot be read: missing argument to repetition operator: *; this is a regular expression, not a glob: write r'a\.b.*c'`},
		{"«!tag.name", "! cannot be applied to (string)"},
		{"«tag.age", "a condition is true or false; this is duration"},
		{"«tag", "a condition is true or false; this is tag, which has fields"},
		{"counterpart == «'presnt'", "counterpart is never 'presnt'; did you mean present?"},
		{"«'gone' != branch", "branch is never 'gone'; known are present, missing"},
		{"tag.kind in ['image', «'cacheindex']", "tag.kind is never 'cacheindex'; did you mean cache-index?"},
		{"«'multiarch' in settings.delete_kinds", "settings.delete_kinds never has 'multiarch'; did you mean multi-arch?"},
		{"settings.orphans == «'all'", "settings.orphans is never 'all'; known are auto, undated, any, off"},
		{"tag.name.matches(«'pr-*')", "the star of a pattern repeats the character before it, and 'pr-*' matches anywhere; was startsWith('pr-') meant?"},
		{"tag.name.matches(«'(')", "the pattern cannot be read: missing closing ): ("},
		{"«tag.name.matches('a' + '(')", "the pattern cannot be read: missing closing ): a("},
		{"tag.dated &&«", "the condition ends too early"},
		{"tag.dated «tag.dated", "the condition cannot be read: tag is not expected here"},
		{"has(«branch)", "has() cannot be asked that; it takes a field, as in has(tag.age)"},
		{"project.topics.exists«(branch, branch == 'missing')", "branch is the name of a fact; use another name for the elements of the list"},
		{"size([«repository]) == 1", "repository is not a value; its fields are name, path, is_cache, naming_differs"},
		{"dyn(«registry).database == true", "registry is not a value; its fields are database"},
		{"tag«{}.dated", "a condition cannot make objects"},
	} {
		before, _, _ := strings.Cut(test.condition, "«")
		condition := strings.Replace(test.condition, "«", "", 1)
		file, err := policy.Parse("f", []byte("rules:\n- name: a\n  keep: |\n    "+condition+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = policy.Compile(file, settings)
		mistakes, _ := errors.AsType[policy.Mistakes](err)
		if len(mistakes) != 1 {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		got := mistakes[0]
		if said, _, _ := strings.Cut(got.Error(), ": "); got.Line != 4 || got.Column != 5+len(before) || strings.TrimPrefix(got.Error(), said+": ") != test.want {
			t.Errorf("%s: %s\nwant 4:%d: %s", condition, got.Error(), 5+len(before), test.want)
		}
	}
}

// TestPlaces: a mistake is shown where it is, however the condition is written.
func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		text         string
		line, column int
	}{
		{"  keep: tag.dated && tag.bad", 3, 26},
		{"  keep:   tag.dated && tag.bad # why", 3, 28},
		{"  keep: tag.name == 'ü' && tag.bad", 3, 32},
		{"  keep: 'tag.name == ''x'' && tag.bad'", 3, 35},
		{`  keep: "tag.name == \"\u00fc\x41\" && tag.bad"`, 3, 44},
		{"  keep: |\n    tag.dated &&\n\n      tag.bad", 6, 11},
		{"  keep: |-  # why\n        tag.dated && tag.bad", 4, 26},
		{"  keep:\n    tag.bad", 4, 9},
		{"  keep: tag.dated &&\r\n    tag.bad\r", 3, 9}, // from here on: the beginning
		{"  keep: tag.dated &&\n    tag.bad", 3, 9},
		{"  keep: >\n    tag.dated &&\n    tag.bad", 3, 9},
		{"  keep: |2\n    tag.bad", 3, 9},
		{"  keep: !!str 'tag.bad'", 3, 9},
		{"  keep: 'tag.dated &&\n    tag.bad'", 3, 9},
	} {
		file, err := policy.Parse("f", []byte("rules:\n- name: a\n"+test.text+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", test.text, err)
		}
		_, err = policy.Compile(file, settings)
		mistakes, _ := errors.AsType[policy.Mistakes](err)
		if len(mistakes) != 1 || mistakes[0].Line != test.line || mistakes[0].Column != test.column {
			t.Errorf("%s\n%v; want %d:%d", test.text, err, test.line, test.column)
		}
	}
}

// TestDescriptions are a rule's own, or else the comment above it or behind its name.
func TestDescriptions(t *testing.T) {
	file, err := policy.Parse("f", []byte(`# About the file.

rules:
# One line,
#   and another.
- name: above
  keep: true
- name: behind # in short
  keep: true
# not this
- name: own
  description: |
    Written
    out.
  keep: true

# Far away.

- name: none
  keep: true
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"One line, and another.", "in short", "Written out.", ""}
	for i, rule := range file.Rules() {
		if rule.Description != want[i] {
			t.Errorf("%s: %q", rule.Name, rule.Description)
		}
	}
}

// lineBreaks are files whose lines end otherwise than with \n, as YAML lets them, in comments above all:
// what counts lines must not count others than the parser.
var lineBreaks = []string{
	"rules:\r\r# x\r- name: a\r  delete: tag.nmae == 'x'\r",
	"# a\u2028# b\u2028# c\u2028# d\u2028# e\u2028# f\nrules:\n- name: a\n  delete: tag.nmae == 'x'\n",
	"# a\u2029# b\u2029# c\u2029# d\u2029# e\u2029# f\nrules:\n- name: a\n  delete: tag.nmae == 'x'\n",
	"rules:\n# x\u0085# y\u0085# z\u0085\n- name: a\n  delete: tag.nmae == 'x'\n",
	"rules:\n- name: a # b\r# c\r# d\r\n  delete: |\n    tag.nmae == 'x'\n",
}

// TestLineBreaks: a mistake is told of whichever way lines end, where it is or near it.
func TestLineBreaks(t *testing.T) {
	for _, text := range lineBreaks {
		if got := mistakesIn(t, "f", text); !strings.Contains(got, "nmae") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// FuzzParse: whatever a file has in it, there is an answer.
func FuzzParse(f *testing.F) {
	for _, file := range []*policy.File{policy.Guards(), policy.Default(), policy.Original()} {
		f.Add(file.Text)
	}
	f.Add("rules:\n- &a {name: a, keep: *a}\n- *a\n")
	for _, text := range lineBreaks {
		f.Add(text)
	}
	f.Add("? a\n: - b\n--- >2\n x")
	f.Fuzz(func(t *testing.T, text string) { mistakesIn(t, "f", text) })
}
