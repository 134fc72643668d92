package report

import "gitlab.com/registry-gc/registry-gc/pipeline/policy"

// An Explanation says in words what a reason code means.
type Explanation struct {
	Reason  policy.Reason
	Outcome Outcome // of the tags with this reason; Deleted means Marked in a dry run
	Text    string  // a short line
}

// explanations are all reason codes, in the order in which people are shown them.
var explanations = []Explanation{
	{policy.Protected, Kept, "its name is protected"},
	{policy.Healthy, Kept, "nothing is wrong with it"},
	{policy.HasCounterpart, Kept, "a cache whose image is there"},
	{policy.DatedOrphan, Kept, "a cache without image that GitLab can date, and clean up"},
	{policy.MultiArch, Kept, "an image for several platforms, which GitLab cannot show"},
	{policy.TooYoung, Kept, "a cache so young that its image may be on its way"},
	{policy.MissingDetails, Deleted, "GitLab cannot show it, and never cleans it up"},
	{policy.MissingCounterpartRepository, Deleted, "a cache whose image's repository is gone"},
	{policy.MissingCounterpartTag, Deleted, "a cache whose image is gone"},
	{policy.DetailsUnknown, Undecided, "what it is could not be found out"},
	{policy.CounterpartUnknown, Undecided, "whether its image is there could not be found out"},
	{policy.ListingIncomplete, Undecided, "the list of its repository's tags broke off"},
	{policy.EvidenceDisagrees, Undecided, "two answers about it contradict each other"},
	{policy.OutageSuspected, Undecided, "the registry behind GitLab seems to be failing"},
	{DeleteForbidden, Failed, "GitLab does not let the token's user delete it"},
	{DeleteFailed, Failed, "its deletion was refused with an error, or not answered"},
}

// Explanations returns all reason codes, grouped by outcome, with what they mean.
func Explanations() []Explanation { return append([]Explanation(nil), explanations...) }
