package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// ErrNoDeployments: the instance does not say what is deployed. It is older than GitLab 15.5, or
// its GraphQL is not available.
var ErrNoDeployments = errors.New("the instance does not say what is deployed (GitLab 15.5 and newer do, over GraphQL)")

// A Deployment is what an environment runs: what was last deployed there with success.
type Deployment struct {
	Ref string // a branch, or a Git tag
	SHA string // the commit, in full
	Tag bool   // Ref is a Git tag
}

const deploymentsQuery = `query($project: ID!, $after: String) { project(fullPath: $project) { ` +
	`environments(states: ["available"], first: 100, after: $after) ` +
	`{ nodes { lastDeployment(status: SUCCESS) { ref sha tag } } pageInfo { hasNextPage endCursor } } } }`

// deploymentsData is the answer to a query for what is deployed. Of a project that the token
// cannot see, and of environments that it may not see, GitLab says null.
type deploymentsData struct {
	Project *struct {
		Environments *connection[environmentNode] `json:"environments"`
	} `json:"project"`
}

type environmentNode struct {
	LastDeployment *struct {
		Ref string `json:"ref"`
		SHA string `json:"sha"`
		Tag bool   `json:"tag"`
	} `json:"lastDeployment"`
}

// Deployed lists what the environments of a project run that are not stopped, each thing once,
// whole or with an error. One of class [ErrNoDeployments] stays what it is for all projects.
func (c *Client) Deployed(ctx context.Context, project Project) ([]Deployment, error) {
	deployments, err := c.deployed(ctx, project)
	if err != nil {
		if errors.Is(err, errNoGraphQL) {
			err = fmt.Errorf("%w: %w", ErrNoDeployments, err)
		}
		return nil, fmt.Errorf("reading what is deployed from %s: %w", project.Path, err)
	}
	return deployments, nil
}

func (c *Client) deployed(ctx context.Context, project Project) ([]Deployment, error) {
	deployments := []Deployment{}
	variables := map[string]any{"project": project.Path}
	seen := make(map[Deployment]bool)
	for cursors := make(map[string]bool); ; {
		data, err := queryGraphQL[deploymentsData](c, c.reading(ctx), listingDeployments, func() string { return deploymentsQuery }, variables)
		if err != nil {
			return nil, err
		}
		page, next, problem := data.read(cursors)
		if problem != "" {
			return nil, c.failure(http.MethodPost, gitlab.GraphQLAPIEndpoint, nil, &throttle.ListingError{Problem: problem})
		}
		for _, deployment := range page {
			if !seen[deployment] {
				seen[deployment], deployments = true, append(deployments, deployment)
			}
		}
		if next == "" {
			return deployments, nil
		}
		variables["after"], cursors[next] = next, true
	}
}

// read takes over a page, and the cursor of what follows it, "" after the last. The problem, if
// there is one, is why it is no page.
func (d *deploymentsData) read(cursors map[string]bool) (page []Deployment, next, problem string) {
	if d.Project == nil {
		return nil, "", "the project is not there, or may not be seen"
	}
	list := d.Project.Environments
	if !list.isWhole() {
		return nil, "", "the page of environments lacks a part, or may not be seen"
	}
	for _, node := range list.Nodes {
		switch {
		case node == nil:
			return nil, "", "the page of environments has a node that is null"
		case node.LastDeployment == nil: // nothing has been deployed there
			continue
		case node.LastDeployment.Ref == "" && node.LastDeployment.SHA == "":
			return nil, "", "an environment does not say what is deployed"
		}
		page = append(page, Deployment(*node.LastDeployment))
	}
	if *list.PageInfo.HasNextPage {
		next = list.PageInfo.EndCursor
		if next == "" || len(next) > maxCursor || cursors[next] || len(list.Nodes) == 0 {
			return nil, "", "the page of environments does not say what follows it"
		}
	}
	return page, next, ""
}
