// Package registrygc_test holds the repository against its own rules: what may import
// what, what every package and the Makefile must have, and what no file may.
package registrygc_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "gitlab.com/registry-gc/registry-gc"

// mayImport lists every package of the module with those of the module that it may
// import: cmd → pipeline → {policy, report, gitlabapi}, and the stand-in knows neither
// the client nor the client anything above it.
var mayImport = map[string][]string{
	"":                     nil,
	"cmd/registry-gc":      {"pipeline", "pipeline/inuse", "pipeline/plan", "pipeline/policy", "pipeline/report", "pipeline/report/metrics", "gitlabapi", "gitlabapi/manifest", "gitlabapi/registry", "gitlabapi/throttle", "internal/edits", "internal/printable", "internal/redact"},
	"bench":                {"pipeline", "pipeline/policy", "pipeline/report", "gitlabapi", "gitlabapi/gitlabtest", "gitlabapi/manifest", "gitlabapi/throttle"},
	"cmd/gitlab-standin":   {"gitlabapi/gitlabtest"},
	"demo":                 nil,
	"gitlabapi":            {"gitlabapi/registry", "gitlabapi/throttle"},
	"gitlabapi/gitlabtest": nil,
	"gitlabapi/manifest":   nil,
	"gitlabapi/registry":   {"gitlabapi/manifest", "gitlabapi/throttle", "internal/flight"},
	"gitlabapi/throttle":   {"internal/printable"},
	"internal/edits":       nil,
	"internal/flight":      nil,
	"internal/printable":   nil,
	"internal/redact":      nil,
	"internal/wiretest":    nil,
	"pipeline":             {"pipeline/inuse", "pipeline/plan", "pipeline/policy", "pipeline/report", "gitlabapi", "gitlabapi/manifest", "gitlabapi/registry", "gitlabapi/throttle", "internal/flight"},
	"pipeline/inuse":       nil,
	"pipeline/plan":        {"internal/printable"},
	"pipeline/policy":      {"gitlabapi/manifest", "internal/edits"},
	"pipeline/report":      {"pipeline/plan", "pipeline/policy", "gitlabapi/manifest", "gitlabapi/registry", "internal/printable", "internal/redact"},

	"pipeline/report/metrics": {"gitlabapi/registry", "pipeline/policy", "pipeline/report"},
}

// standalone are the packages whose tests may not use the stand-in either: what they do
// can be tested without a server, and a stand-in that met the client in its own tests
// could share its mistakes.
var standalone = []string{"", "demo", "gitlabapi/gitlabtest", "pipeline/inuse", "pipeline/plan", "pipeline/policy", "pipeline/report", "pipeline/report/metrics"}

// homes says where each dependency lives: whoever wants to replace one has to look at a
// single package. The requests of GitLab's client go through a limiter of ours, and have to
// be told that it wants none of its own.
var homes = map[string][]string{
	"github.com/sethvargo/go-envconfig":     {"cmd/registry-gc"},
	"github.com/lmittmann/tint":             {"cmd/registry-gc"},
	"github.com/KimMachineGun/automemlimit": {"cmd/registry-gc"},
	"github.com/spf13/cobra":                {"cmd/registry-gc"},
	"github.com/spf13/pflag":                {"cmd/registry-gc"},
	"golang.org/x/term":                     {"cmd/registry-gc"},
	"golang.org/x/sys":                      {"cmd/registry-gc"},
	"golang.org/x/sync":                     {"pipeline"},
	"golang.org/x/time":                     {"gitlabapi/throttle", "gitlabapi"},
	"gitlab.com/gitlab-org/api/client-go":   {"gitlabapi"},
	"github.com/go-json-experiment/json":    {"gitlabapi/manifest"},
	"cel.dev/cel-go":                        {"pipeline/policy"},
	"go.yaml.in/yaml":                       {"pipeline/policy"},
	"github.com/graph-gophers/graphql-go":   {"gitlabapi/gitlabtest"},
	"github.com/prometheus":                 {"pipeline/report/metrics"},
}

// forTests are the dependencies of tests, which may be used in any.
var forTests = []string{
	"github.com/charmbracelet/x/vt",
	"github.com/creack/pty",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"go.uber.org/goleak",
	"golang.org/x/net/html",
}

// nested are the folders with a module of their own, for what the program does not need.
// The part modules of .ci/run looks after them.
var nested = []string{"bench/chart", "deploy/test"}

