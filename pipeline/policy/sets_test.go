package policy_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// is reports whether a fact is known to be a value.
func is[T comparable](fact policy.Fact[T], value T) bool {
	got, known := fact.Get()
	return known && got == value
}

var referrer = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)

// wantGuard is what stands above any rules; false when it does not decide.
func wantGuard(f *policy.Facts) (policy.Verdict, bool) {
	switch {
	case is(f.Tag.Protected, true):
		return policy.Verdict{Action: policy.Keep, Reason: "protected-in-gitlab"}, true
	case is(f.Tag.InUse, true):
		return policy.Verdict{Action: policy.Keep, Reason: "in-use"}, true
	case referrer.MatchString(f.Tag.Name):
		return policy.Verdict{Action: policy.Keep, Reason: "referrer"}, true
	case slices.Contains([]string{"latest", "master", "main"}, f.Tag.Name), strings.HasPrefix(f.Tag.Name, "v") && strings.Count(f.Tag.Name, ".") >= 2:
		return policy.Verdict{Action: policy.Keep, Reason: "protected"}, true
	}
	return policy.Verdict{}, false
}

// wantDefault is what the default rules say of facts none of which is unknown.
func wantDefault(f *policy.Facts, s policy.Settings) policy.Verdict {
	if verdict, decided := wantGuard(f); decided {
		return verdict
	}
	age, hasAge := f.Tag.Age.Get()
	kind, hasKind := f.Tag.Kind.Get()
	if hasAge && age < s.MinAge {
		return policy.Verdict{Action: policy.Keep, Reason: "too-young"}
	}
	if is(f.Tag.Broken, true) && slices.Contains(s.DeleteKinds, manifest.KindMissingManifest) {
		return policy.Verdict{Action: policy.Delete, Reason: "missing-manifest"}
	}
	if is(f.Database, false) && hasKind && slices.Contains(s.DeleteKinds, kind) && hasAge && age > s.ImageAge {
		return policy.Verdict{Action: policy.Delete, Reason: "undatable"}
	}
	if f.Repository.IsCache {
		counterpart, _ := f.Counterpart.Get()
		goes := s.Orphans == policy.OrphansAny ||
			s.Orphans == policy.OrphansAuto && (is(f.Database, true) || is(f.Tag.Dated, false)) ||
			s.Orphans == policy.OrphansUndated && is(f.Tag.Dated, false)
		switch {
		case is(f.Repository.NamingDiffers, true):
			return policy.Verdict{Action: policy.Keep, Reason: "naming-differs"}
		case counterpart == policy.CounterpartPresent:
			return policy.Verdict{Action: policy.Keep, Reason: "counterpart-present"}
		case goes && is(f.Tag.IsCache, true):
			return policy.Verdict{Action: policy.Delete, Reason: policy.Reason("counterpart-" + counterpart)}
		case is(f.Tag.IsCache, false):
			return policy.Verdict{Action: policy.Keep, Reason: "no-build-cache"}
		case is(f.Tag.Dated, true):
			return policy.Verdict{Action: policy.Keep, Reason: "dated-orphan"}
		}
	}
	if is(f.Database, false) && kind == manifest.KindMultiArch {
		return policy.Verdict{Action: policy.Keep, Reason: "multi-arch"}
	}
	return policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}
}

// wantOriginal is what the script did.
func wantOriginal(f *policy.Facts, _ policy.Settings) policy.Verdict {
	if verdict, decided := wantGuard(f); decided {
		return verdict
	}
	if is(f.Tag.HasDetails, false) {
		return policy.Verdict{Action: policy.Delete, Reason: "details-missing"}
	}
	if !f.Repository.IsCache {
		return policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}
	}
	counterpart, _ := f.Counterpart.Get()
	switch {
	case counterpart == policy.CounterpartPresent:
		return policy.Verdict{Action: policy.Keep, Reason: "counterpart-present"}
	case is(f.Tag.Dated, false):
		return policy.Verdict{Action: policy.Delete, Reason: policy.Reason("counterpart-" + counterpart)}
	default:
		return policy.Verdict{Action: policy.Keep, Reason: policy.NoRule}
	}
}

