package report

import (
	"fmt"
	"strconv"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// namedProjects is how many projects a hint names of each kind.
const namedProjects = 5

// hints returns what to do next after a run, the most important first, each in lines of
// its own.
func (s *Summary) hints(dead *DeadTags) (all [][]string) {
	hint := func(lines ...string) { all = append(all, lines) }

	// While the registry seems to be failing nothing else that was found can be relied on.
	if s.Reasons[policy.OutageSuspected] > 0 {
		hint("Look at the registry behind GitLab before the next run: it seems to be failing, so",
			"that tags look dead that may not be.")
		return all
	}
	// What a run did not reach is not known: it leaves no list to go by.
	incomplete := s.Interrupted || s.Error != "" // the run, or a shard that it was merged from
	if incomplete {
		next := "The next run takes up what this one did not reach."
		if s.DryRun {
			next = "Let a dry run come to its end before a real one."
		}
		hint("The list is incomplete: the run, or a part of it, ended before its time.", next)
	}
	// What GitLab refuses to everybody no change of token or settings helps.
	if s.Refused != "" {
		hint("Every deletion was refused with the same words, which are not about the token: run again when",
			"maintenance is over, or ask an administrator whether the registry takes deletions at all.")
		return all
	}
	// A token that may delete nothing has to be changed before anything else helps.
	if s.Reasons[DeleteForbidden] > 0 && s.Deleted == 0 {
		hint("GitLab let the token's user delete nothing: it needs the role Developer at least, or",
			"Maintainer where a rule protects tags.")
		return all
	}
	if s.blind() {
		next := "Let the registry be asked before anything goes (VERIFY=registry)"
		if !s.marks() {
			next = "Let the registry be asked before more goes (VERIFY=registry)"
		}
		hint(next+": it tells images that can be", "pulled from what is broken.")
	}
	// What was to be kept and is not there is mistyped, or of another instance.
	if n := len(s.ExcludeUnmatched); n > 0 {
		lines := []string{"EXCLUDE names what matched nothing, and leaves nothing alone by that. Is it mistyped?"}
		for _, pattern := range s.ExcludeUnmatched[:min(n, namedProjects)] {
			lines = append(lines, "  "+shortPath(pattern))
		}
		if n > namedProjects {
			lines = append(lines, fmt.Sprintf("  and %d more", n-namedProjects))
		}
		hint(lines...)
	}
	if s.InUse != nil && s.InUse.Seen == 0 {
		lines := []string{fmt.Sprintf("IN_USE: 0 of %d references are tags here. Is the list of this registry, and of this part of it?", s.InUse.References)}
		if n := s.InUse.ByDigest; n > 0 {
			lines = append(lines, fmt.Sprintf("Those that name a digest alone (%d) are compared where a tag would go.", n))
		}
		hint(lines...)
	}
	if n := s.Reasons[policy.BranchUnknown]; n > 0 {
		hint(fmt.Sprintf("Tags that are undecided as the branches of their projects could not be listed: %d. The token's", n),
			"user needs to read code there (Reporter); in a project without any branch it is the same, and",
			"rules are to leave that out by project.path. The log has a warning for each project.")
	}
	if n := s.WithoutDigest; n > 0 && s.marks() {
		hint(fmt.Sprintf("Of %s that would go the digest is not known: what they are could not be brought back.", tags(n)))
	}
	// Images that can still be pulled are the tags that may be missed.
	if s.Pullable.Tags > 0 {
		first := "Images that could be pulled were deleted: "
		if s.marks() {
			first = "Images that can still be pulled would go: "
		}
		lines := []string{first + s.Pullable.kindWords() + "."}
		lines = append(lines, s.Pullable.lines(s.Started, dead.Links)...)
		lines = append(lines, "Those that are to be kept belong in PROTECTED_TAGS, PROTECTED_TAGS_REGEX or IN_USE.")
		if s.Rules.asksKinds() {
			lines = append(lines, "No such image goes whose kind is not in DELETE_KINDS.")
		}
		hint(lines...)
	}
	// Who reads that images stay should know that they stay for ever, and how to choose otherwise.
	if lines := s.PullableStay.hint(s.Started, dead.Links, s.Settings["DELETE_KINDS"]); lines != nil {
		hint(lines...)
	}
	// A run that would have deleted has not looked at how old they are.
	if n := s.UndatableImages; n > 0 && s.marks() && !s.DryRun && s.Rules.has(undatable) && s.Rules.asksKinds() {
		hint(fmt.Sprintf("Images with attestations, or for several platforms, that stay: %d. GitLab never cleans them up.", n),
			"Those older than IMAGE_AGE go, too, where DELETE_KINDS names attested-image or multi-arch.")
	}
	// Where most tags that go are pushed anew by the next build, a change of the builds is
	// worth more than clearing up after them. In a dry run any of it is.
	if pushed := dead.total.attested + dead.total.cacheIndex; pushed > 0 && (s.marks() || 2*pushed >= dead.total.Tags) {
		lines := []string{"Some projects push tags that GitLab cannot show, and never cleans up."}
		lines = dead.appendProjects(lines, func(d *Dead) int { return d.attested },
			"Build with --provenance=false, so that GitLab can date and clean up these images:")
		lines = dead.appendProjects(lines, func(d *Dead) int { return d.cacheIndex },
			"Export with image-manifest=true (--cache-to), so that GitLab can show these caches, and they stay",
			"as long as their images:")
		hint(lines...)
	}
	// Nothing is known to be dead by its name where names follow another convention.
	if n := len(s.NamingDiffers); n > 0 {
		lines := []string{"In some cache repositories no tag has the name of an image's tag. They are named by another",
			"convention, so that nothing goes there for a missing image:"}
		for _, path := range s.NamingDiffers[:min(n, namedProjects)] {
			lines = append(lines, "  "+shortPath(path))
		}
		if n > namedProjects {
			lines = append(lines, fmt.Sprintf("  and %d more", n-namedProjects))
		}
		hint(lines...)
	}
	if s.AdminModeLacking {
		hint("The token is an administrator's without scope admin_mode: where the instance has Admin Mode on,",
			"the run saw public projects only, and those that the token's user is a member of.")
	}
	// A registry without its database frees nothing by itself: without an administrator a
	// run was in vain.
	deleted, database := !s.marks() && s.Deleted > 0, s.Regime == registry.Database.String()
	if deleted && !database {
		first := "No space is free yet: this registry has no metadata database, and does not collect"
		if s.Regime != registry.Legacy.String() {
			first = "No space is free yet: a registry without metadata database does not collect"
		}
		hint(first,
			"garbage by itself. An administrator has to run, on its host:",
			"  gitlab-ctl registry-garbage-collect -m",
			"With -m it also removes what no tag names any more, and so what is pulled by digest",
			"alone. Read GitLab's documentation of it first. Where there is no gitlab-ctl (GitLab's",
			"Helm chart, installations from source) the registry's own command garbage-collect does it.")
	}
	if deleted && database {
		hint("This registry frees by itself what nothing references any more, a day after the deletion",
			"unless it is set otherwise.")
	}
	// A user of a first dry run has to learn how it becomes real.
	switch {
	case s.MaxDeletions > 0:
		first := fmt.Sprintf("Nothing was deleted: %s would go, and MAX_DELETIONS allows %d. If these are the", tags(s.Deleted), s.MaxDeletions)
		next := "right tags, raise the limit and run again."
		if s.DryRun && !dead.Asks {
			first = fmt.Sprintf("A run without --dry-run would delete nothing: %s would go, and MAX_DELETIONS", tags(s.Deleted))
			next = fmt.Sprintf("allows %d. If these are the right tags, raise the limit first.", s.MaxDeletions)
		}
		lines := []string{first, next}
		if len(s.Plans) > 0 {
			lines[1] += " Or apply the plan, or a part of it:"
			lines = append(lines, fmt.Sprintf("  MAX_DELETIONS=%d registry-gc apply %s", s.Deleted, strings.Join(s.Plans, " ")))
		}
		hint(lines...)
	case !s.DryRun || s.Deleted == 0 || incomplete || dead.Asks:
	case s.Shard != nil:
		hint("Nothing was deleted. registry-gc merge makes one list of those of all shards.")
	case s.Applied != "":
		hint("Nothing was deleted. Without --dry-run these tags of the plan are.")
	case len(s.Plans) > 0:
		hint(append([]string{"Nothing was deleted. To delete these tags, or those whose lines are left in the plan:"}, s.applyLines()...)...)
	default:
		hint("Nothing was deleted. If these are the right tags, registry-gc run deletes them, unless DRY_RUN",
			"is true, and registry-gc plan -o FILE writes them down for registry-gc apply FILE.")
	}
	return all
}

// applyLines says how the plan is applied, if there is one.
func (s *Summary) applyLines() []string {
	if len(s.Plans) == 0 {
		return nil
	}
	return []string{"  registry-gc apply " + strings.Join(s.Plans, " ")}
}

// blind reports whether tags go for lacking GitLab's details, and nothing tells what stands behind
// them: the registry was not asked, and GitLab has no details of images that can be pulled.
func (s *Summary) blind() bool {
	return s.Verify == ByAPI && s.Regime != registry.Database.String() && s.Rules.asksDetails() && s.Deleted+s.Failed > 0
}

// warning returns the lines of what has to be known before the figures are believed, nil if there is
// nothing.
func (s *Summary) warning() []string {
	if !s.blind() {
		return nil
	}
	return blindWords(s.Reasons[detailsMissing], s.marks())
}

// blindWords says in lines what may be among n tags that go for lacking details, or among all that go
// where rules of another name ask for these.
func blindWords(n int, marks bool) []string {
	first := "Tags go"
	switch {
	case n == 1:
		first = "1 tag goes"
	case n > 1:
		first = number(n) + " tags go"
	}
	if !marks {
		first = strings.NewReplacer("Tags go", "Tags went", "tags go", "tags went", "tag goes", "tag went").Replace(first)
	}
	return []string{
		first + " because GitLab has no details of them. By GitLab's word alone these may",
		"be images that can be pulled: those with attestations or for several platforms look",
		"like what is broken. The registry was not asked (VERIFY=api).",
	}
}

// appendProjects appends a heading and the projects for which count counts most tags, if
// there are any.
func (t *DeadTags) appendProjects(lines []string, count func(*Dead) int, heading ...string) []string {
	projects := t.topProjects(count)
	if len(projects) == 0 {
		return lines
	}
	rows := &table{right: []bool{true}}
	for _, p := range projects[:min(namedProjects, len(projects))] {
		rows.row(strconv.Itoa(p.Tags), shortPath(p.Project), t.Links.Repository(p.Project, 0))
	}
	if n := len(projects) - namedProjects; n > 0 {
		rows.row("", fmt.Sprintf("and %d more", n))
	}
	return append(append(lines, heading...), rows.lines()...)
}
