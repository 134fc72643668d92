package report

import (
	"fmt"
	"math"
	"testing"

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

// countEvents returns the summary and the dead tags of some events.
func countEvents(t *testing.T, dryRun bool, events ...Event) (*Summary, *DeadTags) {
	t.Helper()
	summary, deadTags := NewSummary(dryRun), new(DeadTags)
	for _, event := range events {
		if err := (Handlers{summary, deadTags}).Handle(event); err != nil {
			t.Fatal(err)
		}
	}
	return summary, deadTags
}

func TestDeadTags(t *testing.T) {
	_, deadTags := countEvents(t, false,
		dead("b", "", 0, Deleted),
		dead("a", "", 100, Marked),
		dead("c", "", 50, Failed),
		dead("c", "", 0, Deleted),
		dead("d", "", -7, Deleted), // no server should say so
		Decision{Repository: "e", Action: policy.Keep, Outcome: Kept, Bytes: 9},
		Decision{Repository: "e", Action: policy.Undecided, Outcome: Undecided, Bytes: 9},
		ProjectScanned{"g/e"},
	)
	want := []Dead{
		{Repository: "c", Tags: 2, Sized: 1, Bytes: 50},
		{Repository: "a", Tags: 1, Sized: 1, Bytes: 100},
		{Repository: "b", Tags: 1},
		{Repository: "d", Tags: 1},
	}
	options := cmp.Options{cmpopts.IgnoreUnexported(Dead{}), cmpopts.IgnoreFields(Dead{}, "Project")}
	if diff := cmp.Diff(want, deadTags.Top(10), options); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:3], deadTags.Top(3), options); diff != "" {
		t.Errorf("the first three (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Dead{Tags: 5, Sized: 2, Bytes: 150}, deadTags.Total(), options); diff != "" {
		t.Errorf("in all (-want +got):\n%s", diff)
	}
}

// TestDeadTagsOverflow: sizes are the server's word.
func TestDeadTagsOverflow(t *testing.T) {
	_, deadTags := countEvents(t, false, dead("a", "", math.MaxInt64, Deleted), dead("a", "", 1, Deleted), dead("b", "", 1, Deleted))
	if got := deadTags.Total().Bytes; got != math.MaxInt64 {
		t.Errorf("in all %d", got)
	}
	if got := deadTags.Top(1)[0].Bytes; got != math.MaxInt64 {
		t.Errorf("of the first %d", got)
	}
}

// BenchmarkDeadTags shows what is remembered of 10,000 repositories.
func BenchmarkDeadTags(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		deadTags := new(DeadTags)
		for i := range 10_000 {
			_ = deadTags.Handle(dead(fmt.Sprintf("group-%d/subgroup/project/image.cache", i), manifest.KindImage, 1, Deleted))
		}
	}
}
