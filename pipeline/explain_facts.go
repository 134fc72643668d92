package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An ExplainedFact is a fact about a tag, and where it comes from.
type ExplainedFact struct {
	Name  policy.Name
	State FactState
	// Value is a bool, a text, a [time.Duration], bytes as int64, a rank as int, or texts; nil
	// unless the fact is known.
	Value any
	// Where the fact comes from, for people.
	Where string
	// Err is why the fact is unknown, or why what is presumed could not be looked into.
	Err error
}

// A FactState says how far a fact is known.
type FactState string

// The states of facts.
const (
	FactKnown    FactState = "known"
	FactAbsent   FactState = "absent"    // there is nothing to know
	FactUnknown  FactState = "unknown"   // it could not be found out
	FactNotAsked FactState = "not asked" // no rule speaks of it
)

// factCacheRepository is a fact that is always known.
const factCacheRepository policy.Name = "repository.is_cache"

// explainedFacts are those that are looked for, in the order in which they are shown.
var explainedFacts = []policy.Name{
	policy.FactKind, policy.FactIsCache, policy.FactBroken, policy.FactHasDetails, policy.FactDated, policy.FactAge,
	policy.FactSize, policy.FactRank, policy.FactProtected, policy.FactInUse, policy.FactNamingDiffers,
	policy.FactCounterpart, policy.FactBranch, policy.FactTopics, policy.FactDatabase,
}

// factsOfTag are those that come from one place, the tag's manifest or its details.
var factsOfTag = []policy.Name{
	policy.FactKind, policy.FactIsCache, policy.FactBroken, policy.FactHasDetails, policy.FactDated, policy.FactAge, policy.FactSize,
}

// explainFacts returns the facts of a decision with where they come from.
func (r *run) explainFacts(ctx context.Context, d *decision, failed map[policy.Name]error) []ExplainedFact {
	f := &d.facts
	facts := []ExplainedFact{
		explainedFact(policy.FactKind, f.Tag.Kind, d.kindWhere()),
		explainedFact(policy.FactIsCache, f.Tag.IsCache, d.cacheWhere()),
		explainedFact(policy.FactBroken, f.Tag.Broken, d.brokenWhere()),
		explainedFact(policy.FactHasDetails, f.Tag.HasDetails, d.detailsWhere()),
		explainedFact(policy.FactDated, f.Tag.Dated, d.datedWhere()),
		explainedFact(policy.FactAge, f.Tag.Age, d.ageWhere()),
		explainedFact(policy.FactSize, f.Tag.Size, d.sizeWhere()),
		explainedFact(policy.FactRank, f.Tag.Rank, "age among the repository's "+countOf(len(d.tags), "tag")),
		explainedFact(policy.FactProtected, f.Tag.Protected, d.protectedWhere()),
		explainedFact(policy.FactInUse, f.Tag.InUse, r.inUseWhere(d)),
		explainedFact(factCacheRepository, policy.Known(f.Repository.IsCache), "the repository's name (CACHE_SUFFIX)"),
		explainedFact(policy.FactNamingDiffers, f.Repository.NamingDiffers, d.namingWhere(ctx)),
		explainedFact(policy.FactCounterpart, f.Counterpart, d.counterpartWhere(ctx)),
		explainedFact(policy.FactBranch, f.Branch, "branches and Git tags of the project"),
		explainedFact(policy.FactTopics, f.Project.Topics, "GitLab's project"),
		explainedFact(policy.FactDatabase, f.Database, d.regimeWhere()),
	}
	for i := range facts {
		fact := &facts[i]
		switch {
		case fact.State == FactUnknown && !r.options.Rules.Uses(string(fact.Name)):
			fact.State, fact.Where = FactNotAsked, "no rule speaks of it"
		case fact.State == FactUnknown && d.err != nil:
			fact.Where, fact.Err = "", d.err
		case fact.State == FactUnknown:
			fact.Where, fact.Err = "", failed[fact.Name]
		case fact.State == FactKnown:
			fact.Err = failed[fact.Name] // of a look at what was presumed
		}
	}
	return facts
}

// explainedFact returns a fact with its value.
func explainedFact[T any](name policy.Name, fact policy.Fact[T], where string) ExplainedFact {
	value, known := fact.Get()
	switch {
	case known:
		return ExplainedFact{Name: name, State: FactKnown, Value: value, Where: where}
	case fact.IsAbsent():
		return ExplainedFact{Name: name, State: FactAbsent, Where: where}
	default:
		return ExplainedFact{Name: name, State: FactUnknown}
	}
}

// listsAll reports whether listings say most of what there is to know: a registry with database has
// the manifests of all tags, and their dates.
func (d *decision) listsAll() bool { return d.regime == registry.Database }

// kindWhere says where the kind comes from, and which manifest it is.
func (d *decision) kindWhere() string {
	if !d.byRegistry || d.digest == "" {
		return d.manifestWhere()
	}
	return d.manifestWhere() + ", " + shortDigest(d.digest)
}

// manifestWhere says what comes from the manifest.
func (d *decision) manifestWhere() string {
	switch {
	case !d.byRegistry:
		return "GitLab's API does not say it"
	case d.lost():
		return "the registry, which lacks its manifest"
	default:
		return "the registry's manifest"
	}
}

// shortDigest returns as much of a digest as people need to tell it from others.
func shortDigest(digest string) string {
	const short = len("sha256:") + 12
	if len(digest) <= short {
		return digest
	}
	return digest[:short] + "…"
}

// alwaysWithDatabase says where facts come from that are the same for all tags of such a registry.
const alwaysWithDatabase = "as always with a metadata database"

