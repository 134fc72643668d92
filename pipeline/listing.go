package pipeline

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
)

// A project is on its way through the stages. Its repositories, and the listings that
// they share, live as long as one of its tags is in the pipe, and no longer.
type project struct {
	gitlabapi.Project
	// listed holds the repositories where the scope has listed them already; nil
	// where the repository stage has yet to do it.
	listed []gitlabapi.Repository
	// byName is complete before the first repository leaves the repository stage, and
	// not changed after that.
	byName map[string]*repository

	neighbours *neighbours
}

// walkable returns how many of the project's repositories are walked, as far as they are
// listed.
func (p *project) walkable() int64 {
	n := len(p.listed)
	for _, repository := range p.listed {
		if repository.Deleting {
			n--
		}
	}
	return int64(n)
}

// at returns the registry for questions about the project's repositories.
func (p *project) at(reg *registry.Registry) *registry.Registry {
	return p.neighbours.at(reg)
}

// neighbours are the repositories of projects that travel together, and so are asked
// about at about the same time. They share tokens of the registry.
type neighbours struct {
	paths []string

	viewed sync.Once
	view   *registry.Registry
}

func (n *neighbours) at(reg *registry.Registry) *registry.Registry {
	n.viewed.Do(func() { n.view = reg.WithRepositories(n.paths) })
	return n.view
}

// A repository is one of a project's container repositories.
type repository struct {
	gitlabapi.Repository
	project *project

	evidence *choice // where facts about its tags come from; set before its tags leave
	// unclassified is how many of its tags have yet to pass the classifier, whose it is
	// once they leave.
	unclassified int
	size         int // tags in its listing; set before they leave

	// listing is shared by the repository's own scan and by its cache repository's
	// questions for counterparts.
	listing flight[listing]
	// fresh is, for a cache repository, what its counterpart's second reading says.
	fresh freshReading
	// deletions is held singly by each deletion in the repository, and whole while
	// its listing is read afresh: pages shift when tags go.
	deletions *semaphore.Weighted
	planned   nameSet
}

// wholeRepository is the weight that excludes every deletion.
const wholeRepository = math.MaxInt64

func newRepository(p *project, r gitlabapi.Repository) *repository {
	return &repository{
		Repository: r,
		project:    p,
		fresh:      freshReading{turn: semaphore.NewWeighted(1)},
		deletions:  semaphore.NewWeighted(wholeRepository),
	}
}

// A listed is what is kept of a tag's entry in a listing: there may be a million of them
// in one repository.
type listed struct {
	name      string
	published int64  // when it was pushed last, in seconds of Unix; 0 if the list does not say
	mark      uint64 // of its digest, where the list says that
	bytes     int64  // that it references; 0 if the list does not say
	dated     bool
}

// A listing is the tags of a repository, each once, sorted by name.
type listing []listed

// newListing brings a list into order, which it mostly has already.
func newListing(tags []listed) listing {
	byName := func(a, b listed) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(tags, byName) {
		slices.SortFunc(tags, byName)
	}
	return slices.CompactFunc(tags, func(a, b listed) bool { return a.name == b.name })
}

// has reports whether the listing names a tag.
func (l listing) has(tag string) bool {
	_, found := slices.BinarySearchFunc(l, tag, func(t listed, name string) int {
		return strings.Compare(t.name, name)
	})
	return found
}

// reaches reports whether the listing names a tag that comes after the given name, so
// that it was not cut off before it.
func (l listing) reaches(name string) bool { return len(l) > 0 && l[len(l)-1].name > name }

// covers reports whether the listing names all that another does, leaving aside the
// tags that this run may have deleted itself.
func (l listing) covers(other listing, but *nameSet) bool {
	for _, tag := range other {
		if !l.has(tag.name) && !but.has(tag.name) {
			return false
		}
	}
	return true
}

// list returns the repository's tags as they were when first read in this run. What
// an incomplete listing has is returned beside its error.
func (r *repository) list(ctx context.Context, from evidence) (listing, error) {
	return r.listing.get(ctx, func(ctx context.Context) (listing, error) { return from.list(ctx, r) })
}

// listAfresh reads the repository's tags now, with the run's own deletions in it held
// back meanwhile.
func (r *repository) listAfresh(ctx context.Context, from evidence) (listing, error) {
	if err := r.deletions.Acquire(ctx, wholeRepository); err != nil {
		return nil, err
	}
	defer r.deletions.Release(wholeRepository)
	return from.list(ctx, r)
}

// A nameSet is a set of names that several goroutines share.
type nameSet struct {
	mu    sync.Mutex
	names map[string]struct{}
}

func (s *nameSet) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = make(map[string]struct{})
	}
	s.names[name] = struct{}{}
}

func (s *nameSet) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.names[name]
	return ok
}
