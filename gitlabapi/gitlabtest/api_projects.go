package gitlabtest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
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

// simpleProject holds the fields that simple=true leaves.
type simpleProject struct {
	ID                int64        `json:"id"`
	Description       *string      `json:"description"`
	Name              string       `json:"name"`
	NameWithNamespace string       `json:"name_with_namespace"`
	Path              string       `json:"path"`
	PathWithNamespace string       `json:"path_with_namespace"`
	CreatedAt         string       `json:"created_at"`
	DefaultBranch     string       `json:"default_branch"`
	TagList           []string     `json:"tag_list"`
	Topics            []string     `json:"topics"`
	SSHURL            string       `json:"ssh_url_to_repo"`
	HTTPURL           string       `json:"http_url_to_repo"`
	WebURL            string       `json:"web_url"`
	ReadmeURL         *string      `json:"readme_url"`
	ForksCount        int          `json:"forks_count"`
	AvatarURL         *string      `json:"avatar_url"`
	StarCount         int          `json:"star_count"`
	LastActivityAt    string       `json:"last_activity_at"`
	Visibility        string       `json:"visibility"`
	Namespace         namespaceRef `json:"namespace"`
}

type namespaceRef struct {
	ID       int64   `json:"id"`
	Name     string  `json:"name"`
	Path     string  `json:"path"`
	Kind     string  `json:"kind"`
	FullPath string  `json:"full_path"`
	ParentID *int64  `json:"parent_id"`
	Avatar   *string `json:"avatar_url"`
	WebURL   string  `json:"web_url"`
}

// fullProject is a project as lists and details show it, less what a real
// GitLab says besides: a hundred fields of settings.
type fullProject struct {
	simpleProject
	Links               map[string]string `json:"_links"`
	ImagePrefix         string            `json:"container_registry_image_prefix"`
	PackagesEnabled     bool              `json:"packages_enabled"`
	EmptyRepo           bool              `json:"empty_repo"`
	Archived            bool              `json:"archived"`
	RegistryEnabled     bool              `json:"container_registry_enabled"`
	RegistryAccessLevel string            `json:"container_registry_access_level"`
	IssuesEnabled       bool              `json:"issues_enabled"`
	JobsEnabled         bool              `json:"jobs_enabled"`
	LFSEnabled          bool              `json:"lfs_enabled"`
	CreatorID           int64             `json:"creator_id"`
	ImportStatus        string            `json:"import_status"`
	OpenIssuesCount     int               `json:"open_issues_count"`
	SharedWithGroups    []string          `json:"shared_with_groups"`
	CIConfigPath        string            `json:"ci_config_path"`
	MergeMethod         string            `json:"merge_method"`
}

// base is the last element of the project's path.
func (p *project) base() string { return path.Base(p.path) }

func (p *project) visibility() string {
	if p.notMember {
		return "public"
	}
	return "private"
}

func (c *call) presentSimple(p *project) simpleProject {
	web := c.instance() + "/" + p.path
	return simpleProject{
		ID: p.id, Name: p.base(), Path: p.base(), PathWithNamespace: p.path,
		NameWithNamespace: strings.ReplaceAll(p.path, "/", " / "),
		CreatedAt:         p.createdAt(), LastActivityAt: p.createdAt(),
		DefaultBranch: "main", TagList: []string{}, Topics: []string{},
		SSHURL:  "git@" + c.request.Host + ":" + p.path + ".git",
		HTTPURL: web + ".git", WebURL: web,
		Visibility: p.visibility(), Namespace: c.presentNamespace(p.group),
	}
}

func (c *call) presentNamespace(g *Group) namespaceRef {
	return namespaceRef{
		ID: g.ID, Name: path.Base(g.Path), Path: path.Base(g.Path), Kind: "group",
		FullPath: g.Path, ParentID: g.parentID(), WebURL: c.instance() + "/groups/" + g.Path,
	}
}

func (c *call) presentFull(p *project) fullProject {
	api := fmt.Sprintf("%s%s/projects/%d", c.instance(), apiRoot, p.id)
	level := "enabled"
	if p.disabled {
		level = "disabled"
	}
	return fullProject{
		simpleProject: c.presentSimple(p),
		Links:         map[string]string{"self": api, "events": api + "/events", "members": api + "/members"},
		ImagePrefix:   c.registryHost() + "/" + p.path,
		Archived:      p.archived, RegistryEnabled: !p.disabled, RegistryAccessLevel: level,
		PackagesEnabled: true, IssuesEnabled: true, JobsEnabled: true, LFSEnabled: true,
		CreatorID: 2, ImportStatus: "none", SharedWithGroups: []string{}, MergeMethod: "merge",
	}
}

// createdAt lets projects have come into being in the order of their ids, an
// hour after one another.
func (p *project) createdAt() string {
	return rowTime(Created.AddDate(-2, 0, 0).Add(time.Duration(p.id%10_000) * time.Hour))
}

// rowTime writes a date that comes from Rails' database.
func rowTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// configTime writes a date that Rails read from a document.
func configTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-07:00") }
