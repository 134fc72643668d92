package pipeline

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
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
	// counted are those that wait until it is known that no more go than MaxDeletions allows: all of
	// the input has to be seen for that. Without a limit none do.
	counted [][]candidate
	count   int
	// unknown are the tags that are undecided since the registry does not know the counterpart
	// repository: whether it has lost its memory shows at the end.
	unknown []undecided
}

// An undecided is a tag that is not decided, and why.
type undecided struct {
	candidate
	doubt error
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
		g = &group{undecided: d.chosen}
		p.groups[d.scannedRepository] = g
	}
	before := p.run.canary.shown
	p.run.canary.observe(d, &g.tally)
	if before == 0 && p.run.canary.shown > 0 {
		p.release(send)
	}
	switch {
	case d.witness:
	case d.verdict.Action == policy.Undecided && d.blank && len(p.unknown) < maxHeld:
		p.unknown = append(p.unknown, undecided{d.candidate(), d.doubt})
	case d.verdict.Action != policy.Delete:
		p.run.settle(d.candidate(), d.verdict, d.doubt)
	default:
		p.run.progress.dead.found.Add(1)
		p.plan(g, p.run.planned(d))
	}
	g.undecided--
	if g.undecided == 0 {
		delete(p.groups, d.scannedRepository)
		p.run.canary.finish(d.repository, g.tally)
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
	case len(p.held) >= maxHeld && c.blank && p.run.canary.shown > 0 && !p.run.canary.memoryLost():
		g.candidates = append(g.candidates, c) // what has been seen by now has to do
	case len(p.held) >= maxHeld:
		p.run.canary.overflowed = true
		p.drop(c, outageSuspected, errNothingHealthy)
	default:
		if c.finding.lost() {
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
	p.run.checkKnown(ctx)
	for _, u := range p.unknown {
		if ctx.Err() == nil && p.run.canary.memoryLost() {
			u.verdict, u.doubt = outageSuspected, errMemoryLost
		}
		p.run.settle(u.candidate, u.verdict, u.doubt)
	}
	for _, g := range p.groups { // of repositories whose tags did not all come, after a stop
		p.fill(g.candidates, send)
	}
	slices.SortStableFunc(p.held, func(a, b candidate) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range p.held {
		switch err := p.run.canary.objection(c); {
		case ctx.Err() != nil:
			p.drop(c, notConfirmed, whyLeft(ctx))
		case errors.Is(err, errPlanTooSmall):
			p.drop(c, notConfirmed, err)
		case err != nil:
			p.drop(c, outageSuspected, err)
		default:
			p.fill([]candidate{c}, send)
		}
	}
	p.releaseCounted(ctx, send)
	for deleter := anyWorker; deleter < p.deleters; deleter++ {
		p.handOver(deleter, send)
	}
	return nil
}

// mayCount reports whether it is not known yet how many candidates there are of how many may go.
func (p *planner) mayCount() bool { return p.run.options.MaxDeletions > 0 && !p.run.tooMany.Load() }

// countIn holds candidates back while there are no more than may go. With the first that is too
// many, nothing is deleted any more, and all go on to be marked as in a dry run.
func (p *planner) countIn(candidates []candidate, send emit[addressed[[]candidate]]) {
	p.counted = append(p.counted, candidates)
	if p.count += len(candidates); p.count <= p.run.options.MaxDeletions {
		return
	}
	p.run.tooMany.Store(true)
	p.run.tell(report.TooManyDeletions{Limit: p.run.options.MaxDeletions})
	p.releaseCounted(context.Background(), send)
}

// releaseCounted hands on what was held back, unless the run has been stopped.
func (p *planner) releaseCounted(ctx context.Context, send emit[addressed[[]candidate]]) {
	counted := p.counted
	p.counted = nil
	for _, candidates := range counted {
		if ctx.Err() == nil {
			p.pack(candidates, send)
			continue
		}
		for _, c := range candidates {
			p.drop(c, notConfirmed, context.Cause(ctx))
		}
	}
}

// fill takes candidates of one repository into the plan.
func (p *planner) fill(candidates []candidate, send emit[addressed[[]candidate]]) {
	switch {
	case len(candidates) == 0:
	case p.mayCount():
		p.countIn(candidates, send)
	default:
		p.pack(candidates, send)
	}
}

// pack adds candidates of one repository to the request of their deleter, and hands that over
// when it is full: GitLab deletes so many tags of a repository by one mutation, and takes so many
// mutations in one request.
func (p *planner) pack(candidates []candidate, send emit[addressed[[]candidate]]) {
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
		key.name, isCache = p.run.counterpartOf(key.name)
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
		p.drop(c, notConfirmed, whyLeft(p.run.hard))
	}
}

// drop reports a candidate that is not deleted after all.
func (p *planner) drop(c candidate, verdict policy.Verdict, doubt error) {
	p.run.progress.dead.begin(1)
	p.run.settle(c, verdict, doubt)
	p.run.progress.dead.finish(1)
}
