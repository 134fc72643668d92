package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A repository is one of a project's container repositories. It holds so little that it can be
// kept for the whole run.
type repository struct {
	gitlabapi.Repository
	projectPath string
	isCache     bool // by its name
	// kinds is what has been looked at of a cache repository's candidates. All else is not changed
	// once it is made.
	kinds kindSample
	// sharesToken are the paths of the repositories that are read with the same token of
	// the registry, itself among them.
	sharesToken []string
}

// A project is on its way from the project lister to the tag fetcher.
type project struct {
	gitlabapi.Project
	// repositories are nil until the repository fetcher has listed them, where the scope
	// has not done so.
	repositories []gitlabapi.Repository
	protection   gitlabapi.Protection
}

// A projectRepository is a repository with what matters of the others of its project: its
// counterpart, or that it is one itself. The listings that it refers to are dropped with the last
// tag that refers to it.
type projectRepository struct {
	*repository
	project *sharedProject
	// shared is the repository's own listing where it is a counterpart, nil elsewhere.
	shared *sharedListing
	// counterpart is that of a cache repository; nil for every other, and where there is none.
	counterpart *sharedListing
}

// A sharedListing is the listing of a counterpart repository: it is read once a run for the
// decisions, for its own tags and for those of the cache repository.
type sharedListing struct {
	*repository
	cache   *flight.Cache[listed]
	outages *outages
	deleted names        // that the run has sent deletions for
	slow    atomic.Int32 // how often in a row listing it again took longer than its grounds would be fresh
	weighed bool         // the canary has counted it
}

// names is a set of names that several deleters share.
type names struct {
	mu  sync.Mutex
	set map[string]bool
}

func (n *names) put(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil {
		n.set = make(map[string]bool)
	}
	n.set[name] = true
}

func (n *names) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set[name]
}

func newSharedListing(r *repository, outages *outages) *sharedListing {
	return &sharedListing{repository: r, outages: outages, cache: flight.NewCache[listed](1)}
}

// listed is a listing, or what an incomplete one has and its error.
type listed struct {
	tags listing
	err  error
}

// get returns the tags of the repository as they were when the run read them first. What an
// incomplete listing has is returned beside its error, which holds for the whole run: asking again
// for every tag of the cache repository would take hours where the listing times out.
func (s *sharedListing) get(ctx context.Context, src source) (listing, error) {
	l, err := s.cache.Get(ctx, "", flight.Never, func(ctx context.Context) (listed, error) {
		var tags listing
		err := s.outages.ask(ctx, func() (err error) {
			tags, err = src.list(ctx, s.repository)
			return err
		})
		if ctx.Err() != nil || gitlabapi.Held(err) { // it costs nothing to ask again
			return listed{tags, err}, err
		}
		return listed{tags, err}, nil
	})
	if err == nil {
		err = l.err
	}
	return l.tags, err
}

// errSameName says why a project's listing is not used: it does not tell which of two
// repositories is the counterpart of a cache.
var errSameName = errors.New("its listing has two repositories of the same name")

// repositoryStage is the repository fetcher: a pool of the given size. Each worker takes as
// many projects as are listed in one request. After a stop the projects left are not read.
func (r *run) repositoryStage(workers int) stage[[]*project, *projectRepository] {
	return stage[[]*project, *projectRepository]{workers: workers, work: r.fetchRepositories}
}

func (r *run) fetchRepositories(ctx context.Context, projects []*project, send emit[*projectRepository]) error {
	r.progress.projects.begin(len(projects))
	listed, err := r.listRepositories(ctx, projects)
	groups := registry.TokenGroups(pathsOf(listed))
	var repositories []*projectRepository
	for _, p := range listed {
		linked, err := r.link(p, groups)
		if err != nil {
			r.tell(report.Unreadable{Name: p.Path, Project: p.Path, Err: err})
			continue
		}
		r.tell(report.ProjectScanned{Project: p.Path})
		repositories = append(repositories, r.ofPlan(p, linked)...)
	}
	r.progress.repositories.found.Add(int64(len(repositories)))
	r.progress.projects.finish(len(projects))
	for _, p := range repositories {
		if !send(p) {
			break // the run has been cut off: no tag of the repository was asked for
		}
	}
	return err
}

