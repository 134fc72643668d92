package pipeline

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

const (
	// smallRun is the number of tags from which on a run is suspected to be in an outage when
	// none of them has what a candidate lacks. Fewer may be a small, neglected instance.
	smallRun = 20
	// fewLost is how many tags may have lost their manifests whatever their share.
	fewLost = 20
	// The largest shares of tags without manifest that are taken for what they look like:
	// one in five of a repository's, one in twenty of a run's. A registry loses single
	// manifests; storage that is not mounted or half restored loses many at once.
	repositoryShare, runShare = 5, 20
	// maxHealthy is how many healthy tags are remembered, and maxAsked how many of them are
	// asked for before the registry is taken to be failing: one of them may have been deleted
	// meanwhile, hardly several.
	maxHealthy, maxAsked = 8, 3
	// fewReadable is how many manifests have to be read beside those that a plan says are missing.
	fewReadable = 10
	// fewCounterparts is how many counterpart repositories there are at least where it says something
	// that more than half of them have no tags: fewer may all have been cleaned up.
	fewCounterparts = 5
)

var (
	errNothingHealthy = errors.New("no tag of the run has what this one lacks: the registry may be failing")
	errPlanTooSmall   = errors.New("the plan has too few tags to tell a manifest that is lost from a registry that is failing; a run sees more")
	errTooManyLost    = errors.New("too many tags have lost their manifests at once: the registry's storage may not be there, or not whole")
	errMemoryLost     = errors.New("more than half of the repositories of images that have a cache repository have no tags, or are unknown to the registry: it may have lost what it knew")
	errNotHealthy     = errors.New("tags that were healthy before are not now: the registry may be failing")
	errCameBack       = errors.New("something that was missing came back: the registry may be failing now and then")
	errNoSibling      = errors.New("no other manifest of the repository can be read: the registry's storage may not be there")
	errNoHealthyTag   = errors.New("no healthy tag of the run is known")
)

// outageSuspected is the verdict on a tag while the registry seems to be failing.
var outageSuspected = policy.Verdict{Action: policy.Undecided, Reason: policy.OutageSuspected}

// A canary tells whether the registry is answering rightly. Something missing looks the same
// whether it is gone or the registry fails; but in an outage tags that are healthy turn out
// missing, too. So there are four conditions for a deletion that rests on something missing:
//
//   - A tag of the run has shown that the registry gives such things at all (allows, objection).
//   - Not too many have lost their manifests, as they do when the registry's storage is not
//     mounted, half restored or half moved, whole or below one group or project (objection).
//   - Most counterpart repositories have tags: a registry that was switched to an empty database
//     answers honestly that there is nothing (memoryLost).
//   - Healthy tags are still healthy when they are read again right before the deletion
//     (check).
//
// Something that was missing and came back shows a registry that fails now and then. It stops
// all deletions of the run that are still to come, whatever they rest on.
//
// The planner observes, and asks for objections; deleters check. The mutex guards what both have.
type canary struct {
	// What follows is the planner's alone.
	inspected, detailed, dated int              // tags looked at; with details; with a date
	readable, lost             int              // tags whose manifest could be read; is missing
	lostAsPlanned              int              // of the lost, those of a plan that were when it was made
	compared, shown            int              // cache tags whose counterpart repository was looked at; listed tags
	lostIn                     map[int64]tally  // of repositories that have lost manifests
	below                      map[string]tally // of what lies below a project or group, by its path
	overflowed                 bool             // too many candidates have waited for a sign
	// isPart says that the run sees what a plan has, and so can never be taken for one over a small,
	// neglected instance.
	isPart bool

	mu       sync.Mutex
	healthy  []healthyTag // a ring of the last ones
	newest   int
	checked  bool // healthy tags have been read again once
	cameBack bool // something that was missing has come back
	// counterparts is how many counterpart repositories were looked at, and blank how many of them
	// have no tags or are unknown to the registry.
	counterparts, blank int
}

// A healthyTag is a tag that was kept and whose manifest, or details, could be had, and a date
// if dated. It holds no listing.
type healthyTag struct {
	*repository
	sourceChoice
	listed listedTag
	dated  bool
}

