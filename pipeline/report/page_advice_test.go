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
	f := newFindings()
	add := func(n int, project string, kind manifest.Kind, reason policy.Reason, action policy.Action, outcome Outcome) {
		for range n {
			f.countDecision(&decisionLine{Project: project, Kind: string(kind), Reason: reason, Action: action, Outcome: outcome})
		}
	}
	add(2, "g/a", manifest.KindAttestedImage, undatable, policy.Delete, Deleted)
	add(3, "g/b", manifest.KindAttestedImage, undatable, policy.Delete, Marked)
	add(1, "g/c", manifest.KindAttestedImage, DeleteForbidden, policy.Delete, Failed)
	add(4, "g/a", manifest.KindCacheIndex, undatable, policy.Delete, Deleted)
	add(5, "g/a", manifest.KindCacheManifest, counterpartTagMissing, policy.Delete, Deleted)
	add(1, "g/a", manifest.KindCacheIndex, counterpartRepositoryMissing, policy.Delete, Deleted)
	add(7, "g/e", manifest.KindAttestedImage, counterpartTagMissing, policy.Delete, Marked)
	add(6, "g/d", "", policy.DetailsUnknown, policy.Undecided, Undecided)
	type projects map[string]int
	want := map[string]projects{
		attestedAdvice.Title:  {"g/a": 2, "g/b": 3, "g/c": 1},
		cacheAdvice.Title:     {"g/a": 4},
		orphanAdvice.Title:    {"g/a": 6, "g/e": 7},
		forbiddenAdvice.Title: {"g/c": 1},
	}
	got := make(map[string]projects)
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
	f := newFindings()
	for i := range mostNamed + 7 {
		for range i + 1 {
			f.countDecision(&decisionLine{Project: fmt.Sprintf("g/%02d", i), Kind: string(manifest.KindMissingManifest), Action: policy.Delete, Outcome: Deleted})
		}
	}
	a := advise(f, nil)[0]
	if a.More != 7 || len(a.Projects) != mostNamed || a.Projects[0] != (projectCount{"g/31", 32}) || a.Projects[24] != (projectCount{"g/07", 8}) {
		t.Errorf("%d more, %d projects: %v", a.More, len(a.Projects), a.Projects)
	}
}

// TestCharts: the longest bar takes the whole width, the parts of a bar follow each
// other, and what has no room is counted.
func TestCharts(t *testing.T) {
	f := newFindings()
	for i := range topProjects + 2 {
		f.countDecision(&decisionLine{Project: fmt.Sprintf("g/%02d", i), Action: policy.Delete, Outcome: Deleted})
	}
	for _, outcome := range []Outcome{Undecided, Failed, Failed} {
		f.countDecision(&decisionLine{Project: "g/05", Action: policy.Delete, Outcome: outcome})
	}
	c := projectChart(NewSummary(true), f)
	want := bar{Label: "g/05", Name: "g/05", Total: 4, Segments: []segment{
		{"gone", "marked", 1, "0.00%", "25.00%"},
		{"undecided", "undecided", 1, "25.00%", "25.00%"},
		{"failed", "failed", 2, "50.00%", "50.00%"},
	}}
	if diff := cmp.Diff(want, c.Bars[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(c.Bars) != topProjects || c.More != "The first 10 of 12 projects; the table at the end has the tags of all." {
		t.Errorf("%d bars, %q", len(c.Bars), c.More)
	}
}
