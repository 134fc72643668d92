package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A Scope says which projects a run walks: those of the groups and those named, or,
// when there are neither, all that the token can see.
type Scope struct {
	Groups     []string // full paths or ids; with the groups below them
	Projects   []string // full paths or ids
	Membership bool     // of all that can be seen, only those the user is a member of
	Exclude    Exclude  // of all these, what is left alone
	Shard      Shard    // of all these, those that are walked by this run
}

// A ScopeError says that something in the scope is not there. It ends a run when nothing of the scope
// is, before anything is decided or deleted.
type ScopeError struct {
	Kind string // "group" or "project"
	Name string
	Err  error
}

// Error implements error.
func (e *ScopeError) Error() string {
	return fmt.Sprintf("there is no %s %q that the token can see", e.Kind, e.Name)
}

// Unwrap returns what the instance answered.
func (e *ScopeError) Unwrap() error { return e.Err }

// projectStage is the project lister: one goroutine, since a listing is read page after page.
// Projects are sent together with others of their page, as many as have their repositories
// listed in one request. It ends when the scope is listed or, after a stop, with the next
// request.
func (r *run) projectStage() stage[Scope, []*project] {
	return stage[Scope, []*project]{workers: 1, work: r.listProjects, finish: func(ctx context.Context, _ emit[[]*project]) error {
		r.progress.listed.Store(ctx.Err() == nil)
		return nil
	}}
}

func (r *run) listProjects(ctx context.Context, scope Scope, send emit[[]*project]) error {
	if r.application != nil {
		return r.listPlanned(ctx, send)
	}
	l := &projectLister{run: r, send: send, exclude: r.exclude, shard: scope.Shard, seen: make(map[int64]bool)}
	if len(scope.Groups) == 0 && len(scope.Projects) == 0 {
		l.dense = true
		if !scope.Membership && r.client.LacksAdminMode(ctx) {
			r.tell(report.AdminModeLacking{})
		}
		return l.all(ctx, r.client.ProjectPages(ctx, scope.Membership), nil)
	}
	groups, named, err := r.resolve(ctx, scope)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := l.group(ctx, group); err != nil {
			return err
		}
	}
	l.named = true
	for _, p := range named {
		l.add(p, nil)
	}
	l.flush()
	return nil
}

// resolve returns what the names of the scope stand for. A name that stands for nothing, as where a group
// was removed, is reported and holds up none of the others; that all of them do is an error.
func (r *run) resolve(ctx context.Context, scope Scope) (groups []string, projects []gitlabapi.Project, err error) {
	var missing []*ScopeError
	for _, group := range scope.Groups {
		switch err := r.client.Group(ctx, group); {
		case err == nil:
			groups = append(groups, group)
		case endsRun(err):
			return nil, nil, err
		default:
			missing = r.unresolved(missing, "group", group, err)
		}
	}
	for _, name := range scope.Projects {
		switch p, err := r.client.Project(ctx, name); {
		case err == nil:
			projects = append(projects, p)
		case endsRun(err):
			return nil, nil, err
		default:
			missing = r.unresolved(missing, "project", name, err)
		}
	}
	if len(missing) > 0 && len(missing) == len(scope.Groups)+len(scope.Projects) {
		return nil, nil, missing[0]
	}
	for _, m := range missing {
		r.tell(report.Unreadable{Name: m.Name, Err: m})
	}
	return groups, projects, nil
}

// unresolved adds a name that stands for nothing to those, or reports one that cannot be read just now.
func (r *run) unresolved(missing []*ScopeError, kind, name string, err error) []*ScopeError {
	if errors.Is(err, throttle.ErrNotFound) {
		return append(missing, &ScopeError{Kind: kind, Name: name, Err: err})
	}
	r.tell(report.Unreadable{Name: name, Err: err})
	return missing
}

// A projectLister sends each project once, and tells of those that are skipped.
type projectLister struct {
	run     *run
	send    emit[[]*project]
	exclude *exclusion
	shard   Shard      // projects of other shards are left out without a word
	page    []*project // to be sent together
	// seen holds the ids of projects that several groups or names may lead to.
	seen map[int64]bool
	// dense says that the listing itself has each project once, so that nothing has to
	// be remembered for it.
	dense bool
	named bool // projects that are added now were named one by one
	found int  // projects of any shard
	// brokeOff says that a listing of projects was not whole.
	brokeOff bool
}

