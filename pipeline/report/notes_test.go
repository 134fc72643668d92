package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestNotes pins which notes are given, and so what is more important than what.
func TestNotes(t *testing.T) {
	legacy, database := RegimeFound{registry.Legacy}, RegimeFound{registry.Database}
	named := NamingDiffers{Project: "g/p", Repository: "g/p/app.cache", Tags: 5}
	outage := Decision{Repository: "o", Action: policy.Undecided, Outcome: Undecided, Reason: policy.OutageSuspected}
	forbidden := dead("f", manifest.KindAttestedImage, 0, Failed)
	forbidden.Reason = DeleteForbidden
	deleted := func(kind manifest.Kind) Event { return dead("a", kind, 0, Deleted) }
	marked := func(kind manifest.Kind) Event { return dead("a", kind, 0, Marked) }
	stopped := func(s *Summary) { s.Interrupted = true }
	broken := func(s *Summary) { s.Error = "shard 1 of 3: is missing" }
	stays := func(kind manifest.Kind, reason policy.Reason) Event {
		return Decision{Repository: "g/p", Action: policy.Keep, Outcome: Kept, Reason: reason, Kind: string(kind)}
	}
	staysOld := ImageStays{Image: Image{Repository: "g/p", Tag: "a", Kind: "attested-image", Bytes: 7, Made: firstStart}, ImageAge: 30 * 24 * time.Hour}
	noBranch := Decision{Repository: "b", Action: policy.Undecided, Outcome: Undecided, Reason: policy.BranchUnknown}
	withoutKinds := func(s *Summary) { s.Rules = &Rules{Rules: []Explanation{{undatable, Deleted, ""}}} }
	part := func(s *Summary) { s.Shard = &Shard{0, 3} }
	original := func(s *Summary) { s.Verify, s.Rules = ByAPI, &Rules{Name: "original", AskDetails: true} }
	byName := func(s *Summary) { s.Verify, s.Rules = ByAPI, &Rules{Name: "default"} }
	const (
		dryRun, realRun = true, false
		look            = "Look at the registry"
		cut             = "The list is incomplete"
		role            = "GitLab let the token's user delete nothing"
		images          = "Images that can still be pulled would be deleted: 1 "
		wereImages      = "Images that could be pulled were deleted: 1 "
		pushed          = "Some projects push"
		collect         = "No space is free yet"
		wait            = "This registry frees by itself"
		imagesStay      = "Images with attestations, or for several platforms, that are kept: 1."
		old             = "1 image, 7 B, that GitLab cannot date and that is older than 30 days, is kept."
		unread          = "Images that GitLab cannot date, that are kept, and whose age could not be read: 1."
		convention      = "In some cache repositories"
		blind           = "Let the registry be asked before more is deleted"
		all             = "Every deletion was refused alike"
		limit           = "1 tag would be deleted, and MAX_DELETIONS allows 5: a run deletes none of them."
		exclude         = "EXCLUDE has patterns that matched nothing"
		used            = "IN_USE: 0 of 12 references are tags here."
		branches        = "Tags that are undecided as the branches of their projects could not be listed: 2."
		adminMode       = "The token is an administrator's without scope admin_mode"
	)
	for name, test := range map[string]struct {
		dryRun bool
		change func(*Summary)
		events []Event
		want   []string
	}{
		"nothing is dead":                     {realRun, nil, []Event{legacy}, nil},
		"all is refused":                      {realRun, nil, []Event{legacy, forbidden, DeletionsRefused{Err: errors.New("read-only")}}, []string{all}},
		"one project refuses":                 {realRun, nil, []Event{legacy, forbidden, DeletionsRefused{Project: "p", Err: errors.New("read-only")}}, []string{role}},
		"nothing would go":                    {dryRun, nil, []Event{legacy}, nil},
		"it goes on legacy":                   {realRun, nil, []Event{legacy, deleted(manifest.KindCacheManifest)}, []string{collect}},
		"it goes, and who knows where":        {realRun, nil, []Event{deleted("")}, []string{collect}},
		"it goes on database":                 {realRun, nil, []Event{database, deleted("")}, []string{wait}},
		"it would go":                         {dryRun, nil, []Event{legacy, marked(manifest.KindMissingManifest)}, nil},
		"an attested image would go":          {dryRun, nil, []Event{legacy, marked(""), marked(""), marked(manifest.KindAttestedImage)}, []string{images, pushed}},
		"an attested image went":              {realRun, nil, []Event{legacy, deleted(""), deleted(""), deleted(manifest.KindAttestedImage)}, []string{wereImages, collect}},
		"one of three that went is an index":  {realRun, nil, []Event{legacy, deleted(""), deleted(""), deleted(manifest.KindCacheIndex)}, []string{collect}},
		"one of two that went is an index":    {realRun, nil, []Event{legacy, deleted(""), deleted(manifest.KindCacheIndex)}, []string{pushed, collect}},
		"a multi-arch image went":             {realRun, nil, []Event{legacy, deleted(manifest.KindMultiArch)}, []string{wereImages, collect}},
		"an image would go":                   {dryRun, nil, []Event{legacy, marked(manifest.KindImage)}, []string{images}},
		"images stay that are young":          {dryRun, byRules(t), []Event{legacy, stays(manifest.KindAttestedImage, policy.NoRule), stays(manifest.KindMultiArch, multiArch), stays(manifest.KindImage, policy.NoRule), stays(manifest.KindAttestedImage, "protected")}, nil},
		"images stay that are old":            {dryRun, byRules(t), []Event{legacy, staysOld}, []string{old}},
		"of unknown age":                      {dryRun, byRules(t), []Event{legacy, ImageStays{AgeUnread: true}}, []string{unread}},
		"one of either":                       {dryRun, byRules(t), []Event{legacy, ImageStays{AgeUnread: true}, staysOld}, []string{old}},
		"images stay, and too many go":        {realRun, byRules(t), []Event{legacy, stays(manifest.KindMultiArch, multiArch), marked(""), TooManyDeletions{5}}, []string{imagesStay, limit}},
		"the same in a real run":              {realRun, byRules(t), []Event{legacy, stays(manifest.KindMultiArch, multiArch)}, nil},
		"the same by other rules":             {dryRun, original, []Event{legacy, stays(manifest.KindMultiArch, policy.NoRule)}, nil},
		"names tell nothing":                  {dryRun, nil, []Event{legacy, named}, []string{convention}},
		"names tell nothing, and more goes":   {dryRun, nil, []Event{legacy, named, marked("")}, []string{convention}},
		"an index went, on database":          {realRun, nil, []Event{database, deleted(manifest.KindCacheIndex)}, []string{pushed, wait}},
		"nothing may be deleted":              {realRun, nil, []Event{legacy, forbidden, forbidden}, []string{role}},
		"some may not be deleted":             {realRun, nil, []Event{legacy, forbidden, deleted(""), deleted("")}, []string{collect}},
		"an outage outweighs what went":       {realRun, nil, []Event{legacy, deleted(""), outage}, []string{look}},
		"an outage outweighs what may not":    {realRun, nil, []Event{legacy, forbidden, outage}, []string{look}},
		"an outage outweighs what would go":   {dryRun, stopped, []Event{legacy, marked(""), outage}, []string{look}},
		"it was interrupted":                  {realRun, stopped, []Event{legacy, deleted("")}, []string{cut, collect}},
		"it was interrupted at the beginning": {realRun, stopped, nil, []string{cut}},
		"a dry run was interrupted":           {dryRun, stopped, []Event{legacy, marked("")}, []string{cut}},
		"a shard is missing":                  {dryRun, broken, []Event{legacy, marked("")}, []string{cut}},
		"the original rules by GitLab's word": {realRun, original, []Event{legacy, deleted("")}, []string{blind, collect}},
		"the same with the database":          {dryRun, original, []Event{database, marked("")}, nil},
		"by name, by GitLab's word":           {dryRun, byName, []Event{legacy, marked("")}, nil},
		"more would go than may, dry":         {dryRun, nil, []Event{legacy, marked(""), TooManyDeletions{5}}, []string{limit}},
		"more would go than may":              {realRun, nil, []Event{legacy, marked(""), TooManyDeletions{5}}, []string{limit}},
		"images stay by rules without kinds":  {dryRun, withoutKinds, []Event{legacy, stays(manifest.KindMultiArch, multiArch)}, nil},
		"nothing is excluded":                 {dryRun, nil, []Event{legacy, ExcludeUnmatched{Patterns: []string{"acme/x"}}, marked("")}, []string{exclude}},
		"nothing is in use":                   {dryRun, nil, []Event{legacy, InUseCounted{References: 12}, marked("")}, []string{used}},
		"something is in use":                 {dryRun, nil, []Event{legacy, InUseCounted{References: 12, Seen: 1}}, nil},
		"branches are not known":              {dryRun, nil, []Event{legacy, noBranch, noBranch, marked("")}, []string{branches}},
		"Admin Mode may be on":                {dryRun, nil, []Event{legacy, AdminModeLacking{}, marked("")}, []string{adminMode}},
		"nobody knows what would go":          {dryRun, func(s *Summary) { s.WithoutDigest = 1 }, []Event{legacy, marked("")}, []string{"Of 1 tag that would be deleted the digest is not known"}},
		"it is a shard":                       {dryRun, part, []Event{legacy, marked("")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			summary := countEvents(t, test.dryRun, test.events...)
			if test.change != nil {
				test.change(summary)
			}
			got := summary.notes(Links{})
			if !slices.EqualFunc(got, test.want, func(n note, want string) bool { return strings.HasPrefix(n.lines[0], want) }) {
				t.Errorf("%v, want %q", got, test.want)
			}
		})
	}
}

