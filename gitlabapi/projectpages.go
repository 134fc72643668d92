package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
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

// ProjectPages yields the projects that the token can see, by ascending id, in pages;
// with membership only those that its user is a member of. It asks GraphQL, which says
// how many repositories each has, and loses no project: a page that is not whole is
// read again without the count, then over REST. Where GraphQL is
// not to be had everything comes over REST. The first error ends the sequence.
func (c *Client) ProjectPages(ctx context.Context, membership bool) iter.Seq2[[]Project, error] {
	return func(yield func([]Project, error) bool) {
		w := &projectWalk{client: c, membership: membership, yield: yield, cursors: make(map[string]bool)}
		for w.step(ctx) {
		}
	}
}

// A projectWalk is one listing of all projects. Its place is an id: all projects up to
// it were given. As GraphQL gives them in that order, too, REST can take over anywhere.
type projectWalk struct {
	client     *Client
	membership bool
	yield      func([]Project, error) bool

	last    int64           // the largest id that was given
	cursor  string          // GraphQL's name for the same place
	cursors map[string]bool // that were met
	bare    int             // how many pages are still to be read without counts
}

// barePages is how many pages are read without counts after one whose counts did not come: to
// list the repositories of a hundred projects of which that is not known takes two requests.
const barePages = 10

// step reads on by one page, or by one stretch over REST. It reports whether there is more to
// come.
func (w *projectWalk) step(ctx context.Context) bool {
	counts := w.bare == 0 && w.client.graphQL.knows(countField)
	page, err := w.client.projectPage(ctx, w, counts)
	switch {
	case err == nil && page.next == "" && w.last == 0 && len(page.projects) == 0:
		// A token that GraphQL does not honour sees nothing either.
		return w.overREST(ctx, projectPage{})
	case err == nil:
		return w.give(page.projects) && w.goOn(page)
	case isFinal(ctx, err):
		w.yield(nil, fmt.Errorf("listing projects: %w", err))
		return false
	case counts && w.mayComeWithoutCounts(err):
		w.bare = barePages
		return true
	default:
		return w.overREST(ctx, page)
	}
}

// mayComeWithoutCounts reports whether a page may come whole when it is asked for without
// counts, or just again. A network that is out of order, or haste, is no matter of that.
func (w *projectWalk) mayComeWithoutCounts(err error) bool {
	_, says := errors.AsType[*GraphQLError](err)
	_, contradicts := errors.AsType[*throttle.ListingError](err)
	return (isTooMuch(err) || says || contradicts || isNotGraphQL(err)) && !w.client.graphQL.off[listingProjects].Load()
}

// give yields projects, if there are any.
func (w *projectWalk) give(projects []Project) bool {
	return len(projects) == 0 || w.yield(projects, nil)
}

// goOn takes the place after a page, and reports whether something follows it.
func (w *projectWalk) goOn(page projectPage) bool {
	w.last, w.cursor = max(w.last, page.last), page.next
	w.cursors[page.next] = true
	w.bare = max(w.bare-1, 0)
	return page.next != ""
}

// overREST reads the stretch of a page that GraphQL did not give whole. Where the page
// does not say where it ends and the next begins, REST goes on to the end: GraphQL's
// cursors are its own, and one cannot be made of an id.
//
// An error over REST ends the walk even where the next page is known: GraphQL and REST
// have both failed then, after all their attempts, and from an error in the middle
// the caller could not tell which projects are missing.
func (w *projectWalk) overREST(ctx context.Context, page projectPage) bool {
	if page.last == 0 || page.next == "" {
		page = projectPage{last: math.MaxInt64}
	}
	for projects, err := range w.client.projectsAfter(ctx, w.membership, w.last) {
		if err != nil {
			w.yield(nil, err)
			return false
		}
		within, ended := w.upTo(projects, page.last)
		if !w.give(within) {
			return false
		}
		if ended {
			break
		}
	}
	return w.goOn(page)
}

// upTo returns those projects that lie between the walk's place and an id, and whether
// there are larger ones.
func (w *projectWalk) upTo(projects []Project, id int64) (within []Project, ended bool) {
	for _, project := range projects {
		switch {
		case project.ID > id:
			ended = true
		case project.ID > w.last:
			within = append(within, project)
		}
	}
	return within, ended
}

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
func (c *Client) projectPage(ctx context.Context, w *projectWalk, counts bool) (projectPage, error) {
	variables := map[string]any{"first": pageSize}
	if w.cursor != "" {
		variables["after"] = w.cursor
	}
	text := func() string { return c.projectsText(w.membership, counts) }
	data, err := queryGraphQL[projectsData](c, c.reading(ctx), listingProjects, text, variables)
	if data == nil {
		return projectPage{}, err
	}
	if err == nil && data.CurrentUser == nil && c.graphQL.knows(userField) {
		c.graphQL.switchOff(listingProjects, false)
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

func (c *Client) projectsText(membership, counts bool) string {
	arguments, fields, more := `sort: "id_asc", first: $first, after: $after`, "id fullPath archived containerRegistryEnabled", ""
	if membership {
		arguments = "membership: true, " + arguments
	}
	if counts && c.graphQL.knows(countField) {
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
