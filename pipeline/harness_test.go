package pipeline_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// worlds is how many random worlds the longest tests go through: go test ./pipeline -worlds 200 takes
// longer than a test of every change should.
var worlds = flag.Uint64("worlds", 20, "how many random worlds the longest tests go through")

// A trial is one run over a stand-in, in a bubble where time is fake: waits, latencies
// and pauses cost none of ours.
type trial struct {
	server   *gitlabtest.Server
	rules    *policy.File
	settings policy.Settings
	options  pipeline.Options
	client   gitlabapi.Config
	handlers report.Handlers
	network  http.RoundTripper // in place of the server's; nil for that
}

// An outcome is what a trial came to.
type outcome struct {
	*report.Summary
	decisions map[string]report.Decision // by "repository:tag"
	doubled   []string                   // tags with more than one decision
	err       error
	stats     throttle.Stats
}

// Handle implements report.Handler.
func (o *outcome) Handle(e report.Event) error {
	if d, ok := e.(report.Decision); ok {
		name := d.Repository + ":" + d.Tag
		if _, again := o.decisions[name]; again {
			o.doubled = append(o.doubled, name)
		}
		o.decisions[name] = d
	}
	return o.Summary.Handle(e)
}

// The rules that the program brings, by name.
const (
	nameProtected                policy.Reason = "protected"
	tooYoung                     policy.Reason = "too-young"
	detailsMissing               policy.Reason = "details-missing" // of the original
	missingManifest              policy.Reason = "missing-manifest"
	undatable                    policy.Reason = "undatable"
	namingDiffers                policy.Reason = "naming-differs"
	counterpartPresent           policy.Reason = "counterpart-present"
	counterpartTagMissing        policy.Reason = "counterpart-tag-missing"
	counterpartRepositoryMissing policy.Reason = "counterpart-repository-missing"
	noBuildCache                 policy.Reason = "no-build-cache"
	datedOrphan                  policy.Reason = "dated-orphan"
	multiArch                    policy.Reason = "multi-arch"
)

// settings are those of a run without any, but for kinds: images with attestations go, too.
func settings() policy.Settings {
	return policy.Settings{
		ProtectedTags:      []string{"latest", "master", "main"},
		ProtectedTagsRegex: `^v.*\..*\..*`,
		ImageAge:           30 * 24 * time.Hour,
		DeleteKinds:        []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest},
		Orphans:            policy.OrphansAuto,
	}
}

// compilations are the rules that were compiled, each for all trials that go by them: compiling takes
// longer than a run over a small world. Nothing changes rules once they are compiled.
var compilations sync.Map

// compiled returns rules under settings.
func compiled(file *policy.File, settings policy.Settings) *policy.Rules {
	type source struct{ file, settings string }
	compile, _ := compilations.LoadOrStore(source{file.Name + "\n" + file.Text, fmt.Sprintf("%#v", settings)}, sync.OnceValue(func() *policy.Rules {
		rules, err := policy.Compile(file, settings)
		if err != nil {
			panic(err)
		}
		return rules
	}))
	return compile.(func() *policy.Rules)()
}

// newTrial prepares a run over a world under the original rules, on GitLab's word alone and
// without a rate limit. See registryTrial for others.
func newTrial(world *gitlabtest.World, options ...gitlabtest.Option) *trial {
	return &trial{
		server:   gitlabtest.New(world, options...),
		rules:    policy.Original(),
		settings: settings(),
		options: pipeline.Options{
			Workers: 16,

			CacheSuffix: ".cache",
			Verify:      pipeline.VerifyAPI,
			Scope:       pipeline.Scope{Membership: true},
		},
		client: gitlabapi.Config{
			URL:            "http://gitlab.test",
			Token:          throttle.NewSecret(gitlabtest.DefaultToken),
			Concurrency:    16,
			RequestTimeout: 30 * time.Second,
			MaxRetries:     5,
		},
	}
}

// run runs the trial. It is called in a bubble, or on a world without waits.
func (tr *trial) run(ctx context.Context, t *testing.T) *outcome {
	t.Helper()
	tr.options.Rules = compiled(tr.rules, tr.settings)
	if tr.client.Transport = tr.network; tr.network == nil {
		tr.client.Transport = tr.server.Transport()
	}
	client, err := gitlabapi.New(tr.client)
	if err != nil {
		t.Fatal(err)
	}
	o := &outcome{Summary: report.NewSummary(tr.options.DryRun), decisions: make(map[string]report.Decision)}
	o.err = pipeline.Run(ctx, client, tr.options, append(report.Handlers{o}, tr.handlers...))
	o.stats = client.Stats()
	if got := tr.server.Stats().Violations; len(got) > 0 {
		t.Errorf("requests that no client of GitLab sends: %q", got)
	}
	return o
}

// sleepUntilTagsAreOld sleeps where time is fake, which begins before tags of worlds were pushed.
func sleepUntilTagsAreOld() { time.Sleep(time.Until(gitlabtest.Created.AddDate(1, 0, 0))) }

// runInBubble runs the trial where time is fake and checks what is true of every run.
func (tr *trial) runInBubble(t *testing.T) *outcome {
	t.Helper()
	var o *outcome
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		o = tr.run(t.Context(), t)
	})
	checkSums(t, o)
	return o
}

// checkSums checks promise 1, sums, as far as a summary can show it, and that no tag
// was decided upon twice.
func checkSums(t *testing.T, o *outcome) {
	t.Helper()
	if o.Tags != o.Kept+o.Deleted+o.Undecided+o.Failed {
		t.Errorf("tags %d != kept %d + deleted %d + undecided %d + failed %d", o.Tags, o.Kept, o.Deleted, o.Undecided, o.Failed)
	}
	if o.Tags != len(o.decisions) || len(o.doubled) > 0 {
		t.Errorf("%d tags, but decisions on %d; more than one on %q", o.Tags, len(o.decisions), o.doubled)
	}
}

// dead returns the names of the tags that have to go, with the reason.
func dead(world *gitlabtest.World) map[string]string {
	dead := make(map[string]string)
	for name, reason := range world.Truth() {
		if reason != "" {
			dead[name] = reason
		}
	}
	return dead
}

// deleted returns the names of the tags that a server has deleted, with the reason for
// which they had to go, "" standing for a live one.
func deleted(server *gitlabtest.Server) map[string]string {
	gone := make(map[string]string)
	for _, tag := range server.Deleted() {
		gone[tag.String()] = tag.Dead
	}
	return gone
}

// onlyDead checks that nothing alive was deleted.
func onlyDead(t *testing.T, server *gitlabtest.Server) {
	t.Helper()
	for name, reason := range deleted(server) {
		if reason == "" {
			t.Errorf("%s was deleted and is alive", name)
		}
	}
}

// verdicts returns what was decided on each tag.
func (o *outcome) verdicts() map[string]policy.Reason {
	verdicts := make(map[string]policy.Reason)
	for name, d := range o.decisions {
		verdicts[name] = d.Reason
	}
	return verdicts
}

// names returns the keys of a map in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
