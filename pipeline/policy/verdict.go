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

// A Reason is the code that says why a verdict is what it is. The codes are part of
// the contract with users: they appear in reports and never change their meaning.
type Reason string

// Reasons to keep a tag.
const (
	Protected      Reason = "protected"
	Healthy        Reason = "healthy"
	HasCounterpart Reason = "counterpart-present"
	DatedOrphan    Reason = "dated-orphan"
	MultiArch      Reason = "multi-arch"
	TooYoung       Reason = "too-young"
)

// Reasons to delete a tag.
const (
	MissingDetails               Reason = "details-missing"
	MissingCounterpartRepository Reason = "counterpart-repository-missing"
	MissingCounterpartTag        Reason = "counterpart-tag-missing"
)

// Reasons that leave a tag undecided.
const (
	DetailsUnknown     Reason = "details-unknown"
	CounterpartUnknown Reason = "counterpart-unknown"
	ListingIncomplete  Reason = "listing-incomplete"
	EvidenceDisagrees  Reason = "evidence-disagrees"
	OutageSuspected    Reason = "outage-suspected"
)

// A Verdict is what becomes of a tag, and why.
type Verdict struct {
	Action Action
	Reason Reason
}
