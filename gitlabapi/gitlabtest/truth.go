package gitlabtest

import (
	"regexp"
	"slices"
	"strings"
)

// cacheSuffix is what names of cache repositories end in.
const cacheSuffix = ".cache"

// verdict is the truth about a tag, under the original rules with their
// defaults.
type verdict uint8

const (
	healthy verdict = iota
	protected
	counterpartPresent
	datedOrphan
	outOfReach
	detailsMissing
	counterpartRepositoryMissing
	counterpartTagMissing
)

var verdictNames = [...]string{
	healthy:                      "healthy",
	protected:                    "protected",
	counterpartPresent:           "counterpart-present",
	datedOrphan:                  "dated-orphan",
	outOfReach:                   "out-of-reach",
	detailsMissing:               "details-missing",
	counterpartRepositoryMissing: "counterpart-repository-missing",
	counterpartTagMissing:        "counterpart-tag-missing",
}

func (v verdict) String() string { return verdictNames[v] }

// dead returns the reason to delete, "" when the tag must stay.
func (v verdict) dead() string {
	if v < detailsMissing {
		return ""
	}
	return v.String()
}

var (
	protectedNames = []string{"latest", "master", "main"}
	protectedRegex = regexp.MustCompile(`^v.*\..*\..*`)
)

func isProtected(tag string) bool {
	return slices.Contains(protectedNames, tag) || protectedRegex.MatchString(tag)
}

// surroundings are what a tag's verdict depends on besides the tag itself.
type surroundings struct {
	regime  Regime
	reached bool // something can be deleted in the repository
	cache   bool // it is a cache repository
	// counterpart says whether the counterpart has a tag; nil when there is
	// no counterpart.
	counterpart func(tag string) bool
}

// judge applies the original rules. On DATABASE details are never missing and
// never without a date, so that nothing dies there.
func (s surroundings) judge(tag string, kind uint8) verdict {
	missing := kinds[kind].missing && s.regime == Legacy
	undated := kinds[kind].undated && s.regime == Legacy
	switch {
	case !s.reached:
		return outOfReach
	case isProtected(tag):
		return protected
	case missing:
		return detailsMissing
	case !s.cache:
		return healthy
	case s.counterpart != nil && s.counterpart(tag):
		return counterpartPresent
	case !undated:
		return datedOrphan
	case s.counterpart == nil:
		return counterpartRepositoryMissing
	default:
		return counterpartTagMissing
	}
}

// reached says whether anything can be deleted in a project.
func (p *Project) reached() bool {
	return !p.Archived && !p.RegistryDisabled && !p.Forbidden && !p.NotMember
}

// beingDeleted says whether GitLab is removing the whole repository.
func beingDeleted(status string) bool {
	return status == "delete_scheduled" || status == "delete_ongoing"
}

// isCache says whether a repository's name makes it a cache repository. That
// of a root repository is empty, whatever its project is called.
func isCache(name string) bool { return strings.HasSuffix(name, cacheSuffix) }

// surroundings of a repository's tags in the world as planned.
func (r *Repository) surroundings() surroundings {
	s := surroundings{
		regime:  r.project.world.Regime,
		reached: r.project.reached() && !beingDeleted(r.Status),
		cache:   isCache(r.Name),
	}
	if !s.cache {
		return s
	}
	other := r.project.Repository(strings.TrimSuffix(r.Name, cacheSuffix))
	switch {
	case other == nil:
	case beingDeleted(other.Status):
		// What it held until just now cannot be known: it may have been there.
		s.counterpart = func(string) bool { return true }
	default:
		names := make(map[string]bool, len(other.Tags))
		for _, t := range other.Tags {
			names[t.Name] = s.regime.holds(t.Kind)
		}
		s.counterpart = func(tag string) bool { return names[tag] }
	}
	return s
}

// Truth sets Dead of every tag and returns the dead ones, as path:tag with
// their reason. The rules are judged on the world as it is before anything is
// deleted: a counterpart that is dead itself counts as present. Tags that
// nobody can delete (archived projects, disabled or forbidden registries, no
// membership, repositories that GitLab is deleting) are never dead.
func (w *World) Truth() map[string]string {
	w.judge()
	dead := map[string]string{}
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			for _, t := range r.Tags {
				if t.Dead != "" {
					dead[r.Path()+":"+t.Name] = t.Dead
				}
			}
		}
	}
	return dead
}

// holds says whether a registry of the regime can hold a kind of tag: in a
// database a tag goes with its manifest.
func (r Regime) holds(kind Kind) bool { return r == Legacy || kind != KindManifestMissing }

// judge sets Dead of every tag. Servers of one world may be made at once.
func (w *World) judge() {
	w.judging.Lock()
	defer w.judging.Unlock()
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			s := r.surroundings()
			for _, t := range r.Tags {
				// Only what changes is written, so that those who made a server
				// of the world before may go on reading it.
				if dead := s.judge(t.Name, t.Kind.number()).dead(); dead != t.Dead {
					t.Dead = dead
				}
			}
		}
	}
}
