package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// How an outage of the registry is told from tags that are dead: by all tags of a run before
// the first deletion, and by healthy ones before each.

var (
	byAPI      = sourceChoice{regime: registry.Legacy}
	byRegistry = sourceChoice{regime: registry.Legacy, byRegistry: true}
)

// seen returns a decision on a tag of a repository with so many tags.
func seen(by sourceChoice, repository int64, size int, f finding, action policy.Action) decision {
	p := &projectRepository{repository: repositoryOf(repository)}
	scanned := &scannedRepository{projectRepository: p, sourceChoice: by, tags: make(listing, size), size: size}
	return decision{tag: tag{scannedRepository: scanned}, finding: f, verdict: policy.Verdict{Action: action}, asked: !f.hasDetails.IsUnknown()}
}

// orphanOf returns a decision on a tag that goes for its counterpart.
func orphanOf(d decision) decision {
	d.facts.Counterpart = policy.Known(policy.CounterpartTagMissing)
	return d
}

func repositoryOf(id int64) *repository {
	return &repository{Repository: gitlabapi.Repository{ID: id, Path: fmt.Sprint("g/p/", id)}}
}

var (
	noDetails = finding{hasDetails: policy.Known(false)}
	undated   = finding{hasDetails: policy.Known(true), dated: policy.Known(false), digest: "sha256:1"}
	dated     = finding{hasDetails: policy.Known(true), dated: policy.Known(true), digest: "sha256:2"}
	lost      = finding{hasDetails: policy.Known(false), broken: policy.Known(true), digest: "sha256:3"}
)

// TestCanarySeesAllTags: which candidates may go on at once, and what is decided on the others
// when all tags have been looked at.
func TestCanarySeesAllTags(t *testing.T) {
	missing := seen(byAPI, 1, 10, noDetails, policy.Delete)
	orphan := orphanOf(seen(byAPI, 1, 10, undated, policy.Delete))
	healthy := seen(byAPI, 1, 10, dated, policy.Keep)
	protected := seen(byAPI, 1, 10, finding{}, policy.Keep)
	incomplete := seen(byAPI, 1, 10, finding{}, policy.Undecided)
	lostOf := func(repository int64, size int) decision {
		return seen(byRegistry, repository, size, lost, policy.Delete)
	}
	readable := seen(byRegistry, 9, 10, dated, policy.Keep)
	sibling := seen(byRegistry, 1, 10, dated, policy.Keep)
	sibling2 := seen(byRegistry, 2, 10, dated, policy.Keep)
	orphaned := orphanOf(seen(byRegistry, 2, 10, undated, policy.Delete))
	compared := seen(byRegistry, 2, 10, undated, policy.Keep)
	compared.compared = true
	shown := compared
	shown.shown = true
	type some struct {
		decision decision
		n        int
	}
	for name, test := range map[string]struct {
		seen      []some
		candidate decision
		atOnce    bool
		want      error
	}{
		"few without details":                   {[]some{{missing, smallRun - 1}}, missing, false, nil},
		"enough without details":                {[]some{{missing, smallRun}}, missing, false, errNothingHealthy},
		"tags that were not looked at":          {[]some{{protected, 50}, {incomplete, 50}, {missing, smallRun - 1}}, missing, false, nil},
		"few without a date, others missing":    {[]some{{missing, 10}, {orphan, smallRun - 1}, {shown, 0}}, orphan, false, nil},
		"enough without a date, others missing": {[]some{{missing, 10}, {orphan, smallRun}}, orphan, false, errNothingHealthy},
		"details, no date":                      {[]some{{orphan, smallRun}}, missing, true, nil},
		"a date":                                {[]some{{missing, 50}, {orphan, 50}, {healthy, 1}, {shown, 1}}, orphan, true, nil},

		"one lost of 200":                       {[]some{{readable, 198}, {sibling, 1}, {lostOf(1, 10), 1}}, lostOf(1, 10), false, nil},
		"one lost, the only tag":                {[]some{{readable, 199}, {lostOf(1, 1), 1}}, lostOf(1, 1), false, nil},
		"two lost, the only tags":               {[]some{{readable, 199}, {lostOf(1, 2), 2}}, lostOf(1, 2), false, errNoSibling},
		"twenty lost beside one":                {[]some{{lostOf(1, 21), 20}, {sibling, 1}}, lostOf(1, 21), false, nil},
		"21 lost of 100 in a repository":        {[]some{{lostOf(1, 100), 21}, {readable, 10_000}}, lostOf(1, 100), false, errTooManyLost},
		"21 lost of 105 in a repository":        {[]some{{lostOf(1, 105), 21}, {sibling, 10_000}}, lostOf(1, 105), false, nil},
		"of another repository":                 {[]some{{lostOf(1, 100), 21}, {lostOf(2, 100), 1}, {sibling2, 10_000}}, lostOf(2, 100), false, nil},
		"21 lost of 419 in many repositories":   {[]some{{lostOf(1, 100), 10}, {lostOf(2, 100), 11}, {readable, 398}}, lostOf(2, 100), false, errTooManyLost},
		"21 lost of 420 in many repositories":   {[]some{{lostOf(1, 100), 10}, {lostOf(2, 100), 11}, {sibling2, 399}}, lostOf(2, 100), false, nil},
		"orphans, and no tag has a counterpart": {[]some{{compared, smallRun}}, orphaned, false, errNothingHealthy},
		"few orphans, none has a counterpart":   {[]some{{compared, smallRun - 1}}, orphaned, false, nil},
		"orphans, and a tag has a counterpart":  {[]some{{compared, 100}, {shown, 1}}, orphaned, true, nil},
		"orphans beside a storage that is gone": {[]some{{lostOf(1, 100), 100}, {shown, 1}}, orphaned, true, nil},
		"nothing can be read":                   {[]some{{lostOf(1, 2), 2}}, lostOf(1, 2), false, errNothingHealthy},
	} {
		t.Run(name, func(t *testing.T) {
			var c canary
			tallies := make(map[int64]*tally)
			for _, some := range test.seen {
				for range some.n {
					in := tallies[some.decision.ID]
					if in == nil {
						in = new(tally)
						tallies[some.decision.ID] = in
					}
					c.observe(some.decision, in)
				}
			}
			for id, of := range tallies {
				c.finish(repositoryOf(id), *of)
			}
			candidate := test.candidate.candidate()
			candidate.restsOnDate = candidate.finding.lacksDate()
			if test.candidate.facts.Counterpart.IsKnown() {
				candidate.orphan = test.candidate.projectRepository
			}
			if got := c.allows(candidate); got != test.atOnce {
				t.Errorf("goes on at once: %t", got)
			}
			if err := c.objection(candidate); !errors.Is(err, test.want) {
				t.Errorf("at the end: %v, want %v", err, test.want)
			}
			c.overflowed = true
			if err := c.objection(candidate); test.want == nil && !test.atOnce && !candidate.finding.lost() && err == nil {
				t.Error("allowed after more had waited than can be held")
			}
		})
	}
}