// A tally counts the tags of one repository whose manifests are missing, and could be read.
type tally struct{ lost, readable int }

// observe takes note of a decision on a tag of a repository. Tags that were not looked at say
// nothing.
func (c *canary) observe(d decision, in *tally) {
	if d.compared {
		c.compared++
		c.weigh(d)
	}
	if d.shown {
		c.shown++
	}
	if !d.asked {
		return
	}
	c.inspected++
	if has, _ := d.hasDetails.Get(); has {
		c.detailed++
	}
	dated, _ := d.finding.dated.Get()
	if dated {
		c.dated++
	}
	switch {
	case d.lost():
		if d.planned != nil && wasLost(*d.planned) {
			c.lostAsPlanned++
		}
		c.lost++
		in.lost++
	case d.readable():
		c.readable++
		in.readable++
		if d.verdict.Action == policy.Keep {
			c.remember(healthyTag{d.repository, d.sourceChoice, d.listedTag, dated && !d.listedTag.dated})
		}
	}
}

// weigh counts the counterpart repository by which a tag was decided upon, once, unless it could not be
// read.
func (c *canary) weigh(d decision) {
	if d.counterpart == nil || d.counterpart.weighed || !d.shown && !d.blank {
		return
	}
	d.counterpart.weighed = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counterparts++
	if d.blank {
		c.blank++
	}
}

// memoryLost reports whether the registry seems to have lost what it knew.
func (c *canary) memoryLost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isPart { // which has few, that were chosen
		return 2*c.blank >= max(c.counterparts, 1)
	}
	return c.counterparts >= fewCounterparts && 2*c.blank > c.counterparts
}

// finish takes note of a repository of which all tags have been observed.
func (c *canary) finish(r *repository, of tally) {
	if of == (tally{}) {
		return
	}
	if c.lostIn == nil {
		c.lostIn, c.below = make(map[int64]tally), make(map[string]tally)
	}
	if of.lost > 0 {
		c.lostIn[r.ID] = of
	}
	for path := r.Path; strings.Contains(path, "/"); {
		path = path[:strings.LastIndexByte(path, '/')]
		all := c.below[path]
		all.lost, all.readable = all.lost+of.lost, all.readable+of.readable
		c.below[path] = all
	}
}

// lostAround reports whether a tag that has lost its manifest, the only one of its repository, is not
// alone: what lies nearest has lost others, and nothing of it can be read.
func (c *canary) lostAround(path string) bool {
	for strings.Contains(path, "/") {
		path = path[:strings.LastIndexByte(path, '/')]
		if around := c.below[path]; around.readable > 0 || around.lost > 1 {
			return around.readable == 0
		}
	}
	return false
}

// remember keeps a healthy tag. One with a date shows more than those without, which are kept
// only while there is none.
func (c *canary) remember(h healthyTag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.healthy) > 0 && c.healthy[0].dated && !h.dated:
	case len(c.healthy) > 0 && !c.healthy[0].dated && h.dated:
		c.healthy, c.newest = []healthyTag{h}, 0
	case len(c.healthy) < maxHealthy:
		c.healthy = append(c.healthy, h)
		c.newest = len(c.healthy) - 1
	default:
		c.newest = (c.newest + 1) % maxHealthy
		c.healthy[c.newest] = h
	}
}

// allows reports whether a candidate may go on to a deleter at once. The others are held until
// all tags have been looked at; then objection decides. The verdicts would otherwise depend on
// which tags come first.
func (c *canary) allows(candidate candidate) bool {
	if candidate.lacksCounterpart() && (c.shown == 0 || candidate.blank || c.memoryLost()) {
		return false
	}
	return !candidate.finding.lost() && (!candidate.looksLikeOutage() || c.shows(candidate))
}

// shows reports whether a tag of the run had what the candidate lacks.
func (c *canary) shows(candidate candidate) bool {
	if candidate.restsOnDate {
		return c.dated > 0
	}
	return !candidate.finding.lacksDetails() || c.detailed > 0
}

