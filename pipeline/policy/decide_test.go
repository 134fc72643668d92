package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// rulesOf writes a file of conditions that begin with keep or delete; the names are a, b and
// so on.
func rulesOf(conditions ...string) string {
	text := "rules:\n"
	for i, line := range conditions {
		action, condition, _ := strings.Cut(line, " ")
		text += fmt.Sprintf("- name: %c\n  %s: |\n    %s\n", 'a'+i, action, condition)
	}
	return text
}

// someFacts are those of an orphan, of which four facts are unknown and one is absent.
func someFacts() *policy.Facts {
	f := cacheFacts()
	f.Branch = policy.Unknown[policy.Branch]()
	f.Tag.Age = policy.Unknown[time.Duration]()
	f.Tag.Kind = policy.Unknown[manifest.Kind]()
	f.Project.Topics = policy.Unknown[[]string]()
	f.Tag.Rank = policy.Absent[int]()
	return &f
}

// TestDecide: which rule decides where some facts are unknown, and which is asked for.
func TestDecide(t *testing.T) {
	const (
		branch = "branch == 'missing'"
		age    = "tag.age > days(1)"
		kind   = "tag.kind == 'image'"
		topics = "'x' in project.topics"
		failed = "tag.rank > 3"
	)
	for _, test := range []struct {
		rules string
		want  string
	}{
		{rulesOf("delete true"), "delete a"},
		{rulesOf("keep false", "keep true", "delete true"), "keep b"},
		{rulesOf("delete false"), "keep no-rule"},
		// A keep that may hold changes nothing unless a later rule deletes.
		{rulesOf("keep " + age), "keep no-rule"},
		{rulesOf("keep "+age, "keep true", "delete true"), "keep b"},
		{rulesOf("keep "+age, "delete true"), "undecided details-unknown tag.age"},
		{rulesOf("keep "+branch, "delete "+kind), "undecided details-unknown tag.kind"},
		{rulesOf("keep "+age, "keep "+branch, "delete true"), "undecided branch-unknown branch"},
		// A delete that may hold changes nothing when a later one does.
		{rulesOf("delete "+topics, "delete true"), "delete b"},
		{rulesOf("delete "+topics, "keep "+age, "delete true"), "undecided details-unknown tag.age"},
		{rulesOf("delete "+age, "keep true"), "undecided details-unknown tag.age"},
		{rulesOf("delete "+age+" && "+branch, "delete "+kind), "undecided branch-unknown branch"},
		// What does not matter to a condition is not asked for.
		{rulesOf("delete "+branch+" && tag.dated", "delete "+age+" || tag.dated"), "undecided details-unknown tag.age"},
		{rulesOf("delete " + topics + " && false || " + age), "undecided details-unknown tag.age"},
		{rulesOf("delete has(tag.age)"), "undecided details-unknown tag.age"},
		{rulesOf("delete has(tag.rank)"), "keep no-rule"},
		{rulesOf("delete has(tag.name) && has(tag.size) && has(settings.min_age)"), "delete a"},
		// A doubt keeps.
		{rulesOf("keep "+failed, "delete true"), "keep a"},
		{rulesOf("delete " + failed), "keep no-rule"},
		{rulesOf("delete " + failed + " || true"), "delete a"},
		{rulesOf("delete tag.size / (tag.size - tag.size) == 1"), "keep no-rule"},
		{rulesOf("delete days(tag.size) > days(1)"), "keep no-rule"},
		{rulesOf("delete days(-tag.size) < days(1)"), "keep no-rule"},
		{rulesOf("delete " + failed + " && " + age), "undecided details-unknown tag.age"},
		{rulesOf("delete settings.min_age == days(1) && settings.image_age == duration('720h')"), "delete a"},
	} {
		decision := compile(t, test.rules, settings).Decide(someFacts())
		if got := strings.TrimSpace(fmt.Sprintln(decision.Action, decision.Reason, decision.Need)); got != test.want {
			t.Errorf("%s%s; want %s", test.rules, got, test.want)
		}
	}
	f := someFacts()
	f.Counterpart = policy.Unknown[policy.Counterpart]()
	want := policy.Verdict{Action: policy.Undecided, Reason: policy.CounterpartUnknown}
	got := compile(t, rulesOf("delete counterpart == 'present' && "+branch), settings).Decide(f)
	if got.Verdict != want || got.Need != policy.FactCounterpart {
		t.Errorf("%v; want %v", got, want)
	}
}

