package gitlabtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// state is the instance as Rails knows it, and the registry behind it: a
// server's own copy of a world.
type state struct {
	regime   Regime
	groups   []*Group
	projects []*project // by id
	byID     map[int64]*project
	byPath   map[string]*project
	registry *registry
	made     map[pushed]*manifest
	kinds    map[*manifest]pushed   // what made is, the other way round
	located  map[string]*repository // by path
	numbered map[int64]*repository  // by id
}

// project is what Rails has in its own database about a project.
type project struct {
	id           int64
	path         string
	group        *Group
	archived     bool
	disabled     bool
	notMember    bool
	forbidden    bool
	repositories []*repository // by id
}

// repository is Rails' row of a container repository.
type repository struct {
	id      int64
	name    string
	path    string
	status  string
	project *project
	stored  *storedRepository
	reached bool
}

// newState copies a world.
func newState(w *World) *state {
	st := &state{
		regime: w.Regime, groups: slices.Clone(w.Groups),
		byID: map[int64]*project{}, byPath: map[string]*project{},
		registry: newRegistry(), made: map[pushed]*manifest{},
		kinds: map[*manifest]pushed{}, located: map[string]*repository{}, numbered: map[int64]*repository{},
	}
	for _, p := range w.Projects {
		st.addProject(p)
	}
	slices.SortFunc(st.projects, func(a, b *project) int { return cmp.Compare(a.id, b.id) })
	return st
}

func (st *state) addProject(p *Project) {
	row := &project{
		id: p.ID, path: p.Path, group: p.group, archived: p.Archived,
		disabled: p.RegistryDisabled, notMember: p.NotMember, forbidden: p.Forbidden,
	}
	st.projects = append(st.projects, row)
	st.byID[p.ID], st.byPath[p.Path] = row, row
	for _, r := range p.Repositories {
		row.repositories = append(row.repositories, st.addRepository(row, r))
	}
	slices.SortFunc(row.repositories, func(a, b *repository) int { return cmp.Compare(a.id, b.id) })
}

func (st *state) addRepository(p *project, r *Repository) *repository {
	around := r.context()
	row := &repository{
		id: r.ID, name: r.Name, path: r.Path(), status: r.Status, project: p,
		stored: st.registry.repository(r.Path()), reached: around.reached,
	}
	tags := make([]storedTag, 0, len(r.Tags))
	for _, t := range r.Tags {
		if st.regime.holds(t.Kind) {
			tags = append(tags, st.newTag(around, t))
		}
	}
	st.located[row.path], st.numbered[row.id] = row, row
	row.stored.load(tags)
	mustHaveNoTwins(row.path, tags)
	return row
}

// newTag returns a tag with its manifest and the truth about it.
func (st *state) newTag(around tagContext, t *Tag) storedTag {
	number := t.Kind.number()
	return storedTag{
		name: t.Name, manifest: st.manifestOf(t.Kind, t.pushed()),
		created: t.Created.UnixNano(), pushed: t.pushed().UnixNano(),
		note: note{kind: number, verdict: around.judge(t.Name, number)},
	}
}

// pushed identifies a manifest before it is made.
type pushed struct {
	kind    Kind
	created int64
}

// manifestOf makes each manifest once: a digest costs more than a look-up.
func (st *state) manifestOf(kind Kind, created time.Time) *manifest {
	key := pushed{kind, created.UnixNano()}
	m, made := st.made[key]
	if !made {
		m = st.registry.manifestOf(kind, created)
		st.made[key], st.kinds[m] = m, key
	}
	return m
}

func mustHaveNoTwins(path string, sorted []storedTag) {
	for i := 1; i < len(sorted); i++ {
		mustBe(sorted[i].name != sorted[i-1].name, "%s has two tags %q", path, sorted[i].name)
	}
}

// find returns a repository by the path of its project and its own name.
func (st *state) find(projectPath, name string) (*repository, error) {
	p := st.byPath[projectPath]
	if p == nil {
		return nil, fmt.Errorf("gitlabtest: no project %q", projectPath)
	}
	r := p.repository(name)
	if r == nil {
		return nil, fmt.Errorf("gitlabtest: project %q has no repository %q", projectPath, name)
	}
	return r, nil
}

// repository returns the project's repository of a name, nil if it has none.
func (p *project) repository(name string) *repository {
	for _, r := range p.repositories {
		if r.name == name {
			return r
		}
	}
	return nil
}

// contextOf is what the truth about a repository's tags depends on, as things are now.
func (st *state) contextOf(r *repository) tagContext {
	s := tagContext{regime: st.regime, reached: r.reached, cache: isCache(r.name)}
	if !s.cache {
		return s
	}
	other := r.project.repository(strings.TrimSuffix(r.name, cacheSuffix))
	if other != nil {
		s.counterpart = func(tag string) bool {
			_, ok := other.stored.find(tag)
			return ok || beingDeleted(other.status)
		}
	}
	return s
}

// push sets a tag, judges it, and judges anew the cache that it makes live.
func (st *state) push(r *repository, tag string, kind Kind, now time.Time) {
	r.stored.push(st.newTag(st.contextOf(r), &Tag{Name: tag, Kind: kind, Created: now}))
	st.judgeCacheOf(r, tag)
}

// judgeCacheOf judges the cache of a tag that was pushed.
func (st *state) judgeCacheOf(r *repository, tag string) {
	cache := r.project.repository(r.name + cacheSuffix)
	if cache == nil {
		return
	}
	if t, ok := cache.stored.find(tag); ok {
		t.note.verdict = st.contextOf(cache).judge(tag, t.note.kind)
	}
}

// within says whether a project lies in a group or in one of its subgroups.
func (p *project) within(g *Group) bool {
	for at := p.group; at != nil; at = at.Parent {
		if at == g {
			return true
		}
	}
	return false
}

// retag sets a tag to a manifest that the registry was given, and judges it by
// what the manifest was made for; the child of an index counts as an image.
func (st *state) retag(r *repository, tag string, m *manifest, now time.Time) {
	kind := KindImage
	if made, ok := st.kinds[m]; ok {
		kind = made.kind
	}
	number := kind.number()
	r.stored.push(storedTag{
		name: tag, manifest: m, created: now.UnixNano(), pushed: now.UnixNano(),
		note: note{kind: number, verdict: st.contextOf(r).judge(tag, number)},
	})
	st.judgeCacheOf(r, tag)
}

// dropMissing drops all tags whose manifest is gone.
func (st *state) dropMissing() {
	for _, r := range st.located {
		r.stored.tags = slices.DeleteFunc(r.stored.tags, func(t storedTag) bool { return t.manifest == nil })
	}
}
