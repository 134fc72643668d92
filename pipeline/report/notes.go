package report

import (
	"fmt"
	"strconv"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// namedProjects is how many projects a hint names of each kind.
const namedProjects = 5

// A note is something that people should know after a run. Lines that begin with two blanks, such as
// commands, stay as they are; what stands between them is text, to be broken as there is room.
type note struct {
	warns bool
	lines []string
}

// notes are what people should know after a run, the most important first. The links are of what is named.
func (s *Summary) notes(links Links) (all []note) {
	warn := func(lines ...string) { all = append(all, note{true, lines}) }
	hint := func(lines ...string) { all = append(all, note{false, lines}) }

	// While the registry seems to be failing nothing else that was found can be relied on.
	if s.Reasons[policy.OutageSuspected] > 0 {
		warn("Look at the registry behind GitLab before the next run: it seems to be failing, so",
			"that tags look dead that may not be.")
		return all
	}
	// What a run did not reach is not known: it leaves no list to go by.
	if !s.whole() { // the run, or a shard that it was merged from
		next := "The next run begins anew: what this one has deleted it does not find again."
		if s.DryRun {
			next = "Let a plan come to its end before tags are deleted."
		}
		warn("The list is incomplete: the run, or a part of it, ended before its time.", next)
	}
	// What GitLab refuses to everybody no change of token or settings helps.
	if s.Refused != "" {
		warn("Every deletion was refused alike, so that no more were sent:",
			"  "+printable.Bound(printable.Replace(s.Refused, '?'), 500),
			"That is not about the token: run again when maintenance is over, or ask an administrator whether the",
			"registry takes deletions at all.")
		return all
	}
	// A token that may delete nothing has to be changed before anything else helps.
	if s.Reasons[DeleteForbidden] > 0 && s.Deleted == 0 {
		warn("GitLab let the token's user delete nothing: it needs the role Developer at least, or",
			"Maintainer where a rule protects tags.")
		return all
	}
	if s.blind() {
		next := "Let the registry be asked before anything is deleted (VERIFY=registry)"
		if !s.marks() {
			next = "Let the registry be asked before more is deleted (VERIFY=registry)"
		}
		warn(next+": it tells images that can be", "pulled from what is broken.")
	}
	// What was to be kept and is not there is mistyped, or of another instance.
	if n := len(s.ExcludeUnmatched); n > 0 {
		lines := []string{"EXCLUDE has patterns that matched nothing. Are they mistyped?"}
		for _, pattern := range s.ExcludeUnmatched[:min(n, namedProjects)] {
			lines = append(lines, "  "+shortPath(pattern))
		}
		if n > namedProjects {
			lines = append(lines, fmt.Sprintf("  and %d more", n-namedProjects))
		}
		warn(lines...)
	}
	if s.InUse != nil && s.InUse.Seen == 0 {
		lines := []string{fmt.Sprintf("IN_USE: 0 of %d references are tags here. Is the list of this registry, and of this part of it?", s.InUse.References)}
		if n := s.InUse.ByDigest; n > 0 {
			lines = append(lines, fmt.Sprintf("Those that name a digest alone (%d) are compared where a tag would be deleted.", n))
		}
		warn(lines...)
	}
	if n := s.Reasons[policy.BranchUnknown]; n > 0 {
		warn(fmt.Sprintf("Tags that are undecided as the branches of their projects could not be listed: %d. The token's", n),
			"user needs to read code there (Reporter); in a project without any branch it is the same, and",
			"rules are to leave that out by project.path. The log has a warning for each project.")
	}
	if n := s.WithoutDigest; n > 0 && s.marks() {
		warn(fmt.Sprintf("Of %s that would be deleted the digest is not known: they could not be brought back.", tags(n)))
	}
	// Images that can still be pulled are the tags that may be missed.
	if s.Pullable.Tags > 0 {
		first := "Images that could be pulled were deleted: "
		if s.marks() {
			first = "Images that can still be pulled would be deleted: "
		}
		lines := []string{first + s.Pullable.kindWords() + "."}
		lines = append(lines, s.Pullable.lines(s.Started, links)...)
		lines = append(lines, "Those that are to be kept belong in PROTECTED_TAGS, PROTECTED_TAGS_REGEX or IN_USE.")
		if s.Rules.asksKinds() {
			lines = append(lines, "No such image is deleted whose kind is not in DELETE_KINDS.")
		}
		warn(lines...)
	}
	// Who reads that images stay should know that they stay for ever, and how to choose otherwise.
	if lines := s.PullableStay.hint(s.Started, links, s.Settings["DELETE_KINDS"]); lines != nil {
		hint(lines...)
	}
	// A run that would have deleted has not looked at how old they are.
	if n := s.UndatableImages; n > 0 && s.marks() && !s.DryRun && s.Rules.has(undatable) && s.Rules.asksKinds() {
		hint(fmt.Sprintf("Images with attestations, or for several platforms, that are kept: %d. GitLab never cleans them up.", n),
			"Those older than IMAGE_AGE are deleted, too, where DELETE_KINDS names attested-image or multi-arch.")
	}
	// Where most tags that go are pushed anew by the next build, a change of the builds is
	// worth more than clearing up after them. In a dry run any of it is.
	if pushed := s.Deletions.attested + s.Deletions.cacheIndex; pushed > 0 && (s.marks() || 2*pushed >= s.Deleted) {
		lines := []string{"Some projects push tags that GitLab cannot show, and never cleans up."}
		lines = s.Deletions.appendProjects(lines, links, func(d *Place) int { return d.attested },
			"Build with --provenance=false, so that GitLab can date and clean up these images:")
		lines = s.Deletions.appendProjects(lines, links, func(d *Place) int { return d.cacheIndex },
			"Export with image-manifest=true (--cache-to), so that GitLab can show these caches, and they stay",
			"as long as their images:")
		hint(lines...)
	}
	// Nothing is known to be dead by its name where names follow another convention.
	if n := len(s.NamingDiffers); n > 0 {
		lines := []string{"In some cache repositories no tag has the name of an image's tag. They are named by another",
			"convention, so that nothing is deleted there for a missing image:"}
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
	if n := s.MaxDeletions; n > 0 {
		warn(fmt.Sprintf("%s would be deleted, and MAX_DELETIONS allows %s: a run deletes none of them.", tags(s.Deleted), number(n)))
	}
	return all
}

// blind reports whether tags go for lacking GitLab's details, and nothing tells what stands behind
// them: the registry was not asked, and GitLab has no details of images that can be pulled.
func (s *Summary) blind() bool {
	without := s.Deleted + s.Failed
	if s.Rules.has(detailsMissing) {
		without = s.Reasons[detailsMissing]
	}
	return s.Verify == ByAPI && s.Regime != registry.Database.String() && s.Rules.asksDetails() && without > 0
}

// warning returns the lines of what has to be known before the figures are believed, nil if there is
// nothing.
func (s *Summary) warning() []string {
	if !s.blind() {
		return nil
	}
	return blindWords(s.Reasons[detailsMissing], s.marks())
}

// before are the notes that stand before any figure: why the run was stopped, and what makes its figures less
// than they seem.
func (s *Summary) before() (all []note) {
	if s.Error != "" && !s.Interrupted {
		all = append(all, note{true, []string{"Stopped by an error: " + printable.Bound(printable.Replace(s.Error, '?'), 2000)}})
	}
	if lines := s.warning(); lines != nil {
		all = append(all, note{true, lines})
	}
	return all
}

// blindWords says in lines what may be among n tags that go for lacking details, or among all that go
// where rules of another name ask for these.
func blindWords(n int, marks bool) []string {
	first := "Tags"
	if n > 0 {
		first = tags(n)
	}
	switch {
	case marks:
		first += " would be deleted"
	case n == 1:
		first += " was deleted"
	default:
		first += " were deleted"
	}
	return []string{
		first + " because GitLab has no details of them. By GitLab's word alone these may",
		"be images that can be pulled: those with attestations or for several platforms look",
		"like what is broken. The registry was not asked (VERIFY=api).",
	}
}

// appendProjects appends a heading and the projects for which count counts most tags, if
// there are any.
func (t *Deletions) appendProjects(lines []string, links Links, count func(*Place) int, heading ...string) []string {
	projects := t.topProjects(count)
	if len(projects) == 0 {
		return lines
	}
	rows := &table{right: []bool{true}}
	for _, p := range projects[:min(namedProjects, len(projects))] {
		rows.row(strconv.Itoa(p.Tags), shortPath(p.Project), links.Repository(p.Project, 0))
	}
	if n := len(projects) - namedProjects; n > 0 {
		rows.row("", fmt.Sprintf("and %d more", n))
	}
	return append(append(lines, heading...), rows.lines(lineWidth)...)
}