// byRules makes a summary one of the rules by default.
func byRules(t *testing.T) func(*Summary) {
	return func(s *Summary) { s.Rules = byDefault(t) }
}

// TestNotesNameProjects: the worst by name, the others in number, each with what it has
// to do.
func TestNotesNameProjects(t *testing.T) {
	var all []Event
	for i := range 7 {
		for range i + 1 {
			decision := dead("x", manifest.KindAttestedImage, 0, Deleted)
			decision.Project = fmt.Sprintf("g/p%d", i)
			decision.Repository = decision.Project
			all = append(all, decision)
		}
	}
	summary := countEvents(t, false, append(all, dead("c", manifest.KindCacheIndex, 0, Deleted))...)
	got := strings.Join(summary.notes(Links{})[1].lines, "\n")
	want := `Some projects push tags that GitLab cannot show, and never cleans up.
Build with --provenance=false, so that GitLab can date and clean up these images:
  7  g/p6
  6  g/p5
  5  g/p4
  4  g/p3
  3  g/p2
     and 2 more
Export with image-manifest=true (--cache-to), so that GitLab can show these caches, and they stay
as long as their images:
  1  g/c`
	if got != want {
		t.Errorf("%s", got)
	}
}

// TestNotesAskForSettingsInForce: DELETE_KINDS is spoken of only where a rule asks for it.
func TestNotesAskForSettingsInForce(t *testing.T) {
	events := []Event{
		dead("a", manifest.KindAttestedImage, 0, Marked), dead("a", manifest.KindImage, 0, Marked), dead("b", manifest.KindImage, 0, Marked),
		Decision{Repository: "c", Action: policy.Keep, Outcome: Kept, Reason: policy.NoRule, Kind: string(manifest.KindMultiArch)},
	}
	for name, test := range map[string]struct {
		rules *Rules
		asked bool
	}{"by default": {byDefault(t), true}, "of one's own": {&Rules{Name: "mine.yaml"}, false}, "not known": {nil, false}} {
		summary := countEvents(t, true, events...)
		summary.Rules = test.rules
		text := textOf(t, summary)
		if !strings.Contains(text, "can still be pulled would be deleted: 1 attested image, 2 plain\n  images.") || strings.Contains(text, "DELETE_KINDS") != test.asked {
			t.Errorf("rules %s:\n%s", name, text)
		}
	}
}

