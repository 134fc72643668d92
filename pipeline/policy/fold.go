package policy

import (
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// An expression makes a part of a condition.
type expression func(*cel.OptimizerContext) ast.Expr

// noName is a pattern that matches nothing, not even the empty text. An empty pattern would
// match everything.
const noName = `[^\x00-\x{10FFFF}]`

// expressions returns what the terms of settings stand for.
func (s Settings) expressions() map[Name]expression {
	pattern := s.ProtectedTagsRegex
	if pattern == "" {
		pattern = noName
	}
	return map[Name]expression{
		"settings.protected_tags":       listOf(s.ProtectedTags),
		"settings.protected_tags_regex": textOf(pattern),
		"settings.min_age":              durationOf(s.MinAge),
		"settings.image_age":            durationOf(s.ImageAge),
		"settings.delete_kinds":         listOf(s.DeleteKinds),
		"settings.orphans":              textOf(string(s.Orphans)),
	}
}

func textOf(text string) expression {
	return func(c *cel.OptimizerContext) ast.Expr { return c.NewLiteral(types.String(text)) }
}

func durationOf(d time.Duration) expression {
	return func(c *cel.OptimizerContext) ast.Expr {
		return c.NewCall("duration", c.NewLiteral(types.String(d.String())))
	}
}

func listOf[T ~string](texts []T) expression {
	return func(c *cel.OptimizerContext) ast.Expr {
		elements := make([]ast.Expr, len(texts))
		for i, text := range texts {
			elements[i] = c.NewLiteral(types.String(text))
		}
		return c.NewList(elements, nil)
	}
}

// fold replaces settings by their values, facts by variables, and what is constant by
// its result: a pattern that is a constant is compiled once.
func (c *compiler) fold(checked *cel.Ast) (*cel.Ast, error) {
	folding, err := cel.NewConstantFoldingOptimizer()
	if err != nil {
		return nil, err
	}
	optimizer, err := cel.NewStaticOptimizer(substitution{c.settings}, folding)
	if err != nil {
		return nil, err
	}
	env, err := foldingEnvironment()
	if err != nil {
		return nil, err
	}
	folded, issues := optimizer.Optimize(env, checked)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	return folded, nil
}

// foldingEnvironment is what conditions are folded in.
var foldingEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	return env.Extend(cel.Lib(limits{}))
})

// limits is a library that has nothing but the limit of costs, for what is folded: that is evaluated
// by CEL itself.
type limits struct{}

// CompileOptions implements [cel.Library].
func (limits) CompileOptions() []cel.EnvOption { return nil }

// ProgramOptions implements [cel.Library].
func (limits) ProgramOptions() []cel.ProgramOption {
	return []cel.ProgramOption{cel.CostLimit(costLimit)}
}

// A substitution replaces terms.
type substitution struct{ settings map[Name]expression }

// Optimize implements [cel.ASTOptimizer].
func (s substitution) Optimize(c *cel.OptimizerContext, a *ast.AST) *ast.AST {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		t, presence := termIn(a, e)
		if t == nil {
			return
		}
		switch value := s.settings[t.name]; {
		case presence && t.present == nil:
			c.UpdateExpr(e, c.NewLiteral(types.True))
		case presence:
			c.UpdateExpr(e, c.NewIdent(presenceOf+string(t.name)))
		case value != nil:
			c.UpdateExpr(e, value(c))
		default:
			c.UpdateExpr(e, c.NewIdent(valueOf+string(t.name)))
		}
	}))
	return a
}

// termIn returns the term that an expression of a checked condition is, and whether it asks for
// its presence alone. It is nil for all else, a variable of a macro's with such a name among it.
func termIn(a *ast.AST, e ast.Expr) (t *term, presence bool) {
	switch e.Kind() {
	case ast.IdentKind:
		if t = termOf(e.AsIdent()); t != nil && a.ReferenceMap()[e.ID()] != nil && t.object == "" {
			return t, false
		}
	case ast.SelectKind:
		selected := e.AsSelect()
		object := selected.Operand()
		if object.Kind() == ast.IdentKind && a.GetType(object.ID()).Kind() == types.StructKind {
			return termOf(object.AsIdent() + "." + selected.FieldName()), selected.IsTestOnly()
		}
	}
	return nil, false
}

// sizes tells what facts can be at most, to estimate what a condition costs.
type sizes struct{}

// EstimateSize knows the limits of GitLab and of the registry.
func (sizes) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	most := uint64(1024) // of paths
	switch Name(strings.TrimPrefix(path[0], valueOf)) {
	case "tag.name":
		most = 128
	case FactTopics:
		most = 255 // both their number and their length
	}
	return &cost.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost leaves calls to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
