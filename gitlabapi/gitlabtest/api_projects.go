package gitlabtest

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxProjectOffset is where offset pages of projects end.
const maxProjectOffset = 50_000

// listProjects answers GET /projects, in pages by number or after an id.
func (s *Server) listProjects(c *call) *answer {
	in := func(p *project) bool { return !c.flag("membership") || !p.NotMember }
	if c.query.Get("pagination") != "keyset" {
		return s.projectsByOffset(c, in)
	}
	if c.query.Get("order_by") != "id" || c.query.Get("sort") != "asc" {
		return notAllowed("Keyset pagination is not yet available for this type of request")
	}
	projects := s.filtered(c, in)
	projects = projects[:c.shorten(len(projects))]
	after := int64(c.number("id_after", 0))
	page := slices.DeleteFunc(slices.Clone(projects), func(p *project) bool { return p.ID <= after })
	page = page[:min(c.perPage(), len(page))]
	if len(page) == 0 && s.options.repeatPages {
		page = projects[max(0, len(projects)-c.perPage()):]
	}
	// GitLab does not look ahead: whatever page has something on it links to a next.
	if len(page) > 0 {
		c.header.Set("Link", c.link("next", "id_after", strconv.FormatInt(page[len(page)-1].ID, 10)))
	}
	return c.showProjects(page)
}

// listGroupProjects answers GET /groups/:id/projects. No project is shared
// with another group here, so that with_shared changes nothing.
func (s *Server) listGroupProjects(c *call) *answer {
	g := s.group(c)
	if g == nil {
		return notFound("Group")
	}
	return s.projectsByOffset(c, func(p *project) bool {
		return p.group == g || c.flag("include_subgroups") && p.within(g)
	})
}

func (s *Server) projectsByOffset(c *call, in func(*project) bool) *answer {
	if c.number("page", 1)*c.perPage() > maxProjectOffset {
		return notAllowed(fmt.Sprintf("Offset pagination has a maximum allowed offset of %d "+
			"for requests that return objects of type Project. "+
			"Remaining records can be retrieved using keyset pagination.", maxProjectOffset))
	}
	projects := s.filtered(c, in)
	if c.query.Get("sort") != "asc" {
		slices.Reverse(projects)
	}
	return c.showProjects(offsetPage(c, projects[:c.shorten(len(projects))]))
}

// filtered returns the projects that the call's filters leave, by id. In every project that
// the token's user is a member of it has the same role.
func (s *Server) filtered(c *call, in func(*project) bool) []*project {
	level := c.number("min_access_level", 0)
	var left []*project
	for _, p := range s.state.projects {
		switch {
		case !in(p), c.query.Has("archived") && c.flag("archived") != p.Archived,
			level > 30+10*int(s.options.role), level > 0 && p.NotMember:
		default:
			left = append(left, p)
		}
	}
	return left
}

// showProject answers GET /projects/:id.
func (s *Server) showProject(c *call) *answer {
	p := s.project(c)
	if p == nil {
		return notFound("Project")
	}
	return ok(c.shownProject(p))
}

// project returns the project of the call's path by id or full path.
func (s *Server) project(c *call) *project {
	if id, err := strconv.ParseInt(c.params["id"], 10, 64); err == nil {
		return s.state.byID[id]
	}
	return s.state.byPath[c.params["id"]]
}

// group returns the group of the call's path by id or full path.
func (s *Server) group(c *call) *Group {
	id, err := strconv.ParseInt(c.params["id"], 10, 64)
	for _, g := range s.state.groups {
		if err == nil && g.ID == id || err != nil && g.Path == c.params["id"] {
			return g
		}
	}
	return nil
}

func (g *Group) parentID() any {
	if g.Parent == nil {
		return nil
	}
	return g.Parent.ID
}

// showGroup answers GET /groups/:id, without the group's projects.
func (s *Server) showGroup(c *call) *answer {
	g := s.group(c)
	if g == nil {
		return notFound("Group")
	}
	return ok(map[string]any{
		"id": g.ID, "name": path.Base(g.Path), "path": path.Base(g.Path),
		"full_path": g.Path, "full_name": strings.ReplaceAll(g.Path, "/", " / "),
		"parent_id": g.parentID(), "visibility": "private", "description": "",
		"web_url":    c.instance() + "/groups/" + g.Path,
		"created_at": rowTime(Created.AddDate(-3, 0, 0)), "archived": false,
		"project_creation_level": "developer", "subgroup_creation_level": "maintainer",
	})
}

