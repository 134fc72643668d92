package pipeline

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// When a plan is applied, the stages are those of every run, and each narrows what it passes on: the
// project lister to the projects of the plan, the repository fetcher to its repositories, the tag
// fetcher to its tags. So a tag of the plan is decided upon once more, and goes only if the rules say
// so and it is what it was.

// An application is a plan that is being applied: the entries that are still to be seen, by
// repository. Each entry is taken once, so that each comes to one decision.
type application struct {
	projects []gitlabapi.Project // of the plan, in the order of their paths

	mu      sync.Mutex
	entries map[int64][]plan.Entry // by repository
}

// newApplication returns the application of a plan, or of a shard's part of it; nil without one.
func newApplication(p *plan.Plan, shard Shard) *application {
	if p == nil {
		return nil
	}
	a := &application{entries: make(map[int64][]plan.Entry)}
	projects, seen := make(map[int64]bool), make(map[plan.Key]bool)
	for _, e := range p.Entries {
		if seen[e.Key()] || !shard.owns(e.ProjectID) {
			continue
		}
		seen[e.Key()] = true
		a.entries[e.RepositoryID] = append(a.entries[e.RepositoryID], e)
		if !projects[e.ProjectID] {
			projects[e.ProjectID] = true
			a.projects = append(a.projects, gitlabapi.Project{ID: e.ProjectID, Path: e.Project})
		}
	}
	slices.SortFunc(a.projects, func(x, y gitlabapi.Project) int { return strings.Compare(x.Path, y.Path) })
	return a
}

// take returns the entries of a repository, once.
func (a *application) take(repository int64) []plan.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := a.entries[repository]
	delete(a.entries, repository)
	return entries
}

// has reports whether a repository has entries that were not taken.
func (a *application) has(repository int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.entries[repository]) > 0
}

// takeWhere returns the entries of repositories whose first one is meant.
func (a *application) takeWhere(meant func(plan.Entry) bool) (left []plan.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, entries := range a.entries {
		if meant(entries[0]) {
			left = append(left, entries...)
			delete(a.entries, id)
		}
	}
	return left
}

// The verdicts on tags of a plan that are not what they were.
var (
	changed     = policy.Verdict{Action: policy.Keep, Reason: report.Changed}
	goneAlready = policy.Verdict{Action: policy.Keep, Reason: report.GoneAlready}
	leftAlone   = policy.Verdict{Action: policy.Keep, Reason: report.LeftAlone}
	// withoutDigest is for a tag of which the plan does not say what it pointed to.
	withoutDigest = policy.Verdict{Action: policy.Keep, Reason: report.WithoutDigest}
	notListed     = policy.Verdict{Action: policy.Undecided, Reason: policy.ListingIncomplete}
)

// settleEntries reports entries of which there is no tag to decide upon.
func (r *run) settleEntries(entries []plan.Entry, verdict policy.Verdict, doubt error) {
	for _, e := range entries {
		r.settle(candidate{
			repository: &repository{
				Repository:  gitlabapi.Repository{ID: e.RepositoryID, ProjectID: e.ProjectID, Path: e.Repository},
				projectPath: e.Project,
			},
			tag: e.Tag, finding: finding{digest: e.Digest, mediaType: e.MediaType},
		}, verdict, doubt)
	}
}

// settleUnsent reports tags of the plan that a stop has kept from being decided upon.
func (r *run) settleUnsent(ctx context.Context, tags []tag) {
	for _, t := range tags {
		if t.planned != nil {
			r.settleEntries([]plan.Entry{*t.planned}, notConfirmed, whyLeft(ctx))
		}
	}
}

// sendPlanned sends tags of the plan on, and what bears witness beside them.
func (r *run) sendPlanned(ctx context.Context, tags []tag, send emit[tag]) {
	for i, t := range tags {
		if ctx.Err() != nil || !send(t) {
			r.settleUnsent(ctx, tags[i:])
			return
		}
	}
}

// listPlanned sends the projects of the plan, after a look at each: one that is archived by now, or
// marked for deletion, is left alone.
func (r *run) listPlanned(ctx context.Context, send emit[[]*project]) error {
	l := &projectLister{run: r, send: send, exclude: r.exclude, dense: true, named: true}
	planned := r.application.projects
	found := make([]gitlabapi.Project, len(planned))
	errs := make([]error, len(planned))
	parallel(len(planned), r.options.Workers, func(i int) {
		found[i], errs[i] = r.client.Project(ctx, strconv.FormatInt(planned[i].ID, 10))
	})
	for i, p := range found {
		switch {
		case endsRun(errs[i]) || ctx.Err() != nil:
			return errs[i]
		case errs[i] != nil:
			r.tell(report.Unreadable{Name: planned[i].Path, Project: planned[i].Path, Err: errs[i]})
			continue
		case l.skip(p) != nil:
			left := r.application.takeWhere(func(e plan.Entry) bool { return e.ProjectID == p.ID })
			r.settleEntries(left, leftAlone, nil)
		}
		if !l.add(p, nil) {
			return nil
		}
	}
	l.flush()
	return nil
}

// ofPlan returns those of a project's repositories that the plan has entries of, and settles the entries
// of those that are not there any more, or are left alone.
func (r *run) ofPlan(p *project, walked []*projectRepository) []*projectRepository {
	if r.application == nil {
		return walked
	}
	walked = slices.DeleteFunc(walked, func(member *projectRepository) bool { return !r.application.has(member.ID) })
	walks := func(e plan.Entry) bool {
		return slices.ContainsFunc(walked, func(member *projectRepository) bool { return member.ID == e.RepositoryID })
	}
	left := r.application.takeWhere(func(e plan.Entry) bool { return e.ProjectID == p.ID && !walks(e) })
	for _, e := range left {
		verdict := goneAlready
		if slices.ContainsFunc(p.repositories, func(listed gitlabapi.Repository) bool { return listed.ID == e.RepositoryID }) {
			verdict = leftAlone
		}
		r.settleEntries([]plan.Entry{e}, verdict, nil)
	}
	return walked
}