// everyFacts visits every combination of the facts that matter to either set, none unknown.
func everyFacts(visit func(*policy.Facts)) {
	all := []policy.Facts{{}}
	vary(&all, func(f *policy.Facts, name string) { f.Tag.Name = name },
		"feature-1", "v1.2.3", "sha256-"+strings.Repeat("0a", 32)+".sig")
	for _, at := range []func(*policy.Facts) *policy.Fact[bool]{
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.Protected },
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.InUse },
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.Dated },
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.IsCache },
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.HasDetails },
		func(f *policy.Facts) *policy.Fact[bool] { return &f.Database },
	} {
		vary(&all, func(f *policy.Facts, value bool) { *at(f) = policy.Known(value) }, false, true)
	}
	vary(&all, func(f *policy.Facts, kind manifest.Kind) {
		// Where sources cannot tell kinds they cannot tell what is broken, either.
		if f.Tag.Kind, f.Tag.Broken = policy.Known(kind), policy.Known(kind == manifest.KindMissingManifest); kind == "" {
			f.Tag.Kind, f.Tag.Broken = policy.Absent[manifest.Kind](), policy.Absent[bool]()
		}
	}, manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMultiArch, manifest.KindImage, manifest.KindMissingManifest, "")
	vary(&all, func(f *policy.Facts, age time.Duration) {
		if f.Tag.Age = policy.Known(age); age < 0 {
			f.Tag.Age = policy.Absent[time.Duration]()
		}
	}, -1, day-1, day, 30*day, 30*day+1)
	vary(&all, func(f *policy.Facts, counterpart policy.Counterpart) {
		f.Repository.IsCache = counterpart != ""
		f.Counterpart, f.Repository.NamingDiffers = policy.Known(counterpart), policy.Known(false)
		if counterpart == "" {
			f.Counterpart, f.Repository.NamingDiffers = policy.Absent[policy.Counterpart](), policy.Absent[bool]()
		}
	}, "", policy.CounterpartPresent, policy.CounterpartTagMissing, policy.CounterpartRepositoryMissing)
	for i := range all {
		visit(&all[i])
		if all[i].Repository.IsCache {
			all[i].Repository.NamingDiffers = policy.Known(true)
			visit(&all[i])
		}
	}
}

// vary multiplies facts by the values of one of them.
func vary[T any](all *[]policy.Facts, set func(*policy.Facts, T), values ...T) {
	var varied []policy.Facts
	for _, value := range values {
		for _, f := range *all {
			set(&f, value)
			varied = append(varied, f)
		}
	}
	*all = varied
}

// TestSetsEqualTheirTables: each combination of facts has the verdict that a function
// written by hand says. One in a hundred is found out step by step, which must end the same.
func TestSetsEqualTheirTables(t *testing.T) {
	sets := []struct {
		file *policy.File
		want func(*policy.Facts, policy.Settings) policy.Verdict
	}{{policy.Default(), wantDefault}, {policy.Original(), wantOriginal}}
	for _, set := range sets {
		for i, orphans := range []policy.Orphans{policy.OrphansAuto, policy.OrphansUndated, policy.OrphansAny, policy.OrphansOff} {
			settings := settings
			settings.Orphans = orphans
			if i%2 == 1 {
				settings.DeleteKinds = []manifest.Kind{manifest.KindAttestedImage, manifest.KindMultiArch}
			}
			rules := compileFile(t, set.file, settings)
			combinations := 0
			everyFacts(func(f *policy.Facts) {
				combinations++
				want := set.want(f, settings)
				if got := rules.Decide(f); got.Verdict != want || got.Need != "" {
					t.Fatalf("%s, orphans %s: %+v\ngot %v, want %v", set.file.Name, orphans, f, got, want)
				}
				if rand.IntN(100) > 0 {
					return
				}
				if got, found := follow(t, rules, f, nil); got.Action != want.Action {
					t.Fatalf("%s, orphans %s: %+v\ngot %v by %v, want %v", set.file.Name, orphans, f, got, found, want)
				}
			})
			if combinations != 40_320 {
				t.Errorf("%d combinations", combinations)
			}
		}
	}
}