// objection returns, when all tags have been looked at, why a candidate that was held is not to
// be deleted.
func (c *canary) objection(candidate candidate) error {
	if candidate.finding.lost() {
		in := c.lostIn[candidate.ID]
		others := c.lost - c.lostAsPlanned
		switch {
		case c.isPart && others*runShare > others+c.readable:
			return errTooManyLost // what a plan has was chosen: its own share says nothing
		case !c.isPart && c.lost > fewLost && c.lost*runShare > c.inspected,
			in.lost > fewLost && in.lost*repositoryShare > candidate.size:
			return errTooManyLost
		case c.readable == 0:
			return errNothingHealthy
		case candidate.size > 1 && in.lost == candidate.size:
			return errNoSibling // of others one is read right before the deletion
		case candidate.size == 1 && c.lostAround(candidate.Path):
			return errTooManyLost
		case c.isPart && c.readable < fewReadable:
			return errPlanTooSmall
		}
		return nil
	}
	if candidate.lacksCounterpart() && c.memoryLost() {
		return errMemoryLost
	}
	if candidate.lacksCounterpart() && c.shown == 0 && (c.overflowed || c.isPart || c.compared >= smallRun) {
		return errNothingHealthy
	}
	if !candidate.looksLikeOutage() {
		return nil
	}
	looked := c.inspected
	if candidate.restsOnDate {
		looked = c.detailed
	}
	if !c.shows(candidate) && (c.overflowed || c.isPart || looked >= smallRun) {
		return errNothingHealthy
	}
	return nil
}

// stop stops the deletions that are still to come, since something that was missing came back.
func (c *canary) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cameBack = true
}

// trouble returns errCameBack once something that was missing has come back.
func (c *canary) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cameBack {
		return errCameBack
	}
	return nil
}

// check reads healthy tags again, the newest first, until one is as it was; the first time in
// a run all that are remembered, to see how steadily the registry answers. It returns nil when
// one is healthy and none has come back, errNoHealthyTag when none is known, and another error when
// the registry seems to be failing or does not answer.
func (c *canary) check(ctx context.Context) error {
	if err := c.trouble(); err != nil {
		return err
	}
	tags, all := c.choose()
	if len(tags) == 0 {
		return errNoHealthyTag
	}
	healthy := make([]bool, len(tags))
	errs := make([]error, len(tags))
	ask := func(i int) { healthy[i], errs[i] = c.isHealthy(ctx, tags[i]) }
	if all {
		parallel(len(tags), len(tags), ask)
	} else {
		for i := range tags {
			if ask(i); healthy[i] || errors.Is(errs[i], errCameBack) {
				break
			}
		}
	}
	if err := c.trouble(); err != nil {
		return err
	}
	if !slices.Contains(healthy, true) {
		// No answer says nothing, neither good nor bad.
		return cmp.Or(errors.Join(errs...), errNotHealthy)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = true
	return nil
}

// choose returns the healthy tags to be read, and whether to read all of them.
func (c *canary) choose() (tags []healthyTag, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.healthy)
	if c.checked {
		n = min(n, maxAsked)
	}
	for i := range n {
		tags = append(tags, c.healthy[(c.newest-i+len(c.healthy))%len(c.healthy)])
	}
	return tags, !c.checked
}

// isHealthy reports whether a tag is as it was. One that is not is read again: it is gone for
// good, or it comes back, by which the registry shows that it fails now and then.
func (c *canary) isHealthy(ctx context.Context, h healthyTag) (bool, error) {
	for reading := range 2 {
		f, err := h.fresh.find(ctx, h.repository, h.listed, finding{}, policy.FactHasDetails)
		if err != nil && !errors.Is(err, errNoSuchTag) {
			return false, err
		}
		dated, asked := f.dated.Get() // the registry's manifest does not say
		switch healthy := f.readable() && (dated || !asked || !h.dated); {
		case healthy && reading > 0:
			c.stop()
			return false, errCameBack
		case healthy:
			return true, nil
		}
	}
	return false, nil
}
