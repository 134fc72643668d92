package gitlabtest

import (
	"fmt"
	"strconv"
	"time"
)

// shownRepository is a repository as lists show it.
type shownRepository struct {
	ID                     int64   `json:"id"`
	Name                   string  `json:"name"`
	Path                   string  `json:"path"`
	ProjectID              int64   `json:"project_id"`
	Location               string  `json:"location"`
	CreatedAt              string  `json:"created_at"`
	CleanupPolicyStartedAt *string `json:"cleanup_policy_started_at"`
	DeleteAPIPath          string  `json:"delete_api_path"`
	Status                 *string `json:"status"`
}

// listRepositories answers GET /projects/:id/registry/repositories.
func (s *Server) listRepositories(c *call) *answer {
	p := s.project(c)
	if p == nil {
		return notFound("Project")
	}
	if p.unreadable() {
		return forbidden()
	}
	return s.presentRepositories(c, p.repositories)
}

// listGroupRepositories answers GET /groups/:id/registry/repositories: those
// of all projects below the group whose registry is enabled. A project that
// does not let its registry be read is listed here all the same.
func (s *Server) listGroupRepositories(c *call) *answer {
	g := s.group(c)
	if g == nil {
		return notFound("Group")
	}
	var all []*repository
	for _, p := range s.state.projects {
		if p.within(g) && !p.disabled {
			all = append(all, p.repositories...)
		}
	}
	return s.presentRepositories(c, all)
}

// unreadable says whether the project's registry answers 403.
func (p *project) unreadable() bool { return p.disabled || p.forbidden }

func (s *Server) presentRepositories(c *call, all []*repository) *answer {
	from, to := c.offsetPage(c.shorten(len(all)))
	shown := make([]shownRepository, 0, to-from)
	for _, r := range all[from:to] {
		row := shownRepository{
			ID: r.id, Name: r.name, Path: r.path, ProjectID: r.project.id,
			Location: c.registryHost() + "/" + r.path, CreatedAt: r.createdAt(),
			DeleteAPIPath: fmt.Sprintf("%s%s/projects/%d/registry/repositories/%d",
				c.instance(), apiRoot, r.project.id, r.id),
		}
		if r.status != "" {
			row.Status = &r.status
		}
		shown = append(shown, row)
	}
	return ok(shown)
}

// repository returns the repository of the call's path, or the answer that
// there is none or that it may not be read.
func (s *Server) repository(c *call) (*repository, *answer) {
	p := s.project(c)
	if p == nil {
		return nil, notFound("Project")
	}
	if p.unreadable() {
		return nil, forbidden()
	}
	id, err := strconv.ParseInt(c.params["rid"], 10, 64)
	if err != nil {
		return nil, c.violates("repository_id is invalid")
	}
	if r := s.state.numbered[id]; r != nil && r.project == p {
		return r, nil
	}
	return nil, failure(404, "Not found")
}

func (r *repository) createdAt() string {
	return rowTime(Created.AddDate(-1, 0, 0).Add(time.Duration(r.id%10_000) * time.Minute))
}
