package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// The contract is written down in several places: the Config struct, --help, the README
// and doc.go. Here they are held against each other; deploy/test does so with the
// manifests, the chart, the component and the Dockerfile.

const moduleRoot = "../.."

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// configVariables returns the variables of Config with their defaults.
func configVariables() map[string]string {
	variables := make(map[string]string)
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _ := variableOf(field)
		variables[name] = defaultOf(field)
	}
	return variables
}

// helpText returns what --help prints, before and after "Exit codes:".
func helpText(t *testing.T, args ...string) (text, codes string) {
	t.Helper()
	var out, problems bytes.Buffer
	code := run(t.Context(), append(args, "--help"), envconfig.MapLookuper(nil), nil, nil, &out, &problems)
	if code != exitDone || problems.Len() > 0 {
		t.Fatalf("%v --help ends with %d: %s", args, code, &problems)
	}
	text, codes, _ = strings.Cut(out.String(), "\nExit codes:\n")
	return text, codes
}

// TestHelp: the help of each command says how it is called, with an example, and fits a terminal; and each of
// its settings is there with its default, under the flag of that name.
func TestHelp(t *testing.T) {
	row := regexp.MustCompile(`(?m)^  ([A-Z][A-Z0-9_]+) {2,}--([a-z-]+) {2,}\S.*?\(default: ([^)]+)\)$`)
	folded := regexp.MustCompile(`\n {26,}(\S)`)
	root := (&program{}).commands()
	for _, command := range append(root.Commands(), root) {
		var args []string
		if command.HasParent() {
			args = []string{command.Name()}
		}
		text, _ := helpText(t, args...)
		for _, part := range []string{"\nUsage:\n  " + command.CommandPath(), "\nExamples:\n  ", "\nFlags:\n  "} {
			if !strings.Contains(text, part) {
				t.Errorf("the help of %v does not say %q:\n%s", args, part, text)
			}
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(line) > helpWidth+1 {
				t.Errorf("the help of %v is wider than a terminal: %s", args, line)
			}
		}
		got, want := make(map[string]string), make(map[string]string)
		for _, match := range row.FindAllStringSubmatch(folded.ReplaceAllString(text, " $1"), -1) {
			if got[match[1]] = match[3]; match[2] != flagOf(match[1]) {
				t.Errorf("the flag of %s is --%s", match[1], match[2])
			}
		}
		all := configVariables()
		for field := range reflect.TypeFor[Config]().Fields() {
			if variable, _ := variableOf(field); has(uses[nameOf(command)].flags, field) {
				want[variable] = all[variable]
			}
		}
		compareVariables(t, command.CommandPath()+" --help", got, want)
		if command == root && len(got) != len(all) {
			t.Errorf("registry-gc --help has %d settings of %d", len(got), len(all))
		}
	}
}

// TestDocumentedVariables: the table whose first column is headed "variable". A cell may name
// several variables, separated by commas; its default is then that of each, in order, or
// one that all share, or that of those among them that have one.
func TestDocumentedVariables(t *testing.T) {
	want := configVariables()
	got := make(map[string]string)
	for _, row := range documentedTable(t, "variable") {
		names, defaults := codeSpans(row[0]), codeSpans(row[1])
		if len(names) == 0 || len(defaults) > 1 && len(defaults) != len(names) {
			t.Errorf("the documents: cannot tell the defaults of %s: %s", row[0], row[1])
			continue
		}
		for i, name := range names {
			if _, twice := got[name]; twice {
				t.Errorf("the documents name %s twice", name)
			}
			switch {
			case len(defaults) == len(names):
				got[name] = defaults[i]
			case len(defaults) == 1 && (want[name] != "" || i == 0):
				got[name] = defaults[0]
			default:
				got[name] = ""
			}
		}
	}
	compareVariables(t, "the documents", got, want)
}

// compareVariables holds a list of variables and defaults against those of Config, both ways.
func compareVariables(t *testing.T, where string, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s does not name %s", where, name)
		case value != want[name]:
			t.Errorf("%s says that %s is %q by default; it is %q", where, name, value, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s names %s, which the program does not know", where, name)
		}
	}
}

