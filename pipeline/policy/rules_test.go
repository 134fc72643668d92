package policy

import (
	"regexp"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// original are the default rules.
func original() Rules {
	return Rules{
		ProtectedNames:   []string{"latest", "master", "main"},
		ProtectedPattern: regexp.MustCompile(`^v.*\..*\..*`),
		CacheSuffix:      ".cache",
		Orphans:          OrphansAuto,
	}
}

// details are what a source has found out about a tag.
type details int

const (
	missing details = iota + 1
	undated
	dated
	found // it has details, and its date is not known
)

// put sets the facts that are known of the details.
func (d details) put(f *Facts) {
	f.Missing = Known(d == missing)
	if d == dated || d == undated {
		f.Dated = Known(d == dated)
	}
}

// facts returns facts of a listed tag: nil stands for unknown.
func facts(repository, tag string, regime, known, counterpart any) Facts {
	f := Facts{Repository: repository, Tag: tag, Listed: true}
	if regime != nil {
		f.Regime = Known(regime.(Regime))
	}
	if known != nil {
		known.(details).put(&f)
	}
	if counterpart != nil {
		f.Counterpart = Known(counterpart.(Counterpart))
	}
	return f
}

func TestDecide(t *testing.T) {
	keep := func(r Reason) Verdict { return Verdict{Keep, r} }
	remove := func(r Reason) Verdict { return Verdict{Delete, r} }
	undecided := func(r Reason) Verdict { return Verdict{Undecided, r} }
	const (
		none    = CounterpartRepositoryMissing
		noTag   = CounterpartTagMissing
		present = CounterpartPresent
	)
	tests := []struct {
		name  string
		facts Facts
		want  Verdict
	}{
		// Rule 1 of the original: never touched.
		{"latest", facts("app", "latest", Legacy, missing, nil), keep(Protected)},
		{"master", facts("app", "master", Legacy, missing, nil), keep(Protected)},
		{"main in a cache without image", facts("app.cache", "main", Legacy, undated, none), keep(Protected)},
		{"version", facts("app", "v1.2.3", Legacy, missing, nil), keep(Protected)},
		{"version with more behind it", facts("app", "v1.2.3-rc.1+x", Legacy, missing, nil), keep(Protected)},
		{"version of two parts", facts("app", "v1.2", Legacy, missing, nil), remove(MissingDetails)},
		{"version not at the beginning", facts("app", "rev1.2.3", Legacy, missing, nil), remove(MissingDetails)},
		{"latest with more behind it", facts("app", "latest-x", Legacy, missing, nil), remove(MissingDetails)},
		{"named after a digest", facts("app", "sha256-"+strings.Repeat("0", 64)+".sig", Legacy, missing, nil), keep(Protected)},
		{"protected, nothing known", Facts{Tag: "main"}, keep(Protected)},

		// Rule 2: details are missing.
		{"image", facts("app", "a", Legacy, missing, nil), remove(MissingDetails)},
		{"cache with its image", facts("app.cache", "a", Legacy, missing, present), remove(MissingDetails)},
		{"on the database", facts("app", "a", Database, missing, nil), undecided(EvidenceDisagrees)},
		{"regime unknown", facts("app", "a", nil, missing, nil), undecided(DetailsUnknown)},

		// Rule 3: undated caches without image.
		{"no repository", facts("app.cache", "a", Legacy, undated, none), remove(MissingCounterpartRepository)},
		{"no tag", facts("app.cache", "a", Legacy, undated, noTag), remove(MissingCounterpartTag)},
		{"image there", facts("app.cache", "a", Legacy, undated, present), keep(HasCounterpart)},
		{"image unknown", facts("app.cache", "a", Legacy, undated, nil), undecided(CounterpartUnknown)},
		{"dated, no repository", facts("app.cache", "a", Legacy, dated, none), keep(DatedOrphan)},
		{"dated, no tag", facts("app.cache", "a", Legacy, dated, noTag), keep(DatedOrphan)},
		{"dated, image unknown", facts("app.cache", "a", Legacy, dated, nil), keep(Healthy)},
		{"dated, image there", facts("app.cache", "a", Legacy, dated, present), keep(HasCounterpart)},
		{"undated, regime unknown", facts("app.cache", "a", nil, undated, noTag), remove(MissingCounterpartTag)},
		{"dated, regime unknown", facts("app.cache", "a", nil, dated, noTag), keep(DatedOrphan)},
		{"dated, on the database", facts("app.cache", "a", Database, dated, noTag), remove(MissingCounterpartTag)},
		{"suffix inside the name", facts("app.cache/x", "a", Legacy, undated, none), keep(Healthy)},
		{"nested cache", facts("a/b.cache", "a", Legacy, undated, none), remove(MissingCounterpartRepository)},

		// Rule 4: everything else stays. What an artifact or an image whose config
		// cannot be read has in common with a cache is no ground elsewhere.
		{"image with a date", facts("app", "a", Legacy, dated, nil), keep(Healthy)},
		{"no date outside a cache", facts("app", "a", Legacy, undated, none), keep(Healthy)},
		{"root repository", facts("", "a", Legacy, undated, none), keep(Healthy)},

		// A doubt keeps the tag.
		{"details unknown (503)", facts("app", "a", Legacy, nil, nil), undecided(DetailsUnknown)},
		{"details unknown, no counterpart", facts("app.cache", "a", Legacy, nil, none), undecided(DetailsUnknown)},
		{"listing broke off", Facts{Tag: "a", Regime: Known(Legacy), Missing: Known(true)}, undecided(ListingIncomplete)},
		{"nothing known", Facts{Tag: "a", Listed: true}, undecided(DetailsUnknown)},

		// Nobody has asked for the date yet.
		{"found", facts("app", "a", Legacy, found, nil), keep(Healthy)},
		{"cache found, with its image", facts("app.cache", "a", Legacy, found, present), keep(HasCounterpart)},
		{"cache found, image unknown", facts("app.cache", "a", Legacy, found, nil), undecided(CounterpartUnknown)},
		{"cache found, without image", facts("app.cache", "a", Legacy, found, noTag), undecided(DetailsUnknown)},
		{"cache found where dates do not matter", facts("app.cache", "a", Database, found, noTag), remove(MissingCounterpartTag)},

		// A cache that has only just come.
		{"young orphan", young(facts("app.cache", "a", Legacy, undated, noTag)), keep(TooYoung)},
		{"young orphan without repository", young(facts("app.cache", "a", Database, dated, none)), keep(TooYoung)},
		{"young cache without details", young(facts("app.cache", "a", Legacy, missing, nil)), keep(TooYoung)},
		{"young with its image", young(facts("app.cache", "a", Legacy, undated, present)), keep(HasCounterpart)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := original().Decide(test.facts); got != test.want {
				t.Errorf("Decide(%+v) = %v, want %v", test.facts, got, test.want)
			}
		})
	}
}

