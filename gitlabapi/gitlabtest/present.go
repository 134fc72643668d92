package gitlabtest

import (
	"fmt"
	"path"
	"strings"
	"time"
)

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