// impure are packages of the standard library that a pure function has no use for.
var impure = []string{"context", "log", "net", "os"}

// goPackage is what go list says about a package.
type goPackage struct {
	ImportPath, Doc                    string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// name is the package's path in the module.
func (p *goPackage) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// testImports returns what the package's tests import, but for the package itself.
func (p *goPackage) testImports() []string {
	all := slices.Concat(p.TestImports, p.XTestImports)
	return slices.DeleteFunc(all, func(path string) bool { return path == p.ImportPath })
}

// packages asks go list, once.
var packages = sync.OnceValues(func() ([]*goPackage, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,GoFiles,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return nil, errors.New(string(exit.Stderr))
		}
		return nil, err
	}
	var all []*goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(goPackage)
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func allPackages(t *testing.T) []*goPackage {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return all
}

// within reports whether an import path is a package or lies below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// ours returns the path of an import in this module.
func ours(path string) (string, bool) {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), within(path, module)
}

// foreign reports whether an import is neither ours nor of the standard library, whose
// paths begin with a word without a dot.
func foreign(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".") && !within(path, module)
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	var found []string
	for _, p := range allPackages(t) {
		found = append(found, p.name())
		if _, ok := mayImport[p.name()]; !ok {
			t.Errorf("package %s is new: say in mayImport what it may import", p.name())
		}
	}
	for name := range mayImport {
		if !slices.Contains(found, name) {
			t.Errorf("mayImport speaks of %q, which does not exist", name)
		}
	}
}

func TestArrows(t *testing.T) {
	for _, p := range allPackages(t) {
		for _, path := range p.Imports {
			if name, ok := ours(path); ok && !slices.Contains(mayImport[p.name()], name) {
				t.Errorf("%s must not import %s", p.name(), name)
			}
		}
		allowed := append(slices.Clone(mayImport[p.name()]), "internal/wiretest")
		if !slices.Contains(standalone, p.name()) {
			allowed = append(allowed, "gitlabapi/gitlabtest")
		}
		for _, path := range p.testImports() {
			if name, ok := ours(path); ok && !slices.Contains(allowed, name) {
				t.Errorf("tests of %s must not import %s", p.name(), name)
			}
		}
	}
}

func TestDependenciesHaveHomes(t *testing.T) {
	for _, p := range allPackages(t) {
		for _, path := range p.Imports {
			if foreign(path) && !slices.Contains(homesOf(path), p.name()) {
				t.Errorf("%s must not import %s, whose homes are %q", p.name(), path, homesOf(path))
			}
		}
		for _, path := range p.testImports() {
			if foreign(path) && !slices.Contains(homesOf(path), p.name()) && !isForTests(path) {
				t.Errorf("tests of %s must not import %s, whose homes are %q", p.name(), path, homesOf(path))
			}
		}
	}
}

func homesOf(path string) []string {
	for dependency, homes := range homes {
		if within(path, dependency) {
			return homes
		}
	}
	return nil
}

func isForTests(path string) bool {
	return slices.ContainsFunc(forTests, func(dependency string) bool { return within(path, dependency) })
}