// listRepositories returns the projects with their repositories and the rules that protect tags of
// theirs. A project that cannot be read is reported and left out. The error is one that ends the run.
func (r *run) listRepositories(ctx context.Context, projects []*project) (listed []*project, err error) {
	var unlisted []gitlabapi.Project
	for _, p := range projects {
		if p.repositories == nil {
			unlisted = append(unlisted, p.Project)
		} else {
			listed = append(listed, p)
		}
	}
	listed = r.withProtections(ctx, listed)
	if len(unlisted) == 0 {
		return listed, nil
	}
	for i, result := range r.client.RepositoriesOf(ctx, unlisted) {
		switch p := unlisted[i]; {
		case result.Err == nil:
			listed = append(listed, r.protected(p, result.Repositories, result.Protection))
		case ctx.Err() != nil:
			return listed, nil
		case endsRun(result.Err):
			return listed, result.Err
		default:
			r.tell(report.Unreadable{Name: p.Path, Project: p.Path, Err: result.Err})
		}
	}
	return listed, nil
}

// withProtections reads the rules that protect tags of projects whose repositories were listed with
// those of a group.
func (r *run) withProtections(ctx context.Context, projects []*project) []*project {
	var asked []gitlabapi.Project
	for _, p := range projects {
		if len(p.repositories) > 0 {
			asked = append(asked, p.Project)
		}
	}
	if len(asked) == 0 {
		return projects
	}
	protections := r.client.ProtectionsOf(ctx, asked)
	all := slices.Clone(projects)
	for i, p := range all {
		if len(p.repositories) > 0 {
			all[i] = r.protected(p.Project, p.repositories, protections[0])
			protections = protections[1:]
		}
	}
	return all
}

// protected returns a project with its repositories and what protects their tags. That the instance
// has no such rules, or does not show them, is told once.
func (r *run) protected(p gitlabapi.Project, repositories []gitlabapi.Repository, protection gitlabapi.Protection) *project {
	why := protection.Unknown()
	if len(repositories) > 0 && (errors.Is(why, gitlabapi.ErrNoProtection) || errors.Is(why, gitlabapi.ErrProtectionHidden)) {
		r.protectionUnknown.Do(func() { r.tell(report.ProtectionUnknown{Err: why}) })
	}
	return &project{Project: p, repositories: repositories, protection: protection}
}

// pathsOf returns the paths of all repositories of projects.
func pathsOf(projects []*project) []string {
	var paths []string
	for _, p := range projects {
		for _, repository := range p.repositories {
			paths = append(paths, repository.Path)
		}
	}
	return paths
}

// link joins the cache repositories of a project with their counterparts. Repositories
// that are excluded, or that GitLab is deleting, are reported and left out; as a
// counterpart they count.
func (r *run) link(p *project, groups map[string][]string) ([]*projectRepository, error) {
	byName := make(map[string]*projectRepository, len(p.repositories))
	shared := newSharedProject(p)
	for _, listed := range p.repositories {
		if byName[listed.Name] != nil {
			return nil, errSameName
		}
		member := &repository{Repository: listed, projectPath: p.Path, sharesToken: groups[listed.Path]}
		_, member.isCache = r.counterpartOf(listed.Name)
		byName[listed.Name] = &projectRepository{repository: member, project: shared}
		shared.repositories = append(shared.repositories, listed.ID)
	}
	slices.Sort(shared.repositories)
	var walked []*projectRepository
	for _, listed := range p.repositories {
		member := byName[listed.Name]
		name, cache := r.counterpartOf(listed.Name)
		if counterpart := byName[name]; cache && counterpart != nil {
			if counterpart.shared == nil {
				counterpart.shared = newSharedListing(counterpart.repository, r.outages)
			}
			member.counterpart = counterpart.shared
		}
		if r.exclude.has(listed.Path) {
			r.tell(report.Skipped{Name: listed.Path, Why: report.Excluded})
			continue
		}
		if listed.Deleting {
			r.tell(report.Skipped{Name: listed.Path, Why: report.RepositoryDeleting})
			continue
		}
		walked = append(walked, member)
	}
	return walked, nil
}

// counterpartOf returns the name of the counterpart repository of a cache repository, and
// false for every other repository.
func (r *run) counterpartOf(name string) (string, bool) {
	if r.options.CacheSuffix == "" {
		return "", false
	}
	return strings.CutSuffix(name, r.options.CacheSuffix)
}
