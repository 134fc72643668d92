package pipeline

import (
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A candidate is a tag that is to be deleted, with the grounds for it: the last of the forms
// in which a tag travels.
type candidate struct {
	*repository
	sourceChoice
	project *sharedProject
	tag     string
	listed  listedTag
	finding finding
	facts   policy.Facts
	verdict policy.Verdict
	size    int // see scannedRepository
	// orphan is the cache repository by which an orphan's counterpart is looked up; nil for every
	// other candidate.
	orphan *projectRepository
	// blank says that an orphan's counterpart repository has no tags at all.
	blank bool
	// restsOnDate says that the candidate would not go if it had a date.
	restsOnDate bool
	// restsOnKind says that the candidate is presumed to be a build cache, and may not go otherwise.
	restsOnKind bool
	// shared is the repository's own listing where it is a counterpart.
	shared *sharedListing
	// recorded says that the journal has its deletion, of which the outcome is to follow.
	recorded bool
	// ranked is what has the ranks of the repository's tags, nil where no rule has asked.
	ranked *scannedRepository
}

// candidate returns the decision as a candidate.
func (d decision) candidate() candidate {
	c := candidate{
		repository: d.repository, sourceChoice: d.sourceChoice, project: d.project, tag: d.name, listed: d.listedTag,
		finding: d.finding, facts: d.facts, verdict: d.verdict, size: d.scannedRepository.size, shared: d.shared,
	}
	c.finding.manifest = manifest.Manifest{} // it may be held until the end
	if !d.facts.Tag.Rank.IsUnknown() {
		c.ranked = d.scannedRepository
	}
	return c
}

// planned returns a decision to delete as a candidate, with what it rests on. One that would go
// without its counterpart being missing, too, is no orphan, and nothing is asked about that.
func (r *run) planned(d decision) candidate {
	c := d.candidate()
	goes := func(facts policy.Facts) bool { return r.options.Rules.Decide(&facts).Action == policy.Delete }
	if d.facts.Counterpart.IsKnown() {
		facts := d.facts
		facts.Counterpart = policy.Unknown[policy.Counterpart]()
		if !goes(facts) {
			c.orphan, c.blank = d.projectRepository, d.blank
		}
	}
	if d.finding.lacksDate() { // by which it has no age and no rank either
		facts := d.facts
		facts.Tag.Dated, facts.Tag.Age, facts.Tag.Rank = policy.Unknown[bool](), policy.Unknown[time.Duration](), policy.Unknown[int]()
		c.restsOnDate = !goes(facts)
	}
	if d.finding.presumed {
		facts := d.facts
		facts.Tag.IsCache = policy.Unknown[bool]()
		c.restsOnKind = !goes(facts)
	}
	return c
}

// lacksCounterpart reports whether the candidate goes because the counterpart repository lacks its
// tag.
func (c candidate) lacksCounterpart() bool {
	counterpart, _ := c.facts.Counterpart.Get()
	return c.orphan != nil && counterpart == policy.CounterpartTagMissing
}

// cacheOf returns the cache repository by which the counterparts of candidates of one repository
// are looked up, nil where none of them is an orphan.
func cacheOf(candidates []candidate) *projectRepository {
	for _, c := range candidates {
		if c.orphan != nil {
			return c.orphan
		}
	}
	return nil
}

// restsOn says for people what was found of a tag that is to be deleted.
func (c candidate) restsOn() string {
	counterpart, _ := c.facts.Counterpart.Get()
	made, dated := c.finding.made.Get()
	switch {
	case c.verdict.Action != policy.Delete:
		return ""
	case c.finding.lost():
		return "its manifest is missing"
	case c.orphan != nil && counterpart == policy.CounterpartRepositoryMissing:
		return "the project has no repository of this name without the suffix"
	case c.lacksCounterpart():
		return c.orphan.counterpart.Path + " has no such tag"
	case c.finding.lacksDetails() && !c.byRegistry:
		return "GitLab has no details of it"
	case c.restsOnDate:
		return "GitLab has no date of it"
	case dated:
		return "made on " + made.UTC().Format(time.DateOnly)
	default:
		return "what the rule says"
	}
}

// byPagesOfGitLab reports whether the candidate rests on GitLab's word alone on a registry
// without database: its lists have pages by number, and its answers look the same in an outage.
func (c candidate) byPagesOfGitLab() bool {
	return !c.byRegistry && c.regime != registry.Database
}

// looksLikeOutage reports whether what the candidate lacks looks the same in an outage, so
// that it may only be deleted while healthy tags are healthy.
func (c candidate) looksLikeOutage() bool { return c.finding.lost() || c.byPagesOfGitLab() }
