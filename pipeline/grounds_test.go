package pipeline_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What is read at the last moment, before a deletion: promise 3 of promises_test.go in
// its particulars.

func repositoriesOf(p *gitlabtest.Project) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf("^/projects/%d/registry/repositories$", p.ID))
}

func tagsOf(r *gitlabtest.Repository) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf("/%d/tags$", r.ID))
}

func tagOf(r *gitlabtest.Repository, tag string) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf("/%d/tags/%s$", r.ID, regexp.QuoteMeta(tag)))
}

// listed renders repositories as GitLab lists them.
func listed(repositories ...*gitlabtest.Repository) string {
	var entries []string
	for _, r := range repositories {
		entries = append(entries, fmt.Sprintf(`{"id":%d,"name":%q,"path":%q,"project_id":%d}`, r.ID, r.Name, r.Path(), r.Project().ID))
	}
	return "[" + strings.Join(entries, ",") + "]"
}

// TestCounterpartsDetails: an orphan goes when GitLab itself says that its counterpart
// is not there. No other failure to read the counterpart's details says so.
func TestCounterpartsDetails(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		want   policy.Reason
	}{
		"GitLab has no such tag": {gitlabtest.Latency(0), counterpartTagMissing},
		"no registry":            {gitlabtest.Status(503), policy.CounterpartUnknown},
		"forbidden":              {gitlabtest.Refuse(403), policy.CounterpartUnknown},
		"a proxy's 404":          {gitlabtest.Reply(404, "not here", "Content-Type", "text/plain"), policy.CounterpartUnknown},
		"a sign-in page":         {gitlabtest.HTML(), policy.CounterpartUnknown},
		"a cut":                  {gitlabtest.Cut(), policy.CounterpartUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
			app.AddTag("y", gitlabtest.KindImage)
			cache.AddTag("x", gitlabtest.KindCacheManifest)
			tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Path: tagOf(app, "x"), Effect: test.effect}))
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != test.want {
				t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.want)
			}
			if gone := len(deleted(tr.server)); gone > 0 && test.want == policy.CounterpartUnknown {
				t.Errorf("deleted %d", gone)
			}
		})
	}
}

// TestMissingRepositoryIsConfirmed: that a counterpart repository is missing counts when
// a second list of the project's repositories is whole and still lacks it, or lacks the
// same in a third.
func TestMissingRepositoryIsConfirmed(t *testing.T) {
	const unknown, gone = policy.CounterpartUnknown, counterpartRepositoryMissing
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	cache, healthy, other := p.AddRepository("app.cache"), p.AddRepository("healthy"), p.AddRepository("other")
	cache.AddTag("x", gitlabtest.KindCacheManifest)
	healthy.AddTag("a", gitlabtest.KindImage)
	other.AddTag("b", gitlabtest.KindImage)
	// What has been pushed meanwhile.
	later := gitlabtest.NewWorld(gitlabtest.Legacy).AddProject("g/p")
	app, more := later.AddRepository("app"), later.AddRepository("more")
	app.ID, more.ID = other.ID+1, other.ID+2

	reply := func(repositories ...*gitlabtest.Repository) gitlabtest.Effect {
		return gitlabtest.Reply(200, listed(repositories...))
	}
	asIs := gitlabtest.Latency(0)
	for _, test := range []struct {
		name          string
		second, third gitlabtest.Effect
		want          policy.Reason
		lists         int // of the project's repositories
	}{
		{"as before", asIs, asIs, gone, 2},
		{"in another order", reply(other, cache, healthy), asIs, gone, 2},
		{"one more", reply(cache, healthy, other, more), asIs, gone, 2},
		{"one less, twice", reply(cache, healthy), reply(healthy, cache), gone, 3},
		{"one less, once", reply(cache, healthy), asIs, unknown, 3},
		{"one less, then another", reply(cache, healthy), reply(cache, other), unknown, 3},
		{"one less, then no answer", reply(cache, healthy), gitlabtest.Refuse(403), unknown, 3},
		{"no answer", gitlabtest.Refuse(403), asIs, unknown, 2},
		{"itself missing", reply(healthy, other), reply(healthy, other), unknown, 3},
		{"itself missing the third time", reply(cache, healthy), reply(healthy), unknown, 3},
		{"empty, twice", reply(), reply(), unknown, 3},
		{"the counterpart has appeared", reply(app, cache, healthy, other), asIs, unknown, 2},
		{"the counterpart appears last", reply(cache, healthy), reply(cache, healthy, app), unknown, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(world, gitlabtest.WithFaults(
				gitlabtest.Fault{Path: repositoriesOf(p), Skip: 1, Count: 1, Effect: test.second},
				// What the first fault answers does not count here.
				gitlabtest.Fault{Path: repositoriesOf(p), Skip: 1, Effect: test.third}))
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app.cache:x"]; d.Reason != test.want {
				t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, test.want)
			}
			if n := len(deleted(tr.server)); (n == 1) != (test.want == gone) {
				t.Errorf("deleted %d", n)
			}
			if n := tr.server.Stats().ByEndpoint["GET /projects/:id/registry/repositories"]; n != test.lists {
				t.Errorf("%d lists of repositories, want %d", n, test.lists)
			}
		})
	}
}

