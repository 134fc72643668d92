package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// byDefault are the rules by default, as reports show them.
func byDefault(t testing.TB) *Rules {
	t.Helper()
	rules, err := policy.Compile(policy.Default(), policy.Settings{Orphans: policy.OrphansAuto})
	if err != nil {
		t.Fatal(err)
	}
	return NewRules(rules)
}

// TestExplanations: each reason code that there is has one explanation, and so has each rule.
func TestExplanations(t *testing.T) {
	want := append(reasonsIn(t, "../policy/verdict.go"), reasonsIn(t, "event.go")...)
	rules := byDefault(t)
	for _, rule := range rules.Rules {
		want = append(want, string(rule.Reason))
	}
	var got []string
	for _, e := range (&Summary{Rules: rules}).Explanations() {
		got = append(got, string(e.Reason))
		if e.Text == "" || len(e.Text) > 200 {
			t.Errorf("%s is explained by %q", e.Reason, e.Text)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 16 {
		t.Errorf("%d codes (-in the source +explained):\n%s", len(want), diff)
	}
}

// reasonsIn reads the constants of type Reason from a file.
func reasonsIn(t *testing.T, path string) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !isReason(spec.Type) {
			continue
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, code)
	}
	return codes
}

func isReason(expr ast.Expr) bool {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name == "Reason"
	case *ast.SelectorExpr:
		return expr.Sel.Name == "Reason"
	default:
		return false
	}
}
