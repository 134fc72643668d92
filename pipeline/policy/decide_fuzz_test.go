package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// atoms are conditions out of which others are made. Some fail, some take too long, and all
// facts are in them.
var atoms = []string{
	"tag.protected", "tag.in_use", "tag.broken", "tag.has_details", "tag.dated", "tag.is_cache",
	"repository.is_cache", "repository.naming_differs", "registry.database", "true", "false",
	"has(tag.age)", "has(tag.rank)", "has(tag.kind)", "has(project.topics)", "has(repository.naming_differs)",
	"tag.age < settings.min_age", "tag.age > days(14)", "tag.age - days(1) > duration('3h')",
	"tag.rank > 5", "tag.rank <= 2", "tag.size > 1000", "tag.size / tag.rank > 100", "tag.size % (tag.rank - 1) == 0",
	"tag.kind in settings.delete_kinds", "tag.kind == 'image'", "tag.kind != 'multi-arch'", "tag.kind in ['cache-index', 'image']",
	"counterpart == 'present'", "counterpart != 'tag-missing'", "branch == 'missing'", "branch in ['present']",
	"tag.name.startsWith('fe')", "tag.name.matches(settings.protected_tags_regex)", "repository.path.contains('app')",
	"'keep' in project.topics", "project.topics.exists(t, t == 'docker')", "project.topics.all(t, t != tag.name)",
	"project.topics[1] == 'keep'", "size(project.topics) > 1", "settings.orphans == 'auto'", "string(tag.rank) == counterpart",
	"project.topics.all(a, project.topics.all(b, project.topics.all(c, a + b != c)))",
	"(tag.dated ? tag.age : days(3)) < settings.image_age", "[tag.dated, tag.broken].exists(x, x)",
}

// condition makes one out of atoms.
func condition(random *rand.Rand, depth int) string {
	part := func() string { return condition(random, depth-1) }
	if depth == 0 {
		return atoms[random.IntN(len(atoms))]
	}
	switch random.IntN(8) {
	case 0, 1:
		return fmt.Sprintf("(%s && %s)", part(), part())
	case 2, 3:
		return fmt.Sprintf("(%s || %s)", part(), part())
	case 4:
		return fmt.Sprintf("!(%s)", part())
	case 5:
		return fmt.Sprintf("(%s ? %s : %s)", part(), part(), part())
	case 6:
		return fmt.Sprintf("(%s) == (%s)", part(), part())
	default:
		return part()
	}
}

// randomRules makes a file of rules.
func randomRules(random *rand.Rand) string {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 1 + random.IntN(6) {
		action := []string{"keep", "delete", "delete"}[random.IntN(3)]
		fmt.Fprintf(&text, "- name: rule-%d\n  %s: |\n    %s\n", i, action, condition(random, random.IntN(4)))
	}
	return text.String()
}

// oneOf returns a known fact, or one in ten times an absent one.
func oneOf[T any](random *rand.Rand, values ...T) policy.Fact[T] {
	if random.IntN(10) == 0 {
		return policy.Absent[T]()
	}
	return policy.Known(values[random.IntN(len(values))])
}

// randomFacts makes facts none of which is unknown.
func randomFacts(random *rand.Rand) *policy.Facts {
	truth := func() policy.Fact[bool] { return oneOf(random, false, true) }
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprint("topic-", i)
	}
	return &policy.Facts{
		Tag: policy.Tag{
			Name:   []string{"feature-1", "main", "v1.2.3"}[random.IntN(3)],
			Kind:   oneOf(random, manifest.KindImage, manifest.KindMultiArch, manifest.KindCacheIndex, manifest.KindMissingManifest),
			Broken: truth(), HasDetails: truth(), Dated: truth(),
			Age:  oneOf(random, time.Hour, 10*day, 100*day),
			Size: oneOf(random, int64(0), int64(5), int64(1<<40)), Rank: oneOf(random, 0, 1, 3, 9),
			Protected: truth(), InUse: truth(), IsCache: truth(),
		},
		Repository:  policy.Repository{Name: "web", Path: "group/app/web", IsCache: random.IntN(2) == 0, NamingDiffers: truth()},
		Project:     policy.Project{Path: "group/app", Topics: oneOf(random, nil, []string{"docker"}, []string{"docker", "keep"}, many)},
		Counterpart: oneOf(random, policy.CounterpartPresent, policy.CounterpartTagMissing, policy.CounterpartRepositoryMissing),
		Branch:      oneOf(random, policy.BranchPresent, policy.BranchMissing),
		Database:    truth(),
	}
}

// FuzzDecide holds random rules against random facts.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	for _, seed := range []uint64{185, 195, 460} { // conditions that are quick while topics are unknown
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := randomRules(random)
		rules := compile(t, text, settings)
		defer func() {
			if t.Failed() {
				t.Logf("seed %d\n%s", seed, text)
			}
		}()
		for range 30 {
			known := randomFacts(random)
			some := *known
			for _, fact := range facts {
				if random.IntN(2) == 0 {
					fact.forget(&some)
				}
			}
			checkDecision(t, rules, &some)
			checkForgetting(t, rules, &some)
			checkFinding(t, rules, known, random)
		}
	})
}

// checkDecision: a verdict is a valid one, the same each time, and what it needs is unknown.
func checkDecision(t *testing.T, rules *policy.Rules, f *policy.Facts) policy.Decision {
	t.Helper()
	decision := rules.Decide(f)
	if again := rules.Decide(f); again != decision {
		t.Errorf("%v, and then %v", decision, again)
	}
	ruled := slices.ContainsFunc(rules.All(), func(rule policy.Rule) bool {
		return rule.Name == decision.Reason && rule.Action == decision.Action
	})
	doubts := []policy.Reason{policy.DetailsUnknown, policy.CounterpartUnknown, policy.BranchUnknown}
	switch {
	case decision.Action == policy.Undecided:
		needed := slices.IndexFunc(facts, func(fact fact) bool { return fact.name == decision.Need })
		if !slices.Contains(doubts, decision.Reason) || needed < 0 || !facts[needed].unknown(f) {
			t.Errorf("%+v: %v", f, decision)
		}
	case decision.Need != "" || !ruled && decision.Verdict != policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}:
		t.Errorf("%+v: %v", f, decision)
	}
	return decision
}

// checkForgetting: who knows less never deletes what was kept or undecided, nor the reverse.
func checkForgetting(t *testing.T, rules *policy.Rules, f *policy.Facts) {
	t.Helper()
	before := rules.Decide(f)
	for _, fact := range facts {
		less := *f
		fact.forget(&less)
		if after := checkDecision(t, rules, &less); after.Action != before.Action && after.Action != policy.Undecided {
			t.Errorf("%+v\n%v; without %s %v", f, before, fact.name, after)
		}
	}
}

// checkFinding: facts may be found in any order, and none more than is needed.
func checkFinding(t *testing.T, rules *policy.Rules, known *policy.Facts, random *rand.Rand) {
	t.Helper()
	want := rules.Decide(known)
	if want.Need != "" {
		t.Errorf("%+v: %v", known, want)
	}
	if got, found := follow(t, rules, known, nil); got.Action != want.Action {
		t.Errorf("%+v: %v by %v; want %v", known, got, found, want)
	}
	now := *known
	for _, fact := range facts {
		fact.forget(&now)
	}
	for _, i := range random.Perm(len(facts)) {
		facts[i].find(&now, known)
		if got := rules.Decide(&now); got.Need == "" && got.Action != want.Action {
			t.Errorf("%+v: %v, but %v once all is known", now, got, want)
		}
	}
}