// TestDefaultAsksForNothingItCanDoWithout pins what the default rules find out about a tag,
// and in which order. Lists tell for nothing whether there is the metadata database, and that
// with it no manifest is missing.
func TestDefaultAsksForNothingItCanDoWithout(t *testing.T) {
	rules := compileFile(t, policy.Default(), settings)
	for _, test := range []struct {
		name   string
		change func(*policy.Facts)
		want   policy.Reason
		found  string
	}{
		{"a protected name", func(f *policy.Facts) { f.Tag.Name = "main" }, "protected", ""},
		{"a signature", func(f *policy.Facts) { f.Tag.Name = "sha256-" + strings.Repeat("0", 64) }, "referrer", ""},
		{"an image, with the database", func(f *policy.Facts) { f.Repository.IsCache = false }, "no-rule", ""},
		{"a cache with its image, with the database", func(f *policy.Facts) {
			f.Counterpart = policy.Known(policy.CounterpartPresent)
		}, "counterpart-present", "counterpart"},
		{"an orphan, with the database", func(*policy.Facts) {}, "counterpart-tag-missing",
			"counterpart tag.is_cache tag.protected repository.naming_differs tag.in_use tag.age"},
		{"an image, without", func(f *policy.Facts) {
			f.Database, f.Repository.IsCache, f.Tag.Kind = policy.Known(false), false, policy.Known(manifest.KindImage)
		}, "no-rule", "tag.broken tag.kind"},
		{"a lost manifest, without", func(f *policy.Facts) {
			f.Database, f.Repository.IsCache, f.Tag.Broken = policy.Known(false), false, policy.Known(true)
		}, "missing-manifest", "tag.broken tag.protected tag.in_use tag.age"},
		{"a dated orphan, without", func(f *policy.Facts) {
			f.Database, f.Tag.Dated = policy.Known(false), policy.Known(true)
		}, "dated-orphan", "counterpart tag.broken tag.kind tag.is_cache tag.dated"},
	} {
		f := cacheFacts()
		test.change(&f)
		given := []policy.Name{policy.FactDatabase}
		if is(f.Database, true) {
			given = append(given, policy.FactBroken)
		}
		verdict, found := follow(t, rules, &f, given)
		var names []string
		for _, name := range found {
			names = append(names, string(name))
		}
		if got := strings.Join(names, " "); verdict.Reason != test.want || got != test.found {
			t.Errorf("%s: %v by %q; want %v by %q", test.name, verdict, got, test.want, test.found)
		}
	}
}

// TestEveryRuleIsExplained: who reads a report wants to know why.
func TestEveryRuleIsExplained(t *testing.T) {
	for _, file := range []*policy.File{policy.Guards(), policy.Default(), policy.Original()} {
		rules := compileFile(t, file, settings)
		for _, rule := range file.Rules() {
			if len(rule.Description) < 30 || !strings.HasSuffix(rule.Description, ".") {
				t.Errorf("%s: %s is explained by %q", file.Name, rule.Name, rule.Description)
			}
			if got := rules.Describe(rule.Name); got != rule.Description {
				t.Errorf("%s: %s is described by %q", file.Name, rule.Name, got)
			}
		}
	}
	rules := compileFile(t, policy.Default(), settings)
	for _, reason := range []policy.Reason{
		policy.NoRule, policy.DetailsUnknown, policy.CounterpartUnknown, policy.BranchUnknown,
		policy.ListingIncomplete, policy.EvidenceDisagrees, policy.OutageSuspected,
	} {
		if rules.Describe(reason) == "" {
			t.Errorf("nothing describes %s", reason)
		}
	}
}
