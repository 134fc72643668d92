package gitlabtest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listProjects answers GET /projects, in pages by number or after an id.
func (s *Server) listProjects(c *call) *answer {
	in := func(p *project) bool { return !c.flag("membership") || !p.notMember }
	if c.query.Get("pagination") != "keyset" {
		return s.projectsByOffset(c, in)
	}
	if c.query.Get("order_by") != "id" || c.query.Get("sort") != "asc" {
		return notAllowed("Keyset pagination is not yet available for this type of request")
	}
	projects := s.filtered(c, in)
	projects = projects[:c.shorten(len(projects))]
	after := int64(c.number("id_after", 0))
	page := slices.DeleteFunc(slices.Clone(projects), func(p *project) bool { return p.id <= after })
	page = page[:min(c.perPage(), len(page))]
	if len(page) == 0 && c.server.options.repeatPages {
		page = projects[max(0, len(projects)-c.perPage()):]
	}
	// GitLab does not look ahead: whatever page has something on it links to a next.
	if len(page) > 0 {
		c.linkNext("id_after", strconv.FormatInt(page[len(page)-1].id, 10))
	}
	return ok(c.presentAll(page))
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
	from, to := c.offsetPage(c.shorten(len(projects)))
	return ok(c.presentAll(projects[from:to]))
}

// filtered returns the projects that the call's filters leave, by id. The token's user is
// a developer in every project that it is a member of.
func (s *Server) filtered(c *call, in func(*project) bool) []*project {
	archived, level := c.query.Get("archived"), c.number("min_access_level", 0)
	var left []*project
	for _, p := range s.state.projects {
		switch {
		case !in(p), archived != "" && truthy(archived) != p.archived, level > 30, level > 0 && p.notMember:
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
	return ok(c.presentProject(p))
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

func (g *Group) parentID() *int64 {
	if g.Parent == nil {
		return nil
	}
	return &g.Parent.ID
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

// simpleProject holds the fields that simple=true leaves, and of these the ones that say
// something.
type simpleProject struct {
	ID                int64        `json:"id"`
	Name              string       `json:"name"`
	NameWithNamespace string       `json:"name_with_namespace"`
	Path              string       `json:"path"`
	PathWithNamespace string       `json:"path_with_namespace"`
	CreatedAt         string       `json:"created_at"`
	DefaultBranch     string       `json:"default_branch"`
	WebURL            string       `json:"web_url"`
	LastActivityAt    string       `json:"last_activity_at"`
	Visibility        string       `json:"visibility"`
	Namespace         namespaceRef `json:"namespace"`
}

type namespaceRef struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	FullPath string `json:"full_path"`
	ParentID *int64 `json:"parent_id"`
	WebURL   string `json:"web_url"`
}

// fullProject is a project as lists and details show it, less its settings.
type fullProject struct {
	simpleProject
	ImagePrefix         string `json:"container_registry_image_prefix"`
	Archived            bool   `json:"archived"`
	RegistryEnabled     bool   `json:"container_registry_enabled"`
	RegistryAccessLevel string `json:"container_registry_access_level"`
}

func (c *call) presentAll(projects []*project) []any {
	shown := make([]any, len(projects))
	for i, p := range projects {
		full := c.presentProject(p)
		if shown[i] = full; c.flag("simple") {
			shown[i] = full.simpleProject
		}
	}
	return shown
}

func (c *call) presentProject(p *project) fullProject {
	base, group := path.Base(p.path), p.group
	visibility, level := "private", "enabled"
	if p.notMember {
		visibility = "public"
	}
	if p.disabled {
		level = "disabled"
	}
	return fullProject{
		simpleProject: simpleProject{
			ID: p.id, Name: base, Path: base, PathWithNamespace: p.path,
			NameWithNamespace: strings.ReplaceAll(p.path, "/", " / "),
			CreatedAt:         p.createdAt(), LastActivityAt: p.createdAt(),
			DefaultBranch: "main", WebURL: c.instance() + "/" + p.path, Visibility: visibility,
			Namespace: namespaceRef{
				ID: group.ID, Name: path.Base(group.Path), Path: path.Base(group.Path), Kind: "group",
				FullPath: group.Path, ParentID: group.parentID(), WebURL: c.instance() + "/groups/" + group.Path,
			},
		},
		ImagePrefix: c.registryHost() + "/" + p.path,
		Archived:    p.archived, RegistryEnabled: !p.disabled, RegistryAccessLevel: level,
	}
}

// createdAt is in the order of the ids, an hour after one another.
func (p *project) createdAt() string {
	return rowTime(Created.AddDate(-2, 0, 0).Add(time.Duration(p.id%10_000) * time.Hour))
}

// rowTime writes a date that comes from Rails' database.
func rowTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// configTime writes a date that Rails read from a document.
func configTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-07:00") }

// instance is the scheme and host that addresses in answers begin with.
func (c *call) instance() string {
	o := &c.server.options
	if o.externalURL != "" {
		return o.externalURL
	}
	return c.origin() + o.basePath
}

// origin is the scheme and host that were asked.
func (c *call) origin() string {
	if c.request.TLS != nil {
		return "https://" + c.request.Host
	}
	return "http://" + c.request.Host
}
