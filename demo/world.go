package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// world is what an instance holds: the truth about each tag, by repository:tag.
type world map[string]string

// parseWorld reads the stand-in's table: repository, tag, kind, and the truth, which
// begins with "stays:" or "dead:". The first line is the heading.
func parseWorld(table string) world {
	w := make(world)
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		if fields := strings.Fields(row); len(fields) > 3 {
			w[fields[0]+":"+fields[1]] = strings.Join(fields[3:], " ")
		}
	}
	return w
}

// live returns the tags that have to stay.
func (w world) live() world {
	live := maps.Clone(w)
	maps.DeleteFunc(live, func(_, truth string) bool { return strings.HasPrefix(truth, "dead:") })
	return live
}

// withManifests returns the tags that point to something.
func (w world) withManifests() world {
	whole := maps.Clone(w)
	maps.DeleteFunc(whole, func(_, truth string) bool { return truth == "dead: missing-manifest" })
	return whole
}

// outOfReach returns how many tags no run counts, since their projects or repositories are
// skipped.
func (w world) outOfReach() (n int) {
	for _, truth := range w {
		if truth == "stays: out-of-reach" {
			n++
		}
	}
	return n
}

// checkSame fails when a tag went or came.
func checkSame(before, after world) error {
	return errors.Join(onlyIn(before, after, "is gone"), onlyIn(after, before, "is new"))
}

// checkLeft fails unless exactly the tags that have to stay are left. A world in which
// nothing is dead, or everything, would show nothing, and fails too.
func checkLeft(before, after world) error {
	live := before.live()
	if len(live) == 0 || len(live) == len(before) {
		return fmt.Errorf("the world shows nothing: %d of its %d tags must stay", len(live), len(before))
	}
	return errors.Join(onlyIn(live, after, "had to stay and is gone"), onlyIn(after, live, "is dead and still there"))
}

// onlyIn returns an error for each tag of one world that another does not have.
func onlyIn(w, other world, complaint string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if _, ok := other[name]; !ok {
			errs = append(errs, fmt.Errorf("%s %s (%s)", name, complaint, w[name]))
		}
	}
	return errors.Join(errs...)
}
