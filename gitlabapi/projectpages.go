package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// countField is how many repositories a project has. It may time out, and old versions
	// do not know it.
	countField = "containerRepositoriesCount"
	// userField is whose token it is. An old version does not refuse a token that it does
	// not take: it shows what is public.
	userField = "currentUser"
	// topicsField is what a project's topics are. Old versions do not know it.
	topicsField = "topics"
	// deletionField is whether a project is marked for deletion. Versions before 18.1 do not know it.
	deletionField = "markedForDeletion"
	// maxCursor is more than any cursor of GitLab has, in bytes.
	maxCursor = 4096
	// pagesWithoutCounts is how many pages are read without counts after one whose counts did
	// not come: to list the repositories of a hundred projects of which that is not known takes
	// two requests.
	pagesWithoutCounts = 10
)

// ProjectPages yields the projects that the token can see, by ascending id, in pages;
// with membership only those that its user is a member of. It asks GraphQL, which says
// how many repositories each has, and loses no project: a page that is not whole is
// read again without the count, then over REST. Where GraphQL is not available everything
// comes over REST. The first error ends the sequence.
func (c *Client) ProjectPages(ctx context.Context, membership bool) iter.Seq2[[]Project, error] {
	return func(yield func([]Project, error) bool) {
		at := &projectPosition{cursors: make(map[string]bool)}
		without := 0 // how many pages are still to be read without counts
		for {
			counts := without == 0 && c.graphQL.knows(countField)
			page, err := c.projectPage(ctx, membership, counts, at)
			switch {
			case err != nil && isFinal(ctx, err):
				yield(nil, fmt.Errorf("listing projects: %w", err))
				return
			case err != nil && counts && c.mayComeWithoutCounts(err):
				without = pagesWithoutCounts
				continue
			case err != nil, at.last == 0 && page.next == "" && len(page.projects) == 0:
				// A token that GraphQL does not honour sees nothing either. Where the page does
				// not say what follows it, REST goes on to the end: no cursor can be made of an id.
				if page.last == 0 || page.next == "" {
					page = projectPage{last: math.MaxInt64}
				}
				if !c.projectsOverREST(ctx, membership, at.last, page.last, yield) {
					return
				}
			case len(page.projects) > 0 && !yield(page.projects, nil):
				return
			}
			if page.next == "" {
				return
			}
			if len(at.cursors) == maxPages {
				yield(nil, fmt.Errorf("listing projects: %w", &throttle.ListingError{Problem: fmt.Sprintf("the listing has more than %d pages", maxPages)}))
				return
			}
			at.last, at.cursor, at.cursors[page.next] = page.last, page.next, true
			without = max(without-1, 0)
		}
	}
}

// A projectPosition is how far a listing of all projects has come: all up to an id were
// yielded. As GraphQL gives them in that order, too, REST can take over anywhere.
type projectPosition struct {
	last    int64           // the largest id that was yielded
	cursor  string          // GraphQL's name for the same position
	cursors map[string]bool // that were met
}

// mayComeWithoutCounts reports whether a page may come whole when it is asked for without
// counts, or just again. That does not cure a network that is out of order, nor a rate limit.
func (c *Client) mayComeWithoutCounts(err error) bool {
	_, says := errors.AsType[*graphQLError](err)
	_, contradicts := errors.AsType[*throttle.ListingError](err)
	return (isTooMuch(err) || says || contradicts || isNotGraphQL(err)) && !c.graphQL.off[listingProjects].Load()
}

// projectsOverREST yields the projects with ids after one, up to another, and reports whether to
// go on. An error ends the listing even where the next page is known: GraphQL and REST have both
// failed then, after all their attempts, and from an error in the middle the caller could not
// tell which projects are missing.
func (c *Client) projectsOverREST(ctx context.Context, membership bool, after, last int64, yield func([]Project, error) bool) bool {
	for projects, err := range c.projectsAfter(ctx, membership, after) {
		if err != nil {
			yield(nil, err)
			return false
		}
		ended := slices.ContainsFunc(projects, func(p Project) bool { return p.ID > last })
		projects = slices.DeleteFunc(projects, func(p Project) bool { return p.ID <= after || p.ID > last })
		if len(projects) > 0 && !yield(projects, nil) {
			return false
		}
		if ended {
			break
		}
	}
	return true
}

