package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestHint pins which hints are given, and so what is more important than what.
func TestHint(t *testing.T) {
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
	part := func(s *Summary) { s.Shard = &Shard{0, 3} }
	original := func(s *Summary) { s.Verify, s.Rules = ByAPI, &Rules{Name: "original", AskDetails: true} }
	byName := func(s *Summary) { s.Verify, s.Rules = ByAPI, &Rules{Name: "default"} }
	const (
		dryRun, realRun = true, false
		look            = "Look at the registry"
		cut             = "The list is incomplete"
		role            = "GitLab let the token's user delete nothing"
		images          = "Dead tags that are images"
		wereImages      = "Dead tags that were images"
		pushed          = "Some projects push"
		collect         = "No space is free yet"
		wait            = "This registry frees by itself"
		forReal         = "Nothing was deleted. If these"
		imagesStay      = "Images with attestations, or for several platforms, that stay: 2."
		convention      = "In some cache repositories"
		merge           = "Nothing was deleted. registry-gc merge"
		blind           = "Images that can be pulled may be among"
		all             = "Every deletion was refused with the same words"
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
		"it would go":                         {dryRun, nil, []Event{legacy, marked(manifest.KindMissingManifest)}, []string{forReal}},
		"an attested image would go":          {dryRun, nil, []Event{legacy, marked(""), marked(""), marked(manifest.KindAttestedImage)}, []string{images, pushed, forReal}},
		"an attested image went":              {realRun, nil, []Event{legacy, deleted(""), deleted(""), deleted(manifest.KindAttestedImage)}, []string{wereImages, collect}},
		"one of three that went is an index":  {realRun, nil, []Event{legacy, deleted(""), deleted(""), deleted(manifest.KindCacheIndex)}, []string{collect}},
		"one of two that went is an index":    {realRun, nil, []Event{legacy, deleted(""), deleted(manifest.KindCacheIndex)}, []string{pushed, collect}},
		"a multi-arch image went":             {realRun, nil, []Event{legacy, deleted(manifest.KindMultiArch)}, []string{wereImages, collect}},
		"an image would go":                   {dryRun, nil, []Event{legacy, marked(manifest.KindImage)}, []string{images, forReal}},
		"images stay for ever":                {dryRun, byRules(t), []Event{legacy, stays(manifest.KindAttestedImage, policy.NoRule), stays(manifest.KindMultiArch, multiArch), stays(manifest.KindImage, policy.NoRule), stays(manifest.KindAttestedImage, "protected")}, []string{imagesStay}},
		"the same in a real run":              {realRun, byRules(t), []Event{legacy, stays(manifest.KindMultiArch, multiArch)}, nil},
		"the same by other rules":             {dryRun, original, []Event{legacy, stays(manifest.KindMultiArch, policy.NoRule)}, nil},
		"names tell nothing":                  {dryRun, nil, []Event{legacy, named}, []string{convention}},
		"names tell nothing, and more goes":   {dryRun, nil, []Event{legacy, named, marked("")}, []string{convention, forReal}},
		"an index went, on database":          {realRun, nil, []Event{database, deleted(manifest.KindCacheIndex)}, []string{pushed, wait}},
		"nothing may be deleted":              {realRun, nil, []Event{legacy, forbidden, forbidden}, []string{role}},
		"some may not be deleted":             {realRun, nil, []Event{legacy, forbidden, deleted(""), deleted("")}, []string{wereImages, collect}},
		"an outage outweighs what went":       {realRun, nil, []Event{legacy, deleted(""), outage}, []string{look}},
		"an outage outweighs what may not":    {realRun, nil, []Event{legacy, forbidden, outage}, []string{look}},
		"an outage outweighs what would go":   {dryRun, stopped, []Event{legacy, marked(""), outage}, []string{look}},
		"it was interrupted":                  {realRun, stopped, []Event{legacy, deleted("")}, []string{cut, collect}},
		"it was interrupted at the beginning": {realRun, stopped, nil, []string{cut}},
		"a dry run was interrupted":           {dryRun, stopped, []Event{legacy, marked("")}, []string{cut}},
		"a shard is missing":                  {dryRun, broken, []Event{legacy, marked("")}, []string{cut}},
		"the original rules by GitLab's word": {realRun, original, []Event{legacy, deleted("")}, []string{blind, collect}},
		"the same with the database":          {dryRun, original, []Event{database, marked("")}, []string{forReal}},
		"by name, by GitLab's word":           {dryRun, byName, []Event{legacy, marked("")}, []string{forReal}},
		"it is a shard":                       {dryRun, part, []Event{legacy, marked("")}, []string{merge}},
	} {
		t.Run(name, func(t *testing.T) {
			summary, deadTags := countEvents(t, test.dryRun, test.events...)
			if test.change != nil {
				test.change(summary)
			}
			got := summary.hints(deadTags)
			if !slices.EqualFunc(got, test.want, func(lines []string, want string) bool { return strings.HasPrefix(lines[0], want) }) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// byRules makes a summary one of the rules by default.
func byRules(t *testing.T) func(*Summary) {
	return func(s *Summary) { s.Rules = byDefault(t) }
}

// TestHintNamesProjects: the worst by name, the others in number, each with what it has
// to do.
func TestHintNamesProjects(t *testing.T) {
	var all []Event
	for i := range 7 {
		for range i + 1 {
			decision := dead("x", manifest.KindAttestedImage, 0, Deleted)
			decision.Project = fmt.Sprintf("g/p%d", i)
			decision.Repository = decision.Project
			all = append(all, decision)
		}
	}
	summary, deadTags := countEvents(t, false, append(all, dead("c", manifest.KindCacheIndex, 0, Deleted))...)
	got := strings.Join(summary.hints(deadTags)[1], "\n")
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
