package report

import (
	"fmt"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestHint pins which hint is given, and so what is more important than what.
func TestHint(t *testing.T) {
	legacy, database := RegimeFound{policy.Legacy}, RegimeFound{policy.Database}
	outage := Decision{Repository: "o", Action: policy.Undecided, Outcome: Undecided, Reason: policy.OutageSuspected}
	forbidden := dead("f", policy.KindAttestedImage, 0, Failed)
	forbidden.Reason = DeleteForbidden
	deleted := func(kind policy.Kind) Event { return dead("a", kind, 0, Deleted) }
	marked := func(kind policy.Kind) Event { return dead("a", kind, 0, Marked) }
	const (
		dryRun, realRun = true, false
		look            = "Look at the registry"
		ask             = "Let the registry be asked"
		role            = "GitLab let the token's user delete nothing"
		pushed          = "Some projects push"
		collect         = "No space is free yet"
		forReal         = "Nothing was deleted. If these"
		wait            = "There is nothing to do"
	)
	for name, test := range map[string]struct {
		dryRun bool
		events []Event
		want   string
	}{
		"nothing is dead":                           {realRun, []Event{legacy}, ""},
		"nothing would go":                          {dryRun, []Event{legacy}, ""},
		"it goes on legacy":                         {realRun, []Event{legacy, deleted(policy.KindCacheManifest)}, collect},
		"it goes, and who knows where":              {realRun, []Event{deleted("")}, collect},
		"it goes on database":                       {realRun, []Event{database, deleted("")}, wait},
		"it would go":                               {dryRun, []Event{legacy, marked(policy.KindMissingManifest)}, forReal},
		"an attested image would go":                {dryRun, []Event{legacy, marked(""), marked(""), marked(policy.KindAttestedImage)}, pushed},
		"one of three that went is an index":        {realRun, []Event{legacy, deleted(""), deleted(""), deleted(policy.KindCacheIndex)}, collect},
		"one of two that went is an index":          {realRun, []Event{legacy, deleted(""), deleted(policy.KindCacheIndex)}, pushed},
		"a multi-arch image went":                   {realRun, []Event{legacy, deleted(policy.KindMultiArch)}, collect},
		"an index went, on database":                {realRun, []Event{database, deleted(policy.KindCacheIndex)}, pushed},
		"nothing may be deleted":                    {realRun, []Event{legacy, forbidden}, role},
		"some may not be deleted":                   {realRun, []Event{legacy, forbidden, deleted(""), deleted("")}, collect},
		"an outage outweighs what went":             {realRun, []Event{legacy, deleted(""), outage}, look},
		"an outage outweighs what may not":          {realRun, []Event{legacy, forbidden, outage}, look},
		"an outage outweighs what would go":         {dryRun, []Event{legacy, marked(policy.KindAttestedImage), outage}, look},
		"a registry out of reach outweighs":         {realRun, []Event{legacy, RegistryOutOfReach{}, deleted("")}, ask},
		"a registry out of reach of a dry run":      {dryRun, []Event{legacy, RegistryOutOfReach{}, marked("")}, ask},
		"on database it matters less":               {realRun, []Event{database, RegistryOutOfReach{}, deleted("")}, wait},
		"an outage outweighs a registry not asked":  {realRun, []Event{legacy, RegistryOutOfReach{}, deleted(""), outage}, look},
		"what cannot be deleted outweighs who made": {realRun, []Event{legacy, forbidden, forbidden}, role},
	} {
		t.Run(name, func(t *testing.T) {
			summary, tally := tallied(t, test.dryRun, test.events...)
			got := strings.Join(summary.hint(tally), "\n")
			if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestHintNamesProjects: the worst by name, the others in number, each with what it has
// to do.
func TestHintNamesProjects(t *testing.T) {
	var all []Event
	for i := range 7 {
		for range i + 1 {
			decision := dead("x", policy.KindAttestedImage, 0, Deleted)
			decision.Project = fmt.Sprintf("g/p%d", i)
			decision.Repository = decision.Project
			all = append(all, decision)
		}
	}
	summary, tally := tallied(t, false, append(all, dead("c", policy.KindCacheIndex, 0, Deleted))...)
	got := strings.Join(summary.hint(tally), "\n")
	want := `Some projects push tags that GitLab cannot show, and never cleans up.
It would show images built with --provenance=false (docker buildx), unlike those of:
  7  g/p6
  6  g/p5
  5  g/p4
  4  g/p3
  3  g/p2
     and 2 more
It would show caches exported with image-manifest=true (--cache-to), unlike those of:
  1  g/c`
	if got != want {
		t.Errorf("%s", got)
	}
}
