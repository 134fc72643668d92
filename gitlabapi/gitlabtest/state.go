package gitlabtest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
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
	kinds    map[*manifest]uint8    // what they were made for
	located  map[string]*repository // by path
	numbered map[int64]*repository  // by id
	lastNote int64                  // id
}

// pushed identifies a manifest before it is made.
type pushed struct {
	kind    uint8
	created int64
}

// project is what Rails has in its own database about a project.
type project struct {
	Project
	repositories []*repository // by id
	rules        []protectionRule
	notes        map[int64][]*note // by the number of the merge request, the oldest first
}

// protectionRule is a rule that has been read.
type protectionRule struct {
	ProtectionRule
	matches *regexp.Regexp // nil for every name
}

func (r protectionRule) protects(tag string) bool {
	return r.matches == nil || r.matches.MatchString(tag)
}

// protects says whether any rule protects a tag, whoever it is protected from.
func (p *project) protects(tag string) bool {
	return slices.ContainsFunc(p.rules, func(r protectionRule) bool { return r.protects(tag) })
}

const (
	maxRules   = 5
	maxPattern = 100
)

// rulesOf reads the rules of a project.
func rulesOf(p *Project) []protectionRule {
	mustBe(len(p.ProtectionRules) <= maxRules, "%s has more than %d rules", p.Path, maxRules)
	var rules []protectionRule
	for _, r := range p.ProtectionRules {
		mustBe(r.Pattern != "" && len(r.Pattern) <= maxPattern, "%s has a rule whose pattern is empty or too long", p.Path)
		matches, err := regexp.Compile(r.Pattern)
		if err != nil {
			matches = nil
		}
		r.Push, r.Delete = max(r.Push, Maintainer), max(r.Delete, Maintainer)
		rules = append(rules, protectionRule{r, matches})
	}
	return rules
}

// repository is Rails' row of a container repository.
type repository struct {
	id      int64
	name    string
	path    string
	status  string
	project *project
	stored  *storedRepository
}

// newState copies a world. Who only wants to know the truth about it can do without the
// manifests, which cost the most.
func newState(w *World, manifests bool) *state {
	st := &state{
		regime: w.Regime, groups: slices.Clone(w.Groups),
		byID: map[int64]*project{}, byPath: map[string]*project{},
		registry: newRegistry(w.Regime), kinds: map[*manifest]uint8{},
		located: map[string]*repository{}, numbered: map[int64]*repository{}, lastNote: firstNoteID - 1,
	}
	for _, p := range w.Projects {
		row := &project{Project: *p}
		row.Repositories = nil // from here on what is stored counts
		if w.Regime == Database {
			row.rules = rulesOf(p)
		}
		st.projects = append(st.projects, row)
		st.byID[p.ID], st.byPath[p.Path] = row, row
		row.notes = st.notesOf(p)
		for _, r := range p.Repositories {
			row.repositories = append(row.repositories, st.addRepository(row, r, manifests))
		}
		slices.SortFunc(row.repositories, func(a, b *repository) int { return cmp.Compare(a.id, b.id) })
	}
	slices.SortFunc(st.projects, func(a, b *project) int { return cmp.Compare(a.ID, b.ID) })
	st.judge(originalRules, func(_ *repository, t *storedTag, v verdict) { t.verdict = v })
	return st
}

func (st *state) addRepository(p *project, r *Repository, manifests bool) *repository {
	compare := st.registry.compare
	stored := &storedRepository{tags: make([]storedTag, 0, len(r.Tags)), compare: compare}
	for _, t := range r.Tags {
		if st.regime.holds(t.Kind) {
			stored.tags = append(stored.tags, st.newTag(t, manifests))
		}
	}
	slices.SortFunc(stored.tags, func(a, b storedTag) int { return compare(a.name, b.name) })
	for i := 1; i < len(stored.tags); i++ {
		mustBe(stored.tags[i].name != stored.tags[i-1].name, "%s has two tags %q", r.Path(), stored.tags[i].name)
	}
	row := &repository{id: r.ID, name: r.Name, path: r.Path(), status: r.Status, project: p, stored: stored}
	st.located[row.path], st.numbered[row.id] = row, row
	return row
}

