package report

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// dead returns a decision on a dead tag.
func dead(repository string, kind manifest.Kind, bytes int64, outcome Outcome) Decision {
	return Decision{
		Project: "g/" + repository[:1], Repository: repository, Tag: "t", Action: policy.Delete, Outcome: outcome,
		Reason: undatable, Kind: string(kind), Bytes: bytes, Digest: "sha256:1",
	}
}

// countEvents returns the summary of some events.
func countEvents(t *testing.T, dryRun bool, events ...Event) *Summary {
	t.Helper()
	summary := NewSummary(dryRun)
	for _, event := range events {
		if err := summary.Handle(event); err != nil {
			t.Fatal(err)
		}
	}
	return summary
}

// TestDeletions: what is deleted is measured by reason, repository and group, with each manifest once; what is
// kept, undecided or could not be deleted is not.
func TestDeletions(t *testing.T) {
	day := func(n int) time.Time { return firstStart.AddDate(0, 0, n) }
	deleted := func(project, repository, digest string, bytes int64, made time.Time) Decision {
		d := dead(repository, "", bytes, Deleted)
		d.Project, d.Digest, d.Made = project, digest, made
		return d
	}
	other := deleted("g/b/q", "g/b/q", "sha256:4", 7, time.Time{})
	other.Reason = counterpartTagMissing
	failed := dead("g/c", "", 50, Failed)
	got := countEvents(t, false,
		deleted("g/p", "g/p/app", "sha256:1", 100, day(3)),
		deleted("g/p", "g/p/app", "sha256:1", 100, day(1)), // the same manifest
		deleted("g/p", "g/p/web", "sha256:1", 100, day(2)), // in another repository, too
		deleted("g/p", "g/p/web", "sha256:2", 0, time.Time{}),
		deleted("g/p", "g/p/web", "sha256:2", 20, time.Time{}), // of which the size was not known before
		deleted("g/b/q", "g/b/q", "", 5, time.Time{}),
		deleted("g/b/q", "g/b/q", "", 5, time.Time{}),          // another one, for all that is known
		deleted("g/b/q", "g/b/q", "sha256:3", -7, time.Time{}), // no server should say so
		other, failed,
		Decision{Repository: "e", Action: policy.Keep, Outcome: Kept, Bytes: 9},
		Decision{Repository: "e", Action: policy.Undecided, Outcome: Undecided, Bytes: 9},
	).Deletions
	app, web := Measure{2, 2, 100, day(1)}, Measure{3, 2, 120, day(2)}
	q := Measure{Tags: 4, Sized: 3, Bytes: 17}
	if want := (Measure{9, 7, 137, day(1)}); got.Measure != want || got.Projects != 2 || got.Repositories != 3 {
		t.Errorf("%+v in %d repositories of %d projects, want %+v", got.Measure, got.Repositories, got.Projects, want)
	}
	if diff := cmp.Diff(map[policy.Reason]*Measure{undatable: {8, 6, 130, day(1)}, counterpartTagMissing: {1, 1, 7, time.Time{}}}, got.ByReason); diff != "" {
		t.Errorf("by reason (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Place{{Path: "g", Measure: Measure{5, 4, 120, day(1)}}, {Path: "g/b", Measure: q}}, got.Groups(), cmpopts.IgnoreUnexported(Place{})); diff != "" {
		t.Errorf("by group (-want +got):\n%s", diff)
	}
	repositories := []Place{
		{Project: "g/b/q", Path: "g/b/q", Measure: q}, {Project: "g/p", Path: "g/p/web", Measure: web}, {Project: "g/p", Path: "g/p/app", Measure: app},
	}
	if diff := cmp.Diff(repositories, got.Top(), cmpopts.IgnoreUnexported(Place{})); diff != "" {
		t.Errorf("by repository (-want +got):\n%s", diff)
	}
}

// TestDeletionsOverflow: sizes are the server's word.
func TestDeletionsOverflow(t *testing.T) {
	big, one := dead("a", "", math.MaxInt64, Deleted), dead("a", "", 1, Deleted)
	one.Digest = "sha256:2"
	got := countEvents(t, false, big, one).Deletions
	if got.Bytes != math.MaxInt64 || got.Top()[0].Bytes != math.MaxInt64 || got.Groups()[0].Bytes != math.MaxInt64 {
		t.Errorf("%+v", got)
	}
}

// TestManifestsAreBounded: of more manifests than are remembered each tag counts.
func TestManifestsAreBounded(t *testing.T) {
	var m manifests
	for i := range mostManifests + 10 {
		if m.again("", fmt.Sprint(i)) {
			t.Fatalf("%d was counted before", i)
		}
	}
	if !m.again("", "0") || m.again("a row", "0") || m.again("", fmt.Sprint(mostManifests+5)) || len(m.seen) > mostManifests {
		t.Errorf("%d are remembered", len(m.seen))
	}
}

// BenchmarkDeletions shows what is remembered of 10,000 repositories.
func BenchmarkDeletions(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		deletions := new(Deletions)
		for i := range 10_000 {
			deletions.add(dead(fmt.Sprintf("group-%d/subgroup/project/image.cache", i), manifest.KindImage, 1, Deleted))
		}
	}
}
