package policy

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// Orphans says which tags of cache repositories are deleted when they have no counterpart.
type Orphans string

// The settings of ORPHANS.
const (
	OrphansAuto    Orphans = "auto"    // undated without the metadata database, any with it
	OrphansUndated Orphans = "undated" // those without a date
	OrphansAny     Orphans = "any"     // dated ones, too
	OrphansOff     Orphans = "off"     // none
)

// Settings are the user's choices that rules know as settings; the same for all tags of a run.
type Settings struct {
	// ProtectedTags are names, the built-in ones among them.
	ProtectedTags []string
	// ProtectedTagsRegex is a pattern of names; empty, it matches none.
	ProtectedTagsRegex string
	// MinAge is the age below which a tag stays.
	MinAge time.Duration
	// ImageAge is the age above which goes what GitLab cannot date and the registry can.
	ImageAge    time.Duration
	DeleteKinds []manifest.Kind
	Orphans     Orphans
}

// byCost has the facts that may be unknown, those first that cost the fewest requests: what is
// known of a whole run, then of a project, of a repository, of a manifest, of its config, and
// at last what takes all tags of a repository. A fact's number is its place in this list.
var byCost = []Name{
	FactDatabase, FactProtected, FactNamingDiffers, FactCounterpart, FactTopics, FactBranch, FactInUse,
	FactSize, FactHasDetails, FactBroken, FactKind, FactIsCache,
	FactDated, FactAge, FactRank,
}

// A term is something that conditions may speak of: a variable, or a field of an object.
type term struct {
	name   Name
	object string // empty for a variable
	field  string
	typ    *types.Type
	// values are those that a string may have, or the strings of a list; nil when any.
	values []string
	// of returns what facts know; nil for settings, which are constants.
	of func(*Facts) ref.Val
	// present says whether there is something to know; nil where there always is.
	present func(*Facts) ref.Val
}

// vocabulary has all terms in the order in which they are shown to the user.
var vocabulary = []*term{
	plain("tag.name", types.StringType, func(f *Facts) ref.Val { return types.String(f.Tag.Name) }),
	fact(FactKind, types.StringType, kinds, func(f *Facts) *Fact[manifest.Kind] { return &f.Tag.Kind }, word[manifest.Kind](kinds)),
	fact(FactBroken, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.Broken }, truth),
	fact(FactHasDetails, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.HasDetails }, truth),
	fact(FactDated, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.Dated }, truth),
	fact(FactAge, types.DurationType, nil, func(f *Facts) *Fact[time.Duration] { return &f.Tag.Age }, duration),
	fact(FactSize, types.IntType, nil, func(f *Facts) *Fact[int64] { return &f.Tag.Size }, number[int64]),
	fact(FactRank, types.IntType, nil, func(f *Facts) *Fact[int] { return &f.Tag.Rank }, number[int]),
	fact(FactProtected, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.Protected }, truth),
	fact(FactInUse, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.InUse }, truth),
	fact(FactIsCache, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Tag.IsCache }, truth),
	plain("repository.name", types.StringType, func(f *Facts) ref.Val { return types.String(f.Repository.Name) }),
	plain("repository.path", types.StringType, func(f *Facts) ref.Val { return types.String(f.Repository.Path) }),
	plain(nameIsCacheRepository, types.BoolType, func(f *Facts) ref.Val { return types.Bool(f.Repository.IsCache) }),
	fact(FactNamingDiffers, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Repository.NamingDiffers }, truth),
	plain("project.path", types.StringType, func(f *Facts) ref.Val { return types.String(f.Project.Path) }),
	fact(FactTopics, types.NewListType(types.StringType), nil, func(f *Facts) *Fact[[]string] { return &f.Project.Topics }, texts),
	fact(FactCounterpart, types.StringType, counterparts, func(f *Facts) *Fact[Counterpart] { return &f.Counterpart }, word[Counterpart](counterparts)),
	fact(FactBranch, types.StringType, branches, func(f *Facts) *Fact[Branch] { return &f.Branch }, word[Branch](branches)),
	fact(FactDatabase, types.BoolType, nil, func(f *Facts) *Fact[bool] { return &f.Database }, truth),
	setting("protected_tags", types.NewListType(types.StringType), nil),
	setting("protected_tags_regex", types.StringType, nil),
	setting("min_age", types.DurationType, nil),
	setting("image_age", types.DurationType, nil),
	setting("delete_kinds", types.NewListType(types.StringType), kinds),
	setting("orphans", types.StringType, []string{string(OrphansAuto), string(OrphansUndated), string(OrphansAny), string(OrphansOff)}),
}

