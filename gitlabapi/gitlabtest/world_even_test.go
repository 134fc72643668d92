package gitlabtest_test

import (
	"math"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// TestEvenWorld: an even world holds what it was told to, and as many dead tags as it says,
// by the truth that judges every other world.
func TestEvenWorld(t *testing.T) {
	for name, s := range map[string]gitlabtest.EvenWorld{
		"as measured":      {Projects: 30, EmptyProjects: 170, Repositories: 90, Tags: 10_000, Dead: 0.01, Attested: 0.01, Protected: 0.02},
		"all sizes odd":    {Projects: 7, EmptyProjects: 2, Repositories: 31, Tags: 1_009, Dead: 0.1, Attested: 0.03, Protected: 0.05},
		"one repository":   {Projects: 1, Repositories: 1, Tags: 500, Dead: 0.01, Protected: 0.02},
		"none is empty":    {Projects: 4, Repositories: 12, Tags: 48, Dead: 0.2},
		"whole caches die": {Projects: 20, Repositories: 60, Tags: 600, Dead: 0.3},
	} {
		for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
			t.Run(name+" "+regime.String(), func(t *testing.T) {
				s.Regime = regime
				checkEvenWorld(t, s)
			})
		}
	}
}

func checkEvenWorld(t *testing.T, s gitlabtest.EvenWorld) {
	t.Helper()
	w := s.World()
	full, repositories, tags := 0, 0, 0
	for _, p := range w.Projects {
		if len(p.Repositories) > 0 {
			full++
		}
		repositories += len(p.Repositories)
		for _, r := range p.Repositories {
			tags += len(r.Tags)
		}
	}
	if full != s.Projects || len(w.Projects) != s.Projects+s.EmptyProjects || repositories != s.Repositories || tags != s.Tags {
		t.Errorf("%d of %d projects have %d repositories with %d tags", full, len(w.Projects), repositories, tags)
	}
	rules := gitlabtest.TruthRules{ByRegistry: true, DeleteKinds: []string{"attested-image"}}
	if dead := len(w.TruthUnder(rules)); dead != s.Deletions() {
		t.Errorf("%d tags are dead, Deletions says %d", dead, s.Deletions())
	}
	share := s.Dead
	if s.Regime == gitlabtest.Legacy {
		share += s.Attested
	}
	if want := int(math.Round(share * float64(s.Tags))); s.Repositories > 1 && s.Deletions() != want {
		t.Errorf("%d tags are dead, want %d", s.Deletions(), want)
	}
}
