package gitlabtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// RandomWorld makes worlds from a seed. The same fields make the same world, and the
// regime changes nothing else about it.
type RandomWorld struct {
	Seed   uint64
	Regime Regime
	// Projects have repositories that can be cleaned, EmptyProjects have none.
	Projects, EmptyProjects int
	// Archived, Disabled, Forbidden and NotMember are further projects with
	// repositories, out of reach each in its way.
	Archived, Disabled, Forbidden, NotMember int
	// RepositoriesPerProject and TagsPerRepository are the least and the most.
	RepositoriesPerProject, TagsPerRepository [2]int
	// Dead says how many tags are dead; the zero value means none.
	Dead Dead
	// Protected is the share of tags with a protected name, of every kind; a
	// repository has each name once.
	Protected float64
	// Odd is the share of tags that BuildKit and Docker do not push: referrers, signatures,
	// kaniko's caches, indexes without platforms or of indexes.
	Odd float64
	// Deleting is the share of repositories with a status.
	Deleting float64
	// EmptyCounterparts is the share of cache repositories with a counterpart that has no
	// tags.
	EmptyCounterparts float64
	// Newest is the date of the newest tags, from which the others go back by weeks; zero for
	// [Created].
	Newest time.Time
	// Repushed is the share of tags that were pushed last a day after Newest.
	Repushed float64
}

// Dead are shares of the tags of those repositories in which a reason can
// occur at all: any, cache repositories without counterpart, and cache
// repositories with one.
type Dead struct {
	DetailsMissing, RepositoryMissing, TagMissing float64
}

// Random returns a small random world in which everything happens.
func Random(seed uint64, regime Regime) RandomWorld {
	return RandomWorld{
		Seed: seed, Regime: regime,
		Projects: 6, EmptyProjects: 2, Archived: 1, Disabled: 1, Forbidden: 1, NotMember: 1,
		RepositoriesPerProject: [2]int{1, 6}, TagsPerRepository: [2]int{0, 14},
		Dead:      Dead{DetailsMissing: 0.2, RepositoryMissing: 0.6, TagMissing: 0.3},
		Protected: 0.1, Odd: 0.1, Deleting: 0.1, EmptyCounterparts: 0.05,
	}
}

// World makes the world.
func (r RandomWorld) World() *World {
	d := &draw{RandomWorld: r, rand: rand.New(rand.NewPCG(r.Seed, 0))}
	// What is special about each project, in random order; nil is one without repositories.
	var projects []func(*Project)
	add := func(n int, set func(*Project)) {
		for range n {
			projects = append(projects, set)
		}
	}
	add(r.Projects, func(*Project) {})
	add(r.EmptyProjects, nil)
	add(r.Archived, func(p *Project) { p.Archived = true })
	add(r.Disabled, func(p *Project) { p.RegistryDisabled = true })
	add(r.Forbidden, func(p *Project) { p.Forbidden = true })
	add(r.NotMember, func(p *Project) { p.NotMember = true })
	d.rand.Shuffle(len(projects), func(i, j int) { projects[i], projects[j] = projects[j], projects[i] })
	w := NewWorld(r.Regime)
	for i, set := range projects {
		p := w.AddProject(d.projectPath(i))
		if set != nil {
			set(p)
			d.fillProject(p)
		}
	}
	return w
}

// draw is a RandomWorld while it is made.
type draw struct {
	RandomWorld
	rand *rand.Rand
	// replace returns the kind that a tag of the repository at hand gets instead of another.
	replace func(Kind) Kind
}

// newCache draws what a cache repository holds: build caches, or something else with such a name.
// A registry with a database is asked for the kinds of a few of its tags only, but of those that it
// lists as an index. What a tag gets instead has a date, details or neither just the same.
func (d *draw) newCache() {
	holdsCaches := d.chance(0.75)
	d.replace = func(kind Kind) Kind {
		switch k := kinds[kind.number()]; {
		case k.cache == holdsCaches, k.missing && !k.cache, kind == KindDockerList:
			return kind
		case holdsCaches && k.undated:
			return KindCacheManifest
		case holdsCaches:
			return KindDockerList
		case k.undated:
			return KindArtifact
		default:
			return KindMultiArch
		}
	}
}