// A projectPage is a page of projects as far as it can be relied upon.
type projectPage struct {
	projects []Project
	last     int64  // the id of its last project; 0 when that is not known
	next     string // the cursor of what follows; "" after the last page, or when not known
}

// projectsData is the answer to a query for a page of projects.
type projectsData struct {
	Projects    *connection[projectNode] `json:"projects"`
	CurrentUser *struct{}                `json:"currentUser"`
}

type projectNode struct {
	ID       string   `json:"id"`
	FullPath string   `json:"fullPath"`
	Archived bool     `json:"archived"`
	Registry *bool    `json:"containerRegistryEnabled"`
	Deleting bool     `json:"markedForDeletion"`
	Count    *int     `json:"containerRepositoriesCount"`
	Topics   []string `json:"topics"`
}

// projectPage asks for what follows a position. Beside an error the page has no projects, but
// it may know where it ends.
func (c *Client) projectPage(ctx context.Context, membership, counts bool, at *projectPosition) (projectPage, error) {
	text := func() string {
		arguments, fields, more := `sort: "id_asc", first: $first, after: $after`, "id fullPath archived containerRegistryEnabled", ""
		if membership {
			arguments = "membership: true, " + arguments
		}
		if counts && c.graphQL.knows(countField) {
			fields += " " + countField
		}
		if c.graphQL.knows(deletionField) {
			fields += " " + deletionField
		}
		if c.topics && c.graphQL.knows(topicsField) {
			fields += " " + topicsField
		}
		if c.graphQL.knows(userField) {
			more = userField + " { id } "
		}
		return fmt.Sprintf("query($first: Int, $after: String) { %sprojects(%s) { nodes { %s } pageInfo { hasNextPage endCursor } } }",
			more, arguments, fields)
	}
	variables := map[string]any{"first": pageSize}
	if at.cursor != "" {
		variables["after"] = at.cursor
	}
	data, err := queryGraphQL[projectsData](c, c.reading(ctx), listingProjects, text, variables)
	if data == nil {
		return projectPage{}, err
	}
	if err == nil && data.CurrentUser == nil && c.graphQL.knows(userField) {
		c.graphQL.switchOff()
		return projectPage{}, errNoGraphQL
	}
	page, problem := at.read(data)
	if err == nil && problem != "" {
		err = c.failure(http.MethodPost, gitlab.GraphQLAPIEndpoint, nil, &throttle.ListingError{Problem: problem})
	}
	if err != nil {
		page.projects = nil
	}
	return page, err
}

// read takes over what an answer says follows a position. The problem, if there is one, is why
// it is no page, or not a whole one.
func (at *projectPosition) read(data *projectsData) (page projectPage, problem string) {
	list := data.Projects
	if !list.isWhole() {
		return page, "the page of projects lacks a part"
	}
	previous := at.last
	for _, node := range list.Nodes {
		if node == nil {
			page.last, problem = 0, "the page of projects has a node that is null"
			continue
		}
		project, ok := node.project()
		if !ok || project.ID <= previous {
			return projectPage{}, "the projects of the page are none, or not sorted by id"
		}
		previous, page.last = project.ID, project.ID
		page.projects = append(page.projects, project)
	}
	if *list.PageInfo.HasNextPage {
		page.next = list.PageInfo.EndCursor
		if page.next == "" || len(page.next) > maxCursor || at.cursors[page.next] || len(list.Nodes) == 0 {
			return projectPage{}, "the page of projects does not say what follows it"
		}
	}
	return page, problem
}

// project converts a node. Whether the registry is on is assumed where it is not said:
// listing its repositories will tell.
func (n *projectNode) project() (Project, bool) {
	project := Project{
		ID: parseGlobalID(projectIDs, n.ID), Path: n.FullPath, Archived: n.Archived, Deleting: n.Deleting,
		Registry: n.Registry == nil || *n.Registry, Repositories: -1, Topics: n.Topics,
	}
	if n.Count != nil && *n.Count >= 0 {
		project.Repositories = *n.Count
	}
	return project, project.ID > 0 && project.Path != ""
}
