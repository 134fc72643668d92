package pipeline_test

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// explain explains one tag of the trial's world, at the time at which a trial runs. It is called in a
// bubble.
func (tr *trial) explain(t *testing.T, reference string) (*pipeline.Explanation, error) {
	t.Helper()
	time.Sleep(time.Until(gitlabtest.Created.AddDate(1, 0, 0)))
	tr.options.Rules = compiled(tr.rules, tr.settings)
	tr.client.Transport = tr.server.Transport()
	client, err := gitlabapi.New(tr.client)
	if err != nil {
		t.Fatal(err)
	}
	x, err := pipeline.Explain(t.Context(), client, tr.options, reference)
	if stats := tr.server.Stats(); stats.Changing != 0 || len(stats.Violations) > 0 {
		t.Errorf("%d requests that could change something, violations %q", stats.Changing, stats.Violations)
	}
	return x, err
}

// explained are the sources by which tags are explained.
var explained = map[string]struct {
	regime gitlabtest.Regime
	verify pipeline.Verify
}{
	"legacy by the registry":   {gitlabtest.Legacy, pipeline.VerifyRegistry},
	"legacy by the API":        {gitlabtest.Legacy, pipeline.VerifyAPI},
	"database by the registry": {gitlabtest.Database, pipeline.VerifyRegistry},
	"database by the API":      {gitlabtest.Database, pipeline.VerifyAPI},
}

// explainTrial is one over the demo's world, under the default rules.
func explainTrial(source string, options ...gitlabtest.Option) *trial {
	world := gitlabtest.DemoWorld()
	world.Regime = explained[source].regime
	tr := newTrial(world, options...)
	tr.rules, tr.options.Verify, tr.options.DryRun = policy.Default(), explained[source].verify, true
	return tr
}

// TestExplainsWhatARunDecides: of each tag the verdict is that of a run, and no fact that the rules
// speak of is left out.
func TestExplainsWhatARunDecides(t *testing.T) {
	for source := range explained {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr := explainTrial(source)
				decided := tr.run(t.Context(), t)
				for name, d := range decided.decisions {
					x, err := tr.explain(t, name)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					// With the metadata database it depends on the batch whether the manifest of what is
					// presumed to be a build cache is looked at: the run may have found what explain has.
					looked := source == "database by the registry" && d.Reason == noBuildCache && x.Full == policy.Verdict{Action: d.Action, Reason: d.Reason}
					if !looked && (x.Verdict.Reason != d.Reason || x.Verdict.Action != d.Action) {
						t.Errorf("%s is explained as %v; a run says %s, %s", name, x.Verdict, d.Action, d.Reason)
					}
					checkFacts(t, name, tr.options.Rules, x)
				}
			})
		})
	}
}

// checkFacts checks that facts have what their state says.
func checkFacts(t *testing.T, name string, rules *policy.Rules, x *pipeline.Explanation) {
	t.Helper()
	for _, fact := range x.Facts {
		want := fact.Where != "" && (fact.Value != nil) == (fact.State == pipeline.FactKnown)
		switch fact.State {
		case pipeline.FactNotAsked:
			want = want && !rules.Uses(string(fact.Name))
		case pipeline.FactUnknown:
			want = fact.Err != nil
		}
		if !want {
			t.Errorf("%s: %+v", name, fact)
		}
	}
	if x.Description == "" || len(x.Rules) != len(rules.All()) {
		t.Errorf("%s: description %q, %d rules", name, x.Description, len(x.Rules))
	}
}

// factOf returns one fact of an explanation.
func factOf(t *testing.T, x *pipeline.Explanation, name policy.Name) pipeline.ExplainedFact {
	t.Helper()
	i := slices.IndexFunc(x.Facts, func(f pipeline.ExplainedFact) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("there is no fact %s", name)
	}
	return x.Facts[i]
}

// TestExplainReadsWhatIsPresumed: with the metadata database a run goes by a cache repository's name
// until it deletes, and explain does not.
func TestExplainReadsWhatIsPresumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		tr := explainTrial("database by the registry")
		x, err := tr.explain(t, "acme/shop/storefront/web.cache:pushed-by-mistake")
		if err != nil {
			t.Fatal(err)
		}
		if x.Verdict.Action != policy.Delete || x.Full.Action != policy.Keep {
			t.Errorf("verdict %v, fully %v", x.Verdict, x.Full)
		}
		if fact := factOf(t, x, policy.FactIsCache); fact.Value != false {
			t.Errorf("%+v", fact)
		}
	})
}

