package report

import (
	"cmp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// An advice is what can be changed so that a kind of tags does not come again, and
// in which projects.
type advice struct {
	Title    shown          `json:"title"`
	Why      shown          `json:"why"`
	Change   shown          `json:"change"`         // what to do about it
	Code     shown          `json:"code,omitempty"` // the option, as it is written
	Tags     int            `json:"tags"`
	Projects []projectCount `json:"projects"`
	More     int            `json:"more,omitempty"` // projects that are not named
}

type projectCount struct {
	Project string `json:"project"`
	Tags    int    `json:"tags"`
}

// Findings count the tags that were to be deleted, whether they could be or not, by what advice on a build
// depends on and by project. They hold no tag and no repository.
type findings map[deadKey]map[string]int

// A deadKey is what the advice on a build depends on.
type deadKey struct {
	kind   manifest.Kind
	reason policy.Reason
}

func (f findings) count(d *decisionLine) {
	if d.Action != policy.Delete || d.Outcome == Kept {
		return
	}
	key := deadKey{manifest.Kind(d.Kind), d.Reason}
	if f[key] == nil {
		f[key] = make(map[string]int)
	}
	f[key][d.Project]++
}

// mostNamed is how many projects an advice names.
const mostNamed = 25

// advise returns the advice that the findings call for.
func advise(f findings, rules *Rules) []advice {
	attested := attestedAdvice
	if rules.asksKinds() {
		attested.Change = shown(strings.TrimSuffix(string(attested.Change), ".")) + ", or take attested-image out of DELETE_KINDS."
	}
	var all []advice
	for _, a := range []struct {
		advice
		applies func(deadKey) bool
	}{
		{attested, func(k deadKey) bool { return k.kind == manifest.KindAttestedImage && !k.orphan() }},
		{cacheAdvice, func(k deadKey) bool { return k.kind == manifest.KindCacheIndex && !k.orphan() }},
		{unseenAdvice, func(k deadKey) bool { return k.kind == "" && k.reason == detailsMissing }},
		{lostAdvice, func(k deadKey) bool { return k.kind == manifest.KindMissingManifest }},
		{orphanAdvice, deadKey.orphan},
		{forbiddenAdvice, func(k deadKey) bool { return k.reason == DeleteForbidden }},
	} {
		if a.countTags(f, a.applies); a.Tags > 0 {
			all = append(all, a.advice)
		}
	}
	return all
}

// orphan reports whether it is for caches whose image is gone.
func (k deadKey) orphan() bool {
	return k.reason == counterpartTagMissing || k.reason == counterpartRepositoryMissing
}

// countTags fills in the projects that an advice is for.
func (a *advice) countTags(f findings, applies func(deadKey) bool) {
	byProject := make(map[string]int)
	for key, projects := range f {
		if !applies(key) {
			continue
		}
		for project, n := range projects {
			a.Tags += n
			byProject[printable.Escape(project)] += n
		}
	}
	a.Projects = sortedCounts(byProject)
	a.More = max(0, len(a.Projects)-mostNamed)
	a.Projects = a.Projects[:len(a.Projects)-a.More]
}

// sortedCounts returns projects with their tags, those with most first.
func sortedCounts(byProject map[string]int) []projectCount {
	all := make([]projectCount, 0, len(byProject))
	for project, n := range byProject {
		all = append(all, projectCount{project, n})
	}
	slices.SortFunc(all, func(a, b projectCount) int {
		return cmp.Or(cmp.Compare(b.Tags, a.Tags), cmp.Compare(a.Project, b.Project))
	})
	return all
}

var attestedAdvice = advice{
	Title: "Push images without an attestation, or protect them",
	Why: "docker buildx adds a provenance attestation to every image by default. The tag then points to an index of two manifests, " +
		"of which GitLab, where its registry has no metadata database, has no details: its cleanup policies never delete such a tag. registry-gc deletes old ones where its rules say so.",
	Change: "Where nobody reads the attestations, build without them: with this option of docker buildx build, or for a whole job with the variable " +
		"BUILDX_NO_DEFAULT_ATTESTATIONS=1. Where they are wanted, protect the tags that you keep (PROTECTED_TAGS, PROTECTED_TAGS_REGEX), or name those in use (IN_USE).",
	Code: "--provenance=false",
}

var cacheAdvice = advice{
	Title: "Export build caches as an image manifest",
	Why: "BuildKit before 0.21 exports a cache to the registry as an index, of which GitLab has no details. Such a cache goes once it is older than IMAGE_AGE, " +
		"although the image that it belongs to may still be there.",
	Change: "Let BuildKit export an image manifest instead, which GitLab can read: the cache then stays as long as its image. BuildKit does so by itself from 0.21 on; " +
		"with an older one, add the last two settings to the option that you have.",
	Code: "--cache-to type=registry,ref=…,image-manifest=true,oci-mediatypes=true",
}

var unseenAdvice = advice{
	Title: "Let registry-gc ask the registry",
	Why: "GitLab has no details of these tags, and the registry did not show what they are. They can be build caches, images with attestations, " +
		"images for several platforms, or broken.",
	Change: "Run registry-gc where it can reach the registry, with VERIFY=registry: the next report then names kinds, and what to change.",
}

var lostAdvice = advice{
	Title:  "Tags that point to nothing",
	Why:    "The registry lists these tags and has no manifest for them. They cannot be pulled, and no setting of a build makes such tags.",
	Change: "Nothing in the builds. When new ones appear run after run, look at the registry's storage.",
}

var orphanAdvice = advice{
	Title: "Caches whose image is gone",
	Why: "The images were deleted, by a cleanup policy or by hand, and their caches were left behind: GitLab's cleanup policies do not delete " +
		"what GitLab cannot date.",
	Change: "Nothing has to be changed where registry-gc runs on a schedule. There are fewer such tags where branches share one cache tag.",
}

var forbiddenAdvice = advice{
	Title:  "Let the token delete, or leave the projects out",
	Why:    "GitLab refused these deletions: the token's user has not the role it takes there, or a rule of the project protects the tags.",
	Change: "Give the token's user the role Developer, or Maintainer where a rule protects tags, or name in GITLAB_GROUPS or GITLAB_PROJECTS what the token is for.",
}