// TestNeedBeside: when a fact cannot be had, another may do; at last one by which a rule before keeps.
func TestNeedBeside(t *testing.T) {
	f := someFacts()
	f.Branch, f.Tag.Age, f.Tag.Rank = policy.Unknown[policy.Branch](), policy.Unknown[time.Duration](), policy.Unknown[int]()
	rules := compile(t, "rules:\n- name: newest\n  keep: has(tag.rank) && tag.rank <= 5\n- name: gone\n  delete: branch == 'missing' && tag.age > days(14)\n", policy.Settings{})
	decision := rules.Decide(f)
	var asked []policy.Name
	for need := decision.Need; need != ""; need = decision.NeedBeside(asked...) {
		asked = append(asked, need)
	}
	if want := []policy.Name{policy.FactBranch, policy.FactAge, policy.FactRank}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	f.Tag.Age = policy.Known(time.Hour)
	if got := rules.Decide(f); got.Action != policy.Keep || got.NeedBeside() != "" {
		t.Errorf("a young tag is %v without its branch", got)
	}
}

// TestGuardsStandAbove rules that delete everything.
func TestGuardsStandAbove(t *testing.T) {
	rules := compile(t, "rules:\n- name: everything\n  delete: true\n", settings)
	for reason, change := range map[policy.Reason]func(*policy.Facts){
		"protected-in-gitlab": func(f *policy.Facts) { f.Tag.Protected = policy.Known(true) },
		"in-use":              func(f *policy.Facts) { f.Tag.InUse = policy.Known(true) },
		"referrer":            func(f *policy.Facts) { f.Tag.Name = "sha256-" + strings.Repeat("0f", 32) },
	} {
		f := cacheFacts()
		change(&f)
		if got := rules.Decide(&f).Verdict; got != (policy.Verdict{Action: policy.Keep, Reason: reason}) {
			t.Errorf("%v; want %s", got, reason)
		}
	}
	f := cacheFacts()
	if got := rules.Decide(&f).Verdict; got != (policy.Verdict{Action: policy.Delete, Reason: "everything"}) {
		t.Errorf("%v", got)
	}
	f.Tag.InUse = policy.Unknown[bool]()
	if got := rules.Decide(&f); got.Action != policy.Undecided || got.Need != policy.FactInUse {
		t.Errorf("%v", got)
	}
}

// TestSettings: an empty pattern protects nothing, where it would match everything, and a
// rule that settings switch off needs no facts.
func TestSettings(t *testing.T) {
	f := someFacts()
	rules := compile(t, rulesOf(
		"keep tag.name.matches(settings.protected_tags_regex) || ''.matches(settings.protected_tags_regex)",
		"delete tag.kind == 'image' && 'image' in settings.delete_kinds",
		"delete tag.name in settings.protected_tags"), policy.Settings{ProtectedTags: []string{f.Tag.Name}})
	if got := rules.Decide(f).Verdict; got != (policy.Verdict{Action: policy.Delete, Reason: "c"}) {
		t.Errorf("%v", got)
	}
	for name, want := range map[string]bool{
		"settings.protected_tags": true, "settings.delete_kinds": true, "tag.kind": true, "tag.protected": true,
		"settings.min_age": false, "tag.age": false, "branch": false,
	} {
		if rules.Uses(name) != want {
			t.Errorf("Uses(%s) is %t", name, !want)
		}
	}
	_, err := policy.Compile(policy.Original(), policy.Settings{ProtectedTagsRegex: "("})
	if err == nil || err.Error() != "settings.protected_tags_regex: the pattern cannot be read: missing closing ): (" {
		t.Errorf("%v", err)
	}
	if !compile(t, rulesOf("keep has(tag.rank) && branch == 'present'"), settings).Uses("branch") {
		t.Error("branch is not used")
	}
}

// TestCostIsLimited: a condition that takes too long fails, and where it may do so it is
// unknown as long as any of its facts is.
func TestCostIsLimited(t *testing.T) {
	const slow = "project.topics.all(a, project.topics.all(b, project.topics.all(c, a + b != c)))"
	f := someFacts()
	rules := compile(t, rulesOf("delete false", "delete "+slow, "delete tag.age > days(1) || "+slow), settings)
	quick := compile(t, rulesOf("keep "+slow+" || tag.is_cache", "delete true"), settings)
	if got := quick.Decide(f); got.Need != policy.FactTopics {
		t.Errorf("%v", got)
	}
	f.Project.Topics = policy.Known(strings.Fields("a b c"))
	if got := rules.Decide(f).Verdict; got != (policy.Verdict{Action: policy.Delete, Reason: "b"}) {
		t.Errorf("%v", got)
	}
	// Each condition has the limit to itself.
	f.Project.Topics = policy.Known(slices.Repeat([]string{"topic"}, 13))
	again := compile(t, rulesOf("keep !"+slow, "keep !"+slow, "delete "+slow), settings)
	if got := again.Decide(f).Verdict; got != (policy.Verdict{Action: policy.Delete, Reason: "c"}) {
		t.Errorf("%v", got)
	}
	f.Project.Topics = policy.Known(slices.Repeat([]string{"topic"}, 100))
	steps := rules.Explain(f)[len(policy.Guards().Rules()):]
	if got := steps[1]; got.Result != policy.Fails || !strings.Contains(got.Failure, "cost limit") {
		t.Errorf("%+v", got)
	}
	if got := steps[2]; got.Result != policy.IsUnknown || !slices.Equal(got.Unknown, []policy.Name{policy.FactAge}) {
		t.Errorf("%+v", got)
	}
}

