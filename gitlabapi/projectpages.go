package gitlabapi

import (
	"context"
	"fmt"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// countField is how many repositories a project has. It may time out, and old versions
// do not know it.
const countField = "containerRepositoriesCount"

// userField is whose token it is. An old version does not refuse a token that it does
// not take: it shows what everybody may see.
const userField = "currentUser"

// maxCursor is more than any cursor of GitLab has, in bytes.
const maxCursor = 4096

// A projectPage is a page of projects as far as it can be relied upon.
type projectPage struct {
	projects []Project
	last     int64  // the id of its last project; 0 when that is not known
	next     string // the cursor of what follows; "" after the last page, or when not known
}

// projectsData is the answer to a query for a page of projects.
type projectsData struct {
	Projects *struct {
		Nodes    []*projectNode `json:"nodes"`
		PageInfo *struct {
			HasNextPage *bool  `json:"hasNextPage"`
			EndCursor   string `json:"endCursor"`
		} `json:"pageInfo"`
	} `json:"projects"`
	CurrentUser *struct{} `json:"currentUser"`
}

type projectNode struct {
	ID       string `json:"id"`
	FullPath string `json:"fullPath"`
	Archived bool   `json:"archived"`
	Registry *bool  `json:"containerRegistryEnabled"`
	Count    *int   `json:"containerRepositoriesCount"`
}

// projectPage asks for what follows the place of a walk. Beside an error the page has no
// projects, but it may know where it ends.
func (c *Client) projectPage(ctx context.Context, w *projectWalk, at level) (projectPage, error) {
	variables := map[string]any{"first": at.size()}
	if w.cursor != "" {
		variables["after"] = w.cursor
	}
	text := func() string { return c.projectsText(w.membership, at != barePages) }
	data, err := queryGraphQL[projectsData](c, c.reading(ctx), discovery, text, variables)
	if data == nil {
		return projectPage{}, err
	}
	if err == nil && data.CurrentUser == nil && c.graphQL.knows(userField) {
		c.graphQL.switchOff(discovery, false)
		return projectPage{}, ErrNoGraphQL
	}
	page, problem := w.read(data)
	if err == nil && problem != "" {
		err = &throttle.RequestError{Method: http.MethodPost, Path: gitlab.GraphQLAPIEndpoint, Err: &throttle.ListingError{Problem: problem}}
	}
	if err != nil {
		page.projects = nil
	}
	return page, err
}

func (c *Client) projectsText(membership, count bool) string {
	arguments, fields, more := `sort: "id_asc", first: $first, after: $after`, "id fullPath archived containerRegistryEnabled", ""
	if membership {
		arguments = "membership: true, " + arguments
	}
	if count && c.graphQL.knows(countField) {
		fields += " " + countField
	}
	if c.graphQL.knows(userField) {
		more = userField + " { id } "
	}
	return fmt.Sprintf("query($first: Int, $after: String) { %sprojects(%s) { nodes { %s } pageInfo { hasNextPage endCursor } } }",
		more, arguments, fields)
}

// read takes over what an answer says follows the place of a walk. The problem, if
// there is one, is why it is no page, or not a whole one.
func (w *projectWalk) read(data *projectsData) (page projectPage, problem string) {
	list := data.Projects
	if list == nil || list.Nodes == nil || list.PageInfo == nil || list.PageInfo.HasNextPage == nil {
		return page, "the page of projects lacks a part"
	}
	projects, last, problem := projectsIn(list.Nodes, w.last)
	if last < 0 {
		return page, problem
	}
	if *list.PageInfo.HasNextPage {
		page.next = list.PageInfo.EndCursor
		if page.next == "" || len(page.next) > maxCursor || w.cursors[page.next] || len(list.Nodes) == 0 {
			return projectPage{}, "the page of projects does not say what follows it"
		}
	}
	page.projects, page.last = projects, last
	return page, problem
}

// projectsIn converts the nodes of a page that follows an id. last is the id of the
// last node, 0 when it is null, and negative when the nodes are out of order.
func projectsIn(nodes []*projectNode, after int64) (projects []Project, last int64, problem string) {
	projects = make([]Project, 0, len(nodes))
	for _, node := range nodes {
		last = 0
		if node == nil {
			problem = "the page of projects has a node that is null"
			continue
		}
		project, ok := node.project()
		if !ok || project.ID <= after {
			return nil, -1, "the projects of the page are none, or not sorted by id"
		}
		after, last = project.ID, project.ID
		projects = append(projects, project)
	}
	return projects, last, problem
}

// project converts a node. Whether the registry is on is assumed where it is not said:
// listing its repositories will tell.
func (n *projectNode) project() (Project, bool) {
	project := Project{
		ID: parseGlobalID(projectIDs, n.ID), Path: n.FullPath, Archived: n.Archived,
		Registry: n.Registry == nil || *n.Registry, Repositories: -1,
	}
	if n.Count != nil && *n.Count >= 0 {
		project.Repositories = *n.Count
	}
	return project, project.ID > 0 && project.Path != ""
}
