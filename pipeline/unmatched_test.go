package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// unmatched keeps what a run says of what is to be left alone or kept and was not found.
type unmatched struct {
	exclude []report.ExcludeUnmatched
	inUse   []report.InUseCounted
}

// Handle implements [report.Handler].
func (u *unmatched) Handle(e report.Event) error {
	switch e := e.(type) {
	case report.ExcludeUnmatched:
		u.exclude = append(u.exclude, e)
	case report.InUseCounted:
		u.inUse = append(u.inUse, e)
	}
	return nil
}

// TestExcludeThatMatchesNothing is told at the end, whatever else the patterns match; and where a walk
// is a part, that it may be right. A pattern counts that matches what another one has matched before, and
// so does one of something in a project that is skipped whole.
func TestExcludeThatMatchesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		scope    pipeline.Scope
		patterns []string
		want     []string
		part     bool
	}{
		"all are there":      {pipeline.Scope{}, []string{"acme/labs", "ACME/labs/*", "acme/shop/storefront/web.cache", "acme/attic/old-site/web.cache", "**/mailer"}, nil, false},
		"two are mistyped":   {pipeline.Scope{}, []string{"acme/shop/storefrond", "acme/labs", "/acme/shop/checkout/worker.cash"}, []string{"acme/shop/storefrond", "acme/shop/checkout/worker.cash"}, false},
		"a project's prefix": {pipeline.Scope{}, []string{"acme/shop/store"}, []string{"acme/shop/store"}, false},
		"a group":            {pipeline.Scope{Groups: []string{"acme/shop"}}, []string{"acme/labs", "acme/shop/checkout"}, []string{"acme/labs"}, true},
		"projects":           {pipeline.Scope{Projects: []string{"acme/shop/checkout"}}, []string{"acme/labs"}, []string{"acme/labs"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(gitlabtest.DemoWorld())
			tr.options.Scope, tr.options.DryRun = test.scope, true
			var err error
			if tr.options.Scope.Exclude, err = pipeline.ParseExclude(test.patterns); err != nil {
				t.Fatal(err)
			}
			told := new(unmatched)
			tr.handlers = report.Handlers{told}
			got := tr.runInBubble(t)
			var want []report.ExcludeUnmatched
			if test.want != nil {
				want = []report.ExcludeUnmatched{{Patterns: test.want, Part: test.part}}
			}
			if diff := cmp.Diff(want, told.exclude); diff != "" || got.err != nil || len(told.inUse) > 0 {
				t.Errorf("(-want +got):\n%s, in use %v, error %v", diff, told.inUse, got.err)
			}
		})
	}
}

// TestExcludeOfOtherShards: a project that another shard walks is there.
func TestExcludeOfOtherShards(t *testing.T) {
	for index := range 3 {
		tr := newTrial(gitlabtest.DemoWorld())
		tr.options.Scope.Shard, tr.options.DryRun = pipeline.Shard{Index: index, Count: 3}, true
		tr.options.Scope.Exclude, _ = pipeline.ParseExclude([]string{"acme/shop/checkout", "acme/labs", "acme/nowhere"})
		told := new(unmatched)
		tr.handlers = report.Handlers{told}
		tr.runInBubble(t)
		if diff := cmp.Diff([]report.ExcludeUnmatched{{Patterns: []string{"acme/nowhere"}, Part: true}}, told.exclude); diff != "" {
			t.Errorf("shard %d (-want +got):\n%s", index, diff)
		}
	}
}

// TestUnmatchedAfterAStop: a walk that was cut short does not know what is there.
func TestUnmatchedAfterAStop(t *testing.T) {
	tr := newTrial(gitlabtest.DemoWorld(), gitlabtest.WithFaults(gitlabtest.Fault{Skip: 8, Effect: gitlabtest.Status(401)}))
	tr.options.Scope.Exclude, _ = pipeline.ParseExclude([]string{"acme/nowhere"})
	tr.options.InUse = inUse(t, "acme/nowhere:1")
	told := new(unmatched)
	tr.handlers = report.Handlers{told}
	if got := tr.runInBubble(t); got.err == nil || told.exclude != nil || told.inUse != nil {
		t.Errorf("told %v, error %v", told, got.err)
	}
}

// TestInUseIsCounted: which references are tags that were listed, each once.
func TestInUseIsCounted(t *testing.T) {
	world := gitlabtest.DemoWorld() // one for all: images of another may be a second younger
	digest := digestOf(t, world, "acme/shop/storefront/web:main")
	world.Regime = gitlabtest.Database // whose lists have digests
	for name, test := range map[string]struct {
		list []string
		want report.InUseCounted
	}{
		"some":             {[]string{"registry.example.com/acme/shop/storefront/web:main", "acme/shop/storefront/web:main", "acme/shop/storefront/web:gone", "redis"}, report.InUseCounted{References: 3, Seen: 1}},
		"another registry": {[]string{"docker.io/library/redis:7", "ghcr.io/a/b:1", "ghcr.io/a/b:1"}, report.InUseCounted{References: 2}},
		"a digest":         {[]string{"acme/shop/storefront/web@" + digest, "a@sha256:" + strings.Repeat("0", 64)}, report.InUseCounted{References: 2, ByDigest: 2, Seen: 1}},
		"both":             {[]string{"acme/x:1@" + digest}, report.InUseCounted{References: 1, Seen: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := registryTrial(world, pipeline.VerifyRegistry)
			tr.options.InUse, tr.options.DryRun = inUse(t, test.list...), true
			told := new(unmatched)
			tr.handlers = report.Handlers{told}
			tr.runInBubble(t)
			if diff := cmp.Diff([]report.InUseCounted{test.want}, told.inUse); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