// TestWarning: what cannot be known of what is deleted stands before the figures.
func TestWarning(t *testing.T) {
	blind := dead("a", "", 0, Marked)
	blind.Reason = detailsMissing
	for name, test := range map[string]struct {
		dryRun bool
		reason policy.Reason
		events []Event
		want   string
	}{
		"one tag":            {true, detailsMissing, []Event{blind}, "1 tag would be deleted because"},
		"two":                {true, detailsMissing, []Event{blind, blind}, "2 tags would be deleted because"},
		"they went":          {false, detailsMissing, []Event{blind, blind}, "2 tags were deleted because"},
		"by rules of others": {true, "mine", []Event{dead("a", "", 0, Marked)}, "Tags would be deleted because"},
		"with the database":  {true, detailsMissing, []Event{RegimeFound{registry.Database}, blind}, ""},
		"nothing goes":       {true, detailsMissing, nil, ""},
	} {
		summary := countEvents(t, test.dryRun, test.events...)
		summary.Verify, summary.Rules = ByAPI, &Rules{Name: "original", AskDetails: true}
		text := textOf(t, summary)
		_, after, found := strings.Cut(text, "\n\n! "+test.want)
		if test.want == "" {
			if strings.Contains(text, "cannot be pulled") {
				t.Errorf("%s:\n%s", name, text)
			}
			continue
		}
		if !found || !strings.Contains(after, "images that can be pulled") || !strings.Contains(after, " deleted (100 %)") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
