package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An Explanation says in words what a reason code means.
type Explanation struct {
	Reason  policy.Reason `json:"reason"`
	Outcome Outcome       `json:"outcome"` // of the tags with this reason; Deleted means Marked in a dry run
	Text    string        `json:"text"`    // a short line
}

// Rules are those by which a run decides: their names are its reasons.
type Rules struct {
	Name  string        `json:"name"` // default, original, or the name of a file
	Hash  string        `json:"hash"` // of its text, "sha256:…"
	Rules []Explanation `json:"rules"`
	// AskDetails says that a rule asks whether GitLab has details of a tag. Where the registry
	// cannot be asked, too, that does not tell images that can be pulled from what is lost.
	AskDetails bool `json:"ask_details"`
	// AskKinds says that a rule asks for DELETE_KINDS: elsewhere that setting changes nothing.
	AskKinds bool `json:"ask_delete_kinds"`
}

// NewRules returns what reports say of rules.
func NewRules(rules *policy.Rules) *Rules {
	r := &Rules{
		Name: rules.File().Name, Hash: rules.File().Hash(),
		AskDetails: rules.Uses(string(policy.FactHasDetails)), AskKinds: rules.Uses("settings.delete_kinds"),
	}
	for _, rule := range rules.All() {
		outcome := Kept
		if rule.Action == policy.Delete {
			outcome = Deleted
		}
		r.Rules = append(r.Rules, Explanation{rule.Name, outcome, rules.Describe(rule.Name)})
	}
	return r
}

// The names of rules that the program brings and that reports have advice for.
const (
	detailsMissing               policy.Reason = "details-missing"
	undatable                    policy.Reason = "undatable"
	multiArch                    policy.Reason = "multi-arch"
	counterpartTagMissing        policy.Reason = "counterpart-tag-missing"
	counterpartRepositoryMissing policy.Reason = "counterpart-repository-missing"
)

// explanations are the reasons that are no rule's name, in the order in which people are shown them.
var explanations = []Explanation{
	{policy.NoRule, Kept, policy.Words(policy.NoRule)},
	{policy.NoTagName, Kept, policy.Words(policy.NoTagName)},
	{Changed, Kept, "Changed since the plan was made. The tag points to something else, or another rule decides."},
	{GoneAlready, Kept, "Gone before the plan was applied."},
	{WithoutDigest, Kept, "No digest in the plan. So it cannot be told whether the tag is still the same."},
	{LeftAlone, Kept, "In a repository that is excluded now, or that GitLab is deleting."},
	{policy.DetailsUnknown, Undecided, policy.Words(policy.DetailsUnknown)},
	{policy.CounterpartUnknown, Undecided, policy.Words(policy.CounterpartUnknown)},
	{policy.BranchUnknown, Undecided, policy.Words(policy.BranchUnknown)},
	{policy.ListingIncomplete, Undecided, policy.Words(policy.ListingIncomplete)},
	{policy.EvidenceDisagrees, Undecided, policy.Words(policy.EvidenceDisagrees)},
	{policy.OutageSuspected, Undecided, policy.Words(policy.OutageSuspected)},
	{DeletionsStopped, Undecided, "Not tried, as all deletions before it were refused."},
	{DeleteForbidden, Failed, "GitLab does not let the token's user delete it."},
	{DeleteFailed, Failed, "Its deletion failed with an error, or was not answered."},
}

// Explanations returns all reason codes of a run, those of its rules first, with what they mean.
// Codes that tags have and that nothing explains, as in the reports of a shard that was killed,
// come last, without words and outcome.
func (s *Summary) Explanations() []Explanation {
	var all []Explanation
	if s.Rules != nil {
		all = append(all, s.Rules.Rules...)
	}
	all = append(all, explanations...)
	explained := make(map[policy.Reason]bool)
	for _, e := range all {
		explained[e.Reason] = true
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Reasons)) {
		if !explained[reason] {
			all = append(all, Explanation{Reason: reason})
		}
	}
	return all
}

// asksDetails reports whether a rule asks for GitLab's details. Of rules that are not known one may.
func (r *Rules) asksDetails() bool { return r == nil || r.AskDetails }

// asksKinds reports whether a rule asks for DELETE_KINDS. Of rules that are not known none may.
func (r *Rules) asksKinds() bool { return r != nil && r.AskKinds }

// has reports whether there is a rule of that name.
func (r *Rules) has(name policy.Reason) bool {
	return r != nil && slices.ContainsFunc(r.Rules, func(e Explanation) bool { return e.Reason == name })
}

// merge adds the reasons of other rules, those of a shard that decided by others. What are no
// single rules have no hash.
func (r *Rules) merge(o *Rules) {
	if r.Hash == o.Hash {
		return
	}
	if !slices.Contains(strings.Split(r.Name, ", "), o.Name) {
		r.Name += ", " + o.Name
	}
	r.Hash, r.AskDetails, r.AskKinds = "", r.AskDetails || o.AskDetails, r.AskKinds || o.AskKinds
	for _, e := range o.Rules {
		if !slices.ContainsFunc(r.Rules, func(known Explanation) bool { return known.Reason == e.Reason }) {
			r.Rules = append(r.Rules, e)
		}
	}
}

// found returns the reasons that tags of an outcome have, the most frequent first. A reason that nothing
// explains is that of deletions where there are such, and else counts as undecided.
func (s *Summary) found(outcome Outcome) []Explanation {
	all := slices.DeleteFunc(s.Explanations(), func(e Explanation) bool {
		if e.Outcome == "" {
			e.Outcome = Undecided
			if s.Deletions.ByReason[e.Reason] != nil {
				e.Outcome = Deleted
			}
		}
		return e.Outcome != outcome || s.Reasons[e.Reason] == 0
	})
	slices.SortStableFunc(all, func(a, b Explanation) int { return cmp.Compare(s.Reasons[b.Reason], s.Reasons[a.Reason]) })
	return all
}