// TestNoWitness: where no tag of the run is healthy, a tag without details goes only
// while its repository, which has it, still lists something.
func TestNoWitness(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		want   policy.Reason
	}{
		"it lists":           {gitlabtest.Latency(0), detailsMissing},
		"it lists no more":   {gitlabtest.RegistryOutage(), policy.OutageSuspected},
		"it cannot be asked": {gitlabtest.Refuse(403), policy.DetailsUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			app := world.AddProject("g/p").AddRepository("app")
			for i := range 5 {
				app.AddTag(fmt.Sprint("t-", i), gitlabtest.KindCacheIndex)
			}
			const read = 2 // the listing itself, and the regime
			tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Path: tagsOf(app), Skip: read, Effect: test.effect}))
			got := tr.runInBubble(t)
			if got.Reasons[test.want] != 5 {
				t.Errorf("reasons %v, want 5 of %s", got.Reasons, test.want)
			}
			if gone := len(deleted(tr.server)); (gone > 0) != (test.want == detailsMissing) {
				t.Errorf("deleted %d", gone)
			}
		})
	}
}

// TestOutageUntilAfterTheRecheck: healthy tags are asked for before the grounds are read again, too:
// an outage that is over right after that is not seen any more.
func TestOutageUntilAfterTheRecheck(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTag("a-healthy", gitlabtest.KindImage)
	app.AddTag("victim", gitlabtest.KindImage)
	outage := gitlabtest.RegistryOutage()
	victim := gitlabtest.Fault{Path: tagOf(app, "victim"), Effect: outage}
	tr := newTrial(world, gitlabtest.WithFaults(victim, gitlabtest.Fault{Path: tagOf(app, "a-healthy"), Skip: 1, Effect: outage}))
	tr.options.Workers = 1
	read := 0
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if victim.Path.MatchString(r.Path) {
			if read++; read == 3 { // the first reading, and the two before a deletion
				tr.server.SetFaults(victim)
			}
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app:victim"]; d.Reason != policy.OutageSuspected || len(deleted(tr.server)) > 0 {
		t.Errorf("decided %s (%s), deleted %d", d.Reason, d.Detail, len(deleted(tr.server)))
	}
}

// TestOutageWithoutWitness: where no tag of the run is healthy, its repository must list something before the
// grounds are read again, too. An outage that is over right after that is not seen any more.
func TestOutageWithoutWitness(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	const tags = 3
	for i := range tags {
		app.AddTag(fmt.Sprint("t-", i), gitlabtest.KindImage)
	}
	tr := newTrial(world)
	var read atomic.Int32
	tr.server.OnRequest(func(r gitlabtest.Request) {
		switch isDetails := details.MatchString(r.Path); {
		case isDetails && read.Add(1) == 1:
			tr.server.SetFaults(gitlabtest.Fault{Effect: gitlabtest.RegistryOutage()})
		case !isDetails && read.Load() == 3*tags: // the first reading, and the two before a deletion
			tr.server.SetFaults()
		}
	})
	got := tr.runInBubble(t)
	if gone := deleted(tr.server); got.Reasons[policy.OutageSuspected] != tags || len(gone) > 0 {
		t.Errorf("reasons %v, deleted %q", got.Reasons, names(gone))
	}
	if read.Load() != 3*tags {
		t.Errorf("details read %d times", read.Load())
	}
}

// TestWhatComesBackStopsDeletions: details or a date that were missing and are there
// now show a registry that fails now and then. Nothing goes after that, and nothing that
// was to go together with them.
func TestWhatComesBackStopsDeletions(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		want   policy.Reason // of the tag that comes back
	}{
		"details": {gitlabtest.RegistryOutage(), policy.EvidenceDisagrees},
		"a date":  {gitlabtest.ConfigUnreadable(), policy.NoRule},
	} {
		t.Run(name, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			p := world.AddProject("g/p")
			p.AddRepository("a").AddTag("healthy", gitlabtest.KindImage)
			cache := p.AddRepository("b.cache")
			cache.AddTag("1-dead", gitlabtest.KindCacheIndex)
			cache.AddTag("2-comes-back", gitlabtest.KindImage)
			cache.AddTag("3-dead", gitlabtest.KindCacheIndex)
			cache.AddTag("4-orphan", gitlabtest.KindCacheManifest)
			tr := newTrial(world, gitlabtest.WithFaults(
				gitlabtest.Fault{Path: tagOf(cache, "2-comes-back"), Count: 1, Effect: test.effect}))
			tr.options.Workers = 1 // in order
			got := tr.runInBubble(t)
			for tag, want := range map[string]policy.Reason{
				"1-dead": policy.OutageSuspected, "2-comes-back": test.want,
				"3-dead": policy.OutageSuspected, "4-orphan": policy.OutageSuspected,
			} {
				if d := got.decisions["g/p/b.cache:"+tag]; d.Reason != want {
					t.Errorf("%s: decided %s (%s), want %s", tag, d.Reason, d.Detail, want)
				}
			}
			if gone := names(deleted(tr.server)); len(gone) > 0 {
				t.Errorf("deleted %q", gone)
			}
		})
	}
}

