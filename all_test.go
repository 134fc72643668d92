// Package registrygc_test holds the repository against its own rules: what may import
// what, what every package and the Makefile must have, and what no file may.
package registrygc_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	"cmd/registry-gc":      {"pipeline", "pipeline/policy", "pipeline/report", "pipeline/report/metrics", "gitlabapi", "internal/printable", "internal/redact"},
	"bench":                {"pipeline", "pipeline/policy", "pipeline/report", "gitlabapi", "gitlabapi/gitlabtest"},
	"cmd/gitlab-standin":   {"gitlabapi/gitlabtest"},
	"demo":                 nil,
	"gitlabapi":            {"internal/flight"},
	"gitlabapi/gitlabtest": nil,
	"internal/flight":      nil,
	"internal/printable":   nil,
	"internal/redact":      nil,
	"pipeline":             {"pipeline/policy", "pipeline/report", "gitlabapi", "internal/flight"},
	"pipeline/policy":      nil,
	"pipeline/report":      {"pipeline/policy", "internal/printable", "internal/redact"},

	"pipeline/report/metrics": {"pipeline/policy", "pipeline/report"},
}

// standalone are the packages whose tests may not use the stand-in either: what they do
// can be tested without a server, and a stand-in that met the client in its own tests
// could share its mistakes.
var standalone = []string{"", "demo", "gitlabapi/gitlabtest", "pipeline/policy", "pipeline/report", "pipeline/report/metrics"}

// homes says where each dependency lives: whoever wants to replace one has to look at a
// single package.
var homes = map[string]string{
	"github.com/sethvargo/go-envconfig":      "cmd/registry-gc",
	"github.com/lmittmann/tint":              "cmd/registry-gc",
	"github.com/KimMachineGun/automemlimit":  "cmd/registry-gc",
	"golang.org/x/term":                      "cmd/registry-gc",
	"golang.org/x/sync":                      "pipeline",
	"golang.org/x/time":                      "gitlabapi",
	"gitlab.com/gitlab-org/api/client-go":    "gitlabapi",
	"github.com/hashicorp/go-retryablehttp":  "gitlabapi",
	"github.com/google/go-containerregistry": "gitlabapi",
	"github.com/graph-gophers/graphql-go":    "gitlabapi/gitlabtest",
	"github.com/prometheus":                  "pipeline/report/metrics",
	"gonum.org/v1/plot":                      "bench",
}

// forTests are the dependencies of tests, which may be used in any.
var forTests = []string{
	"github.com/charmbracelet/x/vt",
	"github.com/creack/pty",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"go.uber.org/goleak",
	"golang.org/x/net/html",
	"k8s.io/api",
	"sigs.k8s.io/yaml",
}

// impure are packages of the standard library that a pure function has no use for.
var impure = []string{"context", "log", "net", "os", "time"}

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
		allowed := slices.Clone(mayImport[p.name()])
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

func TestDependenciesHaveOneHome(t *testing.T) {
	for _, p := range allPackages(t) {
		for _, path := range p.Imports {
			if foreign(path) && homeOf(path) != p.name() {
				t.Errorf("%s must not import %s, whose home is %q", p.name(), path, homeOf(path))
			}
		}
		for _, path := range p.testImports() {
			if foreign(path) && homeOf(path) != p.name() && !isForTests(path) {
				t.Errorf("tests of %s must not import %s, whose home is %q", p.name(), path, homeOf(path))
			}
		}
	}
}

func homeOf(path string) string {
	for dependency, home := range homes {
		if within(path, dependency) {
			return home
		}
	}
	return "nowhere"
}

func isForTests(path string) bool {
	return slices.ContainsFunc(forTests, func(dependency string) bool { return within(path, dependency) })
}

// TestTheLinkerLeavesOut what nobody calls, as long as nothing in the program calls
// methods by names that only the run knows. Templates do, and GitLab's client with all its
// services would make the program 5 MB larger. The client may import text/template: the
// linker leaves out what it does with it. The part amd64 of .ci/run looks at the program
// itself.
func TestTheLinkerLeavesOut(t *testing.T) {
	const importers = `{{$path := .ImportPath}}{{range .Imports}}{{.}} {{$path}}{{"\n"}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", importers, "./cmd/registry-gc").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const client = "gitlab.com/gitlab-org/api/client-go/v2"
	if !strings.Contains(string(out), " "+client+"\n") {
		t.Fatal("go list does not list the imports of GitLab's client")
	}
	for line := range strings.Lines(string(out)) {
		imported, by, _ := strings.Cut(strings.TrimSpace(line), " ")
		if imported == "html/template" || imported == "text/template" && by != client {
			t.Errorf("%s must not import %s in the program: it keeps the linker from leaving out unused methods", by, imported)
		}
	}
}

// TestPolicyIsPure: a verdict depends on the facts alone. The package's own tests may do
// what they like.
func TestPolicyIsPure(t *testing.T) {
	checked := false
	for _, p := range allPackages(t) {
		if p.name() != "pipeline/policy" {
			continue
		}
		checked = true
		for _, path := range p.Imports {
			if foreign(path) || slices.ContainsFunc(impure, func(bad string) bool { return within(path, bad) }) {
				t.Errorf("pipeline/policy must not import %s", path)
			}
		}
	}
	if !checked {
		t.Error("there is no pipeline/policy")
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
// is passed over tests nothing. The words are put together here so that they are not
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
		"chart":           `go test\b`,
		"registry":        `go test -tags realregistry\b`,
		"pages":           `go test -tags browser\b`,
		"component":       `node .*/run\.mjs"`,
		"demo":            `make demo\b`,
		"amd64":           `(?s)cross amd64.*links amd64.*small amd64`,
		"arm64":           `(?s)cross arm64.*small arm64`,
		"image":           `bash \.ci/image\b`,
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

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