// TestNestedModules: they are those that are listed, for the same Go as the program, and
// import nothing of it: they read what it writes, and no replacement ties one to the other.
// Their files are only parsed here, since what they import may not be downloaded.
func TestNestedModules(t *testing.T) {
	goVersion := regexp.MustCompile(`(?m)^go \S+$`)
	want := goVersion.FindString(readFile(t, "go.mod"))
	var found []string
	documented := make(map[string]bool)
	walkText(t, func(path, text string) {
		dir, name := filepath.ToSlash(filepath.Dir(path)), filepath.Base(path)
		if name == "go.mod" && dir != "." {
			found = append(found, dir)
			if !strings.HasPrefix(text, "module "+module+"/"+dir+"\n") || goVersion.FindString(text) != want || strings.Contains(text, "replace ") {
				t.Errorf("%s: want the path %s/%s, %q and no replacement", path, module, dir, want)
			}
		}
		i := slices.IndexFunc(nested, func(root string) bool { return within(dir, root) })
		if i < 0 || filepath.Ext(name) != ".go" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		documented[dir] = documented[dir] || file.Doc != nil
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil || within(imported, module) && !within(imported, module+"/"+nested[i]) {
				t.Errorf("%s must not import %s: it is not of the same module", path, spec.Path.Value)
			}
		}
	})
	if slices.Sort(found); !slices.Equal(found, nested) {
		t.Errorf("the nested modules are %v; want %v", found, nested)
	}
	for dir, has := range documented {
		if !has {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// TestTheLinkerLeavesOut what nobody calls, as long as nothing in the program calls
// methods by names that only the run knows. Templates do, and GitLab's client with all its
// services would make the program 5 MB larger. The client, the language of rules and cobra may import
// text/template: the linker leaves out what they do with it, as long as cobra is given no template. The
// part amd64 of .ci/run looks at the program itself.
func TestTheLinkerLeavesOut(t *testing.T) {
	const importers = `{{$path := .ImportPath}}{{range .Imports}}{{.}} {{$path}}{{"\n"}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", importers, "./cmd/registry-gc").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	unused := []string{"gitlab.com/gitlab-org/api/client-go/v2", "cel.dev/cel-go/cel", "github.com/spf13/cobra"}
	for _, path := range unused {
		if !strings.Contains(string(out), " "+path+"\n") {
			t.Fatalf("go list does not list the imports of %s", path)
		}
	}
	for line := range strings.Lines(string(out)) {
		imported, by, _ := strings.Cut(strings.TrimSpace(line), " ")
		if imported == "html/template" || imported == "text/template" && !slices.Contains(unused, by) {
			t.Errorf("%s must not import %s in the program: it keeps the linker from leaving out unused methods", by, imported)
		}
	}
}

// TestPurePackages: a verdict depends on the facts alone, what a tag is on the bytes of its
// manifest, and what is in use on the lists. Dates are values to them; nothing tells them the time. The packages' own tests may
// do what they like.
func TestPurePackages(t *testing.T) {
	checked := 0
	clock := regexp.MustCompile(`\btime\.(?:Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\b`)
	for _, p := range allPackages(t) {
		if !slices.Contains([]string{"pipeline/inuse", "pipeline/policy", "gitlabapi/manifest"}, p.name()) {
			continue
		}
		checked++
		for _, path := range p.Imports {
			if slices.ContainsFunc(impure, func(bad string) bool { return within(path, bad) }) {
				t.Errorf("%s must not import %s", p.name(), path)
			}
		}
		for _, file := range p.GoFiles {
			if used := clock.FindString(readFile(t, filepath.Join(p.name(), file))); used != "" {
				t.Errorf("%s of %s must not use %s", file, p.name(), used)
			}
		}
	}
	if checked != 3 {
		t.Errorf("%d packages were checked", checked)
	}
}

// TestGoroutinesStartInOneFile of the pipeline, which closes its channels, too.
func TestGoroutinesStartInOneFile(t *testing.T) {
	starts := regexp.MustCompile(`(?m)^\s*go (func\b|[\w.]+\()|\.Go\(|\bclose\(`)
	files, err := filepath.Glob("pipeline/*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if found := starts.FindString(readFile(t, file)); (found != "") != (file == "pipeline/engine.go") {
			t.Errorf("%s: %q", file, found)
		}
	}
}

// TestImageHasAllPackages: what the image is built from has every package of the program.
func TestImageHasAllPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/registry-gc").Output()
	if err != nil {
		t.Fatal(err)
	}
	ignored := readFile(t, ".dockerignore")
	for path := range strings.Lines(string(out)) {
		name, isOurs := ours(strings.TrimSpace(path))
		top, _, _ := strings.Cut(name, "/")
		if isOurs && !strings.Contains(ignored, "\n!"+top+"\n") && !strings.Contains(ignored, "\n!"+name+"\n") {
			t.Errorf(".dockerignore leaves out %s", name)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range allPackages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("package %s has no comment that says what it is for", p.name())
		}
	}
}

// TestNothingIsLeftOpen: what is not done yet belongs where everybody sees it, and a test that
// is skipped tests nothing. The words are put together here so that they are not
// found in this file.
func TestNothingIsLeftOpen(t *testing.T) {
	markers := regexp.MustCompile(`\b(?:` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}, "|") + `)\b`)
	passedOver := regexp.MustCompile(`\b[a-z]{1,2}\.` + "Skip" + `(?:f|Now)?\(`)
	files := 0
	walkText(t, func(path, text string) {
		files++
		for number, line := range strings.Split(text, "\n") {
			if markers.MatchString(line) || strings.HasSuffix(path, ".go") && passedOver.MatchString(line) {
				t.Errorf("%s:%d: %s", path, number+1, strings.TrimSpace(line))
			}
		}
	})
	if files < 50 {
		t.Errorf("only %d files were read", files)
	}
}

// walkText visits the files that people write: neither what was built nor what was
// recorded elsewhere.
func walkText(t *testing.T, visit func(path, text string)) {
	t.Helper()
	notOurs := []string{".git", ".go", "bin", "dist", "testdata"}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(notOurs, entry.Name()):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == "go.sum":
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), "\x00") {
			visit(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMakefile: few targets, and each is in what `make help` prints, which it takes from
// the comments behind the targets.
func TestMakefile(t *testing.T) {
	text := readFile(t, "Makefile")
	targets := regexp.MustCompile(`(?m)^([A-Za-z][\w.-]*)\s*:(?:[^=:].*)?$`).FindAllStringSubmatch(text, -1)
	if len(targets) < 2 || len(targets) > 10 {
		t.Errorf("the Makefile has %d targets; want a handful, at most ten", len(targets))
	}
	var names []string
	for _, target := range targets {
		names = append(names, target[1])
		if !regexp.MustCompile(`^[a-z-]+: ?[^#]*## \S`).MatchString(target[0]) {
			t.Errorf("make help does not name %s", target[1])
		}
	}
	for _, needed := range []string{"help", "build", "test", "demo", "lint", "image", "clean"} {
		if !slices.Contains(names, needed) {
			t.Errorf("there is no make %s", needed)
		}
	}
	if !strings.Contains(text, ".DEFAULT_GOAL := help\n") {
		t.Error("make alone does not print the help")
	}
	if phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(text); phony == nil ||
		!slices.Equal(strings.Fields(phony[1]), names) {
		t.Errorf(".PHONY is not %v", names)
	}
}

// TestLicense: the repository has its licence in full, and the image and the README say
// which it is.
func TestLicense(t *testing.T) {
	for path, parts := range map[string][]string{
		"LICENSE": {
			"Apache License\n                           Version 2.0, January 2004\n",
			"TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION", "END OF TERMS AND CONDITIONS",
			"Copyright 2026 The registry-gc authors\n",
		},
		"Dockerfile": {`org.opencontainers.image.licenses="Apache-2.0"`},
		"README.md":  {"[LICENSE](LICENSE)"},
	} {
		text := readFile(t, path)
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not say %q", path, part)
			}
		}
	}
}

// TestCI: the two commands that the README promises are what decides on a change.
func TestCI(t *testing.T) {
	text := readFile(t, ".ci/run")
	listed := regexp.MustCompile(`(?m)^parts=\((.*)\)$`).FindStringSubmatch(text)
	if listed == nil {
		t.Fatal(".ci/run has no list of parts")
	}
	for part, does := range map[string]string{
		"format":          `gofmt -l`,
		"vet":             `go vet \./\.\.\.`,
		"tidy":            `go mod tidy -diff`,
		"staticcheck":     `/staticcheck" \./\.\.\.`,
		"vulnerabilities": `/govulncheck" \./\.\.\.`,
		"tests":           `make test\b`,
		"modules":         `(?s)\*/go\.mod'.*go mod tidy -diff.*go vet \./\.\.\..*/staticcheck" \./\.\.\..*go test\b`,
		"registry":        `go test -tags realregistry\b`,
		"pages":           `go test -tags browser\b`,
		"component":       `node .*/run\.mjs"`,
		"demo":            `make demo\b`,
		"amd64":           `(?s)cross amd64.*links amd64.*small amd64`,
		"arm64":           `(?s)cross arm64.*small arm64`,
		"image":           `bash \.ci/image\b`,
		"release":         `(?s)release-notes.*goreleaser check.*goreleaser release --snapshot.*release-check dist`,
	} {
		if !slices.Contains(strings.Fields(listed[1]), part) {
			t.Errorf("%s is not among the parts of .ci/run", part)
		}
		_, body, ok := strings.Cut(text, "\npart_"+part+"() {")
		body, _, _ = strings.Cut(body, "\n\n")
		if !ok || !regexp.MustCompile(`(?m)^[^#]*`+does).MatchString(body) {
			t.Errorf("the part %s of .ci/run does not run %q", part, does)
		}
	}
	if info, err := os.Stat(".ci/run"); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf(".ci/run cannot be executed: %v", err)
	}
}

// TestContributing: who looks for something finds every package and nested module, and no other, and
// the files, folders and functions that the recipes name are there.
func TestContributing(t *testing.T) {
	text := readFile(t, "CONTRIBUTING.md")
	var rows, want []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\S").FindAllStringSubmatch(text, -1) {
		rows = append(rows, match[1])
	}
	for name := range mayImport {
		if name != "" {
			want = append(want, name)
		}
	}
	want = append(want, nested...)
	slices.Sort(rows)
	if slices.Sort(want); !slices.Equal(rows, want) {
		t.Errorf("CONTRIBUTING.md has a table of %v; want %v", rows, want)
	}
	var all strings.Builder
	files := make(map[string]bool)
	walkText(t, func(path, text string) {
		files[filepath.Base(path)] = true
		if filepath.Ext(path) == ".go" {
			all.WriteString(text)
		}
	})
	for _, match := range regexp.MustCompile("`((?:[\\w.-]+/)*[\\w-]+\\.(?:go|yaml|md))`").FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(match[1]); err != nil && !(files[match[1]] && !strings.Contains(match[1], "/")) {
			t.Errorf("CONTRIBUTING.md names %s, which is not there", match[1])
		}
	}
	for _, match := range regexp.MustCompile("`([A-Za-z]+[a-z][A-Z]\\w*)`").FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`\b` + match[1] + `\b`).MatchString(all.String()) {
			t.Errorf("CONTRIBUTING.md names %s, which is not there", match[1])
		}
	}
}

