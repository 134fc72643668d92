package gitlabtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Build makes worlds from a seed. The same Build makes the same world, and the
// regime changes nothing else about it.
type Build struct {
	Seed   uint64
	Regime Regime
	// Projects have repositories that can be cleaned, EmptyProjects have none.
	Projects, EmptyProjects int
	// Archived, Disabled, Forbidden and NotMember are further projects with
	// repositories, out of reach each in its way.
	Archived, Disabled, Forbidden, NotMember int
	// RepositoriesPerProject and TagsPerRepository are the least and the most.
	RepositoriesPerProject, TagsPerRepository [2]int
	// Shapes says which repositories there are; the zero value means an even
	// mix.
	Shapes Shapes
	// Dead says how many tags are dead; the zero value means none.
	Dead Dead
	// Protected is the share of tags with a protected name, of every kind; a
	// repository has each name once.
	Protected float64
	// Deleting is the share of repositories with a status.
	Deleting float64
	// EmptyCounterparts is the share of pairs whose counterpart has no tags.
	EmptyCounterparts float64
}

// Shapes are the weights with which repositories are drawn.
type Shapes struct {
	Plain  int // no cache repository, and none beside it
	Pair   int // a repository with its cache repository: two at once
	Orphan int // a cache repository without counterpart
}

// Dead are shares of the tags of those repositories in which a reason can
// occur at all: any, cache repositories without counterpart, and cache
// repositories with one.
type Dead struct {
	DetailsMissing, RepositoryMissing, TagMissing float64
}

// Random returns a Build of a small world in which everything happens.
func Random(seed uint64, regime Regime) Build {
	return Build{
		Seed: seed, Regime: regime,
		Projects: 6, EmptyProjects: 2, Archived: 1, Disabled: 1, Forbidden: 1, NotMember: 1,
		RepositoriesPerProject: [2]int{1, 6}, TagsPerRepository: [2]int{0, 14},
		Dead:      Dead{DetailsMissing: 0.2, RepositoryMissing: 0.6, TagMissing: 0.3},
		Protected: 0.1, Deleting: 0.1, EmptyCounterparts: 0.1,
	}
}

// builder is a Build at work.
type builder struct {
	Build
	rand  *rand.Rand
	world *World
}

// World makes the world.
func (b Build) World() *World {
	if b.Shapes == (Shapes{}) {
		b.Shapes = Shapes{Plain: 1, Pair: 1, Orphan: 1}
	}
	w := &builder{Build: b, rand: rand.New(rand.NewPCG(b.Seed, 0)), world: NewWorld(b.Regime)}
	for i, shape := range w.flavours() {
		p := w.world.AddProject(w.projectPath(i))
		if shape != nil {
			shape(p)
			w.fillProject(p)
		}
	}
	return w.world
}

