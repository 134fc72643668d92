package policy

import (
	"regexp"
	"testing"
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

// facts returns facts of a listed tag: nil stands for unknown.
func facts(repository, tag string, regime, details, counterpart any) Facts {
	f := Facts{Repository: repository, Tag: tag, Listed: true}
	if regime != nil {
		f.Regime = Known(regime.(Regime))
	}
	if details != nil {
		f.Details = Known(details.(Details))
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
		{"latest", facts("app", "latest", Legacy, DetailsMissing, nil), keep(Protected)},
		{"master", facts("app", "master", Legacy, DetailsMissing, nil), keep(Protected)},
		{"main in a cache without image", facts("app.cache", "main", Legacy, DetailsUndated, none), keep(Protected)},
		{"version", facts("app", "v1.2.3", Legacy, DetailsMissing, nil), keep(Protected)},
		{"version with more behind it", facts("app", "v1.2.3-rc.1+x", Legacy, DetailsMissing, nil), keep(Protected)},
		{"version of two parts", facts("app", "v1.2", Legacy, DetailsMissing, nil), remove(MissingDetails)},
		{"version not at the beginning", facts("app", "rev1.2.3", Legacy, DetailsMissing, nil), remove(MissingDetails)},
		{"latest with more behind it", facts("app", "latest-x", Legacy, DetailsMissing, nil), remove(MissingDetails)},
		{"protected, nothing known", Facts{Tag: "main"}, keep(Protected)},

		// Rule 2: details are missing.
		{"image", facts("app", "a", Legacy, DetailsMissing, nil), remove(MissingDetails)},
		{"cache with its image", facts("app.cache", "a", Legacy, DetailsMissing, present), remove(MissingDetails)},
		{"on the database", facts("app", "a", Database, DetailsMissing, nil), undecided(EvidenceDisagrees)},
		{"regime unknown", facts("app", "a", nil, DetailsMissing, nil), undecided(DetailsUnknown)},

		// Rule 3: undated caches without image.
		{"no repository", facts("app.cache", "a", Legacy, DetailsUndated, none), remove(MissingCounterpartRepository)},
		{"no tag", facts("app.cache", "a", Legacy, DetailsUndated, noTag), remove(MissingCounterpartTag)},
		{"image there", facts("app.cache", "a", Legacy, DetailsUndated, present), keep(HasCounterpart)},
		{"image unknown", facts("app.cache", "a", Legacy, DetailsUndated, nil), undecided(CounterpartUnknown)},
		{"dated, no repository", facts("app.cache", "a", Legacy, DetailsDated, none), keep(DatedOrphan)},
		{"dated, no tag", facts("app.cache", "a", Legacy, DetailsDated, noTag), keep(DatedOrphan)},
		{"dated, image unknown", facts("app.cache", "a", Legacy, DetailsDated, nil), keep(Healthy)},
		{"dated, image there", facts("app.cache", "a", Legacy, DetailsDated, present), keep(HasCounterpart)},
		{"undated, regime unknown", facts("app.cache", "a", nil, DetailsUndated, noTag), remove(MissingCounterpartTag)},
		{"dated, regime unknown", facts("app.cache", "a", nil, DetailsDated, noTag), keep(DatedOrphan)},
		{"dated, on the database", facts("app.cache", "a", Database, DetailsDated, noTag), remove(MissingCounterpartTag)},
		{"suffix inside the name", facts("app.cache/x", "a", Legacy, DetailsUndated, none), keep(Healthy)},
		{"nested cache", facts("a/b.cache", "a", Legacy, DetailsUndated, none), remove(MissingCounterpartRepository)},

		// Rule 4: everything else stays. What an artifact or an image whose config
		// cannot be read has in common with a cache is no ground elsewhere.
		{"image with a date", facts("app", "a", Legacy, DetailsDated, nil), keep(Healthy)},
		{"no date outside a cache", facts("app", "a", Legacy, DetailsUndated, none), keep(Healthy)},
		{"root repository", facts("", "a", Legacy, DetailsUndated, none), keep(Healthy)},

		// A doubt keeps the tag.
		{"details unknown (503)", facts("app", "a", Legacy, nil, nil), undecided(DetailsUnknown)},
		{"details unknown, no counterpart", facts("app.cache", "a", Legacy, nil, none), undecided(DetailsUnknown)},
		{"listing broke off", Facts{Tag: "a", Regime: Known(Legacy), Details: Known(DetailsMissing)}, undecided(ListingIncomplete)},
		{"nothing known", Facts{Tag: "a", Listed: true}, undecided(DetailsUnknown)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := original().Decide(test.facts); got != test.want {
				t.Errorf("Decide(%+v) = %v, want %v", test.facts, got, test.want)
			}
		})
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
			decide := func(regime Regime, details Details) Reason {
				return rules.Decide(facts("app.cache", "a", regime, details, CounterpartTagMissing)).Reason
			}
			if got := decide(Legacy, DetailsUndated); got != test.undated {
				t.Errorf("undated: %s, want %s", got, test.undated)
			}
			if got := decide(Legacy, DetailsDated); got != test.dated {
				t.Errorf("dated: %s, want %s", got, test.dated)
			}
			if got := decide(Database, DetailsDated); got != test.datedOnDatabase {
				t.Errorf("dated on the database: %s, want %s", got, test.datedOnDatabase)
			}
		})
	}
}

// FuzzDecide holds the package's promises for all facts and rules.
func FuzzDecide(f *testing.F) {
	f.Add("app.cache", "feature", true, uint8(1), uint8(2), uint8(2), uint8(0))
	f.Add("app", "v1.2.3", false, uint8(0), uint8(1), uint8(0), uint8(3))
	f.Fuzz(func(t *testing.T, repository, tag string, listed bool, regime, details, counterpart, orphans uint8) {
		rules := original()
		rules.Orphans = []Orphans{OrphansAuto, OrphansUndated, OrphansAny, OrphansOff}[orphans%4]
		known := Facts{
			Repository:  repository,
			Tag:         tag,
			Listed:      listed,
			Regime:      maybe(Regime(regime%3), regime%3 != 0),
			Details:     maybe(Details(details%4), details%4 != 0),
			Counterpart: maybe(Counterpart(counterpart%4), counterpart%4 != 0),
		}
		verdict := rules.Decide(known)
		checkVerdict(t, rules, known, verdict)
		for _, fewer := range forget(known) {
			less := rules.Decide(fewer)
			checkVerdict(t, rules, fewer, less)
			if less.Action == Delete && verdict != less {
				t.Errorf("%+v gives %v, but with less known, %+v, %v", known, verdict, fewer, less)
			}
		}
	})
}

func maybe[T any](value T, known bool) Fact[T] {
	if known {
		return Known(value)
	}
	return Unknown[T]()
}

// forget returns the facts with each of them made unknown in turn.
func forget(f Facts) []Facts {
	unlisted, regime, details, counterpart := f, f, f, f
	unlisted.Listed = false
	regime.Regime = Unknown[Regime]()
	details.Details = Unknown[Details]()
	counterpart.Counterpart = Unknown[Counterpart]()
	return []Facts{unlisted, regime, details, counterpart}
}

// reasons lists for each action the reasons that go with it.
var reasons = map[Action][]Reason{
	Keep:      {Protected, Healthy, HasCounterpart, DatedOrphan},
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

func BenchmarkDecide(b *testing.B) {
	rules, f := original(), facts("app.cache", "feature-1234", Legacy, DetailsUndated, CounterpartPresent)
	b.ReportAllocs()
	for b.Loop() {
		rules.Decide(f)
	}
}
