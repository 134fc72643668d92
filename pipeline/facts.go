package pipeline

import (
	"context"
	"errors"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// Where the facts come from that rules decide on: what a source has found of a tag, and what
// its repository, its project and the user's lists say.

// knownFacts returns the facts of a tag that cost nothing, but for those of its source.
func (r *run) knownFacts(t tag) policy.Facts {
	facts := policy.Facts{
		Tag:        policy.Tag{Name: t.name, Protected: protectedBy(t.project.protection, t.name)},
		Repository: policy.Repository{Name: t.Name, Path: t.Path, IsCache: t.isCache, NamingDiffers: policy.Absent[bool]()},
		Project:    policy.Project{Path: t.projectPath, Topics: t.project.topics()},
	}
	if t.regime != registry.RegimeUnknown {
		facts.Database = policy.Known(t.regime == registry.Database)
	}
	switch {
	case !t.isCache:
		facts.Counterpart = policy.Absent[policy.Counterpart]()
	case t.counterpart == nil:
		facts.Counterpart = policy.Known(policy.CounterpartRepositoryMissing)
		facts.Repository.NamingDiffers = policy.Known(false)
	case t.counterpart.Deleting:
		facts.Counterpart = policy.Known(policy.CounterpartPresent)
		facts.Repository.NamingDiffers = policy.Known(false)
	default:
		facts.Repository.NamingDiffers = policy.Unknown[bool]()
	}
	return facts
}

// protectedBy says whether the rules of a project protect a tag; unknown where they could not be read.
// Where there are none to be seen, none protects it.
func protectedBy(protection gitlabapi.Protection, tag string) policy.Fact[bool] {
	why := protection.Unknown()
	if why != nil && !errors.Is(why, gitlabapi.ErrNoProtection) && !errors.Is(why, gitlabapi.ErrProtectionHidden) {
		return policy.Unknown[bool]()
	}
	return policy.Known(protection.Protects(tag))
}

// putFinding puts what a source has found of a listed tag into the facts, and what follows from it.
func (r *run) putFinding(facts *policy.Facts, t listedTag, f finding) {
	facts.Tag.HasDetails, facts.Tag.Broken, facts.Tag.Kind = f.hasDetails, f.broken, f.kind
	facts.Tag.IsCache, facts.Tag.Dated, facts.Tag.Size = f.isCache, f.dated, f.size
	switch made, known := f.made.Get(); {
	case known:
		facts.Tag.Age = policy.Known(r.client.Throttle().Now().Sub(made))
	case f.made.IsAbsent():
		facts.Tag.Age = policy.Absent[time.Duration]()
	default:
		facts.Tag.Age = policy.Unknown[time.Duration]()
	}
	if facts.Tag.InUse.IsUnknown() {
		digestHash := t.digestHash
		if f.digest != "" {
			digestHash = hashDigest(f.digest)
		}
		facts.Tag.InUse = r.inUse(facts, digestHash)
	}
}

// inUse says what is known of a tag's use without asking the project's environments.
func (r *run) inUse(facts *policy.Facts, digestHash uint64) policy.Fact[bool] {
	number, named := r.options.InUse.Find(facts.Repository.Path, facts.Tag.Name)
	if named {
		r.inUseSeen[number].Store(true)
	}
	number, byDigest := r.digestsInUse[digestHash]
	if byDigest {
		r.inUseSeen[number].Store(true)
	}
	switch {
	case named || byDigest:
		return policy.Known(true)
	case len(r.digestsInUse) > 0 && digestHash == 0, r.options.InUseEnvironments:
		return policy.Unknown[bool]()
	default:
		return policy.Known(false)
	}
}

// findFact finds a fact that the rules need. An error says why it stays unknown.
func (r *run) findFact(ctx context.Context, d *decision, need policy.Name) error {
	var err error
	switch need {
	case policy.FactCounterpart:
		d.facts.Counterpart, d.shown, err = lookUpCounterpart(ctx, d.tag)
		d.compared = d.counterpart != nil
		d.blank = !d.shown && (err == nil || errors.Is(err, registry.ErrRepositoryNotFound))
	case policy.FactNamingDiffers:
		d.facts.Repository.NamingDiffers, err = r.comparesNames(ctx, d.tag)
	case policy.FactBranch:
		d.facts.Branch, _, err = r.lookUpBranch(ctx, d.project, d.name, false)
	case policy.FactRank:
		d.facts.Tag.Rank, d.finding, err = d.rank(ctx, r.options.Workers)
		r.putFinding(&d.facts, d.listedTag, d.finding)
	case policy.FactInUse:
		err = r.findInUse(ctx, d)
	case policy.FactProtected:
		err = d.project.protection.Unknown()
	case policy.FactTopics, policy.FactDatabase: // which are known from the beginning, or not at all
	default:
		d.asked = true
		d.finding, err = d.source.find(ctx, d.repository, d.listedTag, d.finding, need)
		r.putFinding(&d.facts, d.listedTag, d.finding)
	}
	return err
}

// lookUpCounterpart looks a cache tag's counterpart up in the listing that the tags of the
// cache repository share, and reports whether that has any tags. The error says why the fact is
// unknown.
func lookUpCounterpart(ctx context.Context, t tag) (found policy.Fact[policy.Counterpart], shown bool, err error) {
	tags, err := t.counterpart.get(ctx, t.source)
	switch {
	case tags.has(t.name):
		return policy.Known(policy.CounterpartPresent), true, nil
	case err != nil:
		return policy.Unknown[policy.Counterpart](), false, err
	default:
		return policy.Known(policy.CounterpartTagMissing), len(tags) > 0, nil
	}
}

// fewNames is how many tags a cache repository has at least where its names tell a convention.
const fewNames = 5

// comparesNames says whether the tags of a cache repository are named by another convention than
// those of its counterpart, such as kaniko's hashes: none of its names is there. It is told once.
func (r *run) comparesNames(ctx context.Context, t tag) (policy.Fact[bool], error) {
	tags, err := t.counterpart.get(ctx, t.source)
	if err != nil {
		return policy.Unknown[bool](), err
	}
	t.compareNames.Do(func() {
		t.namingDiffers = len(t.tags) >= fewNames && len(tags) > 0 && !t.tags.sharesNames(tags)
		if t.namingDiffers {
			r.tell(report.NamingDiffers{Project: t.projectPath, Repository: t.Path, Tags: len(t.tags)})
		}
	})
	return policy.Known(t.namingDiffers), nil
}

// lookUpBranch says whether a tag is named after a branch or Git tag that the project has, and since
// when that is known.
func (r *run) lookUpBranch(ctx context.Context, p *sharedProject, name string, recheck bool) (policy.Fact[policy.Branch], time.Time, error) {
	references, err := p.readReferences(ctx, r.client, recheck)
	switch {
	case err != nil:
		return policy.Unknown[policy.Branch](), references.began, err
	case references.value.Named(name):
		return policy.Known(policy.BranchPresent), references.began, nil
	default:
		return policy.Known(policy.BranchMissing), references.began, nil
	}
}

// errNoDigest says why it is not known whether a list of images in use has a tag.
var errNoDigest = errors.New("the lists of images in use have digests, and that of the tag cannot be found out")

// findInUse finds whether a tag is in use: by its digest, and by what the environments of its
// project have deployed, which are images.
func (r *run) findInUse(ctx context.Context, d *decision) error {
	if len(r.digestsInUse) > 0 && d.digest == "" && d.digestHash == 0 {
		d.asked = true
		found, err := d.source.find(ctx, d.repository, d.listedTag, d.finding, needDigest)
		if err != nil {
			return err
		}
		d.finding = found
		if r.putFinding(&d.facts, d.listedTag, found); d.facts.Tag.InUse.IsKnown() {
			return nil
		}
		if found.digest == "" {
			return errNoDigest
		}
	}
	inUse, _, err := r.lookUpDeployed(ctx, d.project, d.name, d.finding, false)
	if err == nil && inUse == policy.Known(true) && (d.finding.isCache.IsUnknown() || d.presumed) {
		// It has the name of what is deployed, and may be a build cache of that.
		if err := r.findFact(ctx, d, policy.FactIsCache); err != nil {
			return err
		}
		inUse, _, err = r.lookUpDeployed(ctx, d.project, d.name, d.finding, false)
	}
	d.facts.Tag.InUse = inUse
	return err
}

// lookUpDeployed says whether an environment of the project has deployed what a tag is named
// after, and since when that is known. A build cache is not deployed; what is presumed to be one may be
// an image.
func (r *run) lookUpDeployed(ctx context.Context, p *sharedProject, name string, f finding, recheck bool) (policy.Fact[bool], time.Time, error) {
	if isCache, _ := f.isCache.Get(); isCache && !f.presumed || !r.options.InUseEnvironments {
		return policy.Known(false), time.Now(), nil
	}
	deployed, err := p.readDeployed(ctx, r.client, recheck)
	if err != nil {
		return policy.Unknown[bool](), deployed.began, err
	}
	return policy.Known(deployed.value[name]), deployed.began, nil
}