func (d *decision) cacheWhere() string {
	if d.presumed || !d.byRegistry {
		return "the repository's name"
	}
	return d.manifestWhere()
}

func (d *decision) brokenWhere() string {
	if d.listsAll() {
		return alwaysWithDatabase
	}
	return d.manifestWhere()
}

func (d *decision) detailsWhere() string {
	switch {
	case d.listsAll():
		return alwaysWithDatabase
	case d.byRegistry:
		return "what GitLab can make of the manifest"
	default:
		return "GitLab's details"
	}
}

func (d *decision) datedWhere() string {
	switch isCache, _ := d.isCache.Get(); {
	case d.listsAll():
		return alwaysWithDatabase
	case !d.byRegistry:
		return "GitLab's details"
	case d.lost() || isCache || d.finding.manifest.IsIndex() && d.finding.manifest.Amd64 == "":
		return "what GitLab can make of the manifest"
	case d.finding.manifest.IsIndex():
		return "GitLab's details"
	default:
		return "config's created"
	}
}

// ageWhere says by which date the age is known, or which says nothing.
func (d *decision) ageWhere() string {
	where := "config's created"
	switch isCache, _ := d.isCache.Get(); {
	case d.byRegistry && d.listsAll():
		where = "the registry's list (published)"
	case !d.byRegistry:
		where = "GitLab's details (created)"
	case d.lost():
		return "it points to nothing"
	case isCache:
		where = "newest layer of the cache"
	case d.finding.manifest.IsIndex():
		where = "newest image that it has"
	}
	if made, known := d.made.Get(); known {
		return where + ", " + made.UTC().Format(time.DateOnly)
	}
	return where + ": no date, or one that says no age"
}

func (d *decision) sizeWhere() string {
	switch {
	case d.byRegistry && d.listsAll():
		return "the registry's list"
	case !d.byRegistry:
		return "GitLab's details"
	case d.lost():
		return "it points to nothing"
	case d.facts.Tag.Size.IsAbsent():
		return "the manifest does not say it"
	default:
		return d.manifestWhere()
	}
}

// inUseWhere says what was looked at for whether a tag is in use, or what names it.
func (r *run) inUseWhere(d *decision) string {
	const environments = "GitLab's environments of the project"
	inUse, _ := d.facts.Tag.InUse.Get()
	switch listed := r.options.InUse != nil; {
	case inUse && r.options.InUse.Names(d.Path, d.name):
		return "IN_USE, which names it"
	case inUse && (r.namesDigest(d.digestHash) || r.namesDigest(hashDigest(d.digest))):
		return "IN_USE, which names its digest"
	case inUse || r.options.InUseEnvironments && !listed:
		return environments
	case r.options.InUseEnvironments:
		return "IN_USE, and " + environments
	case listed:
		return "IN_USE, which names neither it nor its digest"
	default:
		return "IN_USE is not set"
	}
}

// namesDigest reports whether a list of images in use has a digest.
func (r *run) namesDigest(digestHash uint64) bool {
	_, found := r.digestsInUse[digestHash]
	return found
}

// counterpartWhere says where the counterpart was looked for. The listing has been read.
func (d *decision) counterpartWhere(ctx context.Context) string {
	switch {
	case !d.isCacheRepository():
		return "its repository holds no caches"
	case d.counterpart == nil:
		return "the project's list of repositories"
	case d.counterpart.Deleting:
		return fmt.Sprintf("GitLab is deleting %s, so that it counts as there", d.counterpart.Path)
	default:
		return fmt.Sprintf("%s of %s", d.counterpartTags(ctx), d.counterpart.Path)
	}
}

// isCacheRepository reports whether the repository is one of caches by its name: a decision's own
// isCache says what the tag is.
func (d *decision) isCacheRepository() bool { return d.repository.isCache }

// counterpartTags says how many tags the counterpart repository has, where its listing was read.
func (d *decision) counterpartTags(ctx context.Context) string {
	if d.facts.Counterpart.IsUnknown() && d.facts.Repository.NamingDiffers.IsUnknown() {
		return "" // it is not shown
	}
	tags, _ := d.counterpart.get(ctx, d.source)
	return countOf(len(tags), "tag")
}

// namingWhere says what the names of a cache repository were compared with.
func (d *decision) namingWhere(ctx context.Context) string {
	switch {
	case !d.isCacheRepository():
		return "its repository holds no caches"
	case d.counterpart == nil:
		return "no repository to compare with"
	case d.counterpart.Deleting:
		return fmt.Sprintf("GitLab is deleting %s", d.counterpart.Path)
	case len(d.tags) < fewNames:
		return fmt.Sprintf("%s, too few to tell", countOf(len(d.tags), "tag"))
	default:
		return fmt.Sprintf("%s, and %s of %s", countOf(len(d.tags), "tag"), d.counterpartTags(ctx), d.counterpart.Path)
	}
}

// countOf returns a number and what it counts.
func countOf(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (d *decision) regimeWhere() string {
	if d.byRegistry {
		return "what the registry and GitLab show"
	}
	return "what GitLab shows"
}

// protectedWhere says where it comes from whether the project's rules protect the tag.
func (d *decision) protectedWhere() string {
	switch why := d.project.protection.Unknown(); {
	case errors.Is(why, gitlabapi.ErrProtectionHidden):
		return "GitLab does not show the project's rules to this token, and refuses itself to delete what they protect"
	case errors.Is(why, gitlabapi.ErrNoProtection):
		return "this GitLab has no such rules, or does not show them"
	default:
		return "the project's rules in GitLab"
	}
}
