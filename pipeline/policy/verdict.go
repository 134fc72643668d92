package policy

// An Action is what a verdict asks for.
type Action string

// The actions. Undecided keeps the tag like Keep does, but says that a fact was
// lacking or could not be believed: somebody should look.
const (
	Keep      Action = "keep"
	Delete    Action = "delete"
	Undecided Action = "undecided"
)

// A Reason is the code that says why a verdict is what it is: the name of the rule that
// decided, or one of the constants. It appears in reports.
type Reason string

// NoRule is the reason of a tag that no rule decides: it stays.
const NoRule Reason = "no-rule"

// NoTagName is the reason of an entry in a listing that no tag can have as its name, such as a stray
// file in the registry's storage: nothing is asked about it, and it stays.
const NoTagName Reason = "no-tag-name"

// Reasons that leave a tag undecided.
const (
	DetailsUnknown     Reason = "details-unknown"
	CounterpartUnknown Reason = "counterpart-unknown"
	BranchUnknown      Reason = "branch-unknown"
	ListingIncomplete  Reason = "listing-incomplete"
	EvidenceDisagrees  Reason = "evidence-disagrees"
	OutageSuspected    Reason = "outage-suspected"
)

// A Verdict is what becomes of a tag, and why.
type Verdict struct {
	Action Action
	Reason Reason
}

// A Decision is a verdict as far as the facts allow one.
type Decision struct {
	Verdict
	// Need is the cheapest fact that could still change the action; empty when the verdict
	// stands. A verdict with a need is undecided.
	Need Name

	doubts set // the unknown facts without which the action is not known
	keeps  set // those of rules that may keep the tag before any of the doubts matters
}

// NeedBeside returns the cheapest fact by which a verdict may still come about when some cannot be
// had: one more of those that the action hangs on, or else one by which a rule before may keep the
// tag. It is empty when there is none.
func (d Decision) NeedBeside(failed ...Name) Name {
	var without set
	for _, name := range failed {
		without |= numbered(name)
	}
	for _, rest := range []set{d.doubts &^ without, d.keeps &^ without} {
		if rest != 0 {
			return rest.cheapest()
		}
	}
	return ""
}

// reserved are the reasons that no rule may have as its name: they would say two things. The last
// are those of package report.
var reserved = []Reason{
	NoRule, NoTagName,
	DetailsUnknown, CounterpartUnknown, BranchUnknown,
	ListingIncomplete, EvidenceDisagrees, OutageSuspected,
	"deletions-stopped", "delete-forbidden", "delete-failed",
}
