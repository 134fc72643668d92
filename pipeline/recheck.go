package pipeline

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// recheck reads the grounds of candidates again and decides again on what it finds. Only what is to
// go again does; every other result keeps the tag, and is reported. Before and after
// that the canary is asked, for what looks the same in an outage: an outage during the first
// reading either is found now, or is over, and what is read now is right. It also returns the
// time just before the first request for the grounds.
func (d *deleter) recheck(ctx context.Context, batch []attempt) (ready []attempt, began time.Time, err error) {
	var results []rechecked
	var before, after assurance
	outage := d.outages.ask(ctx, func() error {
		results = make([]rechecked, len(batch))
		before = d.assure(ctx, batch)
		began = time.Now()
		d.readAgain(ctx, batch, results)
		for i, a := range batch {
			if cameBack(a.finding, results[i].finding) {
				d.canary.stop()
			}
		}
		after = d.assure(ctx, batch)
		failed := []error{before.err(), after.err()}
		for _, result := range results {
			failed = append(failed, result.err)
		}
		return errors.Join(failed...)
	})
	if results == nil { // nothing was read
		results, began = make([]rechecked, len(batch)), time.Now()
		for i := range results {
			results[i].err = outage
		}
	}
	protections := d.readProtections(ctx, batch)
	for i, a := range batch {
		verdict, since, doubt := d.decideAgain(ctx, a.candidate, results[i], protections)
		if since.Before(began) {
			began = since
		}
		for _, said := range []assurance{before, after} {
			if verdict.Action == policy.Delete {
				verdict, doubt = said.of(ctx, a.candidate, verdict)
			}
		}
		if verdict.Action == policy.Delete && a.lacksCounterpart() && d.canary.memoryLost() {
			verdict, doubt = outageSuspected, errMemoryLost
		}
		a.finding.digest = cmp.Or(a.finding.digest, results[i].digest)
		a.finding.mediaType = cmp.Or(a.finding.mediaType, results[i].mediaType)
		if a.finding.bytes() < results[i].bytes() {
			a.finding.size = results[i].size
		}
		if results[i].made.IsKnown() && !a.finding.made.IsKnown() {
			a.finding.made = results[i].made
		}
		if kind, known := results[i].kind.Get(); known && !a.finding.kind.IsKnown() {
			a.finding = a.finding.withKind(kind)
		}
		switch {
		case verdict.Action == policy.Delete:
			a.verdict = verdict // another rule may be the first that holds by now
			ready = append(ready, a)
			continue
		case verdict.Action == policy.Undecided && a.sent:
			d.stopped(a, doubt)
		default:
			d.settle(a.candidate, verdict, doubt)
		}
		if err == nil {
			err = runError(doubt)
		}
	}
	return ready, began, err
}

// readProtections reads again which tags the candidates' projects protect by their rules, in one request
// for all of them. Only a registry with its metadata database has such rules, and what an instance does
// not show was told before.
func (d *deleter) readProtections(ctx context.Context, batch []attempt) map[int64]gitlabapi.Protection {
	var projects []gitlabapi.Project
	asked := make(map[int64]bool)
	for _, a := range batch {
		if !asked[a.ProjectID] && a.regime == registry.Database && a.project.protection.Unknown() == nil {
			asked[a.ProjectID] = true
			projects = append(projects, a.project.Project)
		}
	}
	if len(projects) == 0 {
		return nil
	}
	protections := make(map[int64]gitlabapi.Protection)
	for i, protection := range d.client.Recheck().ProtectionsOf(ctx, projects) {
		protections[projects[i].ID] = protection
	}
	return protections
}

// readAgain has the grounds of the candidates read by their sources, those of each repository together.
func (d *deleter) readAgain(ctx context.Context, batch []attempt, results []rechecked) {
	byRepository := make(map[int64][]int)
	for i, a := range batch {
		byRepository[a.ID] = append(byRepository[a.ID], i)
	}
	var groups [][]int
	for _, group := range byRepository {
		groups = append(groups, group)
	}
	parallel(len(groups), d.options.Workers, func(g int) {
		candidates := make([]candidate, len(groups[g]))
		for j, i := range groups[g] {
			candidates[j] = batch[i].candidate
		}
		for j, result := range candidates[0].fresh.recheck(ctx, candidates) {
			results[groups[g][j]] = result
		}
	})
}

// cameBack reports whether something was missing at the first reading and is there at the
// second. A tag that names another digest by now has been pushed meanwhile.
func cameBack(first, second finding) bool {
	if first.digest != "" && second.digest != first.digest {
		return false
	}
	has, _ := second.hasDetails.Get()
	dated, _ := second.dated.Get()
	return has && (first.lacksDetails() || first.lacksDate() && dated) || first.lost() && second.readable()
}

// An assurance is what says, right before the grounds of candidates are read again or right after,
// that the registry answers rightly.
type assurance struct {
	canary error // why it gives none, or why not to delete at all
	// lists stand in where no healthy tag is known: why that of a repository says nothing, by its ID.
	lists map[int64]error
}

// err returns all that speaks against the registry.
func (said assurance) err() error {
	return errors.Join(said.canary, errors.Join(slices.Collect(maps.Values(said.lists))...))
}