// newTag returns a tag, with its manifest if it is wanted. Each manifest is made once: a digest costs more
// than a look-up.
func (st *state) newTag(t *Tag, manifests bool) storedTag {
	key := pushed{t.Kind.number(), t.Created.UnixNano()}
	m, made := st.registry.made[key]
	if !made && manifests {
		m = st.registry.manifestOf(t.Kind, t.Created)
		st.registry.made[key], st.kinds[m] = m, key.kind
	}
	stored := storedTag{name: t.Name, manifest: m, created: key.created, pushed: key.created, kind: key.kind}
	if !t.Pushed.IsZero() {
		stored.pushed = t.Pushed.UnixNano()
	}
	return stored
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

// retag sets a tag to a manifest that the registry was given, and judges it by
// what the manifest was made for; the child of an index counts as an image.
func (st *state) retag(r *repository, tag string, m *manifest, now time.Time) {
	kind, made := st.kinds[m]
	if !made {
		kind = KindImage.number()
	}
	st.set(r, storedTag{name: tag, manifest: m, created: now.UnixNano(), pushed: now.UnixNano(), kind: kind})
}

// set sets a tag and judges it, and judges anew the cache whose counterpart it is.
func (st *state) set(r *repository, t storedTag) {
	t.verdict = originalRules.judge(st.contextOf(r), t.name, t.kind)
	r.stored.push(t)
	if cache := r.project.repository(r.name + cacheSuffix); cache != nil {
		if cached, found := cache.stored.find(t.name); found {
			cached.verdict = originalRules.judge(st.contextOf(cache), t.name, cached.kind)
		}
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

// TagState is a tag, and the truth about it.
type TagState struct {
	Project    string // full path
	Repository string // full path
	Tag        string
	Kind       Kind
	// Dead is the reason for which it has to go, "" when it must stay.
	Dead string
	// Truth is the same reason, or that for which it stays: protected,
	// no-rule, counterpart-present, dated-orphan or out-of-reach.
	Truth string
}

// String returns the tag's full name.
func (t TagState) String() string { return t.Repository + ":" + t.Tag }

func stateOf(r *repository, t *storedTag) TagState {
	return TagState{
		Project: r.project.Path, Repository: r.path, Tag: t.name,
		Kind: kinds[t.kind].kind, Dead: t.verdict.dead(), Truth: t.verdict.String(),
	}
}

// Deleted returns the tags that were really deleted by requests, in order,
// with the truth about them before anything was deleted.
func (s *Server) Deleted() []TagState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deleted)
}

// Remaining returns the tags that are left, by project id, repository id and
// name.
func (s *Server) Remaining() []TagState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []TagState
	for _, p := range s.state.projects {
		for _, r := range p.repositories {
			tags := r.stored.live()
			for i := range tags {
				left = append(left, stateOf(r, &tags[i]))
			}
		}
	}
	return left
}

// Push pushes a tag as another client would, while the server serves. The truth
// about the tag is judged by how things stand now, and so is that about the
// cache whose counterpart it is.
func (s *Server) Push(projectPath, repository, tag string, kind Kind) error {
	now := s.options.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !validTag(tag) || !s.state.regime.holds(kind) {
		return fmt.Errorf("gitlabtest: this registry takes no tag %q of kind %q", tag, kind)
	}
	r, err := s.state.find(projectPath, repository)
	if err != nil {
		return err
	}
	s.state.set(r, s.state.newTag(&Tag{Name: tag, Kind: kind, Created: now}, true))
	return nil
}

// Remove removes a tag as another client would; it does not count as deleted,
// and the truth about other tags stays what it was.
func (s *Server) Remove(projectPath, repository, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(projectPath, repository)
	if err != nil {
		return err
	}
	r.stored.remove(tag, s.options.clock())
	return nil
}

// Manifests returns the bytes of the manifest of each tag by its full name; "" of one that is gone.
func (s *Server) Manifests() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for _, r := range s.state.located {
		for _, t := range r.stored.live() {
			if found[r.path+":"+t.name] = ""; t.manifest != nil {
				found[r.path+":"+t.name] = string(t.manifest.body)
			}
		}
	}
	return found
}

// dropMissing drops all tags whose manifest is gone.
func (st *state) dropMissing() {
	for _, r := range st.located {
		r.stored.tags = slices.DeleteFunc(r.stored.tags, func(t storedTag) bool { return t.manifest == nil })
	}
}