// flavours says for each project what is special about it, in random order;
// nil is a project without repositories.
func (b *builder) flavours() []func(*Project) {
	var all []func(*Project)
	add := func(n int, flavour func(*Project)) {
		for range n {
			all = append(all, flavour)
		}
	}
	add(b.Projects, func(*Project) {})
	add(b.EmptyProjects, nil)
	add(b.Archived, func(p *Project) { p.Archived = true })
	add(b.Disabled, func(p *Project) { p.RegistryDisabled = true })
	add(b.Forbidden, func(p *Project) { p.Forbidden = true })
	add(b.NotMember, func(p *Project) { p.NotMember = true })
	b.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// fillProject adds repositories until the project has as many as were drawn.
func (b *builder) fillProject(p *Project) {
	names := &repositoryNames{rand: b.rand, rest: slices.Clone(tellingRepositories)}
	for left := b.between(b.RepositoriesPerProject); left > 0; left-- {
		switch b.shape(left) {
		case shapePlain:
			b.fillPlain(b.addRepository(p, names.next()))
		case shapeOrphan:
			b.fillOrphan(b.addRepository(p, names.base()+cacheSuffix))
		case shapePair:
			b.addPair(p, names.base())
			left--
		}
	}
}

const (
	shapePlain = iota
	shapeOrphan
	shapePair
)

// shape draws a shape for which there is room.
func (b *builder) shape(room int) int {
	pairs := b.Shapes.Pair
	if room < 2 {
		pairs = 0
	}
	all := b.Shapes.Plain + b.Shapes.Orphan + pairs
	if all == 0 {
		return shapePlain
	}
	switch n := b.rand.IntN(all); {
	case n < b.Shapes.Plain:
		return shapePlain
	case n < b.Shapes.Plain+b.Shapes.Orphan:
		return shapeOrphan
	default:
		return shapePair
	}
}

// addPair adds a repository and its cache, in either order.
func (b *builder) addPair(p *Project, name string) {
	var counterpart, cache *Repository
	if b.chance(0.5) {
		cache = b.addRepository(p, name+cacheSuffix)
		counterpart = b.addRepository(p, name)
	} else {
		counterpart = b.addRepository(p, name)
		cache = b.addRepository(p, name+cacheSuffix)
	}
	names := b.tagNames()
	if !b.chance(b.EmptyCounterparts) {
		b.fill(counterpart, names, b.plainTag)
	}
	live := unprotectedNames(counterpart)
	b.fill(cache, names, func() (string, Kind) { return b.cacheTag(names, &live) })
}

func unprotectedNames(r *Repository) []string {
	var names []string
	for _, t := range r.Tags {
		if !isProtected(t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

func (b *builder) addRepository(p *Project, name string) *Repository {
	r := p.AddRepository(name)
	if b.chance(b.Deleting) {
		r.Status = pick(b.rand, "delete_scheduled", "delete_ongoing", "delete_failed")
	}
	return r
}

func (b *builder) fillPlain(r *Repository) { b.fill(r, b.tagNames(), b.plainTag) }

func (b *builder) fillOrphan(r *Repository) {
	b.fill(r, b.tagNames(), func() (string, Kind) {
		if b.chance(b.Dead.RepositoryMissing) {
			return "", b.undated()
		}
		return "", b.dated()
	})
}

// fill adds as many tags as were drawn. The kind of an ordinary tag is drawn
// by draw, which may also name it.
func (b *builder) fill(r *Repository, names *tagNames, draw func() (string, Kind)) {
	guarded := slices.Clone(protectedExamples)
	for range b.between(b.TagsPerRepository) {
		name, kind := "", Kind("")
		switch {
		case len(guarded) > 0 && b.chance(b.Protected):
			name, kind = guarded[0], b.anyKind()
			guarded = guarded[1:]
		case b.chance(b.Dead.DetailsMissing):
			kind = pick(b.rand, KindAttestedImage, KindMultiArch, KindCacheIndex, KindCacheList, KindManifestMissing)
		default:
			name, kind = draw()
		}
		if name == "" {
			name = names.next()
		}
		r.AddTagAt(name, kind, b.date())
	}
}

// plainTag draws a tag that is healthy wherever nothing is a cache.
func (b *builder) plainTag() (string, Kind) {
	if b.chance(0.1) {
		return "", b.undated()
	}
	return "", b.dated()
}

// cacheTag draws a tag of a cache repository that has a counterpart: an
// orphan, a live cache, or an image that went astray.
func (b *builder) cacheTag(names *tagNames, live *[]string) (string, Kind) {
	switch {
	case b.chance(b.Dead.TagMissing):
		return names.next(), b.undated()
	case len(*live) > 0 && b.chance(0.9):
		name := (*live)[0]
		*live = (*live)[1:]
		if b.chance(0.1) {
			return name, b.dated()
		}
		return name, b.undated()
	default:
		return names.next(), b.dated()
	}
}

func (b *builder) dated() Kind {
	return pick(b.rand, KindImage, KindImage, KindDockerImage, KindDockerList)
}

func (b *builder) undated() Kind {
	if b.chance(0.1) {
		return KindArtifact
	}
	return KindCacheManifest
}

func (b *builder) anyKind() Kind { return kinds[b.rand.IntN(len(kinds))].kind }

// date draws one of few dates, so that manifests are shared.
func (b *builder) date() time.Time { return Created.AddDate(0, 0, -7*b.rand.IntN(32)) }

func (b *builder) chance(p float64) bool { return b.rand.Float64() < p }

func (b *builder) between(bounds [2]int) int {
	return bounds[0] + b.rand.IntN(max(bounds[1]-bounds[0], 0)+1)
}

// projectPath returns a path that only the i-th project has. Now and then the
// project itself is called like a cache, which does not make it one.
func (b *builder) projectPath(i int) string {
	path := pick(b.rand, "acme", "tools", "data-team", "r_d")
	for range b.rand.IntN(3) {
		path += "/" + pick(b.rand, "backend", "web", "mobile.apps", "team-a")
	}
	if b.chance(0.1) {
		return fmt.Sprintf("%s/build-%d%s", path, i, cacheSuffix)
	}
	return fmt.Sprintf("%s/app-%d", path, i)
}

// pick draws one of several values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// tellingRepositories are names with something to stumble over; "" is the
// root repository.
var tellingRepositories = []string{
	"", "web", "api", "a/b", "tools/ci/linter", "base.image", "web_v2",
	"cache", "webcache", "my.cache/app", "x.cached",
}

// protectedExamples are names that are never touched.
var protectedExamples = []string{"latest", "v1.2.3", "main", "master", "v2.0.0-rc.1", "v..", "vendor.js.map"}

// repositoryNames hands out names for the repositories of one project.
type repositoryNames struct {
	rand  *rand.Rand
	rest  []string // telling ones that are not taken
	count int
}

// next returns a name; now and then a telling one.
func (n *repositoryNames) next() string {
	if len(n.rest) > 0 && n.rand.IntN(2) == 0 {
		i := n.rand.IntN(len(n.rest))
		name := n.rest[i]
		n.rest = append(n.rest[:i], n.rest[i+1:]...)
		return name
	}
	n.count++
	return fmt.Sprintf("service-%d", n.count)
}

// base returns a name that the cache suffix can be put to.
func (n *repositoryNames) base() string {
	for {
		if name := n.next(); name != "" {
			return name
		}
	}
}

// tagNames hands out names of tags, none of them twice or protected.
type tagNames struct {
	rand  *rand.Rand
	count int
}

func (b *builder) tagNames() *tagNames { return &tagNames{rand: b.rand} }

// tagForms are forms of names, each of which holds the number: two names of
// different forms are never the same.
var tagForms = []string{
	"feature-%d", "feature-%d", "feature-%d", "MR-%d_Fix", "release_%d.x", "user.name-%d",
	"%d", "v%d", "v%d.1", "V%d.0.0", "_%d", "latest-%d", "pr.%d.build..7",
}

func (n *tagNames) next() string {
	n.count++
	if n.rand.IntN(100) == 0 {
		// As long as a name can be.
		return fmt.Sprintf("%s-%07d", strings.Repeat("long-", 24), n.count)
	}
	return fmt.Sprintf(tagForms[n.rand.IntN(len(tagForms))], n.count)
}