func young(f Facts) Facts {
	f.Young = Known(true)
	return f
}

// TestByRegistry has a row for each of the five causes of a 404, and for what the user
// may ask for beyond the default.
func TestByRegistry(t *testing.T) {
	standard := []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest}
	tests := []struct {
		kind   manifest.Kind
		delete []manifest.Kind
		want   Verdict
	}{
		{manifest.KindCacheIndex, standard, Verdict{Delete, MissingDetails}},
		{manifest.KindAttestedImage, standard, Verdict{Delete, MissingDetails}},
		{manifest.KindMissingManifest, standard, Verdict{Delete, MissingDetails}},
		{manifest.KindMultiArch, standard, Verdict{Keep, MultiArch}},
		{manifest.KindMultiArch, append(standard, manifest.KindMultiArch), Verdict{Delete, MissingDetails}},
		{manifest.KindAttestedImage, []manifest.Kind{manifest.KindCacheIndex}, Verdict{Keep, Healthy}},
		{manifest.KindCacheIndex, nil, Verdict{Keep, Healthy}},
		{manifest.KindImage, standard, Verdict{Undecided, EvidenceDisagrees}},
		{manifest.KindImage, append(standard, manifest.KindImage), Verdict{Undecided, EvidenceDisagrees}},
		{manifest.KindArtifact, standard, Verdict{Keep, Healthy}},
		{manifest.KindCacheManifest, standard, Verdict{Undecided, EvidenceDisagrees}},
		{"", standard, Verdict{Undecided, DetailsUnknown}},
	}
	for _, test := range tests {
		rules := original()
		rules.ByRegistry, rules.DeleteKinds = true, test.delete
		f := facts("app", "a", Legacy, missing, nil)
		f.Kind = maybe(test.kind, test.kind != "")
		if got, _ := rules.Decide(f); got != test.want {
			t.Errorf("%q with %q: %v, want %v", test.kind, test.delete, got, test.want)
		}
		f.Regime = Known(Database)
		if got, _ := rules.Decide(f); got.Action == Delete {
			t.Errorf("%q on the database: %v", test.kind, got)
		}
	}
}

func TestOrphans(t *testing.T) {
	tests := []struct {
		orphans         Orphans
		undated, dated  Reason
		datedOnDatabase Reason
	}{
		{OrphansUndated, MissingCounterpartTag, DatedOrphan, DatedOrphan},
		{OrphansAny, MissingCounterpartTag, MissingCounterpartTag, MissingCounterpartTag},
		{OrphansAuto, MissingCounterpartTag, DatedOrphan, MissingCounterpartTag},
		{OrphansOff, Healthy, Healthy, Healthy},
	}
	for _, test := range tests {
		t.Run(string(test.orphans), func(t *testing.T) {
			rules := original()
			rules.Orphans = test.orphans
			decide := func(regime Regime, known details) Reason {
				verdict, _ := rules.Decide(facts("app.cache", "a", regime, known, CounterpartTagMissing))
				return verdict.Reason
			}
			if got := decide(Legacy, undated); got != test.undated {
				t.Errorf("undated: %s, want %s", got, test.undated)
			}
			if got := decide(Legacy, dated); got != test.dated {
				t.Errorf("dated: %s, want %s", got, test.dated)
			}
			if got := decide(Database, dated); got != test.datedOnDatabase {
				t.Errorf("dated on the database: %s, want %s", got, test.datedOnDatabase)
			}
		})
	}
}

