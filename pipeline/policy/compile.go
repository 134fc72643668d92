package policy

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// Rules are compiled: they are typed, their patterns are compiled, and the settings are in them.
// They may be used by many goroutines at a time.
type Rules struct {
	file  *File
	rules []*rule
	uses  map[string]bool
	// env and settings are what the rules were compiled with; parts of them are, to explain.
	env      *cel.Env
	settings map[Name]expression
	given    Settings // the same as they were given
}

// A rule is one that can be evaluated.
type rule struct {
	Rule
	// program is nil when the condition is a constant.
	program cel.Program
	always  bool
	// limited says that the condition could take long, and may not; facts are all that it speaks
	// of then.
	limited bool
	facts   set
	terms   []Name // that the condition speaks of as it is written
}

// Compile compiles the rules of a file, below those that stand above any file: see [Guards].
// All mistakes of the file are returned together, as [Mistakes].
func Compile(file *File, settings Settings) (*Rules, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("rules cannot be compiled: %w", err)
	}
	// A pattern of the user's that is wrong is no mistake of the file that speaks of it.
	if _, err := regexp.Compile(settings.ProtectedTagsRegex); err != nil {
		return nil, fmt.Errorf("settings.protected_tags_regex: %s", patternError(err))
	}
	c := &compiler{env: env, settings: settings.expressions()}
	c.rules = &Rules{file: file, uses: make(map[string]bool), env: env, settings: c.settings, given: settings}
	for _, rule := range slices.Concat(Guards().rules, file.rules) {
		c.compile(rule)
	}
	if err := c.mistakes.err(); err != nil {
		return nil, err
	}
	return c.rules, nil
}

// Settings returns what the rules were compiled with.
func (r *Rules) Settings() Settings { return r.given }

// Naming returns the rules as they would be with more kinds in DELETE_KINDS.
func (r *Rules) Naming(kinds ...manifest.Kind) (*Rules, error) {
	settings := r.given
	settings.DeleteKinds = slices.Concat(settings.DeleteKinds, kinds)
	return Compile(r.file, settings)
}

// File returns the file that the rules were compiled from.
func (r *Rules) File() *File { return r.file }

// Uses reports whether a condition speaks of a term, such as settings.min_age, tag.rank or
// branch, whether or not that has a part in any decision.
func (r *Rules) Uses(name string) bool { return r.uses[name] }

// Asking returns the rules of the file, without those that stand above it, that speak of a term.
func (r *Rules) Asking(name Name) []Rule {
	return r.own(func(rule *rule) bool { return slices.Contains(rule.terms, name) })
}

// Unconditional returns the rules of the file that delete whatever comes to them, as they speak of
// nothing: what no rule above them decides.
func (r *Rules) Unconditional() []Rule {
	return r.own(func(rule *rule) bool {
		return rule.Action == Delete && rule.program == nil && rule.always && len(rule.terms) == 0
	})
}

// own returns rules of the file.
func (r *Rules) own(which func(*rule) bool) (own []Rule) {
	for _, rule := range r.rules[len(Guards().rules):] {
		if which(rule) {
			own = append(own, rule.Rule)
		}
	}
	return own
}

// A compiler collects compiled rules and what is wrong with others.
type compiler struct {
	env      *cel.Env
	settings map[Name]expression
	rules    *Rules
	mistakes Mistakes
}

// compile checks a rule, puts the settings into it, folds what is constant then, and plans
// how it is evaluated.
func (c *compiler) compile(written written) {
	checked := written.checked.Load()
	if checked == nil {
		if checked = c.check(written); checked == nil {
			return
		}
		written.checked.Store(checked)
	}
	folded, err := c.fold(checked)
	if err != nil {
		c.mistakes = append(c.mistakes, written.place.mistake(1, 0, foldingError(err), ""))
		return
	}
	r := &rule{Rule: written.Rule, terms: termsIn(checked.NativeRep())}
	for _, name := range r.terms {
		c.rules.uses[string(name)] = true
	}
	if constant := folded.NativeRep().Expr(); constant.Kind() == ast.LiteralKind {
		r.always = constant.AsLiteral() == types.True
	} else if err := c.plan(r, folded); err != nil {
		c.mistakes = append(c.mistakes, written.place.mistake(1, 0, foldingError(err), ""))
		return
	}
	c.rules.rules = append(c.rules.rules, r)
}

// foldingError says what is wrong with a condition that was right as it was written: with
// a pattern that is put together of several texts, or that is a setting.
func foldingError(err error) string {
	if _, isPattern := errors.AsType[*syntax.Error](err); isPattern {
		return patternError(err)
	}
	return err.Error()
}

// What a condition may cost, by CEL's measure: about one for each call and each character
// compared. The rules of a file cost some hundred; only those that go through lists within
// lists come near.
const costLimit = 20_000

// plan makes a program of a condition. What cannot come near the limit, whatever the facts are,
// is not counted while it is evaluated: counting takes longer than the evaluation.
func (c *compiler) plan(r *rule, folded *cel.Ast) error {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(factNodes)}
	estimate, err := c.env.EstimateCost(folded, sizes{})
	if err != nil {
		return err
	}
	if estimate.Min > costLimit {
		return errors.New("this condition takes too long, whatever the facts are")
	}
	if r.limited = estimate.Max > costLimit; r.limited {
		options = append(options, cel.CostLimit(costLimit))
		r.facts = factsIn(folded.NativeRep().Expr())
	}
	r.program, err = c.env.Program(folded, options...)
	return err
}

// termsIn returns the terms that a checked condition speaks of.
func termsIn(a *ast.AST) (terms []Name) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if t, _ := termIn(a, e); t != nil && !slices.Contains(terms, t.name) {
			terms = append(terms, t.name)
		}
	}))
	return terms
}

// factsIn returns the facts that may be unknown in a condition.
func factsIn(e ast.Expr) (facts set) {
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			facts |= getters()[e.AsIdent()].fact
		}
	}))
	return facts
}
