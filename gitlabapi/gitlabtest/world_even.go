package gitlabtest

import (
	"fmt"
	"time"
)

// Sized makes worlds of a stated size for measurements: everything is spread evenly over
// them and nothing is drawn, so that what is measured depends on the numbers alone. A
// project has images, each with its cache repository, and tools, which have none.
type Sized struct {
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

// role says what a repository of a sized world is for.
type role int

// The roles, in the order in which a project gets them.
const (
	roleImage role = iota
	roleCache
	roleTool
	roles
)

// sizedRepository is a repository before it is made.
type sizedRepository struct {
	project, index  int
	role            role
	tags, protected int
	dead, attested  int
	abandoned       bool // a cache repository whose counterpart is gone
}

// World makes the world.
func (s Sized) World() *World {
	w := NewWorld(s.Regime)
	plans := s.plans()
	for i := range s.Projects + s.EmptyProjects {
		p := w.AddProject(fmt.Sprintf("group-%d/project-%d", i/100, i))
		number, full := nth(i, s.Projects, s.Projects+s.EmptyProjects)
		for full && len(plans) > 0 && plans[0].project == number {
			plans[0].addTo(p)
			plans = plans[1:]
		}
	}
	return w
}

// Deletions is how many of the tags are dead by the registry's word with the default
// settings.
func (s Sized) Deletions() int {
	dead := 0
	for _, r := range s.plans() {
		dead += r.dead
		if s.Regime == Legacy {
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
func (s Sized) plans() []sizedRepository {
	plans := make([]sizedRepository, 0, s.Repositories)
	for p := range s.Projects {
		for i := range s.Repositories/s.Projects + surplus(s.Repositories, p, s.Projects) {
			tags := s.Tags/s.Repositories + surplus(s.Tags, len(plans), s.Repositories)
			plans = append(plans, sizedRepository{
				project: p, index: i, role: role(i % int(roles)), tags: tags,
				protected: int(s.Protected * float64(tags)),
			})
		}
	}
	s.bury(plans)
	tools := ofRole(plans, roleTool)
	attested := s.count(s.Attested)
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
func (s Sized) count(share float64) int { return int(share*float64(s.Tags) + 0.5) }

// bury lets caches lose their images.
func (s Sized) bury(plans []sizedRepository) {
	caches, dead := ofRole(plans, roleCache), s.count(s.Dead)
	if len(caches) == 0 {
		return
	}
	abandoned := dead / 3 * s.Repositories / max(s.Tags, 1)
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

func ofRole(plans []sizedRepository, role role) []*sizedRepository {
	var all []*sizedRepository
	for i := range plans {
		if plans[i].role == role {
			all = append(all, &plans[i])
		}
	}
	return all
}

// name is the repository's. That of a cache follows from its image's, unless the image
// has been given another one.
func (r sizedRepository) name() string {
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
func (r sizedRepository) addTo(p *Project) {
	repository := p.AddRepository(r.name())
	repository.Tags = make([]*Tag, 0, r.tags)
	for i := range r.tags {
		name, kind := r.tag(i)
		repository.AddTagAt(name, kind, sizedDate(i))
	}
}

// sizedDate is one of few dates, so that manifests are shared.
func sizedDate(i int) time.Time { return Created.AddDate(0, 0, -7*(i%32)) }

// tag returns the i-th tag: first the protected ones, then the dead ones. A live cache has
// the name of the image at its place.
func (r sizedRepository) tag(i int) (string, Kind) {
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
