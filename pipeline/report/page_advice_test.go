package report

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestAdvice: which dead tags call for which change, and in which projects.
func TestAdvice(t *testing.T) {
	f := make(findings)
	add := func(n int, project string, kind manifest.Kind, reason policy.Reason, action policy.Action, outcome Outcome) {
		for range n {
			f.count(&decisionLine{Project: project, Kind: string(kind), Reason: reason, Action: action, Outcome: outcome})
		}
	}
	add(2, "g/a", manifest.KindAttestedImage, undatable, policy.Delete, Deleted)
	add(3, "g/b", manifest.KindAttestedImage, undatable, policy.Delete, Marked)
	add(1, "g/c", manifest.KindAttestedImage, DeleteForbidden, policy.Delete, Failed)
	add(4, "g/a", manifest.KindCacheIndex, undatable, policy.Delete, Deleted)
	add(5, "g/a", manifest.KindCacheManifest, counterpartTagMissing, policy.Delete, Deleted)
	add(1, "g/a", manifest.KindCacheIndex, counterpartRepositoryMissing, policy.Delete, Deleted)
	add(7, "g/e", manifest.KindAttestedImage, counterpartTagMissing, policy.Delete, Marked)
	add(8, "g/d", manifest.KindAttestedImage, Changed, policy.Keep, Kept)
	add(6, "g/d", "", policy.DetailsUnknown, policy.Undecided, Undecided)
	type projects map[string]int
	want := map[shown]projects{
		attestedAdvice.Title:  {"g/a": 2, "g/b": 3, "g/c": 1},
		cacheAdvice.Title:     {"g/a": 4},
		orphanAdvice.Title:    {"g/a": 6, "g/e": 7},
		forbiddenAdvice.Title: {"g/c": 1},
	}
	got := make(map[shown]projects)
	for _, a := range advise(f, nil) {
		got[a.Title] = make(projects)
		sum := 0
		for _, p := range a.Projects {
			got[a.Title][p.Project] = p.Tags
			sum += p.Tags
		}
		if sum != a.Tags {
			t.Errorf("%s: %d tags, but %d in the projects", a.Title, a.Tags, sum)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAdviceNamesTheWorstFirst: and says how many projects it does not name.
func TestAdviceNamesTheWorstFirst(t *testing.T) {
	f := make(findings)
	for i := range mostNamed + 7 {
		for range i + 1 {
			f.count(&decisionLine{Project: fmt.Sprintf("g/%02d", i), Kind: string(manifest.KindMissingManifest), Action: policy.Delete, Outcome: Deleted})
		}
	}
	a := advise(f, nil)[0]
	if a.More != 7 || len(a.Projects) != mostNamed || a.Projects[0] != (projectCount{"g/31", 32}) || a.Projects[24] != (projectCount{"g/07", 8}) {
		t.Errorf("%d more, %d projects: %v", a.More, len(a.Projects), a.Projects)
	}
}