// A scripted source answers each reading of a tag with the next of its findings, and the last
// one for ever.
type scripted struct {
	source
	answers []finding
	err     error
	asked   int
}

func (s *scripted) find(context.Context, *repository, listedTag, finding, policy.Name) (finding, error) {
	s.asked++
	f := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return f, s.err
}

// TestCanaryAsksAgain: the first check reads all healthy tags that are remembered, a later one
// the newest and, while these are gone, two before it.
func TestCanaryAsksAgain(t *testing.T) {
	const gone = 2 // readings of a tag that is gone
	newCanary := func(n int, f finding) (*canary, []*scripted) {
		c := new(canary)
		var tags []*scripted
		for range n {
			s := &scripted{answers: []finding{f}}
			d := seen(byAPI, 1, 10, f, policy.Keep)
			d.fresh = s
			c.observe(d, new(tally))
			tags = append(tags, s)
		}
		return c, tags
	}
	check := func(t *testing.T, c *canary, tags []*scripted, want error, readings int) {
		t.Helper()
		before, after := 0, 0
		for _, s := range tags {
			before += s.asked
		}
		if err := c.check(t.Context()); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		for _, s := range tags {
			after += s.asked
		}
		if after-before != readings {
			t.Errorf("%d readings, want %d", after-before, readings)
		}
	}
	for removed, want := range map[int]error{0: nil, 1: nil, 2: nil, 3: errNotHealthy} {
		t.Run(fmt.Sprint(removed, " gone"), func(t *testing.T) {
			c, tags := newCanary(maxHealthy+2, dated) // the first two are forgotten
			check(t, c, tags, nil, maxHealthy)
			for i := range removed {
				tags[(len(tags)-1-i)%len(tags)].answers = []finding{noDetails}
			}
			check(t, c, tags, want, removed*gone+min(1, 3-removed))
		})
	}
	t.Run("at first all but one gone", func(t *testing.T) {
		c, tags := newCanary(maxHealthy, dated)
		for _, s := range tags[1:] {
			s.answers = []finding{noDetails}
		}
		check(t, c, tags, nil, (maxHealthy-1)*gone+1)
	})
	t.Run("none", func(t *testing.T) {
		c, tags := newCanary(0, dated)
		check(t, c, tags, errNoHealthyTag, 0)
	})
	t.Run("without a date", func(t *testing.T) {
		c, tags := newCanary(2, undated)
		check(t, c, tags, nil, 2)
		tags[1].answers = []finding{noDetails}
		check(t, c, tags, nil, gone+1)
	})
	for name, flaps := range map[string]finding{"details come back": noDetails, "a date comes back": undated, "a manifest comes back": lost} {
		t.Run(name, func(t *testing.T) {
			c, tags := newCanary(2, dated)
			check(t, c, tags, nil, 2)
			tags[1].answers = []finding{flaps, dated}
			check(t, c, tags, errCameBack, 2)
			check(t, c, tags, errCameBack, 0)
		})
	}
	t.Run("no answer is no sign", func(t *testing.T) {
		c, tags := newCanary(1, dated)
		tags[0].answers, tags[0].err = []finding{{}, dated}, gitlabapi.ErrTagNotFound
		check(t, c, tags, gitlabapi.ErrTagNotFound, 1)
		tags[0].err = nil
		check(t, c, tags, nil, 1)
	})
}
