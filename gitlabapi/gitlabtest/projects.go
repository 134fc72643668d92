package gitlabtest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// listProjects answers GET /projects.
func (s *Server) listProjects(c *call) *answer {
	if c.query.Get("pagination") == "keyset" {
		return s.projectsByKeyset(c)
	}
	return s.projectsByOffset(c, func(p *project) bool {
		return !c.flag("membership") || !p.notMember
	})
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
	sortProjects(projects, c.query.Get("order_by"), c.query.Get("sort"))
	from, to := c.offsetPage(c.shorten(len(projects)))
	return ok(c.presentAll(projects[from:to]))
}

// projectsByKeyset answers one page after an id. GitLab links to a next page
// as long as a page is not empty, for it does not look ahead.
func (s *Server) projectsByKeyset(c *call) *answer {
	if c.query.Get("order_by") != "id" {
		return notAllowed("Keyset pagination is not yet available for this type of request")
	}
	projects := s.filtered(c, func(p *project) bool { return !c.flag("membership") || !p.notMember })
	sortProjects(projects, "id", c.query.Get("sort"))
	projects = projects[:c.shorten(len(projects))]
	page := slices.DeleteFunc(slices.Clone(projects), c.outsideKeyset)
	page = page[:min(c.perPage(), len(page))]
	if len(page) == 0 && c.server.options.repeatPages {
		page = projects[max(0, len(projects)-c.perPage()):]
	}
	if len(page) > 0 {
		parameter := "id_before"
		if c.query.Get("sort") == "asc" {
			parameter = "id_after"
		}
		c.linkNext(parameter, strconv.FormatInt(page[len(page)-1].id, 10))
	}
	return ok(c.presentAll(page))
}

// outsideKeyset says whether a project lies outside of what id_after and
// id_before leave.
func (c *call) outsideKeyset(p *project) bool {
	after, before := int64(c.number("id_after", 0)), int64(c.number("id_before", 0))
	return p.id <= after || before > 0 && p.id >= before
}

// filtered returns the projects that the call's filters leave, by id.
func (s *Server) filtered(c *call, in func(*project) bool) []*project {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []*project
	for _, p := range s.state.projects {
		if in(p) && c.wants(p) {
			left = append(left, p)
		}
	}
	return left
}

// wants applies the filters that all lists of projects have. The token's user
// is a developer wherever it is a member.
func (c *call) wants(p *project) bool {
	archived, level := c.query.Get("archived"), c.number("min_access_level", 0)
	visibility, search := c.query.Get("visibility"), strings.ToLower(c.query.Get("search"))
	switch {
	case archived != "" && truthy(archived) != p.archived:
		return false
	case level > 30 || level > 0 && p.notMember:
		return false
	case visibility != "" && visibility != p.visibility():
		return false
	default:
		return strings.Contains(p.base(), search)
	}
}

// sortProjects orders projects that are in the order of their ids. All dates
// are in the order of the ids as well.
func sortProjects(projects []*project, by, direction string) {
	if by == "name" || by == "path" {
		slices.SortStableFunc(projects, func(a, b *project) int { return cmp.Compare(a.base(), b.base()) })
	}
	if direction != "asc" {
		slices.Reverse(projects)
	}
}

// showProject answers GET /projects/:id.
func (s *Server) showProject(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.project(c)
	if p == nil {
		return notFound("Project")
	}
	return ok(c.presentFull(p))
}

// project returns the project of the call's path by id or full path. The
// server is locked.
func (s *Server) project(c *call) *project {
	if id, err := strconv.ParseInt(c.params["id"], 10, 64); err == nil {
		return s.state.byID[id]
	}
	return s.state.byPath[c.params["id"]]
}

func (c *call) presentAll(projects []*project) []any {
	shown := make([]any, len(projects))
	for i, p := range projects {
		if c.flag("simple") {
			shown[i] = c.presentSimple(p)
		} else {
			shown[i] = c.presentFull(p)
		}
	}
	return shown
}

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
