package report

import (
	"cmp"
	"maps"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// findings are the decisions counted. They hold no tag and no repository, so that they
// grow with the projects where something was found, and with nothing else.
type findings struct {
	projects map[string]*counts
	kinds    map[string]*counts
	Listed   int   // decisions
	Sized    int   // tags that went whose bytes are known
	Bytes    int64 // that they reference
	Dated    bool  // of some of them the age is known
}

// Counts are of the tags that are not kept, of one project or one kind.
type counts struct {
	Name                       string
	Deleted, Undecided, Failed int // deleted, or marked in a dry run
	Bytes                      int64
	dead                       map[deadKey]int
}

// A deadKey is what the advice on a build depends on.
type deadKey struct {
	kind   manifest.Kind
	reason policy.Reason
}

func newFindings() *findings {
	return &findings{projects: make(map[string]*counts), kinds: make(map[string]*counts)}
}

func (f *findings) countDecision(d *decisionLine) {
	f.Listed++
	f.Dated = f.Dated || !d.Made.IsZero()
	if d.Bytes > 0 && (d.Outcome == Deleted || d.Outcome == Marked) {
		f.Sized++
		f.Bytes = saturated(f.Bytes, d.Bytes)
	}
	kind := d.Kind
	if kind == "" {
		kind = "unknown"
	}
	countsOf(f.projects, d.Project).countDecision(d)
	countsOf(f.kinds, kind).countDecision(d)
}

func countsOf(all map[string]*counts, name string) *counts {
	t, ok := all[name]
	if !ok {
		t = &counts{Name: name, dead: make(map[deadKey]int)}
		all[name] = t
	}
	return t
}

func (t *counts) countDecision(d *decisionLine) {
	switch d.Outcome {
	case Deleted, Marked:
		t.Deleted++
		t.Bytes = saturated(t.Bytes, max(0, d.Bytes))
	case Failed:
		t.Failed++
	default:
		t.Undecided++
	}
	if d.Action == policy.Delete {
		t.dead[deadKey{manifest.Kind(d.Kind), d.Reason}]++
	}
}

// Dead returns how many tags were to go, whether they could be deleted or not.
func (t *counts) Dead() int { return t.Deleted + t.Failed }

// Total returns how many tags are not kept.
func (t *counts) Total() int { return t.Deleted + t.Undecided + t.Failed }

// most returns them, the largest first by that count.
func most(all map[string]*counts, count func(*counts) int) []*counts {
	return slices.SortedFunc(maps.Values(all), func(a, b *counts) int {
		return cmp.Or(cmp.Compare(count(b), count(a)), cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.Name, b.Name))
	})
}
