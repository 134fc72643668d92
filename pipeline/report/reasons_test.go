package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExplanations: each reason code that there is has one explanation.
func TestExplanations(t *testing.T) {
	want := append(reasonsIn(t, "../policy/verdict.go"), reasonsIn(t, "event.go")...)
	var got []string
	for _, e := range Explanations() {
		got = append(got, string(e.Reason))
		if e.Text == "" || len(e.Text) > 60 {
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