// newImages is for a repository that is no cache.
func (d *draw) newImages() { d.replace = func(kind Kind) Kind { return kind } }

func (d *draw) chance(p float64) bool { return d.rand.Float64() < p }

func (d *draw) between(bounds [2]int) int {
	return bounds[0] + d.rand.IntN(max(bounds[1]-bounds[0], 0)+1)
}

// pick draws one of several values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// datesDrawn is how many dates are drawn, a week from one to the next: few, so that manifests are shared.
const datesDrawn = 32

// date draws one of the dates.
func (d *draw) date() time.Time { return d.newest().AddDate(0, 0, -7*d.rand.IntN(datesDrawn)) }

// isDrawn says whether a date is one of those that worlds draw unless they are told a newest one;
// [Created] is the newest of them.
func isDrawn(created time.Time) bool {
	const week = 7 * 24 * time.Hour
	before := Created.Sub(created)
	return before%week == 0 && 0 <= before && before < datesDrawn*week
}

func (d *draw) newest() time.Time {
	if d.Newest.IsZero() {
		return Created
	}
	return d.Newest
}

// odd draws a tag of a kind that BuildKit and Docker do not push.
func (d *draw) odd() (string, Kind) {
	hash := fmt.Sprintf("%016x%016x%016x%016x", d.rand.Uint64(), d.rand.Uint64(), d.rand.Uint64(), d.rand.Uint64())
	switch kind := pick(d.rand, KindReferrers, KindSignature, KindKanikoCache, KindBareIndex, KindNestedIndex); kind {
	case KindReferrers:
		return "sha256-" + hash, kind
	case KindSignature:
		return "sha256-" + hash + ".sig", kind
	case KindKanikoCache:
		return hash, kind
	default:
		return "", kind
	}
}

// dated draws a kind of tag that has a date on LEGACY.
func (d *draw) dated() Kind {
	return pick(d.rand, KindImage, KindImage, KindDockerImage, KindDockerList)
}

// undated draws one that has none.
func (d *draw) undated() Kind {
	if d.chance(0.1) {
		return KindArtifact
	}
	return KindCacheManifest
}

// projectPath returns a path that only the i-th project has. Some projects
// are called like a cache themselves, which does not make them one.
func (d *draw) projectPath(i int) string {
	path := pick(d.rand, "acme", "tools", "data-team", "r_d")
	for range d.rand.IntN(3) {
		path += "/" + pick(d.rand, "backend", "web", "mobile.apps", "team-a")
	}
	if d.chance(0.1) {
		return fmt.Sprintf("%s/build-%d%s", path, i, cacheSuffix)
	}
	return fmt.Sprintf("%s/app-%d", path, i)
}

// oddRepositories are names that a careless comparison gets wrong; "" is the root
// repository.
var oddRepositories = []string{
	"", "web", "api", "a/b", "tools/ci/linter", "base.image", "web_v2",
	"cache", "webcache", "my.cache/app", "x.cached",
}

// fillProject adds repositories until the project has as many as were drawn: plain ones,
// caches without a counterpart, and caches with one, which are two at once.
func (d *draw) fillProject(p *Project) {
	odd, numbered := slices.Clone(oddRepositories), 0
	name := func(root bool) string {
		for len(odd) > 0 && d.rand.IntN(2) == 0 {
			i := d.rand.IntN(len(odd))
			name := odd[i]
			odd = slices.Delete(odd, i, i+1)
			if name != "" || root {
				return name
			}
		}
		numbered++
		return fmt.Sprintf("service-%d", numbered)
	}
	for left := d.between(d.RepositoriesPerProject); left > 0; left-- {
		shapes := 3
		if left < 2 {
			shapes = 2
		}
		switch d.rand.IntN(shapes) {
		case 0:
			d.newImages()
			d.fill(d.addRepository(p, name(true)), &tagNames{rand: d.rand}, d.plainTag)
		case 1:
			d.newCache()
			d.fill(d.addRepository(p, name(false)+cacheSuffix), &tagNames{rand: d.rand}, func() (string, Kind) {
				if d.chance(d.Dead.RepositoryMissing) {
					return "", d.undated()
				}
				return "", d.dated()
			})
		case 2:
			d.addPair(p, name(false))
			left--
		}
	}
}