// assure asks the canary where the deletion of one of the candidates depends on it. Whether
// something came back counts for every candidate. On a small instance no healthy tag may be known. Then
// the repositories of candidates that lack details must list something at least, which they do not in an
// outage.
func (d *deleter) assure(ctx context.Context, batch []attempt) assurance {
	if !slices.ContainsFunc(batch, func(a attempt) bool { return a.looksLikeOutage() }) {
		return assurance{canary: d.canary.trouble()}
	}
	said := assurance{canary: d.canary.check(ctx)}
	if !errors.Is(said.canary, errNoHealthyTag) {
		return said
	}
	said.lists = make(map[int64]error)
	for _, a := range batch {
		if _, asked := said.lists[a.ID]; asked || !a.needsList() {
			continue
		}
		tags, err := a.fresh.list(ctx, a.repository)
		if err == nil && len(tags) == 0 {
			err = errNothingHealthy
		}
		said.lists[a.ID] = err
	}
	return said
}

// needsList reports whether a candidate goes, while no healthy tag is known, by what its repository lists:
// nothing of its own has shown that details can be had.
func (c candidate) needsList() bool {
	return c.looksLikeOutage() && c.finding.lacksDetails() && !c.finding.lost()
}

// of returns the verdict on a candidate that would be deleted, and why it is not to be.
func (said assurance) of(ctx context.Context, c candidate, verdict policy.Verdict) (policy.Verdict, error) {
	trouble := said.canary
	if errors.Is(trouble, errNoHealthyTag) && c.needsList() {
		trouble = said.lists[c.ID]
	}
	switch {
	case errors.Is(trouble, errCameBack):
		return outageSuspected, trouble
	case trouble == nil, !c.looksLikeOutage():
		return verdict, nil
	case ctx.Err() != nil:
		return notConfirmed, whyLeft(ctx)
	case errors.Is(trouble, errNotHealthy), errors.Is(trouble, errNothingHealthy):
		return outageSuspected, trouble
	case errors.Is(trouble, errNoHealthyTag) && c.finding.lost():
		return outageSuspected, trouble
	case errors.Is(trouble, errNoHealthyTag):
		return verdict, nil // the tag itself has shown that details can be had
	default:
		return notConfirmed, trouble
	}
}

// decideAgain returns the verdict on a candidate after its grounds have been read again, since
// when they are known, and why it is not the same.
func (d *deleter) decideAgain(ctx context.Context, c candidate, now rechecked, protections map[int64]gitlabapi.Protection) (policy.Verdict, time.Time, error) {
	since := time.Now()
	if ctx.Err() != nil {
		return notConfirmed, since, whyLeft(ctx)
	}
	facts, since, err := d.readFactsAgain(ctx, c, now)
	if protection, read := protections[c.ProjectID]; read {
		if facts.Tag.Protected = protectedBy(protection, c.tag); facts.Tag.Protected.IsUnknown() {
			err = cmp.Or(err, protection.Unknown())
		}
	}
	if now.since.Before(since) && !now.since.IsZero() {
		since = now.since
	}
	err = cmp.Or(now.err, err)
	verdict := d.options.Rules.Decide(&facts).Verdict
	has, _ := now.hasDetails.Get()
	switch {
	case errors.Is(err, errNoSibling):
		return outageSuspected, since, err
	case now.digest != c.finding.digest && c.finding.digest != "" && (now.digest != "" || now.err == nil):
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}, since, errPushedAgain
	case err != nil && verdict.Action != policy.Keep:
		reason := policy.DetailsUnknown
		if verdict.Action == policy.Undecided && (verdict.Reason != policy.CounterpartUnknown || c.orphan != nil) {
			reason = verdict.Reason
		}
		return policy.Verdict{Action: policy.Undecided, Reason: reasonOf(err, reason)}, since, err
	case verdict.Action == policy.Keep && c.finding.lacksDetails() && has:
		return policy.Verdict{Action: policy.Undecided, Reason: policy.EvidenceDisagrees}, since, err
	default:
		return verdict, since, err // it may have got its counterpart or a date meanwhile
	}
}

// readFactsAgain returns the facts of a candidate after its source has read its grounds again: those
// that come from elsewhere are read again here, where a rule has asked for them. What it returns
// with them is since when they are known.
func (d *deleter) readFactsAgain(ctx context.Context, c candidate, now rechecked) (policy.Facts, time.Time, error) {
	facts, since := c.facts, time.Now()
	inUse := facts.Tag.InUse
	facts.Tag.InUse = policy.Unknown[bool]()
	d.putFinding(&facts, c.listed, now.finding)
	if facts.Counterpart.IsKnown() {
		facts.Counterpart = now.counterpart // unknown of what is no orphan
	}
	var errs []error
	again := func(read time.Time, err error) {
		errs = append(errs, err)
		if read.Before(since) && !read.IsZero() {
			since = read
		}
	}
	if facts.Branch.IsKnown() {
		branch, read, err := d.lookUpBranch(ctx, c.project, c.tag, true)
		facts.Branch = branch
		again(read, err)
	}
	if c.ranked != nil {
		rank, read, err := c.ranked.rankAgain(ctx, c.tag)
		made, _ := now.made.Get()
		if first, known := c.finding.made.Get(); known && made.After(first) {
			rank, err = policy.Unknown[int](), errPushedAgain // with the same digest; it is the newest
		}
		facts.Tag.Rank = rank
		again(read, err)
	}
	if inUse.IsKnown() && facts.Tag.InUse.IsUnknown() {
		deployed, read, err := d.lookUpDeployed(ctx, c.project, c.tag, now.finding, true)
		facts.Tag.InUse = deployed
		again(read, err)
	}
	return facts, since, errors.Join(errs...)
}