// plannedTags returns the tags of a repository that the plan has, and others by which the registry shows
// that it answers. It settles the entries that are not listed.
func (r *run) plannedTags(ctx context.Context, s *scannedRepository) []tag {
	var tags []tag
	planned := make(map[string]bool)
	entries := r.application.take(s.ID)
	for _, e := range entries {
		planned[e.Tag] = true
		switch place, listed := s.tags.place(e.Tag); {
		case e.Repository != s.Path:
			r.settleEntries([]plan.Entry{e}, changed, nil)
		case listed:
			tags = append(tags, tag{scannedRepository: s, listedTag: s.tags[place], planned: &e})
		case s.err != nil:
			r.settleEntries([]plan.Entry{e}, notListed, s.err)
		default:
			r.settleEntries([]plan.Entry{e}, goneAlready, nil)
		}
	}
	r.progress.tags.found.Add(int64(len(tags)))
	if len(tags) > 0 && s.err == nil {
		tags = append(tags, s.witnesses(planned, witnessesFor(s, entries))...)
	}
	s.chosen = len(tags)
	if len(tags) > 0 && !s.byRegistry && s.counterpart != nil {
		tags = append(tags, s.counterpartWitness(ctx)...)
	}
	return tags
}

// counterpartWitness returns a tag of the counterpart repository by which GitLab shows that it has dates:
// build caches may have none.
func (s *scannedRepository) counterpartWitness(ctx context.Context) []tag {
	listed, err := s.counterpart.get(ctx, s.source)
	if err != nil {
		return nil
	}
	counterpart := &scannedRepository{
		projectRepository: &projectRepository{repository: s.counterpart.repository, project: s.project},
		sourceChoice:      s.sourceChoice, tags: listed, size: listed.size(), chosen: 1,
	}
	return counterpart.witnesses(nil, 1)
}

// witnessesFor returns how many tags of a repository are asked about beside those of the plan: for each that
// has no manifest so many that a storage which is half there would show, and one where GitLab's word alone is
// gone by.
func witnessesFor(s *scannedRepository, entries []plan.Entry) int {
	lost := 0
	for _, e := range entries {
		if wasLost(e) {
			lost++
		}
	}
	switch {
	case lost > 0:
		return runShare * lost
	case !s.byRegistry:
		return 1
	default:
		return 0
	}
}

// wasLost reports whether a tag had no manifest when its entry was made.
func wasLost(e plan.Entry) bool { return e.Kind == string(manifest.KindMissingManifest) }

// witnesses returns up to so many tags of the repository that the plan does not have, those first whose
// names are likely to be healthy.
func (s *scannedRepository) witnesses(planned map[string]bool, most int) []tag {
	var likely, others []tag
	for _, listed := range s.tags {
		t := tag{scannedRepository: s, listedTag: listed, witness: true}
		switch {
		case planned[listed.name] || listed.isStray():
		case slices.Contains([]string{"latest", "main", "master"}, listed.name):
			likely = append(likely, t)
		case len(others) < most:
			others = append(others, t)
		}
	}
	all := slices.Concat(likely, others)
	return all[:min(most, len(all))]
}

// testify finds out whether the tag of a repository beside those of the plan is healthy. Nothing is
// decided upon it.
func (r *run) testify(ctx context.Context, t tag) decision {
	d := r.begin(ctx, t)
	d.verdict = policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}
	err := r.outages.ask(ctx, func() (err error) {
		d.finding, err = d.source.find(ctx, d.repository, d.listedTag, d.finding, policy.FactHasDetails)
		return err
	})
	d.asked = err == nil
	if endsRun(err) {
		d.doubt = err
	}
	return d
}

// isChanged reports before a tag of the plan is asked about whether its listing shows another digest.
func (t tag) isChanged() bool {
	return t.planned != nil && t.digestHash != 0 && (t.planned.Digest == "" || hashDigest(t.planned.Digest) != t.digestHash)
}

// asPlanned returns a decision on a tag of the plan that is to be deleted, if it is still what was
// planned; otherwise the tag is kept.
func (r *run) asPlanned(d decision) decision {
	if d.planned == nil || d.verdict.Action != policy.Delete {
		return d
	}
	digest := d.digest
	if digest == "" && d.digestHash != 0 { // compared by its hash before
		digest = d.planned.Digest
	}
	switch {
	case digest != d.planned.Digest, d.lost() != wasLost(*d.planned) && d.kind.IsKnown(), r.planned(d).blank && !d.planned.CounterpartEmpty,
		string(d.verdict.Reason) != d.planned.Reason:
		d.verdict, d.doubt = changed, nil
	case digest == "" && !r.options.PlanIsNew:
		d.verdict, d.doubt = withoutDigest, nil
	}
	return d
}

// errNotReached says why an entry of a plan was not looked at.
var errNotReached = errors.New("its project or repository could not be read")

// settleRest reports what is left of a plan when all else has been decided.
func (r *run) settleRest(ctx context.Context) {
	if r.application == nil {
		return
	}
	doubt := error(errNotReached)
	if ctx.Err() != nil {
		doubt = whyLeft(ctx)
	}
	r.settleEntries(r.application.takeWhere(func(plan.Entry) bool { return true }), notConfirmed, doubt)
}
