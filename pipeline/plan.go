package pipeline

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
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
	deleters int
	// groups are the candidates of repositories whose tags have not all been decided: what one
	// mutation deletes stays together, since its grounds are read together.
	groups   map[*scan]*group
	requests map[int][]candidate // those that are being filled, by deleter
	held     []candidate
}

// A group is the candidates of one repository that wait for more of it.
type group struct {
	candidates []candidate
	undecided  int // tags of the repository that are still to come
}

// planStage is the planner. Its output is addressed to one of so many deleters.
func (r *run) planStage(deleters int) stage[decision, addressed[[]candidate]] {
	p := &planner{run: r, deleters: deleters, groups: make(map[*scan]*group), requests: make(map[int][]candidate)}
	return stage[decision, addressed[[]candidate]]{workers: 1, work: p.add, finish: p.finish}
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

// add reports a tag that is kept, and plans the deletion of any other.
func (p *planner) add(_ context.Context, d decision, send emit[addressed[[]candidate]]) error {
	p.run.canary.observe(d)
	g := p.groups[d.scan]
	if g == nil {
		g = &group{undecided: d.size}
		p.groups[d.scan] = g
	}
	if c := d.candidate(); d.verdict.Action != policy.Delete {
		p.run.settle(c, d.verdict, d.doubt)
	} else {
		p.run.progress.dead.found.Add(1)
		p.plan(g, c)
	}
	g.undecided--
	if g.undecided == 0 {
		delete(p.groups, d.scan)
	}
	if g.undecided == 0 || len(g.candidates) == gitlabapi.MaxDeletionTags {
		p.fill(g.candidates, send)
		g.candidates = nil
	}
	return nil
}

// plan adds a candidate to its group, or holds it until the canary has seen all tags.
func (p *planner) plan(g *group, c candidate) {
	switch {
	case p.run.canary.allows(c):
		g.candidates = append(g.candidates, c)
	case len(p.held) >= maxHeld:
		p.run.canary.full = true
		p.drop(c, outageSuspected, errNothingHealthy)
	default:
		if c.finding.lost {
			c.shared = nil // so that it does not keep a listing in memory until the end
		}
		p.held = append(p.held, c)
	}
}

// finish decides on what was held and hands over what is left. After a stop what was held is
// undecided, and no outage is suspected: the rest of the tags was not looked at.
func (p *planner) finish(ctx context.Context, send emit[addressed[[]candidate]]) error {
	for _, g := range p.groups { // of repositories whose tags did not all come, after a stop
		p.fill(g.candidates, send)
	}
	slices.SortStableFunc(p.held, func(a, b candidate) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range p.held {
		switch err := p.run.canary.verdict(c); {
		case ctx.Err() != nil:
			p.drop(c, notConfirmed, context.Cause(ctx))
		case err != nil:
			p.drop(c, outageSuspected, err)
		default:
			p.fill([]candidate{c}, send)
		}
	}
	for deleter := anyWorker; deleter < p.deleters; deleter++ {
		p.handOver(deleter, send)
	}
	return nil
}

// fill adds candidates of one repository to the request of their deleter, and hands that over
// when it is full: GitLab deletes so many tags of a repository by one mutation, and takes so many
// mutations in one request.
func (p *planner) fill(candidates []candidate, send emit[addressed[[]candidate]]) {
	if len(candidates) == 0 {
		return
	}
	deleter := p.deleterOf(candidates[0])
	deletions, tags := p.run.client.MaxDeletions()
	mutations := func(request []candidate) int {
		if deletions == 0 {
			return 0 // they are deleted one by one
		}
		return len(mutationsOf(request, tags))
	}
	request := slices.Concat(p.requests[deleter], candidates)
	if len(request) > maxRequestTags || mutations(request) > deletions {
		p.handOver(deleter, send)
		request = candidates
	}
	p.requests[deleter] = request
	if len(request) == maxRequestTags {
		p.handOver(deleter, send)
	}
}

// keys is the seed by which candidates are distributed to deleters.
var keys = maphash.MakeSeed()

// deleterOf returns which deleter has the candidates of a repository: any, or where pages shift
// the same for a cache repository and its counterpart.
func (p *planner) deleterOf(c candidate) int {
	if !c.byPagesOfGitLab() {
		return anyWorker
	}
	key := struct {
		project int64
		name    string
	}{c.ProjectID, c.Name}
	for isCache := true; isCache; {
		key.name, isCache = p.run.options.Rules.CounterpartOf(key.name)
	}
	return int(maphash.Comparable(keys, key) % uint64(p.deleters))
}

// handOver sends the request of a deleter on.
func (p *planner) handOver(deleter int, send emit[addressed[[]candidate]]) {
	request := p.requests[deleter]
	delete(p.requests, deleter)
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