// TestWhatComesBackStopsWhatIsUnderWay: the same for a deletion whose grounds are being
// read when another tag comes back.
func TestWhatComesBackStopsWhatIsUnderWay(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTag("a", gitlabtest.KindImage)
	app.AddTag("comes-back", gitlabtest.KindImage)
	app.AddTag("dead", gitlabtest.KindCacheIndex)
	tr := newTrial(world, gitlabtest.WithFaults(
		gitlabtest.Fault{Path: tagOf(app, "comes-back"), Count: 1, Effect: gitlabtest.RegistryOutage()},
		gitlabtest.Fault{Path: tagOf(app, "comes-back"), Skip: 1, Effect: gitlabtest.Latency(5 * time.Second)},
		gitlabtest.Fault{Path: tagOf(app, "dead"), Skip: 1, Effect: gitlabtest.Latency(10 * time.Second)}))
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app:dead"]; d.Reason != policy.OutageSuspected {
		t.Errorf("decided %s (%s)", d.Reason, d.Detail)
	}
	if gone := names(deleted(tr.server)); len(gone) > 0 {
		t.Errorf("deleted %q", gone)
	}
}

// TestFreshReadingGrowsOld: a second reading of a counterpart's list is shared by the
// orphans of a cache repository, for ten seconds and no longer.
func TestFreshReadingGrowsOld(t *testing.T) {
	const orphans = 10
	last := fmt.Sprint("o-", orphans-1)
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTag("a", gitlabtest.KindImage)
	for i := range orphans {
		cache.AddTag(fmt.Sprint("o-", i), gitlabtest.KindCacheManifest)
	}
	tr := newTrial(world, gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(
		gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Latency(4 * time.Second)}))
	tr.options.Workers = 1
	var deletions atomic.Int64
	tr.server.OnRequest(func(r gitlabtest.Request) {
		if r.Method == "DELETE" && deletions.Add(1) == 2 {
			// It has no details: only a list shows that it is there.
			if err := tr.server.Push("g/p", "app", last, gitlabtest.KindMultiArch); err != nil {
				t.Error(err)
			}
		}
	})
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/app.cache:"+last]; d.Reason != counterpartPresent || got.Deleted != orphans-1 {
		t.Errorf("deleted %d of %d, %s: %s (%s)", got.Deleted, orphans-1, last, d.Reason, d.Detail)
	}
	// The first reading, and a fresh one for every ten seconds in which orphans go.
	if n := tr.server.PathCount(fmt.Sprintf("/projects/%d/registry/repositories/%d/tags?page=1", p.ID, app.ID)); n < 3 || n > 6 {
		t.Errorf("the counterpart's list was read %d times", n)
	}
}

// TestDateInTheList: a date in either place is a date. A tag that is dated in its list
// alone is no undated orphan, and a witness that never had a date in its details is not
// missed one.
func TestDateInTheList(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	first := p.AddRepository("a") // the regime is asked here
	first.AddTag("dead", gitlabtest.KindCacheIndex)
	cache := p.AddRepository("b.cache")
	cache.AddTag("x", gitlabtest.KindCacheManifest)
	tr := newTrial(world, gitlabtest.WithFaults(gitlabtest.Fault{Path: tagsOf(cache),
		Effect: gitlabtest.Reply(200, `[{"name":"x","created_at":"2024-03-01T12:00:00.000Z"}]`)}))
	tr.options.Workers = 1
	got := tr.runInBubble(t)
	if d := got.decisions["g/p/b.cache:x"]; d.Reason != policy.NoRule {
		t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, policy.NoRule)
	}
	if d := got.decisions["g/p/a:dead"]; d.Reason != detailsMissing {
		t.Errorf("decided %s (%s), want %s", d.Reason, d.Detail, detailsMissing)
	}
}

// TestDeletionRefusedForTheToken: a token that may read and is not accepted for a
// deletion ends the run, and no deletion is begun after that.
func TestDeletionRefusedForTheToken(t *testing.T) {
	const workers, dead = 4, 100
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTag("alive", gitlabtest.KindImage)
	for i := range dead {
		app.AddTag(fmt.Sprint("dead-", i), gitlabtest.KindCacheIndex)
	}
	for name, options := range map[string][]gitlabtest.Option{
		"one by one": {gitlabtest.WithoutGraphQL(), gitlabtest.WithFaults(gitlabtest.Fault{Method: "DELETE", Effect: gitlabtest.Status(401)})},
		"together":   {gitlabtest.WithFaults(gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Status(401)})},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(world, options...)
			tr.options.Workers = workers
			got := tr.runInBubble(t)
			if !errors.Is(got.err, throttle.ErrUnauthorized) {
				t.Errorf("error %v, want %v", got.err, throttle.ErrUnauthorized)
			}
			if n := tr.server.Stats().Changing; n == 0 || n > 2*workers {
				t.Errorf("%d deletions were sent", n)
			}
		})
	}
}
