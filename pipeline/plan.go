package pipeline

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

const (
	// maxRequestTags is how many tags are deleted in one request at most. GitLab deletes
	// one after the other, each in a fraction of a second, and gives up after some thirty
	// seconds.
	maxRequestTags = 40
	// maxHeld bounds the candidates that are held for the canary. When so many are, an outage
	// is suspected.
	maxHeld = 100_000
)

// A planner collects candidates and hands them to deleters in full requests: a request is handed
// over when it is full or the input has ended. Grounds are checked again after that, so that none
// grow old by waiting here.
//
// Where lists have pages by number, these shift when tags are deleted. There all candidates of a
// repository and of its cache repository go to the same deleter, which works on one request at a
// time, so that the listing of the one is not read while tags of the other are deleted. Elsewhere
// a request goes to any deleter: with one deleter a first run on a single repository full of dead
// tags took four times as long.
//
// Candidates that the canary does not allow yet are held until the end of the input, when it
// has seen all tags. The planner is one goroutine, so that all decisions are seen in one place.
type planner struct {
	run      *run
	deleters int
	// groups are the candidates of repositories whose tags have not all been decided: what one
	// mutation deletes stays together, since its grounds are read together.
	groups   map[*scannedRepository]*group
	requests map[int][]candidate // those that are being filled, by deleter
	held     []candidate
}

// A group is the candidates of one repository that wait for more of it.
type group struct {
	candidates []candidate
	undecided  int // tags of the repository that are still to come
	tally      tally
}

// planStage is the planner. Its output is addressed to one of the deleters, or to any.
func (r *run) planStage(deleters int) stage[decision, addressed[[]candidate]] {
	p := &planner{run: r, deleters: deleters, groups: make(map[*scannedRepository]*group), requests: make(map[int][]candidate)}
	return stage[decision, addressed[[]candidate]]{workers: 1, work: p.add, finish: p.finish}
}

// add reports a tag that is kept, and plans the deletion of any other.
func (p *planner) add(_ context.Context, d decision, send emit[addressed[[]candidate]]) error {
	g := p.groups[d.scannedRepository]
	if g == nil {
		g = &group{undecided: d.size}
		p.groups[d.scannedRepository] = g
	}
	before := p.run.canary.shown
	p.run.canary.observe(d, &g.tally)
	if before == 0 && p.run.canary.shown > 0 {
		p.release(send)
	}
	if c := d.candidate(); d.verdict.Action != policy.Delete {
		p.run.settle(c, d.verdict, d.doubt)
	} else {
		p.run.progress.dead.found.Add(1)
		p.plan(g, c)
	}
	g.undecided--
	if g.undecided == 0 {
		delete(p.groups, d.scannedRepository)
		p.run.canary.finish(d.ID, g.tally)
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
		p.run.canary.overflowed = true
		p.drop(c, outageSuspected, errNothingHealthy)
	default:
		if c.finding.lost {
			c.shared = nil // so that it does not keep a listing in memory until the end
		}
		p.held = append(p.held, c)
	}
}

// release plans the candidates that were held and that the canary allows now.
func (p *planner) release(send emit[addressed[[]candidate]]) {
	held := p.held
	p.held = nil
	for _, c := range held {
		if p.run.canary.allows(c) {
			p.fill([]candidate{c}, send)
		} else {
			p.held = append(p.held, c)
		}
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
		switch err := p.run.canary.objection(c); {
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

// deleterSeed is the seed by which candidates are distributed to deleters.
var deleterSeed = maphash.MakeSeed()

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
	return int(maphash.Comparable(deleterSeed, key) % uint64(p.deleters))
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
