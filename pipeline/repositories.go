package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// errTwins says that a project's listing cannot be believed: which of two repositories
// of a name is the counterpart of a cache, nobody can say.
var errTwins = errors.New("its listing has two repositories of the same name")

// repositoryStage is the repository fetcher: a pool of the given size, in each pair of
// hands as many projects as are listed in one request. On a stop the projects left are
// not read.
func (r *run) repositoryStage(workers int) stage[[]*project, *repository] {
	return stage[[]*project, *repository]{workers: workers, work: r.fetchRepositories}
}

func (r *run) fetchRepositories(ctx context.Context, together []*project, send emit[*repository]) error {
	r.progress.projects.begin(len(together))
	err := r.listRepositories(ctx, together)
	for _, p := range together {
		r.progress.repositories.found.Add(p.walkable())
	}
	r.progress.projects.finish(len(together))
	if err != nil {
		return err
	}
	meet(together)
	for _, p := range together {
		if p.listed != nil && !r.open(p, send) {
			break
		}
	}
	return nil
}

// meet makes the repositories of projects neighbours.
func meet(together []*project) {
	all := new(neighbours)
	for _, p := range together {
		p.neighbours = all
		for _, repository := range p.listed {
			all.paths = append(all.paths, repository.Path)
		}
	}
}

// listRepositories lists the repositories of the projects whose scope has not done so. A
// project that cannot be read is reported, and has no list.
func (r *run) listRepositories(ctx context.Context, together []*project) error {
	var left []*project
	var asked []gitlabapi.Project
	for _, p := range together {
		if p.listed == nil {
			left, asked = append(left, p), append(asked, p.Project)
		}
	}
	if len(left) == 0 {
		return nil
	}
	for i, result := range r.client.RepositoriesOf(ctx, asked) {
		switch {
		case result.Err == nil:
			left[i].listed = append([]gitlabapi.Repository{}, result.Repositories...)
		case ctx.Err() != nil:
			return nil
		default:
			r.tell(report.Unreadable{Name: left[i].Path, Project: left[i].Path, Err: result.Err})
		}
		if endsRun(result.Err) {
			return result.Err
		}
	}
	return nil
}

// open sends the repositories of a project on. It returns false when the run has been
// cut off.
func (r *run) open(p *project, send emit[*repository]) bool {
	p.byName = make(map[string]*repository, len(p.listed))
	for _, listed := range p.listed {
		if _, twice := p.byName[listed.Name]; twice {
			return r.tell(report.Unreadable{Name: p.Path, Project: p.Path, Err: errTwins})
		}
		p.byName[listed.Name] = newRepository(p, listed)
	}
	r.tell(report.ProjectScanned{Project: p.Path})
	for _, listed := range p.listed {
		repository := p.byName[listed.Name]
		if repository.Deleting {
			r.tell(report.Skipped{Name: repository.Path, Why: report.RepositoryDeleting})
			continue
		}
		if !send(repository) {
			return false
		}
	}
	return true
}
