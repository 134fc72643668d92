package gitlabtest

import (
	"path"
	"strconv"
	"strings"
)

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

// showGroup answers GET /groups/:id, with the group's own projects unless
// they are not wanted.
func (s *Server) showGroup(c *call) *answer {
	g := s.group(c)
	if g == nil {
		return notFound("Group")
	}
	body := map[string]any{
		"id": g.ID, "name": path.Base(g.Path), "path": path.Base(g.Path),
		"full_path": g.Path, "full_name": strings.ReplaceAll(g.Path, "/", " / "),
		"parent_id": g.parentID(), "visibility": "private", "description": "",
		"web_url":    c.instance() + "/groups/" + g.Path,
		"created_at": rowTime(Created.AddDate(-3, 0, 0)), "archived": false,
		"project_creation_level": "developer", "subgroup_creation_level": "maintainer",
	}
	if value := c.query.Get("with_projects"); value == "" || truthy(value) {
		own := s.filtered(c, func(p *project) bool { return p.group == g })
		body["projects"] = c.presentAll(own[:min(len(own), maxPerPage)])
	}
	return ok(body)
}
