package report

import (
	"bytes"
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
	// GitLab's word alone does not tell what stands behind a tag that it has no details of.
	if s.Verify == ByAPI && s.Regime != registry.Database.String() && s.Rules.asksDetails() && dead.total.Tags > 0 {
		hint("Images that can be pulled may be among these tags: by GitLab's word alone, those for several",
			"platforms cannot be told from what is broken. With VERIFY=registry the registry is asked.")
	}
	// Images that can still be pulled are the tags that may be missed.
	if words := dead.total.imageWords(); words != "" {
		first := "Dead tags that were images which could still be pulled: "
		if s.DryRun {
			first = "Dead tags that are images which can still be pulled: "
		}
		hint(first+words+".",
			"Those that are to be kept belong in PROTECTED_TAGS, PROTECTED_TAGS_REGEX or IN_USE; by",
			"default no such image goes, unless DELETE_KINDS names its kind.")
	}
	// Who reads that images stay should know that they stay for ever, and how to choose otherwise.
	if n := s.UndatableImages; n > 0 && s.DryRun && s.Rules.has(undatable) {
		hint(fmt.Sprintf("Images with attestations, or for several platforms, that stay: %d. GitLab never cleans them up.", n),
			"Those older than IMAGE_AGE go, too, where DELETE_KINDS names attested-image or multi-arch.")
	}
	// Where most dead tags are pushed anew by the next build, a change of the builds is
	// worth more than clearing up after them. In a dry run any of it is.
	if pushed := dead.total.attested + dead.total.cacheIndex; pushed > 0 && (s.DryRun || 2*pushed >= dead.total.Tags) {
		lines := []string{"Some projects push tags that GitLab cannot show, and never cleans up."}
		lines = dead.appendProjects(lines, func(d *Dead) int { return d.attested },
			"It would show images built with --provenance=false (docker buildx), unlike those of:")
		lines = dead.appendProjects(lines, func(d *Dead) int { return d.cacheIndex },
			"It would show caches exported with image-manifest=true (--cache-to), unlike those of:")
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
	case !s.DryRun || s.Deleted == 0 || incomplete:
	case s.Shard != nil:
		hint("Nothing was deleted. registry-gc merge makes one list of those of all shards.")
	default:
		hint("Nothing was deleted. If these are the right tags, run again without --dry-run, or with",
			"DRY_RUN=false. It cannot be undone.")
	}
	return all
}

// appendProjects appends a heading and the projects for which count counts most tags, if
// there are any.
func (t *DeadTags) appendProjects(lines []string, count func(*Dead) int, heading string) []string {
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
	var out bytes.Buffer
	rows.writeTo(&out)
	return append(append(lines, heading), strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")...)
}
