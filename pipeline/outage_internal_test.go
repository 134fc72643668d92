package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// How an outage of the registry is told from tags that are dead: the guard before the
// first deletion, and the pulse before each.

func tagWith(details policy.Details, verdict policy.Verdict) tag {
	return tag{facts: policy.Facts{Details: policy.Known(details)}, verdict: verdict}
}

var (
	missing   = tagWith(policy.DetailsMissing, policy.Verdict{Action: policy.Delete, Reason: policy.MissingDetails})
	orphan    = tagWith(policy.DetailsUndated, policy.Verdict{Action: policy.Delete, Reason: policy.MissingCounterpartTag})
	healthy   = tagWith(policy.DetailsDated, policy.Verdict{Action: policy.Keep, Reason: policy.Healthy})
	protected = tag{verdict: policy.Verdict{Action: policy.Keep, Reason: policy.Protected}}
	broken    = tag{verdict: policy.Verdict{Action: policy.Undecided, Reason: policy.ListingIncomplete}}
)

// pass shows a guard n tags alike, as the classifier does, and returns what it lets go.
func pass(g *outageGuard, t tag, n int) []tag {
	var released []tag
	for range n {
		g.observe(t)
		if !g.hold(t, true) {
			released = append(released, t)
		}
		released = append(released, g.release(false)...)
	}
	return released
}

func suspects(tags []tag) int {
	n := 0
	for _, t := range tags {
		if t.verdict == (policy.Verdict{Action: policy.Undecided, Reason: policy.OutageSuspected}) {
			n++
		}
	}
	return n
}

// TestGuardAtTheEnd: what a guard makes of the tags that it held to the end of a run.
func TestGuardAtTheEnd(t *testing.T) {
	type some struct {
		tag tag
		n   int
	}
	const minimum = 20
	for name, test := range map[string]struct {
		tags           []some
		held, suspects int // at the end
	}{
		"few without details":                   {[]some{{missing, minimum - 1}}, minimum - 1, 0},
		"enough without details":                {[]some{{missing, minimum}}, minimum, minimum},
		"tags that nobody inspected are none":   {[]some{{protected, 50}, {broken, 50}, {missing, minimum - 1}}, minimum - 1, 0},
		"few without a date, others missing":    {[]some{{missing, 10}, {orphan, minimum - 1}}, minimum - 1, 0},
		"enough without a date, others missing": {[]some{{missing, 10}, {orphan, minimum}}, minimum, minimum},
		"a sign of life last":                   {[]some{{missing, 50}, {orphan, 50}, {healthy, 1}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var guard outageGuard
			for _, some := range test.tags {
				pass(&guard, some.tag, some.n)
			}
			last := guard.release(true)
			if len(last) != test.held || suspects(last) != test.suspects {
				t.Errorf("held %d to the end and suspected %d, want %d and %d", len(last), suspects(last), test.held, test.suspects)
			}
		})
	}
}

// TestGuardIsFull: a guard does not hold more than fits. Once it has let tags go as
// suspects it goes on so: a sign of life after that many is one that comes and goes.
func TestGuardIsFull(t *testing.T) {
	for name, dead := range map[string]tag{"for details": missing, "for a date": orphan} {
		t.Run(name, func(t *testing.T) {
			var guard outageGuard
			if early := pass(&guard, dead, maxHeld-1); len(early) > 0 {
				t.Fatalf("%d were let go early", len(early))
			}
			if full := pass(&guard, dead, 1); suspects(full) != maxHeld || len(full) != maxHeld {
				t.Errorf("let %d go, %d of them suspects; want %d", len(full), suspects(full), maxHeld)
			}
			pass(&guard, healthy, 1)
			if later := pass(&guard, dead, 1); len(later) != 1 || suspects(later) != 1 {
				t.Errorf("after a sign of life: let %d go, %d suspects; want 1 of 1", len(later), suspects(later))
			}
			if last := guard.release(true); len(last) > 0 {
				t.Errorf("%d were left to the end", len(last))
			}
		})
	}
}

// A patient is a pulse with tags to ask for: the first n of a repository, the last of
// which is the newest witness.
type patient struct {
	*pulse
	server *gitlabtest.Server
}