// TestExitCodes: the constants, --help, doc.go and the documents' table, whose first column
// is headed "code", name the same codes.
func TestExitCodes(t *testing.T) {
	want := exitConstants(t)
	for _, needed := range []int{exitDone, exitError, exitUsage, exitIncomplete, exitGuard, exitSignal} {
		if !slices.Contains(want, codeName(needed)) {
			t.Errorf("exit.go was misread: no %d in %v", needed, want)
		}
	}
	_, inHelp := helpText(t)
	_, inDoc, _ := strings.Cut(readText(t, "doc.go"), "# Exit codes")
	found := map[string][]string{
		"--help": codesIn(inHelp, `(?m)^  (\d\S*) {2,}\S`),
		"doc.go": codesIn(inDoc, `(?m)^//\t(\d\S*) {2,}\S`),
	}
	for where, got := range found {
		compareCodes(t, where, got, want)
	}
	t.Run("documents", func(t *testing.T) {
		var got []string
		for _, row := range documentedTable(t, "code") {
			got = append(got, codeSpans(row[0])...)
		}
		compareCodes(t, "the documents", got, want)
	})
}

func compareCodes(t *testing.T, where string, got, want []string) {
	t.Helper()
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%s names the exit codes %v; exit.go has %v", where, got, want)
	}
}

func codesIn(text, pattern string) (codes []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		codes = append(codes, match[1])
	}
	return codes
}

// codeName is how a code is written down: 128 stands for all that signals add to it.
func codeName(code int) string {
	if code == exitSignal {
		return "128+n"
	}
	return strconv.Itoa(code)
}

// exitConstants reads the constants of exit.go from its source, so that a new one cannot
// be forgotten here.
func exitConstants(t *testing.T) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") {
			continue
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a plain number", spec.Names[0].Name)
		}
		code, err := strconv.Atoi(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, codeName(code))
	}
	slices.Sort(codes)
	return codes
}

// TestDocumentedReasons: the table whose first column is headed "reason" says of each code the words that
// reports have for it, and what becomes of its tags, by the default rules and, for what these do not have,
// by the original ones.
func TestDocumentedReasons(t *testing.T) {
	type meaning struct {
		words   string
		outcome report.Outcome
	}
	outcomes := map[string]report.Outcome{
		"kept": report.Kept, "deleted": report.Deleted, "undecided": report.Undecided, "failed": report.Failed,
	}
	got, want := make(map[string]meaning), make(map[string]meaning)
	for _, row := range documentedTable(t, "reason") {
		result := regexp.MustCompile(`^\w+`).FindString(row[2])
		got[strings.Join(codeSpans(row[0]), " ")] = meaning{row[1], outcomes[result]}
	}
	for _, file := range []*policy.File{policy.Original(), policy.Default()} {
		rules, err := policy.Compile(file, policy.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range (&report.Summary{Rules: report.NewRules(rules)}).Explanations() {
			words, _, _ := strings.Cut(e.Text, ". ")
			want[string(e.Reason)] = meaning{strings.TrimSuffix(words, "."), e.Outcome}
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(want)) {
		if got[reason] != want[reason] {
			t.Errorf("the documents say of %s %q; want %q", reason, got[reason], want[reason])
		}
		delete(got, reason)
	}
	for reason := range got {
		t.Errorf("the documents have the reason %s, which there is not", reason)
	}
}

// TestDocumentedKinds: the table whose first column is headed "kind" has every kind that a line
// of decisions.jsonl can name, and no other.
func TestDocumentedKinds(t *testing.T) {
	source := readText(t, moduleRoot+"/gitlabapi/manifest/manifest.go")
	var got, want []string
	for _, match := range regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "([^"]+)"`).FindAllStringSubmatch(source, -1) {
		want = append(want, match[1])
	}
	for _, row := range documentedTable(t, "kind") {
		got = append(got, codeSpans(row[0])...)
	}
	slices.Sort(got)
	if slices.Sort(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the documents name the kinds %v; want %v", got, want)
	}
}

// documentedTable returns the rows of the table whose first column has a heading, in the README or the
// documents.
func documentedTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	paths, err := filepath.Glob(moduleRoot + "/docs/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no documents to hold the contract: %v", err)
	}
	text := readText(t, moduleRoot+"/README.md")
	for _, path := range paths {
		text += readText(t, path)
	}
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case inside && len(cells) < 2:
			t.Fatalf("the documents: a row of one cell: %s", line)
		case inside && strings.Trim(cells[0], ":-") != "":
			rows = append(rows, cells)
		case strings.EqualFold(cells[0], heading):
			inside = true
		}
	}
	if len(rows) == 0 {
		t.Fatalf("the documents have no table whose first column is headed %q", heading)
	}
	return rows
}

// codeSpans returns what stands between backquotes in a cell, or its text if nothing does
// and it is not a dash.
func codeSpans(cell string) (spans []string) {
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		spans = append(spans, match[1])
	}
	if text := strings.Trim(cell, "–—- "); len(spans) == 0 && text != "" {
		spans = append(spans, text)
	}
	return spans
}