// TestFoldingIsLimited: what is constant and takes too long is found out neither at the start
// nor later.
func TestFoldingIsLimited(t *testing.T) {
	const ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
	condition := "a + b + c + d + e + f >= 0"
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		condition = fmt.Sprintf("%s.all(%s, %s)", ten, name, condition)
	}
	rules := compile(t, rulesOf("delete "+condition), settings)
	if got := rules.Decide(someFacts()).Verdict; got != (policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}) {
		t.Errorf("%v", got)
	}
}

// TestRulesAreShared by goroutines, which must not be in each other's way.
func TestRulesAreShared(t *testing.T) {
	rules := compile(t, rulesOf("keep tag.rank > 3 && tag.age > days(1)", "delete tag.dated || has(tag.kind) && branch == 'missing'"), settings)
	want := rules.Decide(someFacts())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 1000 {
				if got := rules.Decide(someFacts()); got != want {
					t.Errorf("%v; want %v", got, want)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestExplain: each rule with its result, also those behind the one that decides.
func TestExplain(t *testing.T) {
	rules := compile(t, rulesOf("keep tag.dated", "delete tag.is_cache", "keep tag.age > days(1) && branch == 'missing'",
		"delete tag.rank > 3", "keep false"), settings)
	steps := rules.Explain(someFacts())[len(policy.Guards().Rules()):]
	var got []string
	for _, step := range steps {
		got = append(got, fmt.Sprint(step.Name, " ", step.Action, " ", step.Result, step.Unknown, step.Failure))
	}
	want := []string{
		"a keep does not hold[]", "b delete holds[]", "c keep unknown[branch tag.age]",
		"d delete fails[]tag.rank is absent", "e keep does not hold[]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if steps[3].Condition != "tag.rank > 3" || steps[3].Line != 11 || steps[3].File != "rules.yaml" {
		t.Errorf("%+v", steps[3].Rule)
	}
	if got := rules.Describe("d"); got != "tag.rank > 3" {
		t.Errorf("%q", got)
	}
}

// TestExplainsWhatIsFalse: of a chain the first part that is false is said, as it is written.
func TestExplainsWhatIsFalse(t *testing.T) {
	for condition, want := range map[string]string{
		"!registry.database && tag.kind in settings.delete_kinds && tag.dated": "!registry.database",
		"has(tag.age) && tag.age > days(99) && tag.dated":                      "tag.age > days(99)",
		"tag.kind in settings.delete_kinds && (tag.dated || tag.broken)":       "tag.kind in settings.delete_kinds",
		"has(tag.rank) && tag.rank > 3":                                        "has(tag.rank)",
		"tag.rank > 3 && tag.broken":                                           "tag.broken", // the first fails
		`"&&)" != r'\' && '\'&&' == "x"`:                                       `'\'&&' == "x"`,
		"repository.is_cache && // a && b\n  '''it's'''.matches('^[&&]')":      "'''it's'''.matches('^[&&]')",
		"tag.name == 'a' && tag.dated || tag.broken":                           "",
		"tag.is_cache ? false && true : true":                                  "",
		"(tag.dated && tag.broken)":                                            "",
		"tag.dated":                                                            "",
	} {
		f := cacheFacts()
		rules := compile(t, "rules:\n- name: a\n  delete: |\n    "+strings.ReplaceAll(condition, "\n", "\n    ")+"\n", settings)
		steps := rules.Explain(&f)
		step := steps[len(steps)-1]
		if step.Result != policy.HoldsNot && step.Result != policy.Fails {
			t.Fatalf("%s %s", condition, step.Result)
		}
		if got := strings.TrimPrefix(step.False, "// a && b\n  "); got != want {
			t.Errorf("%s: %q; want %q", condition, got, want)
		}
	}
}

// TestNotedRules are those that delete whatever comes, and those that speak of a term; the guards,
// which speak of some, are not among them.
func TestNotedRules(t *testing.T) {
	rules := compile(t, `rules:
- {name: asks, keep: tag.dated && tag.in_use}
- {name: kept, keep: true}
- {name: by-setting, delete: settings.orphans != 'off'}
- {name: never, delete: 1 > 2}
- {name: always, delete: 2 > 1}
- {name: all, delete: true}
`, settings)
	names := func(rules []policy.Rule) (names []string) {
		for _, rule := range rules {
			names = append(names, string(rule.Name))
		}
		return names
	}
	if got := names(rules.Asking(policy.FactInUse)); !slices.Equal(got, []string{"asks"}) {
		t.Errorf("%q ask", got)
	}
	if got := names(rules.Asking(policy.FactProtected)); got != nil {
		t.Errorf("%q ask", got)
	}
	if got := names(rules.Unconditional()); !slices.Equal(got, []string{"always", "all"}) {
		t.Errorf("%q delete all", got)
	}
}
