package main

import (
	"flag"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// full asks for instances of 20,000 tags.
var full = flag.Bool("full", false, "run on 20,000 tags instead of 1,000")

// sources are those that facts come from, with what can be known from each.
var sources = []struct {
	name   string
	regime gitlabtest.Regime
	verify pipeline.Verify
	rules  *policy.File
	truth  gitlabtest.TruthRules
}{
	{"legacy, API", gitlabtest.Legacy, pipeline.VerifyAPI, policy.Original(), gitlabtest.TruthRules{Original: true}},
	{"legacy, registry", gitlabtest.Legacy, pipeline.VerifyRegistry, policy.Default(), byRegistry},
	{"database, API", gitlabtest.Database, pipeline.VerifyAPI, policy.Default(), gitlabtest.TruthRules{}},
	{"database, registry", gitlabtest.Database, pipeline.VerifyRegistry, policy.Default(), byRegistry},
}

// namedFault is something that goes wrong with an instance while it is walked.
type namedFault struct {
	name string
	gitlabtest.Fault
	// needsRegistry says that GitLab's word alone looks the same as on an instance in order:
	// the same tags have no details each time that they are asked for.
	needsRegistry bool
	// option is how the instance is, protect that rules of its projects protect every tenth tag.
	option  gitlabtest.Option
	protect bool
}

// faults are those that every source is run through, on an instance of so many tags.
func faults(tags int) []namedFault {
	lists := regexp.MustCompile(`/tags(/list/?)?$`)
	return []namedFault{
		{name: "outage for a while", Fault: gitlabtest.Fault{Skip: tags / 4, Count: tags / 8, Effect: gitlabtest.RegistryOutage()}},
		{name: "outage from then on", Fault: gitlabtest.Fault{Skip: tags / 40, Effect: gitlabtest.RegistryOutage()}},
		{name: "1 in 20 requests at the registry fails", Fault: gitlabtest.Fault{Probability: 0.05, Effect: gitlabtest.RegistryOutage()}},
		{name: "1 in 20 requests fails", Fault: gitlabtest.Fault{Probability: 0.05, Effect: gitlabtest.Status(500)}},
		{name: "1 in 20 dates cannot be read", Fault: gitlabtest.Fault{Probability: 0.05, Effect: gitlabtest.ConfigUnreadable()}},
		{name: "first lists are cut short", Fault: gitlabtest.Fault{Path: lists, Skip: 1, Count: 1, PerPath: true, Effect: gitlabtest.CutListTo(0.5)}},
		{name: "storage lost from the start", Fault: gitlabtest.Fault{Effect: gitlabtest.ManifestsLost()}},
		{name: "storage lost from then on", Fault: gitlabtest.Fault{Skip: tags / 2, Effect: gitlabtest.ManifestsLost()}},
		{name: "storage half restored", Fault: gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.9)}, needsRegistry: true},
		{name: "1 backend of 3 lost", Fault: gitlabtest.Fault{Effect: gitlabtest.ManifestsLostOf(0.33)}, needsRegistry: true},
		{name: "storage flaps", Fault: gitlabtest.Fault{Alternate: tags / 50, Effect: gitlabtest.ManifestsLost()}},

		{name: "an organization in maintenance", Fault: gitlabtest.Fault{Path: regexp.MustCompile(`^/api/v4/projects/\d+[0-4]/`), Effect: gitlabtest.RetryAfter(503, 60)}},
		{name: "maintenance, 503", Fault: gitlabtest.Fault{Effect: gitlabtest.Maintenance(503, 0)}},
		{name: "read-only, 403", Fault: gitlabtest.Fault{Effect: gitlabtest.Maintenance(403, 0)}},
		{name: "registry read-only, 400", Fault: gitlabtest.Fault{Effect: gitlabtest.RegistryReadOnly()}},
		{name: "GitLab 18.10: indexes are 500", option: gitlabtest.WithIndexDetails(gitlabtest.IndexError)},
		{name: "GitLab 19.2: indexes have a digest alone", option: gitlabtest.WithIndexDetails(gitlabtest.IndexEmpty)},
		{name: "rules protect, for an administrator", option: gitlabtest.WithRole(gitlabtest.Administrator), protect: true},
	}
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

