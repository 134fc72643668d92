package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// namedPushers is how many projects a hint names of each kind.
const namedPushers = 5

// hints are what somebody may want to do after a run, the most important first. All that
// apply are given, but nothing behind one that is final.
//
//   - While the registry seems to be failing nothing else that was found can be relied on.
//   - What was taken for dead without a look at the registry may be alive, and what a run
//     did not reach is not known: neither is a list to go by.
//   - A token that may delete nothing has to be changed before anything else helps.
//   - Images that can still be pulled are what somebody may miss.
//   - Where most of what goes is pushed anew by the next build, that is worth more than
//     clearing up after it. In a dry run any of it is: whoever builds them may want to hear
//     of it before they go.
//   - A registry without its database frees nothing by itself, so that without an
//     administrator a run was in vain.
//   - Whoever has tried a dry run for the first time has to learn how it becomes real.
var hints = []struct {
	applies func(*Summary, *DeadTags) bool
	lines   func(*Summary, *DeadTags) []string
	final   bool
}{
	{outageSuspected, lookAtRegistry, true},
	{blindly, reachRegistry, false},
	{cutShort, comeToEnd, false},
	{mayDeleteNothing, giveRole, true},
	{pullable, keepImages, false},
	{mostlyPushed, nameProjects, false},
	{mustBeCollected, collectGarbage, false},
	{freesItself, waitForCollector, false},
	{wouldDelete, runForReal, false},
}

// hint returns what to do next, if there is anything, each in lines of its own.
func (s *Summary) hint(dead *DeadTags) (all [][]string) {
	for _, hint := range hints {
		if hint.applies(s, dead) {
			all = append(all, hint.lines(s, dead))
			if hint.final {
				break
			}
		}
	}
	return all
}

func outageSuspected(s *Summary, _ *DeadTags) bool { return s.Reasons[policy.OutageSuspected] > 0 }

func lookAtRegistry(*Summary, *DeadTags) []string {
	return []string{
		"Look at the registry behind GitLab before the next run: it seems to be failing, so",
		"that tags look dead that may not be.",
	}
}

func blindly(s *Summary, dead *DeadTags) bool { return s.blind() && dead.total.Tags > 0 }

func reachRegistry(*Summary, *DeadTags) []string {
	return []string{
		"Let the registry be asked before more goes: images for several platforms may be among",
		"these tags. The log says what hindered it. REGISTRY_URL names another address, and with",
		"VERIFY=registry nothing goes without the registry's word.",
	}
}

// cutShort reports whether the run, or one of the shards that it was merged from, did not
// come to its end.
func cutShort(s *Summary, _ *DeadTags) bool { return s.Interrupted || s.Error != "" }

func comeToEnd(s *Summary, _ *DeadTags) []string {
	first := "The list is incomplete: the run, or a part of it, ended before its time."
	if s.DryRun {
		return []string{first, "Let a dry run come to its end before a real one."}
	}
	return []string{first, "The next run takes up what this one did not reach."}
}

func pullable(_ *Summary, dead *DeadTags) bool { return dead.total.attested > 0 }

func keepImages(s *Summary, dead *DeadTags) []string {
	first := "Dead tags that were images which could still be pulled (attested-image): %d."
	if s.DryRun {
		first = "Dead tags that are images which can still be pulled (attested-image): %d."
	}
	return []string{
		fmt.Sprintf(first, dead.total.attested),
		"To keep such images, name them in PROTECTED_TAGS or PROTECTED_TAGS_REGEX, or set",
		"DELETE_KINDS without attested-image.",
	}
}

func mostlyPushed(s *Summary, dead *DeadTags) bool {
	pushed := dead.total.attested + dead.total.cacheIndex
	return pushed > 0 && (s.DryRun || 2*pushed >= dead.total.Tags)
}

func nameProjects(_ *Summary, dead *DeadTags) []string {
	lines := []string{"Some projects push tags that GitLab cannot show, and never cleans up."}
	attested := dead.pushers(func(d *Dead) int { return d.attested })
	if len(attested) > 0 {
		lines = append(lines, "It would show images built with --provenance=false (docker buildx), unlike those of:")
		lines = append(lines, listed(attested, dead.Links)...)
	}
	caches := dead.pushers(func(d *Dead) int { return d.cacheIndex })
	if len(caches) > 0 {
		lines = append(lines, "It would show caches exported with image-manifest=true (--cache-to), unlike those of:")
		lines = append(lines, listed(caches, dead.Links)...)
	}
	return lines
}

// listed renders the worst of some projects.
func listed(projects []pusher, links Links) []string {
	g := &grid{right: []bool{true}}
	for _, p := range projects[:min(namedPushers, len(projects))] {
		g.add(strconv.Itoa(p.tags), shortPath(p.project), links.Repository(p.project, 0))
	}
	if n := len(projects) - namedPushers; n > 0 {
		g.add("", fmt.Sprintf("and %d more", n))
	}
	var out bytes.Buffer
	g.writeTo(&out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func hasDeleted(s *Summary, _ *DeadTags) bool { return !s.DryRun && s.Deleted > 0 }

func mustBeCollected(s *Summary, dead *DeadTags) bool {
	return hasDeleted(s, dead) && s.Regime != policy.Database.String()
}

func collectGarbage(s *Summary, _ *DeadTags) []string {
	first := "No space is free yet: this registry has no metadata database, and does not collect"
	if s.Regime != policy.Legacy.String() {
		first = "No space is free yet: a registry without metadata database does not collect"
	}
	return []string{
		first,
		"garbage by itself. An administrator has to run, on its host:",
		"  gitlab-ctl registry-garbage-collect -m",
		"With -m it also removes what no tag names any more, and so what is pulled by digest",
		"alone. Read GitLab's documentation of it first. Where there is no gitlab-ctl (GitLab's",
		"Helm chart, installations from source) the registry's own command garbage-collect does it.",
	}
}

// wouldDelete reports whether a dry run is one to go by, and found something.
func wouldDelete(s *Summary, dead *DeadTags) bool {
	return s.DryRun && s.Deleted > 0 && !blindly(s, dead) && !cutShort(s, dead)
}

func runForReal(s *Summary, _ *DeadTags) []string {
	if s.Shard != nil {
		return []string{"Nothing was deleted. registry-gc merge makes one list of those of all shards."}
	}
	return []string{
		"Nothing was deleted. If these are the right tags, run again without --dry-run, or with",
		"DRY_RUN=false. It cannot be undone.",
	}
}

func freesItself(s *Summary, dead *DeadTags) bool {
	return hasDeleted(s, dead) && s.Regime == policy.Database.String()
}

func waitForCollector(*Summary, *DeadTags) []string {
	return []string{
		"This registry frees by itself what nothing references any more, a day after the deletion",
		"unless it is set otherwise.",
	}
}

func mayDeleteNothing(s *Summary, _ *DeadTags) bool {
	return s.Reasons[DeleteForbidden] > 0 && s.Deleted == 0
}

func giveRole(*Summary, *DeadTags) []string {
	return []string{
		"GitLab let the token's user delete nothing: it needs the role Developer at least, or",
		"Maintainer where a rule protects tags.",
	}
}
