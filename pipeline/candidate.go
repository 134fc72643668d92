package pipeline

import (
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A candidate is a tag that is to be deleted, with the grounds for it: the last of the forms
// in which a tag travels.
type candidate struct {
	*repository
	sourceChoice
	tag     string
	listed  listedTag
	finding finding
	facts   policy.Facts
	verdict policy.Verdict
	size    int // tags in the repository's listing
	// orphan is the cache repository by which an orphan's counterpart is looked up; nil for every
	// other candidate.
	orphan *projectRepository
	// shared is the repository's own listing where it is a counterpart.
	shared *sharedListing
}

// candidate returns the decision as a candidate.
func (d decision) candidate() candidate {
	c := candidate{
		repository: d.repository, sourceChoice: d.sourceChoice, tag: d.name, listed: d.listedTag, finding: d.finding,
		facts: d.facts, verdict: d.verdict, size: d.size, shared: d.shared,
	}
	c.finding.manifest = manifest.Manifest{} // it may be held until the end
	if d.facts.Counterpart.IsKnown() {
		c.orphan = d.projectRepository
	}
	return c
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

// byPagesOfGitLab reports whether the candidate rests on GitLab's word alone on a registry
// without database: its lists have pages by number, and its answers look the same in an outage.
func (c candidate) byPagesOfGitLab() bool {
	regime, _ := c.regime.Get()
	return !c.rules.ByRegistry && regime != policy.Database
}

// looksLikeOutage reports whether what the candidate lacks looks the same in an outage, so
// that it may only be deleted while healthy tags are healthy.
func (c candidate) looksLikeOutage() bool { return c.finding.lost || c.byPagesOfGitLab() }
