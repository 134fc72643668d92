package policy_test

import (
	"slices"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

const day = 24 * time.Hour

var settings = policy.Settings{
	ProtectedTags:      []string{"latest", "master", "main"},
	ProtectedTagsRegex: `^v.*\..*\..*`,
	MinAge:             day,
	ImageAge:           30 * day,
	DeleteKinds:        []manifest.Kind{manifest.KindCacheIndex, manifest.KindMissingManifest},
	Orphans:            policy.OrphansAuto,
}

// a fact that may be unknown, as the tests handle it whatever its type.
type fact struct {
	name policy.Name
	// unknown says whether it is, forget makes it so, and find takes it from others.
	unknown func(*policy.Facts) bool
	forget  func(*policy.Facts)
	find    func(to, from *policy.Facts)
}

func factAt[T any](name policy.Name, at func(*policy.Facts) *policy.Fact[T]) fact {
	return fact{
		name:    name,
		unknown: func(f *policy.Facts) bool { return at(f).IsUnknown() },
		forget:  func(f *policy.Facts) { *at(f) = policy.Unknown[T]() },
		find:    func(to, from *policy.Facts) { *at(to) = *at(from) },
	}
}

var facts = []fact{
	factAt(policy.FactKind, func(f *policy.Facts) *policy.Fact[manifest.Kind] { return &f.Tag.Kind }),
	factAt(policy.FactBroken, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.Broken }),
	factAt(policy.FactHasDetails, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.HasDetails }),
	factAt(policy.FactDated, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.Dated }),
	factAt(policy.FactAge, func(f *policy.Facts) *policy.Fact[time.Duration] { return &f.Tag.Age }),
	factAt(policy.FactSize, func(f *policy.Facts) *policy.Fact[int64] { return &f.Tag.Size }),
	factAt(policy.FactRank, func(f *policy.Facts) *policy.Fact[int] { return &f.Tag.Rank }),
	factAt(policy.FactProtected, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.Protected }),
	factAt(policy.FactInUse, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.InUse }),
	factAt(policy.FactIsCache, func(f *policy.Facts) *policy.Fact[bool] { return &f.Tag.IsCache }),
	factAt(policy.FactNamingDiffers, func(f *policy.Facts) *policy.Fact[bool] { return &f.Repository.NamingDiffers }),
	factAt(policy.FactTopics, func(f *policy.Facts) *policy.Fact[[]string] { return &f.Project.Topics }),
	factAt(policy.FactCounterpart, func(f *policy.Facts) *policy.Fact[policy.Counterpart] { return &f.Counterpart }),
	factAt(policy.FactBranch, func(f *policy.Facts) *policy.Fact[policy.Branch] { return &f.Branch }),
	factAt(policy.FactDatabase, func(f *policy.Facts) *policy.Fact[bool] { return &f.Database }),
}

// find finds the fact of a name.
func find(t *testing.T, name policy.Name, to, from *policy.Facts) {
	t.Helper()
	for _, fact := range facts {
		if fact.name == name {
			if !fact.unknown(to) {
				t.Fatalf("%s is needed, but is not unknown", name)
			}
			fact.find(to, from)
			return
		}
	}
	t.Fatalf("%q is no fact", name)
}

// follow decides by what is given, and finds what is needed until the verdict stands.
func follow(t *testing.T, rules *policy.Rules, f *policy.Facts, given []policy.Name) (verdict policy.Verdict, found []policy.Name) {
	t.Helper()
	now := *f
	for _, fact := range facts {
		if !slices.Contains(given, fact.name) {
			fact.forget(&now)
		}
	}
	for {
		decision := rules.Decide(&now)
		if decision.Need == "" {
			return decision.Verdict, found
		}
		found = append(found, decision.Need)
		find(t, decision.Need, &now, f)
	}
}

// cacheFacts are those of an orphan that goes, all of them known.
func cacheFacts() policy.Facts {
	return policy.Facts{
		Tag: policy.Tag{
			Name: "feature-1234", Kind: policy.Known(manifest.KindCacheManifest), Broken: policy.Known(false),
			HasDetails: policy.Known(true), Dated: policy.Known(false), Age: policy.Known(40 * day),
			Size: policy.Known(int64(1 << 30)), Rank: policy.Absent[int](), Protected: policy.Known(false),
			InUse: policy.Known(false), IsCache: policy.Known(true),
		},
		Repository: policy.Repository{
			Name: "web.cache", Path: "group/app/web.cache", IsCache: true, NamingDiffers: policy.Known(false),
		},
		Project:     policy.Project{Path: "group/app", Topics: policy.Known([]string{"docker"})},
		Counterpart: policy.Known(policy.CounterpartTagMissing),
		Branch:      policy.Known(policy.BranchMissing),
		Database:    policy.Known(true),
	}
}

func compile(t testing.TB, text string, settings policy.Settings) *policy.Rules {
	t.Helper()
	file, err := policy.Parse("rules.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Compile(file, settings)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func compileFile(t testing.TB, file *policy.File, settings policy.Settings) *policy.Rules {
	t.Helper()
	rules, err := policy.Compile(file, settings)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}
