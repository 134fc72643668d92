package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// errTwins says that a project's listing cannot be believed: which of two repositories
// of a name is the counterpart of a cache, nobody can say.
var errTwins = errors.New("its listing has two repositories of the same name")

// repositoryStage is the repository fetcher: a pool of the given size, one project in
// each pair of hands. On a stop the projects left are not read.
func (r *run) repositoryStage(workers int) stage[*project, *repository] {
	return stage[*project, *repository]{workers: workers, work: r.fetchRepositories}
}

func (r *run) fetchRepositories(ctx context.Context, p *project, send emit[*repository]) error {
	if p.listed == nil {
		var err error
		if p.listed, err = r.client.ProjectRepositories(ctx, p.ID); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			r.tell(report.Unreadable{Name: p.Path, Err: err})
			return runError(err)
		}
	}
	p.byName = make(map[string]*repository, len(p.listed))
	for _, listed := range p.listed {
		if _, twice := p.byName[listed.Name]; twice {
			r.tell(report.Unreadable{Name: p.Path, Err: errTwins})
			return nil
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
			return nil
		}
	}
	return nil
}
