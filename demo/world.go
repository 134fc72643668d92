package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// world is what an instance holds: the truth about each tag, by its name with that of
// its repository.
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

// alive returns the tags that have to stay.
func (w world) alive() world {
	alive := maps.Clone(w)
	maps.DeleteFunc(alive, func(_, truth string) bool { return strings.HasPrefix(truth, "dead:") })
	return alive
}

// outOfReach returns how many tags no run counts: those of projects and repositories that
// are passed over.
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
	return errors.Join(missing("is gone", before, after), missing("is new", after, before))
}

// checkLeft fails unless exactly the tags that have to stay are left. A world in which
// nothing is dead, or everything, would show nothing, and fails too.
func checkLeft(before, after world) error {
	alive := before.alive()
	if len(alive) == 0 || len(alive) == len(before) {
		return fmt.Errorf("the world shows nothing: %d of its %d tags must stay", len(alive), len(before))
	}
	return errors.Join(missing("had to stay and is gone", alive, after), missing("is dead and still there", after, alive))
}

// missing complains about each tag of one world that another lacks.
func missing(what string, tags, from world) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if _, ok := from[name]; !ok {
			errs = append(errs, fmt.Errorf("%s %s (%s)", name, what, tags[name]))
		}
	}
	return errors.Join(errs...)
}
