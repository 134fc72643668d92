package policy

import (
	"fmt"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Decide returns the verdict that follows from the facts. The first rule that holds decides.
// Rules of which that cannot be known, for want of facts, matter when they would decide
// otherwise: then the verdict is undecided, and names the cheapest fact by which that may change.
// A caller finds this fact and decides again; when it cannot be had, [Decision.NeedBeside] names
// another that may do.
//
// A condition that fails, as it speaks of an absent fact for instance, is a doubt, and a doubt
// keeps: a keep holds then and a delete does not.
func (r *Rules) Decide(f *Facts) Decision {
	e := newEvaluation(f)
	defer e.close()
	var keeps, deletes set // the unknown facts of rules that may hold
	for _, rule := range r.rules {
		switch result := rule.evaluate(e); {
		case result.holds(rule.Action):
			return decision(rule.Action, rule.Name, keeps, deletes)
		case rule.Action == Keep:
			keeps |= result.unknown
		default:
			deletes |= result.unknown
		}
	}
	return decision(Keep, NoRule, keeps, deletes)
}

// decision returns what comes of the first rule that holds and of those before it that may hold.
// Keeps before a keep change nothing, nor do deletes before a delete.
func decision(action Action, reason Reason, keeps, deletes set) Decision {
	doubts := deletes
	if action == Delete {
		doubts = keeps
	}
	if doubts == 0 {
		return Decision{Verdict: Verdict{action, reason}}
	}
	need := doubts.cheapest()
	return Decision{Verdict: Verdict{Undecided, doubtOf(need)}, Need: need, doubts: doubts, keeps: keeps}
}

// doubtOf returns the reason of a verdict that lacks a fact.
func doubtOf(need Name) Reason {
	switch need {
	case FactCounterpart:
		return CounterpartUnknown
	case FactBranch:
		return BranchUnknown
	default:
		return DetailsUnknown
	}
}

// A result is what comes of a condition: true or false, or what it lacks, or why it failed.
type result struct {
	value   bool
	unknown set
	failure error
}

// holds reports whether a rule with this result decides.
func (r result) holds(action Action) bool {
	return r.value || r.failure != nil && action == Keep
}

// evaluate evaluates the rule's condition.
func (r *rule) evaluate(e *evaluation) result {
	if r.program == nil {
		return result{value: r.always}
	}
	var input any = e.frame
	if r.limited {
		// What takes too long with all facts may be quick without some: so that nothing is
		// decided without them that would fail with them, all are asked for.
		if unknown := r.facts.unknownIn(e.facts); unknown != 0 {
			return result{unknown: unknown}
		}
		input = e // in a frame of its own, as the count of costs would go on
	}
	value, _, err := r.program.Eval(input)
	switch value := value.(type) {
	case types.Bool:
		return result{value: bool(value)}
	case *types.Unknown:
		return result{unknown: setOf(value)}
	}
	if err == nil {
		err = fmt.Errorf("neither true nor false, but %v", value)
	}
	return result{failure: err}
}

// An evaluation is how facts get into conditions.
type evaluation struct {
	facts *Facts
	frame *interpreter.ExecutionFrame
}

// newEvaluation returns one for all conditions of a decision.
func newEvaluation(f *Facts) *evaluation {
	e := &evaluation{facts: f}
	// It fails for inputs that are no activation.
	e.frame, _ = interpreter.NewExecutionFrame(e)
	return e
}

func (e *evaluation) close() { e.frame.Close() }

// theEvaluation is the name under which nodes of a condition find the evaluation.
const theEvaluation = "@"

// ResolveName implements [interpreter.Activation].
func (e *evaluation) ResolveName(name string) (any, bool) { return e, name == theEvaluation }

// Parent implements [interpreter.Activation].
func (e *evaluation) Parent() interpreter.Activation { return nil }

// A factNode is the place in a condition where a fact goes in.
type factNode struct {
	id int64
	of func(*Facts) ref.Val
}

// ID implements [interpreter.Interpretable].
func (n *factNode) ID() int64 { return n.id }

// Eval implements [interpreter.Interpretable].
func (n *factNode) Eval(activation interpreter.Activation) ref.Val {
	found, _ := activation.ResolveName(theEvaluation)
	e, ok := found.(*evaluation)
	if !ok {
		return types.NewErrWithNodeID(n.id, "there are no facts")
	}
	return n.of(e.facts)
}

// Exec implements [interpreter.InterpretableV2].
func (n *factNode) Exec(frame *interpreter.ExecutionFrame) ref.Val { return n.Eval(frame) }

// factNodes puts facts where a plan has their variables.
func factNodes(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	attribute, ok := i.(interpreter.InterpretableAttribute)
	if !ok {
		return i, nil
	}
	variable, ok := attribute.Attr().(interpreter.NamespacedAttribute)
	if !ok || len(variable.CandidateVariableNames()) != 1 {
		return i, nil
	}
	if getter, ok := getters()[variable.CandidateVariableNames()[0]]; ok {
		return &factNode{i.ID(), getter.of}, nil
	}
	return i, nil
}
