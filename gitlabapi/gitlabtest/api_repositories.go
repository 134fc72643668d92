package gitlabtest

import (
	"fmt"
	"strconv"
	"time"
)

// shownRepository is a repository as lists show it.
type shownRepository struct {
	ID                     int64      `json:"id"`
	Name                   string     `json:"name"`
	Path                   string     `json:"path"`
	ProjectID              int64      `json:"project_id"`
	Location               string     `json:"location"`
	CreatedAt              string     `json:"created_at"`
	CleanupPolicyStartedAt *string    `json:"cleanup_policy_started_at"`
	TagsCount              *int       `json:"tags_count,omitempty"`
	Tags                   []shownTag `json:"tags,omitzero"`
	DeleteAPIPath          string     `json:"delete_api_path"`
	Status                 *string    `json:"status"`
}

// listRepositories answers GET /projects/:id/registry/repositories.
func (s *Server) listRepositories(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	s.mu.Lock()
	defer s.mu.Unlock()
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
	asks := c.flag("tags") || c.flag("tags_count")
	if asks && c.registryUnreachable {
		return registryUnreachable()
	}
	from, to := c.offsetPage(c.shorten(len(all)))
	shown := make([]shownRepository, 0, to-from)
	for _, r := range all[from:to] {
		shown = append(shown, s.presentRepository(c, r))
	}
	return ok(shown)
}

func (s *Server) presentRepository(c *call, r *repository) shownRepository {
	shown := shownRepository{
		ID: r.id, Name: r.name, Path: r.path, ProjectID: r.project.id,
		Location:  c.registryHost() + "/" + r.path,
		CreatedAt: r.createdAt(),
		DeleteAPIPath: fmt.Sprintf("%s%s/projects/%d/registry/repositories/%d",
			c.instance(), apiRoot, r.project.id, r.id),
	}
	if r.status != "" {
		shown.Status = &r.status
	}
	tags := s.tagsSeen(c, r)
	if c.flag("tags_count") {
		count := len(tags)
		shown.TagsCount = &count
	}
	if c.flag("tags") {
		shown.Tags = c.presentTags(r, tags)
	}
	return shown
}

// repository returns the repository of the call's path, or the answer that
// there is none or that it may not be read. The server is locked.
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
	for _, r := range p.repositories {
		if r.id == id {
			return r, nil
		}
	}
	return nil, failure(404, "Not found")
}

func (r *repository) createdAt() string {
	return rowTime(Created.AddDate(-1, 0, 0).Add(time.Duration(r.id%10_000) * time.Minute))
}