func newPatient(t *testing.T, kind gitlabtest.Kind, n int, faults ...gitlabtest.Fault) *patient {
	t.Helper()
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	for i := range n {
		app.AddTag(fmt.Sprint("w-", i), kind)
	}
	server := gitlabtest.New(world, gitlabtest.WithFaults(faults...))
	client, err := gitlabapi.New(gitlabapi.Config{URL: "http://gitlab.test", Concurrency: 16,
		Token: throttle.NewSecret(gitlabtest.DefaultToken), Transport: server.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{&pulse{client: client, turn: semaphore.NewWeighted(1)}, server}
	repo := &repository{Repository: gitlabapi.Repository{ID: app.ID, ProjectID: app.Project().ID, Name: app.Name, Path: app.Path()}}
	details := policy.DetailsDated
	if kind == gitlabtest.KindArtifact {
		details = policy.DetailsUndated
	}
	for i := range n {
		witness := tagWith(details, policy.Verdict{Action: policy.Keep, Reason: policy.Healthy})
		witness.repository, witness.facts.Tag = repo, fmt.Sprint("w-", i)
		p.remember(witness)
	}
	return p
}

// remove takes a tag away, as somebody else might.
func (p *patient) remove(t *testing.T, i int) {
	t.Helper()
	if err := p.server.Remove("g/p", "app", fmt.Sprint("w-", i)); err != nil {
		t.Fatal(err)
	}
}

// wants checks a pulse now, and how many questions that took.
func (p *patient) wants(t *testing.T, want error, questions int) {
	t.Helper()
	before := p.server.Stats().Total
	if err := p.check(t.Context(), p.now()); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if asked := p.server.Stats().Total - before; asked != questions {
		t.Errorf("%d questions, want %d", asked, questions)
	}
}

// TestWhoIsAsked: the first check asks all witnesses, to see how steadily the registry
// answers; a later one the newest, and when that is gone the two before it.
func TestWhoIsAsked(t *testing.T) {
	const gone = 2 // questions for a tag that is gone
	for removed, want := range map[int]error{0: nil, 1: nil, 2: nil, 3: errNoPulse} {
		t.Run(fmt.Sprint(removed, " gone"), func(t *testing.T) {
			p := newPatient(t, gitlabtest.KindImage, maxWitnesses)
			p.wants(t, nil, maxWitnesses)
			for i := range removed {
				p.remove(t, maxWitnesses-1-i)
			}
			p.wants(t, want, removed*gone+min(1, 3-removed))
		})
	}
	t.Run("the first check, all but one gone", func(t *testing.T) {
		p := newPatient(t, gitlabtest.KindImage, maxWitnesses)
		for i := range maxWitnesses - 1 {
			p.remove(t, 1+i)
		}
		p.wants(t, nil, (maxWitnesses-1)*gone+1)
	})
	t.Run("nobody", func(t *testing.T) {
		newPatient(t, gitlabtest.KindImage, 0).wants(t, errNoWitness, 0)
	})
	t.Run("a tag without a date", func(t *testing.T) {
		p := newPatient(t, gitlabtest.KindArtifact, 2)
		p.wants(t, nil, 1)
		p.remove(t, 1)
		p.wants(t, errNoPulse, gone)
	})
}

// TestWitnessComesBack: a witness that is missing and there when asked again shows a
// registry that fails now and then, and so does its date. That ends all deletions: no
// later check is any better.
func TestWitnessComesBack(t *testing.T) {
	for name, effect := range map[string]gitlabtest.Effect{
		"details": gitlabtest.RegistryOutage(),
		"a date":  gitlabtest.ConfigUnreadable(),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t, gitlabtest.KindImage, 2, gitlabtest.Fault{Skip: 2, Count: 1, Effect: effect})
			p.wants(t, nil, 2)
			p.wants(t, errUnsteady, 2)
			p.wants(t, errUnsteady, 0)
		})
	}
}

// TestNoAnswerIsNoSign: a witness that cannot be asked is neither good nor bad, and the
// next check asks again.
func TestNoAnswerIsNoSign(t *testing.T) {
	p := newPatient(t, gitlabtest.KindImage, 1, gitlabtest.Fault{Count: 1, Effect: gitlabtest.Refuse(403)})
	p.wants(t, throttle.ErrForbidden, 1)
	p.wants(t, nil, 1)
}

// TestCheckBeginsAfterTheReading: a check proves something to those tags only that had
// been read before it began: one that was on when a tag was read is neither joined nor
// good enough afterwards. What is on or over is enough for all read earlier.
func TestCheckBeginsAfterTheReading(t *testing.T) {
	const took = 10 * time.Second
	checkAt := func(t *testing.T, p *patient, since int64) {
		t.Helper()
		if err := p.check(context.Background(), since); err != nil {
			t.Error(err)
		}
	}
	for name, test := range map[string]struct {
		read, check time.Duration // after the first check has begun
		questions   int
	}{
		"read before, checked after":           {-time.Second, 15 * time.Second, 1},
		"read meanwhile, checked meanwhile":    {5 * time.Second, 6 * time.Second, 2},
		"read meanwhile, checked after":        {5 * time.Second, 15 * time.Second, 2},
		"read after, checked after":            {15 * time.Second, 16 * time.Second, 2},
		"read as it was over, checked at once": {took + time.Second, took + time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatient(t, gitlabtest.KindImage, 1, gitlabtest.Fault{Effect: gitlabtest.Latency(took)})
				const start = 2 * time.Second
				var all sync.WaitGroup
				all.Go(func() { // a tag that was read at the very first
					since := p.now()
					time.Sleep(start)
					checkAt(t, p, since)
				})
				all.Go(func() {
					time.Sleep(start + test.read)
					since := p.now()
					time.Sleep(test.check - test.read)
					checkAt(t, p, since)
				})
				all.Wait()
				if asked := p.server.Stats().Total; asked != test.questions {
					t.Errorf("%d questions, want %d", asked, test.questions)
				}
			})
		})
	}
	t.Run("many wait for one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPatient(t, gitlabtest.KindImage, 1, gitlabtest.Fault{Effect: gitlabtest.Latency(took)})
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					since := p.now()
					time.Sleep(time.Duration(i+1) * 100 * time.Millisecond)
					checkAt(t, p, since)
				})
			}
			all.Wait()
			// The first begins alone; the others wait for the next, all for the same.
			if asked := p.server.Stats().Total; asked != 2 {
				t.Errorf("%d questions, want 2", asked)
			}
		})
	})
}
