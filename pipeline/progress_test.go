package pipeline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// observed looks at a run's progress with every event.
type observed struct {
	t        *testing.T
	progress *pipeline.Progress
	last     pipeline.Counts
	inFlight [4]bool // which kinds have been seen in somebody's hands
}

// Handle implements report.Handler.
func (o *observed) Handle(report.Event) error {
	now := o.progress.Counts()
	before := stagesOf(o.last)
	for i, s := range stagesOf(now) {
		if s.InFlight < 0 || s.Found < s.Done+s.InFlight || s.Found < before[i].Found || s.Done < before[i].Done {
			o.t.Errorf("stage %d: %+v, and before %+v", i, s, before[i])
		}
		o.inFlight[i] = o.inFlight[i] || s.InFlight > 0
	}
	if o.last.AllProjects && (!now.AllProjects || now.Projects.Found != o.last.Projects.Found) {
		o.t.Errorf("a project was found after all of them: %+v, then %+v", o.last, now)
	}
	o.last = now
	return nil
}

func stagesOf(c pipeline.Counts) [4]pipeline.Stage {
	return [4]pipeline.Stage{c.Projects, c.Repositories, c.Tags, c.Dead}
}

// world returns a world with so many projects that have repositories.
func world(projects int) *gitlabtest.World {
	build := gitlabtest.Random(7, gitlabtest.Legacy)
	build.Projects, build.TagsPerRepository = projects, [2]int{1, 5}
	return build.World()
}

// TestProgress: at every moment the counts fit together, and in the end they are those of
// the summary.
func TestProgress(t *testing.T) {
	for name, faults := range map[string][]gitlabtest.Fault{
		"well":             nil,
		"refused deletion": {{Method: "DELETE", Effect: gitlabtest.Refuse(403)}},
	} {
		for _, dryRun := range []bool{true, false} {
			faults := append(faults, gitlabtest.Fault{Effect: gitlabtest.Latency(20 * time.Millisecond)})
			tr := newTrial(world(150), gitlabtest.WithFaults(faults...))
			tr.options.DryRun, tr.options.Progress = dryRun, new(pipeline.Progress)
			seen := &observed{t: t, progress: tr.options.Progress}
			tr.handlers = report.Handlers{seen}
			o := tr.runInBubble(t)
			got := tr.options.Progress.Counts()
			for i, s := range stagesOf(got) {
				if s.InFlight != 0 || s.Done != s.Found || s.Found == 0 || !seen.inFlight[i] {
					t.Errorf("%s: stage %d ends with %+v, in flight meanwhile %t", name, i, s, seen.inFlight[i])
				}
			}
			want := pipeline.Counts{
				Projects: got.Projects, Repositories: got.Repositories, Dead: got.Dead, Empty: got.Empty,
				Tags:        pipeline.Stage{Found: int64(o.Tags), Done: int64(o.Tags)},
				AllProjects: true, Deleted: int64(o.Deleted), Undecided: int64(o.Undecided), Failed: int64(o.Failed),
			}
			if got != want || got.Dead.Done < got.Deleted+got.Failed || got.Repositories.Done < int64(o.Repositories) || got.Empty == 0 {
				t.Errorf("%s: %+v, but the summary is %+v", name, got, o.Summary)
			}
		}
	}
}

// TestProgressOfStoppedRun: nothing is in flight after a stop, and not all projects are
// known when their listing did not come to its end.
func TestProgressOfStoppedRun(t *testing.T) {
	tr := newTrial(world(3000),
		gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(time.Second)}))
	tr.options.Progress = new(pipeline.Progress)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		tr.run(ctx, t)
	})
	got := tr.options.Progress.Counts()
	for i, s := range stagesOf(got) {
		if s.InFlight != 0 {
			t.Errorf("stage %d ends with %+v", i, s)
		}
	}
	if got.AllProjects || got.Projects.Found == 0 {
		t.Errorf("after a stop: %+v", got)
	}
}
