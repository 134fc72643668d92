package policy

import "slices"

// A Result is what comes of a rule's condition.
type Result string

// The results of a condition.
const (
	Holds     Result = "holds"
	HoldsNot  Result = "does not hold"
	IsUnknown Result = "unknown"
	Fails     Result = "fails"
)

// A Step is what a rule makes of a tag.
type Step struct {
	Rule
	Result Result
	// False is the first false part of a condition that does not hold and has parts, joined by &&.
	False string
	// Unknown has the facts without which the result is unknown, the cheapest first.
	Unknown []Name
	// Failure says why the condition fails. A keep that fails keeps, and a delete that fails
	// does not delete.
	Failure string
}

// Explain returns what each rule makes of the facts, those that stand above any file first. The
// rules that follow the one that decides are among them.
func (r *Rules) Explain(f *Facts) []Step {
	e := newEvaluation(f)
	defer e.close()
	steps := make([]Step, len(r.rules))
	for i, rule := range r.rules {
		steps[i] = Step{Rule: rule.Rule, Result: HoldsNot}
		switch result := rule.evaluate(e); {
		case result.failure != nil:
			steps[i].Result, steps[i].Failure = Fails, result.failure.Error()
		case result.unknown != 0:
			steps[i].Result, steps[i].Unknown = IsUnknown, result.unknown.names()
		case result.value:
			steps[i].Result = Holds
		default:
			steps[i].False = r.falsePart(rule, e)
		}
	}
	return steps
}

// All returns the rules in their order, those that stand above any file first.
func (r *Rules) All() []Rule {
	all := make([]Rule, len(r.rules))
	for i, rule := range r.rules {
		all[i] = rule.Rule
	}
	return all
}

// constants explains the reasons that are no rule's.
var constants = map[Reason]string{
	NoRule:             "No rule deletes it.",
	NoTagName:          "No tag can have this name. It is a stray entry of the registry's storage.",
	DetailsUnknown:     "Tag whose details could not be read.",
	CounterpartUnknown: "Build cache whose image could not be looked up.",
	BranchUnknown:      "Tag whose branch could not be looked up.",
	ListingIncomplete:  "In a repository whose list of tags is incomplete.",
	EvidenceDisagrees:  "Two answers about it contradict each other.",
	OutageSuspected:    "The registry behind GitLab seems to be failing.",
}

// Words explains a reason that is no rule's, in reports as well; empty for others.
func Words(reason Reason) string { return constants[reason] }

// Describe returns the explanation of a reason: the description of the rule with that name, or
// else its condition.
func (r *Rules) Describe(reason Reason) string {
	i := slices.IndexFunc(r.rules, func(rule *rule) bool { return rule.Name == reason })
	switch {
	case i < 0:
		return constants[reason]
	case r.rules[i].Description == "":
		return r.rules[i].Condition
	default:
		return r.rules[i].Description
	}
}