// TestMatrix walks an instance with each source, first in peace and then through each
// fault: no live tag is ever deleted, and without a fault no dead one is left. With -v it
// shows what was left and what it cost.
func TestMatrix(t *testing.T) {
	tags := 1_000
	if *full {
		tags = 20_000
	}
	t.Logf("%-20s %-40s %6s %6s %6s %8s %8s", "source", "fault", "dead", "wrong", "left", "API", "registry")
	for _, source := range sources {
		for _, fault := range append([]namedFault{{name: "none"}}, faults(tags)...) {
			t.Run(source.name+"/"+fault.name, func(t *testing.T) {
				if fault.needsRegistry && source.regime == gitlabtest.Legacy && source.verify == pipeline.VerifyAPI {
					t.Logf("%-20s %-40s cannot be told by GitLab's word alone", source.name, fault.name)
					return
				}
				world := mixed(source.regime, tags)
				for _, p := range world.Projects {
					if fault.protect {
						p.ProtectionRules = []gitlabtest.ProtectionRule{{Pattern: "1$"}}
					}
				}
				dead := world.TruthUnder(source.truth)
				var options []gitlabtest.Option
				if fault.option != nil {
					options = append(options, fault.option)
				}
				server := gitlabtest.New(world, options...)
				if fault.Effect != nil {
					server.SetFaults(fault.Fault)
				}
				asked := walk(t, server, source.rules, source.verify)
				wrong := 0
				for _, tag := range server.Deleted() {
					if _, rightly := dead[tag.String()]; !rightly {
						wrong++
					}
				}
				left := len(dead) - (len(server.Deleted()) - wrong)
				t.Logf("%-20s %-40s %6d %6d %6d %8d %8d", source.name, fault.name, len(dead), wrong, left, asked.API, asked.Registry)
				if wrong > 0 {
					t.Errorf("%d live tags were deleted", wrong)
				}
				if (fault.name == "none" || fault.protect) && left > 0 {
					t.Errorf("%d dead tags are left", left)
				}
			})
		}
	}
}

// byRegistry is what is dead by the registry's word.
var byRegistry = gitlabtest.TruthRules{ByRegistry: true, DeleteKinds: []string{"cache-index", "attested-image", "missing-manifest"}}

// walk runs the program's pipeline once, in fake time, and returns what it asked.
func walk(t *testing.T, server *gitlabtest.Server, file *policy.File, verify pipeline.Verify) report.Requests {
	t.Helper()
	var asked report.Requests
	synctest.Test(t, func(t *testing.T) {
		c := client(t, server)
		time.Sleep(time.Until(gitlabtest.Created.AddDate(1, 0, 0))) // fake time begins before the tags were pushed
		rules, err := policy.Compile(file, policy.Settings{
			ProtectedTags: protectedNames, ProtectedTagsRegex: protectedPattern.String(), MinAge: 24 * time.Hour, ImageAge: 30 * 24 * time.Hour,
			DeleteKinds: []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest},
			Orphans:     policy.OrphansAuto,
		})
		if err != nil {
			t.Fatal(err)
		}
		options := pipeline.Options{Rules: rules, CacheSuffix: ".cache", Workers: 16, Scope: pipeline.Scope{Membership: true}, Verify: verify}
		if err := pipeline.Run(t.Context(), c, options, report.NewSummary(false)); err != nil {
			t.Log("the run ended early:", err)
		}
		asked = report.Requests{API: c.Stats().Requests, Registry: c.Stats().RegistryRequests}
	})
	return asked
}
