package gitlabtest

import (
	"fmt"
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
	// Attested is the share of all tags that are images with attestations, which are dead on
	// LEGACY where their kind is named. Only tools have them, so that no deletion makes an orphan.
	Attested float64
	// Protected is the share of the tags of each repository with a protected name.
	Protected float64
}

// role says what a repository of an even world is for. A project gets them in turn.
type role int

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

// Deletions is how many of the tags are dead by the registry's word where attested-image is
// among the kinds that go.
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

// plans lists the repositories, by project. Where there is a surplus, the first have one
// more than the others, so that no cache repository has more tags than its counterpart.
func (w EvenWorld) plans() []*evenRepository {
	share := func(total, i, n int) int {
		if i < total%n {
			return total/n + 1
		}
		return total / n
	}
	var plans []*evenRepository
	var byRole [roles][]*evenRepository
	for p := range w.Projects {
		for i := range share(w.Repositories, p, w.Projects) {
			tags := share(w.Tags, len(plans), w.Repositories)
			r := &evenRepository{
				project: p, index: i / int(roles), role: role(i % int(roles)), tags: tags,
				protected: int(w.Protected * float64(tags)),
			}
			plans, byRole[r.role] = append(plans, r), append(byRole[r.role], r)
		}
	}
	caches, tools := byRole[roleCache], byRole[roleTool]
	dead, attested := int(w.Dead*float64(w.Tags)+0.5), int(w.Attested*float64(w.Tags)+0.5)
	abandoned := dead / 3 * w.Repositories / max(w.Tags, 1)
	for i, r := range caches {
		if _, r.abandoned = nth(i, abandoned, len(caches)); r.abandoned {
			r.dead = r.tags - r.protected
			dead -= r.dead
		}
	}
	i := 0
	for _, r := range caches {
		if !r.abandoned {
			r.dead = min(part(dead, i, max(len(caches)-abandoned, 1)), r.tags-r.protected)
			i++
		}
	}
	for i, r := range tools {
		r.attested = min(part(attested, i, len(tools)), r.tags-r.protected)
	}
	return plans
}

// addTo adds the repository to a project, with its tags: first the protected ones, then the
// dead ones. The name of a cache repository follows from its image's, unless the image has
// been given another one; a live cache has the name of the image at its place. Dates are
// few, so that manifests are shared.
func (r *evenRepository) addTo(p *Project) {
	name, kind := fmt.Sprintf("service-%d", r.index), KindImage
	switch {
	case r.role == roleTool:
		name = fmt.Sprintf("tool-%d", r.index)
	case r.abandoned:
		name, kind = fmt.Sprintf("renamed-%d%s", r.index, cacheSuffix), KindCacheManifest
	case r.role == roleCache:
		name, kind = name+cacheSuffix, KindCacheManifest
	}
	repository := p.AddRepository(name)
	repository.Tags = make([]*Tag, 0, r.tags)
	for i := range r.tags {
		tag, kind := fmt.Sprintf("feature-%d", i), kind
		switch {
		case i == 0 && r.protected > 0:
			tag = protectedNames[0]
		case i < r.protected:
			tag = fmt.Sprintf("v1.0.%d", i)
		case i < r.protected+r.dead:
			tag = fmt.Sprintf("merged-%d", i)
		case i < r.protected+r.attested:
			kind = KindAttestedImage
		}
		repository.AddTagAt(tag, kind, Created.AddDate(0, 0, -7*(i%datesDrawn)))
	}
}
