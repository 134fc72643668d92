package pipeline

import (
	"context"
	"hash/maphash"
	"slices"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A candidate is a tag that is to be deleted, with the grounds for it: the last of the forms
// in which a tag travels.
type candidate struct {
	*repository
	chosen
	tag     string
	listed  listedTag
	finding finding
	facts   policy.Facts
	verdict policy.Verdict
	size    int // tags in the repository's listing
	// orphan is the pair in which an orphan's counterpart is looked up; nil for every
	// other candidate.
	orphan *pair
	// shared is the repository's own listing where it is a counterpart.
	shared *sharedListing
}

// candidate returns the decision as a candidate.
func (d decision) candidate() candidate {
	c := candidate{
		repository: d.repository, chosen: d.chosen, tag: d.name, listed: d.listedTag, finding: d.finding,
		facts: d.facts, verdict: d.verdict, size: d.size, shared: d.shared,
	}
	if d.facts.Counterpart.IsKnown() {
		c.orphan = d.pair
	}
	return c
}

const (
	// maxRequestTags is how many tags are deleted in one request at most. GitLab deletes
	// one after the other, each in a fraction of a second, and gives up after some thirty
	// seconds.
	maxRequestTags = 40
	// maxHeld bounds the candidates that are held for the canary; they take some 50 MiB.
	// When so many are, an outage is suspected.
	maxHeld = 100_000
)

// A planner collects candidates and hands them to deleters in full requests: a request leaves
// when it is full or the input ends. Grounds are checked again after that, so that none grow
// old by waiting here. All candidates of a repository and of its cache repository go to the
// same deleter, which works on one request at a time, so that the listing of the one is not
// read while tags of the other are deleted.
//
// Candidates that the canary does not allow yet are held until the end of the input, when it
// has seen all tags. The planner is one goroutine, so that all decisions are seen in one place.
type planner struct {
	run      *run
	requests [][]candidate // those that are being filled, one for each deleter
	held     []candidate
}

// planStage is the planner. Its output is addressed to one of so many deleters.
func (r *run) planStage(deleters int) stage[decision, addressed[[]candidate]] {
	p := &planner{run: r, requests: make([][]candidate, deleters)}
	return stage[decision, addressed[[]candidate]]{workers: 1, work: p.add, finish: p.finish}
}

// looksLikeOutage reports whether what the candidate lacks looks the same in an outage, so
// that it may only be deleted while healthy tags are healthy: by GitLab's word on a registry
// without database, and where the registry's storage has no manifest.
func (c candidate) looksLikeOutage() bool {
	regime, _ := c.regime.Get()
	return c.finding.lost || !c.rules.ByRegistry && regime != policy.Database
}

// add reports a tag that is kept, and plans the deletion of any other.
func (p *planner) add(_ context.Context, d decision, send emit[addressed[[]candidate]]) error {
	p.run.canary.observe(d)
	c := d.candidate()
	if d.verdict.Action != policy.Delete {
		p.run.settle(c, d.verdict, d.doubt)
		return nil
	}
	p.run.progress.dead.found.Add(1)
	switch {
	case p.run.canary.allows(c):
		p.fill(c, send)
	case len(p.held) >= maxHeld:
		p.run.canary.full = true
		p.drop(c, outageSuspected, errNothingHealthy)
	default:
		if c.finding.lost {
			c.shared = nil // so that it does not keep a listing in memory until the end
		}
		p.held = append(p.held, c)
	}
	return nil
}

// finish decides on what was held and hands over what is left. After a stop what was held is
// undecided, and no outage is suspected: the rest of the tags was not looked at.
func (p *planner) finish(ctx context.Context, send emit[addressed[[]candidate]]) error {
	for _, c := range p.held {
		switch err := p.run.canary.verdict(c); {
		case ctx.Err() != nil:
			p.drop(c, notConfirmed, context.Cause(ctx))
		case err != nil:
			p.drop(c, outageSuspected, err)
		default:
			p.fill(c, send)
		}
	}
	for deleter := range p.requests {
		p.handOver(deleter, send)
	}
	return nil
}

// fill adds a candidate to the request of its deleter and hands that over when it is full.
func (p *planner) fill(c candidate, send emit[addressed[[]candidate]]) {
	deleter := p.deleterOf(c)
	if !p.run.fits(p.requests[deleter], c) {
		p.handOver(deleter, send)
	}
	p.requests[deleter] = append(p.requests[deleter], c)
	if len(p.requests[deleter]) == maxRequestTags {
		p.handOver(deleter, send)
	}
}

// keys is the seed by which candidates are distributed to deleters.
var keys = maphash.MakeSeed()

// deleterOf returns which deleter has the candidates of a repository, the same for a cache
// repository and its counterpart.
func (p *planner) deleterOf(c candidate) int {
	key := struct {
		project int64
		name    string
	}{c.ProjectID, c.Name}
	for isCache := true; isCache; {
		key.name, isCache = p.run.options.Rules.CounterpartOf(key.name)
	}
	return int(maphash.Comparable(keys, key) % uint64(len(p.requests)))
}

// handOver sends the request of a deleter on.
func (p *planner) handOver(deleter int, send emit[addressed[[]candidate]]) {
	request := p.requests[deleter]
	p.requests[deleter] = nil
	if len(request) == 0 || send(addressed[[]candidate]{deleter, request}) {
		return
	}
	for _, c := range request {
		p.drop(c, notConfirmed, context.Cause(p.run.hard))
	}
}

// drop reports a candidate that is not deleted after all.
func (p *planner) drop(c candidate, verdict policy.Verdict, doubt error) {
	p.run.progress.dead.begin(1)
	p.run.settle(c, verdict, doubt)
	p.run.progress.dead.finish(1)
}

// fits reports whether a request has room for a further candidate: GitLab deletes so many
// tags of a repository by one mutation, and takes so many mutations in one request.
func (r *run) fits(request []candidate, c candidate) bool {
	deletions, tags := r.client.MaxDeletions()
	if deletions == 0 {
		return true
	}
	return len(mutationsOf(append(slices.Clip(request), c), tags)) <= deletions
}