// group lists the repositories of a whole group at once, which costs as many requests
// as there are hundreds of them and not one a project, and then its projects.
func (l *projectLister) group(ctx context.Context, group string) error {
	repositories, err := l.run.client.GroupRepositories(ctx, group)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		l.run.tell(report.Unreadable{Name: group, Err: err})
		return runError(err)
	}
	listed := make(map[int64][]gitlabapi.Repository)
	for _, repository := range repositories {
		if !l.shard.owns(repository.ProjectID) {
			continue
		}
		listed[repository.ProjectID] = append(listed[repository.ProjectID], repository)
	}
	if err := l.all(ctx, singly(l.run.client.GroupProjects(ctx, group)), listed); err != nil {
		return err
	}
	for id, repositories := range listed {
		if !l.seen[id] && !l.brokeOff {
			err := errors.New("its group lists its repositories but not the project")
			l.run.tell(report.Unreadable{Name: repositories[0].Path, Err: err})
		}
	}
	return nil
}

// singly makes pages of one project each.
func singly(projects iter.Seq2[gitlabapi.Project, error]) iter.Seq2[[]gitlabapi.Project, error] {
	return func(yield func([]gitlabapi.Project, error) bool) {
		for p, err := range projects {
			if !yield([]gitlabapi.Project{p}, err) {
				return
			}
		}
	}
}

// all adds the projects of a listing. When it breaks off, the projects before stand;
// only when there are none has the run nothing to do.
//
// Projects wait for others of their page, and, since a page has few of one shard, of as
// many pages as there are shards.
func (l *projectLister) all(ctx context.Context, pages iter.Seq2[[]gitlabapi.Project, error], listed map[int64][]gitlabapi.Repository) error {
	read := 0
	for page, err := range pages {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && (listed != nil || l.found > 0) && !endsRun(err) {
			l.run.tell(report.Unreadable{Name: "the rest of the projects", Err: err})
			l.brokeOff = true
			break
		}
		if err != nil {
			return err
		}
		for _, p := range page {
			repositories := listed[p.ID]
			if listed != nil && repositories == nil {
				repositories = []gitlabapi.Repository{}
			}
			if !l.add(p, repositories) {
				return nil
			}
		}
		if read++; read%max(l.shard.Count, 1) == 0 && !l.flush() {
			return nil
		}
	}
	l.flush()
	return nil
}

// flush sends on the projects that have gathered. It returns false when the run has been
// cut off.
func (l *projectLister) flush() bool {
	if len(l.page) == 0 {
		return true
	}
	together := l.page
	l.page = nil
	return l.send(together)
}

// add has a project sent on, unless it was there before, is another shard's, is passed
// over or is known to have no repositories. It returns false when the run has been cut off.
func (l *projectLister) add(p gitlabapi.Project, listed []gitlabapi.Repository) bool {
	l.found++
	if l.seen[p.ID] {
		return true
	}
	if !l.shard.owns(p.ID) {
		l.exclude.has(p.Path) // what it names is there
		return true
	}
	if !l.dense {
		l.seen[p.ID] = true
	}
	if event := l.skip(p); event != nil {
		l.exclude.passOver(p.Path)
		l.run.progress.skipped()
		l.run.tell(event)
		return true
	}
	l.run.progress.projects.found.Add(1)
	l.page = append(l.page, &project{Project: p, repositories: listed})
	return len(l.page) < l.run.client.ProjectsAtOnce() || l.flush()
}

// skip returns what is to be told of a project without anything to walk, and nil for any
// other.
func (l *projectLister) skip(p gitlabapi.Project) report.Event {
	switch {
	case l.exclude.has(p.Path):
		return report.Skipped{Name: p.Path, Why: report.Excluded, Asked: l.named}
	case p.Archived:
		return report.Skipped{Name: p.Path, Why: report.ProjectArchived, Asked: l.named}
	case p.Deleting:
		return report.Skipped{Name: p.Path, Why: report.ProjectDeleting, Asked: l.named}
	case !p.Registry:
		return report.Skipped{Name: p.Path, Why: report.RegistryDisabled, Asked: l.named}
	case p.Repositories == 0:
		return report.ProjectScanned{Project: p.Path}
	default:
		return nil
	}
}