const nameIsCacheRepository Name = "repository.is_cache"

// The values that strings with few of them can have.
var (
	kinds = []string{
		string(manifest.KindCacheIndex), string(manifest.KindCacheManifest), string(manifest.KindAttestedImage),
		string(manifest.KindMultiArch), string(manifest.KindImage), string(manifest.KindArtifact), string(manifest.KindMissingManifest),
	}
	counterparts = []string{string(CounterpartPresent), string(CounterpartTagMissing), string(CounterpartRepositoryMissing)}
	branches     = []string{string(BranchPresent), string(BranchMissing)}
)

func newTerm(name Name, typ *types.Type) *term {
	object, field := splitName(string(name))
	return &term{name: name, object: object, field: field, typ: typ}
}

// plain returns a term that is always known.
func plain(name Name, typ *types.Type, of func(*Facts) ref.Val) *term {
	t := newTerm(name, typ)
	t.of = of
	return t
}

// setting returns a term of the user's choice.
func setting(field string, typ *types.Type, values []string) *term {
	t := newTerm(Name("settings."+field), typ)
	t.values = values
	return t
}

// fact returns a term that may be unknown or absent. An absent one is an error of whatever
// depends on it, which has() avoids. Both are made once: they are met with every tag.
func fact[T any](name Name, typ *types.Type, values []string, of func(*Facts) *Fact[T], value func(T) ref.Val) *term {
	t := newTerm(name, typ)
	t.values = values
	unknown := unknowns[slices.Index(byCost, name)]
	// An error without a number would be given one, by all that meet it, at the same time.
	absent := types.NewErrWithNodeID(1, "%s is absent", name)
	t.of = func(f *Facts) ref.Val {
		fact := of(f)
		switch {
		case fact.IsUnknown():
			return unknown
		case fact.IsAbsent():
			return absent
		}
		return value(fact.value)
	}
	t.present = func(f *Facts) ref.Val {
		fact := of(f)
		if fact.IsUnknown() {
			return unknown
		}
		return types.Bool(fact.IsKnown())
	}
	return t
}

func truth(b bool) ref.Val { return types.Bool(b) }

func duration(d time.Duration) ref.Val { return types.Duration{Duration: d} }

func number[T int | int64](n T) ref.Val { return types.Int(n) }

func texts(list []string) ref.Val { return types.NewStringList(types.DefaultTypeAdapter, list) }

// word returns strings of which there are few without making them anew.
func word[T ~string](values []string) func(T) ref.Val {
	made := make(map[T]ref.Val)
	for _, value := range values {
		made[T(value)] = types.String(value)
	}
	return func(text T) ref.Val {
		if value, ok := made[text]; ok {
			return value
		}
		return types.String(text)
	}
}

// termOf returns what a name stands for, or nil.
func termOf(name string) *term {
	i := slices.IndexFunc(vocabulary, func(t *term) bool { return string(t.name) == name })
	if i < 0 {
		return nil
	}
	return vocabulary[i]
}

// objects returns the names of objects in the order of the vocabulary.
func objects() (names []string) {
	for _, t := range vocabulary {
		if t.object != "" && !slices.Contains(names, t.object) {
			names = append(names, t.object)
		}
	}
	return names
}

// fieldsOf returns the names of an object's fields; without an object, those of variables.
func fieldsOf(object string) (names []string) {
	for _, t := range vocabulary {
		if t.object == object {
			names = append(names, t.field)
		}
	}
	return names
}

// splitName returns the object and the field of a name; a variable has no object.
func splitName(name string) (object, field string) {
	object, field, found := strings.Cut(name, ".")
	if !found {
		return "", name
	}
	return object, field
}

// A getter gets what a variable of an evaluation stands for.
type getter struct {
	of   func(*Facts) ref.Val
	fact set // the fact that is known or not, if the variable is one of a fact
}

// getters has those of all variables of an evaluation.
var getters = sync.OnceValue(func() map[string]getter {
	all := make(map[string]getter)
	for _, t := range vocabulary {
		if t.of == nil {
			continue
		}
		var fact set
		if t.present != nil {
			fact = 1 << slices.Index(byCost, t.name)
			all[presenceOf+string(t.name)] = getter{t.present, fact}
		}
		all[valueOf+string(t.name)] = getter{t.of, fact}
	}
	return all
})
