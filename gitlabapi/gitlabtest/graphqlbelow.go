package gitlabtest

import (
	"cmp"
	"slices"
	"sync"
)

// below finds what REST walks to: GraphQL names groups and repositories without
// saying what they lie in, and a look-up must not cost what there is. Projects
// and repositories neither come nor go while a server serves, so that it is made
// once, for the first that asks.
type below struct {
	groups       map[string]*Group     // by path
	projects     map[*Group][]*project // with those of subgroups, by id
	repositories map[int64]*repository // by id

	mu     sync.Mutex
	listed map[*Group][]*repository
}

func newBelow(st *state) *below {
	b := &below{
		groups: map[string]*Group{}, projects: map[*Group][]*project{},
		repositories: map[int64]*repository{}, listed: map[*Group][]*repository{},
	}
	for _, g := range st.groups {
		b.groups[g.Path] = g
	}
	for _, p := range st.projects {
		for g := p.group; g != nil; g = g.Parent {
			b.projects[g] = append(b.projects[g], p)
		}
		for _, r := range p.repositories {
			b.repositories[r.id] = r
		}
	}
	return b
}

// repositoriesOf lists a group's repositories by id, once.
func (b *below) repositoriesOf(g *Group) []*repository {
	b.mu.Lock()
	defer b.mu.Unlock()
	if all, listed := b.listed[g]; listed {
		return all
	}
	var all []*repository
	for _, p := range b.projects[g] {
		if !p.disabled {
			all = append(all, p.repositories...)
		}
	}
	slices.SortFunc(all, func(a, b *repository) int { return cmp.Compare(a.id, b.id) })
	b.listed[g] = all
	return all
}