// TestLinkedVariables: the linker says nothing of a variable that is not there, and sets none that
// has a value.
func TestLinkedVariables(t *testing.T) {
	source := readFile(t, "cmd/registry-gc/version.go")
	for path, want := range map[string]int{"Makefile": 1, "Dockerfile": 3, ".goreleaser.yaml": 3} {
		set := regexp.MustCompile(`-X main\.(\w+)=`).FindAllStringSubmatch(readFile(t, path), -1)
		if len(set) != want {
			t.Errorf("%s has the linker set %d variables; want %d", path, len(set), want)
		}
		for _, match := range set {
			if !regexp.MustCompile(`(?m)^\t` + match[1] + ` +string$`).MatchString(source) {
				t.Errorf("%s has the linker set %s, which is no variable of the program", path, match[1])
			}
		}
	}
}

// TestChangelog: a section for each version, the newest first, none twice, and none that says
// nothing. What is not in a version yet stands above them, as Unreleased.
func TestChangelog(t *testing.T) {
	sections := regexp.MustCompile(`(?m)^## `).Split(readFile(t, "CHANGELOG.md"), -1)[1:]
	var versions [][]int
	for i, section := range sections {
		heading, text, _ := strings.Cut(section, "\n")
		match := regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)(?: - \d{4}-\d\d-\d\d)?$`).FindStringSubmatch(heading)
		switch {
		case i == 0 && heading == "Unreleased":
			continue
		case match == nil:
			t.Errorf("CHANGELOG.md: %q is no version", heading)
			continue
		case !strings.HasPrefix(strings.TrimSpace(text), "- "):
			t.Errorf("CHANGELOG.md says nothing of %s", heading)
		}
		version := make([]int, 3)
		for j := range version {
			version[j], _ = strconv.Atoi(match[j+1])
		}
		versions = append(versions, version)
	}
	if len(versions) == 0 || !slices.IsSortedFunc(versions, func(a, b []int) int { return slices.Compare(b, a) }) ||
		len(slices.CompactFunc(slices.Clone(versions), slices.Equal)) != len(versions) {
		t.Errorf("CHANGELOG.md has the versions %v; want the newest first", versions)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLinks: links in documents lead to files that are there, and to headings that these have.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s:|]*)(#[a-z0-9_-]+)?\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	strange := regexp.MustCompile(`[^a-z0-9_ -]`)
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	links := 0
	walkText(t, func(path, text string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target := path
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(path), match[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s leads to %s, which is not there", path, match[1])
				continue
			}
			links++
			if match[2] == "" || !strings.HasSuffix(target, ".md") {
				continue
			}
			found := slices.ContainsFunc(heading.FindAllStringSubmatch(readFile(t, target), -1), func(h []string) bool {
				return "#"+strings.ReplaceAll(strange.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == match[2]
			})
			if !found {
				t.Errorf("%s leads to %s%s, and there is no such heading", path, match[1], match[2])
			}
		}
	})
	if links < 30 {
		t.Errorf("only %d links were followed", links)
	}
}
