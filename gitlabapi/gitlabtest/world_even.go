package gitlabtest

import (
	"fmt"
	"time"
)

// EvenWorld makes worlds for measurements: they have as many of everything as is said,
// spread evenly, and nothing is random, so that what is measured depends on the numbers
// alone. A project has images, each with its cache repository, and tools, which have none.
type EvenWorld struct {
	Regime Regime
	// Projects have repositories, EmptyProjects lie among them and have none.
	Projects, EmptyProjects int
	// Repositories and Tags are those of the whole instance.
	Repositories, Tags int
	// Dead is the share of all tags that are caches without an image. A third of them
	// fill cache repositories whose counterpart is gone, as far as there are enough for
	// a whole one; of the others each cache repository has its part.
	Dead float64
	// Attested is the share of all tags that are images with attestations, which are
	// dead on LEGACY. Only tools have them, so that no deletion makes an orphan.
	Attested float64
	// Protected is the share of the tags of each repository with a protected name.
	Protected float64
}

// role says what a repository of an even world is for.
type role int

// The roles, in the order in which a project gets them.
const (
	roleImage role = iota
	roleCache
	roleTool
	roles
)

// evenRepository is a repository before it is made.
type evenRepository struct {
	project, index  int
	role            role
	tags, protected int
	dead, attested  int
	abandoned       bool // a cache repository whose counterpart is gone
}

// World makes the world.
func (w EvenWorld) World() *World {
	world := NewWorld(w.Regime)
	plans := w.plans()
	for i := range w.Projects + w.EmptyProjects {
		p := world.AddProject(fmt.Sprintf("group-%d/project-%d", i/100, i))
		number, full := nth(i, w.Projects, w.Projects+w.EmptyProjects)
		for full && len(plans) > 0 && plans[0].project == number {
			plans[0].addTo(p)
			plans = plans[1:]
		}
	}
	return world
}

// Deletions is how many of the tags are dead by the registry's word with the default
// settings.
func (w EvenWorld) Deletions() int {
	dead := 0
	for _, r := range w.plans() {
		dead += r.dead
		if w.Regime == Legacy {
			dead += r.attested
		}
	}
	return dead
}

// nth says whether place i of so many is one of n that are spread evenly over them, and
// which.
func nth(i, n, places int) (int, bool) {
	before, after := i*n/places, (i+1)*n/places
	return before, after > before
}

// part returns how many of a total the i-th of n gets; the parts differ by one at most.
func part(total, i, n int) int { return (i+1)*total/n - i*total/n }

// plans lists the repositories, by project.
func (w EvenWorld) plans() []evenRepository {
	plans := make([]evenRepository, 0, w.Repositories)
	for p := range w.Projects {
		for i := range w.Repositories/w.Projects + surplus(w.Repositories, p, w.Projects) {
			tags := w.Tags/w.Repositories + surplus(w.Tags, len(plans), w.Repositories)
			plans = append(plans, evenRepository{
				project: p, index: i, role: role(i % int(roles)), tags: tags,
				protected: int(w.Protected * float64(tags)),
			})
		}
	}
	w.loseCounterparts(plans)
	tools := ofRole(plans, roleTool)
	attested := w.count(w.Attested)
	for i, r := range tools {
		r.attested = min(part(attested, i, len(tools)), r.tags-r.protected)
	}
	return plans
}

// surplus is 1 for those that get one more than the others. They are the first, so that
// no cache repository has more tags than its counterpart.
func surplus(total, i, n int) int {
	if i < total%n {
		return 1
	}
	return 0
}

// count returns how many tags a share of all is.
func (w EvenWorld) count(share float64) int { return int(share*float64(w.Tags) + 0.5) }

// loseCounterparts makes caches dead.
func (w EvenWorld) loseCounterparts(plans []evenRepository) {
	caches, dead := ofRole(plans, roleCache), w.count(w.Dead)
	if len(caches) == 0 {
		return
	}
	abandoned := dead / 3 * w.Repositories / max(w.Tags, 1)
	for i, r := range caches {
		if _, r.abandoned = nth(i, abandoned, len(caches)); r.abandoned {
			r.dead = r.tags - r.protected
			dead -= r.dead
		}
	}
	left := max(len(caches)-abandoned, 1)
	i := 0
	for _, r := range caches {
		if !r.abandoned {
			r.dead = min(part(dead, i, left), r.tags-r.protected)
			i++
		}
	}
}

func ofRole(plans []evenRepository, role role) []*evenRepository {
	var all []*evenRepository
	for i := range plans {
		if plans[i].role == role {
			all = append(all, &plans[i])
		}
	}
	return all
}

// name is the repository's. That of a cache follows from its image's, unless the image
// has been given another one.
func (r evenRepository) name() string {
	service := r.index / int(roles)
	switch {
	case r.role == roleImage:
		return fmt.Sprintf("service-%d", service)
	case r.role == roleTool:
		return fmt.Sprintf("tool-%d", service)
	case r.abandoned:
		return fmt.Sprintf("renamed-%d%s", service, cacheSuffix)
	default:
		return fmt.Sprintf("service-%d%s", service, cacheSuffix)
	}
}

// addTo adds the repository with its tags to a project.
func (r evenRepository) addTo(p *Project) {
	repository := p.AddRepository(r.name())
	repository.Tags = make([]*Tag, 0, r.tags)
	for i := range r.tags {
		name, kind := r.tag(i)
		repository.AddTagAt(name, kind, evenDate(i))
	}
}

// evenDate is one of few dates, so that manifests are shared.
func evenDate(i int) time.Time { return Created.AddDate(0, 0, -7*(i%32)) }

// tag returns the i-th tag: first the protected ones, then the dead ones. A live cache has
// the name of the image at its place.
func (r evenRepository) tag(i int) (string, Kind) {
	kind := KindImage
	if r.role == roleCache {
		kind = KindCacheManifest
	}
	switch first := r.protected; {
	case i == 0 && first > 0:
		return protectedNames[0], kind
	case i < first:
		return fmt.Sprintf("v1.0.%d", i), kind
	case i < first+r.dead:
		return fmt.Sprintf("merged-%d", i), kind
	case i < first+r.attested:
		return fmt.Sprintf("feature-%d", i), KindAttestedImage
	default:
		return fmt.Sprintf("feature-%d", i), kind
	}
}