func (c *call) showProjects(projects []*project) *answer {
	shown := make([]map[string]any, len(projects))
	for i, p := range projects {
		shown[i] = c.shownProject(p)
		if c.flag("simple") {
			for _, field := range []string{"container_registry_image_prefix", "archived", "container_registry_enabled", "container_registry_access_level"} {
				delete(shown[i], field)
			}
		}
	}
	return ok(shown)
}

// shownProject is a project as lists and details show it, less its settings. It came into
// being an hour after the one with the id before.
func (c *call) shownProject(p *project) map[string]any {
	created := rowTime(Created.AddDate(-2, 0, 0).Add(time.Duration(p.ID%10_000) * time.Hour))
	visibility, level := "private", "enabled"
	if p.NotMember {
		visibility = "public"
	}
	if p.RegistryDisabled {
		level = "disabled"
	}
	var deletion any // a date, or null
	if p.MarkedForDeletion {
		deletion = c.at.Format(time.DateOnly)
	}
	return map[string]any{
		"id": p.ID, "name": path.Base(p.Path), "path": path.Base(p.Path), "path_with_namespace": p.Path,
		"name_with_namespace": strings.ReplaceAll(p.Path, "/", " / "),
		"created_at":          created, "last_activity_at": created,
		"default_branch": "main", "web_url": c.instance() + "/" + p.Path, "visibility": visibility,
		"namespace": map[string]any{
			"id": p.group.ID, "name": path.Base(p.group.Path), "path": path.Base(p.group.Path), "kind": "group",
			"full_path": p.group.Path, "parent_id": p.group.parentID(), "web_url": c.instance() + "/groups/" + p.group.Path,
		},
		"container_registry_image_prefix": c.registryHost() + "/" + p.Path,
		"marked_for_deletion_on":          deletion, "marked_for_deletion_at": deletion,
		"topics": append([]string{}, p.Topics...), "archived": p.Archived, "container_registry_enabled": !p.RegistryDisabled, "container_registry_access_level": level,
	}
}

// rowTime writes a date that comes from Rails' database.
func rowTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// listRepositories answers GET /projects/:id/registry/repositories.
func (s *Server) listRepositories(c *call) *answer {
	p := s.project(c)
	switch {
	case p == nil:
		return notFound("Project")
	case p.RegistryHidden:
		return failure(http.StatusNotFound, "Not Found")
	case p.unreadable():
		return forbidden()
	}
	return c.showRepositories(p.repositories)
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
		if p.within(g) && !p.RegistryDisabled {
			all = append(all, p.repositories...)
		}
	}
	return c.showRepositories(all)
}

// unreadable says whether the project's registry answers 403 or, hidden, 404.
func (p *project) unreadable() bool { return p.RegistryDisabled || p.Forbidden || p.RegistryHidden }

// readOnly says whether nothing can be changed in the project.
func (p *project) readOnly() bool { return p.Archived || p.MarkedForDeletion }

func (c *call) showRepositories(all []*repository) *answer {
	shown := []map[string]any{}
	for _, r := range offsetPage(c, all[:c.shorten(len(all))]) {
		row := map[string]any{
			"id": r.id, "name": r.name, "path": r.path, "project_id": r.project.ID,
			"location":                  c.registryHost() + "/" + r.path,
			"created_at":                rowTime(Created.AddDate(-1, 0, 0).Add(time.Duration(r.id%10_000) * time.Minute)),
			"cleanup_policy_started_at": nil, "status": nil,
			"delete_api_path": fmt.Sprintf("%s%s/projects/%d/registry/repositories/%d", c.instance(), apiRoot, r.project.ID, r.id),
		}
		if r.status != "" {
			row["status"] = r.status
		}
		shown = append(shown, row)
	}
	return ok(shown)
}

// repository returns the repository of the call's path, or the answer that
// there is none or that it may not be read.
func (s *Server) repository(c *call) (*repository, *answer) {
	p := s.project(c)
	id, err := strconv.ParseInt(c.params["rid"], 10, 64)
	switch r := s.state.numbered[id]; {
	case p == nil:
		return nil, notFound("Project")
	case p.unreadable():
		return nil, forbidden()
	case err != nil:
		return nil, c.violates("repository_id is invalid")
	case r == nil || r.project != p:
		return nil, failure(http.StatusNotFound, "Not found")
	default:
		return r, nil
	}
}
