package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A chart is a picture of horizontal bars, one below the other, and the same numbers
// as a table. Its widths are shares of the picture's, so that text stays as large on a
// phone as it is elsewhere.
type chart struct {
	ID, Title, Text string
	Column          string // what a bar is one of
	Legend          []legend
	Bars            []bar
	More            string // what is left out
}

type legend struct{ Class, Name string }

// A bar has a label above it and its number at the end of the same line.
type bar struct {
	Label, Name string // as the picture shows it, and in full
	Words       string // what it means
	Total       int
	Top         int // where it begins in the picture, in pixels
	Segments    []segment
	Bytes       int64
}

// A segment is a part of a bar.
type segment struct {
	Class  string
	Name   string
	Count  int
	X, Len string // percent
}

// barHeight is what a bar takes with its label, in pixels.
const barHeight = 42

func (c chart) height() int { return max(1, len(c.Bars)) * barHeight }

// reasonChart shows all tags of the run, those that are kept included.
func reasonChart(s *Summary) chart {
	c := chart{ID: "reasons", Title: "All tags, by reason", Column: "Reason",
		Text:   "Each bar is a reason that stands behind decisions, with the number of its tags.",
		Legend: append([]legend{{"kept", "kept"}}, outcomeLegend(s)...)}
	for _, reason := range byCount(s.Reasons) {
		words, outcome := s.explain(reason)
		c.Bars = append(c.Bars, bar{
			Label: string(reason), Name: string(reason), Words: words,
			Segments: []segment{{Class: classOf(outcome), Name: string(s.nameOf(outcome)), Count: s.Reasons[reason]}},
		})
	}
	return c.scaled()
}

// byCount returns the reasons, the most frequent first.
func byCount(reasons map[policy.Reason]int) []policy.Reason {
	return slices.SortedFunc(maps.Keys(reasons), func(a, b policy.Reason) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
}

// kindWords says what a tag of a kind is.
var kindWords = map[string]string{
	string(manifest.KindCacheIndex):      "a build cache exported as an index",
	string(manifest.KindCacheManifest):   "a build cache exported as a manifest",
	string(manifest.KindAttestedImage):   "an image for one platform, with attestations",
	string(manifest.KindMultiArch):       "an image for several platforms",
	string(manifest.KindImage):           "a plain image",
	string(manifest.KindArtifact):        "something else than an image, such as a Helm chart",
	string(manifest.KindMissingManifest): "a tag that points to nothing",
	"unknown":                            "the registry was not asked, or did not say",
}

func kindChart(s *Summary, f *findings) chart {
	c := chart{ID: "kinds", Title: "Tags that are not kept, by kind", Column: "Kind",
		Text: "Each bar is a kind of manifest, as the registry shows it.", Legend: outcomeLegend(s)}
	for _, t := range most(f.kinds, (*counts).Total) {
		c.Bars = append(c.Bars, countsBar(s, t, kindWords[t.Name]))
	}
	return c.scaled()
}

// topProjects is how many projects the chart has room for.
const topProjects = 10

func projectChart(s *Summary, f *findings) chart {
	c := chart{ID: "projects", Title: "Tags that are not kept, by project", Column: "Project",
		Text: "Each bar is a project, those with the most tags that go first.", Legend: outcomeLegend(s)}
	all := most(f.projects, (*counts).Dead)
	for _, t := range all[:min(topProjects, len(all))] {
		c.Bars = append(c.Bars, countsBar(s, t, ""))
	}
	if more := len(all) - topProjects; more > 0 {
		c.More = fmt.Sprintf("The first %d of %s projects; the table at the end has the tags of all.", topProjects, number(len(all)))
	}
	return c.scaled()
}

func countsBar(s *Summary, t *counts, words string) bar {
	return bar{
		Label: shortenedFront(printable.Escape(t.Name), 34), Name: t.Name, Words: words, Bytes: t.Bytes,
		Segments: []segment{
			{Class: classOf(Deleted), Name: string(s.nameOf(Deleted)), Count: t.Deleted},
			{Class: classOf(Undecided), Name: string(Undecided), Count: t.Undecided},
			{Class: classOf(Failed), Name: string(Failed), Count: t.Failed},
		},
	}
}

// scaled places the bars, and gives the longest the whole width.
func (c chart) scaled() chart {
	longest := 1
	for i, b := range c.Bars {
		c.Bars[i].Top = i * barHeight
		for _, s := range b.Segments {
			c.Bars[i].Total += s.Count
		}
		longest = max(longest, c.Bars[i].Total)
	}
	for _, b := range c.Bars {
		before := 0
		for i := range b.Segments {
			s := &b.Segments[i]
			s.X, s.Len = percent(before, longest), percent(s.Count, longest)
			before += s.Count
		}
	}
	return c
}

func percent(part, all int) string { return fmt.Sprintf("%.2f%%", 100*float64(part)/float64(all)) }

func outcomeLegend(s *Summary) []legend {
	return []legend{
		{classOf(Deleted), string(s.nameOf(Deleted))},
		{classOf(Undecided), string(Undecided)},
		{classOf(Failed), string(Failed)},
	}
}

// classOf returns the class under which the style knows an outcome.
func classOf(o Outcome) string {
	if o == Deleted || o == Marked {
		return "gone"
	}
	return string(o)
}