// FuzzDecide holds the package's promises for all facts and rules.
func FuzzDecide(f *testing.F) {
	f.Add("app.cache", "feature", true, uint8(1), uint8(1), uint8(1), uint8(2), uint8(0), uint8(0), uint8(0), false)
	f.Add("app", "v1.2.3", false, uint8(0), uint8(2), uint8(0), uint8(0), uint8(3), uint8(3), uint8(1), true)
	f.Fuzz(func(t *testing.T, repository, tag string, listed bool, regime, missing, dated, counterpart, orphans, kind, young uint8, byRegistry bool) {
		rules := original()
		rules.ByRegistry = byRegistry
		rules.DeleteKinds = []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest}
		rules.Orphans = []Orphans{OrphansAuto, OrphansUndated, OrphansAny, OrphansOff}[orphans%4]
		known := Facts{
			Repository:  repository,
			Tag:         tag,
			Listed:      listed,
			Regime:      maybe(Regime(regime%3), regime%3 != 0),
			Missing:     maybe(missing%2 == 0, missing%3 != 0),
			Dated:       maybe(dated%2 == 0, dated%3 != 0),
			Counterpart: maybe(Counterpart(counterpart%4), counterpart%4 != 0),
			Kind:        maybe(kinds[kind%8], kind%8 != 0),
			Young:       maybe(young%2 == 0, young%3 != 0),
		}
		verdict, need := rules.Decide(known)
		checkVerdict(t, rules, known, verdict)
		checkNeed(t, known, verdict, need)
		for _, fewer := range forget(known) {
			less, _ := rules.Decide(fewer)
			checkVerdict(t, rules, fewer, less)
			if less.Action == Delete && verdict != less {
				t.Errorf("%+v gives %v, but with less known, %+v, %v", known, verdict, fewer, less)
			}
		}
	})
}

var kinds = []manifest.Kind{"", manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMultiArch, manifest.KindMissingManifest, manifest.KindCacheManifest, manifest.KindImage, manifest.KindArtifact}

func maybe[T any](value T, known bool) Fact[T] {
	if known {
		return Known(value)
	}
	return Unknown[T]()
}

// forget returns the facts with each of them made unknown in turn.
func forget(f Facts) []Facts {
	unlisted, regime, missing, dated, counterpart, kind := f, f, f, f, f, f
	unlisted.Listed = false
	regime.Regime = Unknown[Regime]()
	missing.Missing = Unknown[bool]()
	dated.Dated = Unknown[bool]()
	counterpart.Counterpart = Unknown[Counterpart]()
	kind.Kind = Unknown[manifest.Kind]()
	return []Facts{unlisted, regime, missing, dated, counterpart, kind}
}

// reasons lists for each action the reasons that go with it.
var reasons = map[Action][]Reason{
	Keep:      {Protected, Healthy, HasCounterpart, DatedOrphan, MultiArch, TooYoung},
	Delete:    {MissingDetails, MissingCounterpartRepository, MissingCounterpartTag},
	Undecided: {DetailsUnknown, CounterpartUnknown, ListingIncomplete, EvidenceDisagrees},
}

func checkVerdict(t *testing.T, rules Rules, f Facts, v Verdict) {
	t.Helper()
	found := false
	for _, reason := range reasons[v.Action] {
		found = found || reason == v.Reason
	}
	if !found {
		t.Errorf("%+v gives %v, which is no verdict", f, v)
	}
	if rules.Protects(f.Tag) && v != (Verdict{Keep, Protected}) {
		t.Errorf("%+v is protected and gives %v", f, v)
	}
}

// checkNeed: only a fact that is not known is needed, and none to delete.
func checkNeed(t *testing.T, f Facts, v Verdict, need Need) {
	t.Helper()
	known := map[Need]bool{
		NeedDetails: f.Missing.IsKnown(), NeedCounterpart: f.Counterpart.IsKnown(), NeedDate: f.Dated.IsKnown(),
	}
	if known[need] || need != Nothing && v.Action == Delete {
		t.Errorf("%+v gives %v and needs fact %d", f, v, need)
	}
}

func BenchmarkDecide(b *testing.B) {
	rules, f := original(), facts("app.cache", "feature-1234", Legacy, undated, CounterpartPresent)
	b.ReportAllocs()
	for b.Loop() {
		rules.Decide(f)
	}
}
