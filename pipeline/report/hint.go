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

// hints are what somebody may want to do after a run, the most important first: the
// first that applies is given, and no other.
//
//   - While the registry seems to be failing nothing else that was found can be relied on.
//   - What was taken for dead without a look at the registry may be alive.
//   - A token that may delete nothing has to be changed before anything else helps.
//   - Where most of what goes is pushed anew by the next build, that is worth more than
//     clearing up after it. In a dry run any of it is: those tags pull perfectly, and
//     whoever builds them may want to hear of it before they go.
//   - A registry without its database frees nothing by itself, so that without an
//     administrator a run was in vain.
var hints = []struct {
	applies func(*Summary, *Tally) bool
	lines   func(*Summary, *Tally) []string
}{
	{outageSuspected, lookAtRegistry},
	{blindly, reachRegistry},
	{mayDeleteNothing, giveRole},
	{mostlyPushed, nameProjects},
	{mustBeCollected, collectGarbage},
	{wouldDelete, runForReal},
	{hasDeleted, waitForCollector},
}

// hint returns what to do next, if there is anything, in lines.
func (s *Summary) hint(dead *Tally) []string {
	for _, hint := range hints {
		if hint.applies(s, dead) {
			return hint.lines(s, dead)
		}
	}
	return nil
}

func outageSuspected(s *Summary, _ *Tally) bool { return s.Reasons[policy.OutageSuspected] > 0 }

func lookAtRegistry(*Summary, *Tally) []string {
	return []string{
		"Look at the registry behind GitLab before the next run: it seems to be failing, so",
		"that tags look dead that may not be.",
	}
}

func blindly(s *Summary, dead *Tally) bool { return s.blind() && dead.total.Tags > 0 }

func reachRegistry(*Summary, *Tally) []string {
	return []string{
		"Let the registry be asked before more goes: images for several platforms may be among",
		"these tags. The log says what hindered it. REGISTRY_URL names another address, and with",
		"VERIFY=registry nothing goes without the registry's word.",
	}
}

func mostlyPushed(s *Summary, dead *Tally) bool {
	pushed := dead.total.attested + dead.total.cacheIndex
	return pushed > 0 && (s.DryRun || 2*pushed >= dead.total.Tags)
}

func nameProjects(_ *Summary, dead *Tally) []string {
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
		g.add(strconv.Itoa(p.tags), plain(p.project), links.Repository(p.project, 0))
	}
	if n := len(projects) - namedPushers; n > 0 {
		g.add("", fmt.Sprintf("and %d more", n))
	}
	var out bytes.Buffer
	g.writeTo(&out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func hasDeleted(s *Summary, _ *Tally) bool { return !s.DryRun && s.Deleted > 0 }

func mustBeCollected(s *Summary, dead *Tally) bool {
	return hasDeleted(s, dead) && s.Regime != policy.Database.String()
}

func collectGarbage(s *Summary, _ *Tally) []string {
	first := "No space is free yet: this registry has no metadata database, and does not collect"
	if s.Regime != policy.Legacy.String() {
		first = "No space is free yet: a registry without metadata database does not collect"
	}
	return []string{
		first,
		"garbage by itself. An administrator has to run, on its host:",
		"  gitlab-ctl registry-garbage-collect -m",
	}
}

func wouldDelete(s *Summary, _ *Tally) bool { return s.DryRun && s.Deleted > 0 }

func runForReal(*Summary, *Tally) []string {
	return []string{
		"Nothing was deleted. If these are the right tags (decisions.jsonl in REPORT_DIR names",
		"each), run again without --dry-run, or with DRY_RUN=false. It cannot be undone.",
	}
}

func waitForCollector(*Summary, *Tally) []string {
	return []string{
		"There is nothing to do: this registry frees by itself what nothing references any",
		"more, a day after the deletion unless it is set otherwise.",
	}
}

func mayDeleteNothing(s *Summary, _ *Tally) bool {
	return s.Reasons[DeleteForbidden] > 0 && s.Deleted == 0
}

func giveRole(*Summary, *Tally) []string {
	return []string{
		"GitLab let the token's user delete nothing: it needs the role Developer at least, or",
		"Maintainer where a rule protects tags.",
	}
}
