package main

import (
	"flag"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// full asks for worlds of the size that the README speaks of.
var full = flag.Bool("full", false, "run on 20,000 tags instead of 1,000")

// evidences are the ways to know about tags, with what each can know of them.
var evidences = []struct {
	name   string
	regime gitlabtest.Regime
	verify pipeline.Verify
	truth  gitlabtest.TruthRules
}{
	{"legacy, API", gitlabtest.Legacy, pipeline.VerifyAPI, gitlabtest.TruthRules{}},
	{"legacy, registry", gitlabtest.Legacy, pipeline.VerifyRegistry, gitlabtest.TruthRules{ByRegistry: true}},
	{"database, API", gitlabtest.Database, pipeline.VerifyAPI, gitlabtest.TruthRules{}},
	{"database, registry", gitlabtest.Database, pipeline.VerifyRegistry, gitlabtest.TruthRules{ByRegistry: true}},
}

// troubles are what may happen to an instance while it is walked.
var troubles = []struct {
	name   string
	faults func(tags int) []gitlabtest.Fault
}{
	{"none", func(int) []gitlabtest.Fault { return nil }},
	{"outage for a while", func(tags int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Skip: tags / 4, Count: tags / 8, Effect: gitlabtest.RegistryOutage()}}
	}},
	{"outage from then on", func(tags int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Skip: tags / 40, Effect: gitlabtest.RegistryOutage()}}
	}},
	{"1 in 20 requests at the registry fails", func(int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Probability: 0.05, Effect: gitlabtest.RegistryOutage()}}
	}},
	{"1 in 20 requests fails", func(int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Probability: 0.05, Effect: gitlabtest.Status(500)}}
	}},
	{"1 in 20 dates cannot be read", func(int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Probability: 0.05, Effect: gitlabtest.ConfigUnreadable()}}
	}},
	{"first lists are cut short", func(int) []gitlabtest.Fault {
		return []gitlabtest.Fault{{Path: regexp.MustCompile(`/tags(/list/?)?$`), Skip: 1, Count: 1, PerPath: true, Effect: gitlabtest.CutListTo(0.5)}}
	}},
}

// mixed returns an instance with everything in it, of about so many tags.
func mixed(regime gitlabtest.Regime, tags int) *gitlabtest.World {
	return gitlabtest.RandomWorld{
		Seed: 7, Regime: regime,
		Projects:               tags / 200,
		RepositoriesPerProject: [2]int{4, 4},
		TagsPerRepository:      [2]int{50, 50},
		Protected:              0.02,
		Dead:                   gitlabtest.Dead{DetailsMissing: 0.05, RepositoryMissing: 0.2, TagMissing: 0.1},
	}.World()
}

// TestMatrix runs each evidence through each trouble: no live tag is ever deleted. With
// -v it shows what was left and what it cost.
func TestMatrix(t *testing.T) {
	tags := 1_000
	if *full {
		tags = 20_000
	}
	t.Logf("%-20s %-40s %6s %6s %6s %8s %8s", "evidence", "trouble", "dead", "wrong", "left", "API", "registry")
	for _, e := range evidences {
		for _, trouble := range troubles {
			t.Run(fmt.Sprint(e.name, "/", trouble.name), func(t *testing.T) {
				world := mixed(e.regime, tags)
				dead := world.TruthUnder(e.truth)
				server := gitlabtest.New(world, gitlabtest.WithFaults(trouble.faults(tags)...))
				summary := walk(t, server, e.verify)
				wrong := 0
				for _, tag := range server.Deleted() {
					if _, rightly := dead[tag.String()]; !rightly {
						wrong++
					}
				}
				left := len(dead) - (len(server.Deleted()) - wrong)
				t.Logf("%-20s %-40s %6d %6d %6d %8d %8d", e.name, trouble.name, len(dead), wrong, left, summary.API, summary.Registry)
				if wrong > 0 {
					t.Errorf("%d live tags were deleted", wrong)
				}
				if trouble.name == "none" && left > 0 {
					t.Errorf("%d dead tags are left", left)
				}
			})
		}
	}
}

// walk runs the program's pipeline once, in fake time, and returns what it asked.
func walk(t *testing.T, server *gitlabtest.Server, verify pipeline.Verify) report.Requests {
	t.Helper()
	var asked report.Requests
	synctest.Test(t, func(t *testing.T) {
		c := client(t, server)
		rules := defaultRules()
		rules.DeleteKinds = []policy.Kind{policy.KindCacheIndex, policy.KindAttestedImage, policy.KindMissingManifest}
		options := pipeline.Options{Rules: rules, Workers: 16, Scope: pipeline.Scope{Membership: true}, Verify: verify}
		if err := pipeline.Run(t.Context(), c, options, report.NewSummary(false)); err != nil {
			t.Log("the run ended early:", err)
		}
		asked = report.Requests{API: c.Stats().Requests, Registry: c.Stats().RegistryRequests}
	})
	return asked
}