// TestExplainShowsWhatCannotBeHad: a fact that cannot be found out has its error, and the others
// are there all the same.
func TestExplainShowsWhatCannotBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		tr := explainTrial("legacy by the registry", gitlabtest.WithFaults(
			gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/feature-banner$`), Effect: gitlabtest.Refuse(400)}))
		x, err := tr.explain(t, "acme/shop/storefront/web.cache:feature-banner")
		if err != nil {
			t.Fatal(err)
		}
		if x.Verdict != (policy.Verdict{Action: policy.Undecided, Reason: policy.DetailsUnknown}) || x.Doubt == nil || x.Full != x.Verdict {
			t.Errorf("verdict %v, fully %v, doubt %v", x.Verdict, x.Full, x.Doubt)
		}
		if fact := factOf(t, x, policy.FactKind); fact.State != pipeline.FactUnknown || fact.Err == nil {
			t.Errorf("%+v", fact)
		}
		if fact := factOf(t, x, policy.FactCounterpart); fact.Value != policy.CounterpartTagMissing {
			t.Errorf("%+v", fact)
		}
	})
}

// TestExplainFindsMoreThanADecision: what a protected tag's verdict needs no request for is found,
// and a rank where a rule speaks of it.
func TestExplainFindsMoreThanADecision(t *testing.T) {
	rules, err := policy.Parse("test", []byte("rules:\n- name: main\n  keep: tag.name == 'main'\n- name: rest\n  delete: has(tag.rank) && tag.rank > 99 && tag.dated\n"))
	if err != nil {
		t.Fatal(err)
	}
	for source := range explained {
		t.Run(source, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sleepUntilTagsAreOld()
				tr := explainTrial(source)
				tr.rules = rules
				x, err := tr.explain(t, "acme/shop/storefront/web:main")
				if err != nil {
					t.Fatal(err)
				}
				if rank, dated := factOf(t, x, policy.FactRank), factOf(t, x, policy.FactDated); rank.State != pipeline.FactKnown || dated.Value != true {
					t.Errorf("%+v, %+v", rank, dated)
				}
				checkFacts(t, "main", tr.options.Rules, x)
			})
		})
	}
}

// TestExplainPassesBy: what a run passes by is not asked about.
func TestExplainPassesBy(t *testing.T) {
	for reference, want := range map[string]report.SkipReason{
		"acme/attic/old-site/web.cache:feature-flash": report.ProjectArchived,
		"acme/labs/prototype/app:cache":               report.RegistryDisabled,
		"acme/labs/experiment/app:half-gone":          report.RepositoryDeleting,
	} {
		synctest.Test(t, func(t *testing.T) {
			sleepUntilTagsAreOld()
			x, err := explainTrial("legacy by the registry").explain(t, reference)
			if err != nil || x.Skipped != want || x.Facts != nil {
				t.Errorf("%s: %+v, %v; want %s", reference, x, err, want)
			}
		})
	}
}

func TestExplainNotFound(t *testing.T) {
	for reference, want := range map[string]pipeline.NotFoundError{
		"acme/nothing/web:main":              {Kind: "project", Name: "acme/nothing/web"},
		"acme/shop/storefront/wep:main":      {Kind: "repository", Name: "wep", In: "acme/shop/storefront"},
		"acme/shop/storefront/web:no-branch": {Kind: "tag", Name: "no-branch", In: "acme/shop/storefront/web"},
	} {
		synctest.Test(t, func(t *testing.T) {
			sleepUntilTagsAreOld()
			_, err := explainTrial("legacy by the registry").explain(t, reference)
			got, ok := errors.AsType[*pipeline.NotFoundError](err)
			if !ok || got.Kind != want.Kind || got.Name != want.Name || got.In != want.In || (len(got.Has) == 0) != (want.In == "") {
				t.Errorf("%s: %v; want %+v", reference, err, want)
			}
		})
	}
}

func TestCheckReference(t *testing.T) {
	for _, good := range []string{"a/b:c", "a/b/c.d:v1.2", "Group/sub/app/x.cache:_1"} {
		if err := pipeline.CheckReference(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "a/b", "a:b", "a/b:", "a/b:-c", "host:5050/a/b:c", "a/b@sha256:0a", "/a/b:c", "a//b:c", "a/../b:c", "a/b/:c", "a/b:c/d", "a/b?x:c",
	} {
		if err := pipeline.CheckReference(bad); !errors.Is(err, pipeline.ErrReference) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
