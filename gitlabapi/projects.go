package gitlabapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A Project is a GitLab project, as far as its registry goes.
type Project struct {
	ID       int64
	Path     string // full, "group/subgroup/project"
	Archived bool
	// Deleting is true when the project, or a group above it, is marked for deletion: nothing can be
	// changed in it any more. Old versions do not say it.
	Deleting bool
	// Registry is false when the project's container registry is switched off.
	Registry bool
	// Repositories is how many container repositories it has, -1 where that is not known.
	Repositories int
	// Topics are those of the project when they were asked for ([Client.WithTopics]): empty
	// where it has none, and nil where they are not known.
	Topics []string
}

func (c *Client) projectOf(p *gitlab.Project) Project {
	registry := p.ContainerRegistryAccessLevel != gitlab.DisabledAccessControl
	if p.ContainerRegistryAccessLevel == "" {
		//lint:ignore SA1019 old versions say nothing else
		registry = p.ContainerRegistryEnabled
	}
	project := Project{ID: p.ID, Path: p.PathWithNamespace, Archived: p.Archived, Registry: registry, Repositories: -1}
	//lint:ignore SA1019 old versions say nothing else
	project.Deleting = p.MarkedForDeletionOn != nil || p.MarkedForDeletionAt != nil
	if c.topics {
		project.Topics = p.Topics
	}
	return project
}

// Projects lists the projects that the token can see, by ascending id; with
// membership only those that its user is a member of. The first error ends the
// sequence.
func (c *Client) Projects(ctx context.Context, membership bool) iter.Seq2[Project, error] {
	return eachProject(c.projectsAfter(ctx, membership, 0))
}

// projectsAfter lists, in pages, the projects whose ids are larger than one.
func (c *Client) projectsAfter(ctx context.Context, membership bool, id int64) iter.Seq2[[]Project, error] {
	options := &gitlab.ListProjectsOptions{
		ListOptions: gitlab.ListOptions{Pagination: "keyset", PerPage: pageSize},
		OrderBy:     new("id"),
		Sort:        new("asc"),
	}
	if membership {
		options.Membership = &membership
	}
	if id > 0 {
		options.IDAfter = &id
	}
	return c.projectPages(ctx, listing[*gitlab.Project]{
		path: "/projects",
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.Project, *gitlab.Response, error) {
			return c.gitlab.Projects.ListProjects(options, page...)
		},
		after: func(last *gitlab.Project) gitlab.RequestOptionFunc {
			return withQuery("id_after", strconv.FormatInt(last.ID, 10))
		},
	})
}

// GroupProjects lists the projects of a group, by id or full path, and of the groups
// below it. Projects that are merely shared with it do not belong to it. The first
// error ends the sequence.
func (c *Client) GroupProjects(ctx context.Context, group string) iter.Seq2[Project, error] {
	options := &gitlab.ListGroupProjectsOptions{
		ListOptions:      gitlab.ListOptions{PerPage: pageSize},
		OrderBy:          new("id"),
		Sort:             new("asc"),
		IncludeSubGroups: new(true),
		WithShared:       new(false),
	}
	return eachProject(c.projectPages(ctx, listing[*gitlab.Project]{
		path: "/groups/" + url.PathEscape(group) + "/projects",
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.Project, *gitlab.Response, error) {
			return c.gitlab.Groups.ListGroupProjects(group, options, page...)
		},
	}))
}

func (c *Client) projectPages(ctx context.Context, list listing[*gitlab.Project]) iter.Seq2[[]Project, error] {
	list.client = c
	list.key = func(p *gitlab.Project) string { return strconv.FormatInt(p.ID, 10) }
	return func(yield func([]Project, error) bool) {
		for page, err := range list.pages(ctx) {
			if err != nil {
				yield(nil, fmt.Errorf("listing projects: %w", err))
				return
			}
			projects := make([]Project, len(page.items))
			for i, project := range page.items {
				projects[i] = c.projectOf(project)
			}
			if !yield(projects, nil) {
				return
			}
		}
	}
}

// eachProject yields the projects of pages one by one.
func eachProject(pages iter.Seq2[[]Project, error]) iter.Seq2[Project, error] {
	return func(yield func(Project, error) bool) {
		for page, err := range pages {
			if err != nil {
				yield(Project{}, err)
				return
			}
			for _, project := range page {
				if !yield(project, nil) {
					return
				}
			}
		}
	}
}

// Project returns one project by id or full path.
func (c *Client) Project(ctx context.Context, name string) (Project, error) {
	project, resp, err := c.gitlab.Projects.GetProject(name, nil, c.reading(ctx))
	if err == nil && (project == nil || project.ID == 0) {
		err = &throttle.FormatError{Problem: "the answer is no project"}
	}
	if err != nil {
		err = c.failure(http.MethodGet, "/projects/"+url.PathEscape(name), resp, err)
		return Project{}, fmt.Errorf("reading project %s: %w", name, err)
	}
	return c.projectOf(project), nil
}

// Group checks that there is a group of that id or full path which the token can see.
func (c *Client) Group(ctx context.Context, name string) error {
	//lint:ignore SA1019 deprecated with the default that it overrides: a page of the group's projects
	options := &gitlab.GetGroupOptions{WithProjects: new(false)}
	group, resp, err := c.gitlab.Groups.GetGroup(name, options, c.reading(ctx))
	if err == nil && (group == nil || group.ID == 0) {
		err = &throttle.FormatError{Problem: "the answer is no group"}
	}
	if err != nil {
		err = c.failure(http.MethodGet, "/groups/"+url.PathEscape(name), resp, err)
		return fmt.Errorf("reading group %s: %w", name, err)
	}
	return nil
}