func (d *draw) addRepository(p *Project, name string) *Repository {
	r := p.AddRepository(name)
	if d.chance(d.Deleting) {
		r.Status = pick(d.rand, "delete_scheduled", "delete_ongoing", "delete_failed")
	}
	return r
}

// addPair adds a repository and its cache, in either order. A tag of the cache is one
// without a counterpart, a live cache, or an image that was pushed there by mistake.
func (d *draw) addPair(p *Project, name string) {
	var counterpart, cache *Repository
	if d.chance(0.5) {
		cache = d.addRepository(p, name+cacheSuffix)
		counterpart = d.addRepository(p, name)
	} else {
		counterpart = d.addRepository(p, name)
		cache = d.addRepository(p, name+cacheSuffix)
	}
	names := &tagNames{rand: d.rand}
	if !d.chance(d.EmptyCounterparts) {
		d.newImages()
		d.fill(counterpart, names, d.plainTag)
	}
	var live []string
	for _, t := range counterpart.Tags {
		if !isProtected(t.Name) {
			live = append(live, t.Name)
		}
	}
	d.newCache()
	d.fill(cache, names, func() (string, Kind) {
		switch {
		case d.chance(d.Dead.TagMissing):
			return names.next(), d.undated()
		case len(live) == 0 || d.chance(0.1):
			return names.next(), d.dated()
		}
		name := live[0]
		live = live[1:]
		if d.chance(0.1) {
			return name, d.dated()
		}
		return name, d.undated()
	})
}

// plainTag draws a tag of a repository that is no cache, where nothing is wrong with it.
func (d *draw) plainTag() (string, Kind) {
	if d.chance(0.1) {
		return "", d.undated()
	}
	return "", d.dated()
}

// protectedExamples are names that are never touched.
var protectedExamples = []string{"latest", "v1.2.3", "main", "master", "v2.0.0-rc.1", "v..", "vendor.js.map"}

// fill adds as many tags as were drawn: protected ones, odd ones, ones whose details are
// missing, and those that ordinary draws, which may also name them.
func (d *draw) fill(r *Repository, names *tagNames, ordinary func() (string, Kind)) {
	protected := slices.Clone(protectedExamples)
	for range d.between(d.TagsPerRepository) {
		name, kind := "", Kind("")
		switch {
		case len(protected) > 0 && d.chance(d.Protected):
			name, kind = protected[0], kinds[d.rand.IntN(len(kinds)-1)].kind // the last is no tag
			protected = protected[1:]
		case d.chance(d.Odd):
			name, kind = d.odd()
		case d.chance(d.Dead.DetailsMissing):
			kind = pick(d.rand, KindAttestedImage, KindMultiArch, KindCacheIndex, KindCacheList, KindAttestedImage, KindMultiArch, KindCacheIndex, KindCacheList, KindManifestMissing)
		default:
			name, kind = ordinary()
		}
		if name == "" {
			name = names.next()
		}
		t := r.AddTagAt(name, d.replace(kind), d.date())
		if d.Repushed > 0 && d.chance(d.Repushed) {
			t.Pushed = d.newest().AddDate(0, 0, 1)
		}
	}
}

// tagNames makes names of tags, none of them twice or protected.
type tagNames struct {
	rand  *rand.Rand
	count int
}

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
