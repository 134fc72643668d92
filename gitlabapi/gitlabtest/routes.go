package gitlabtest

import (
	"net/http"
	"net/url"
	"strings"
)

// apiRoot stands before every endpoint's path.
const apiRoot = "/api/v4"

// route is an endpoint: its name, the parameters it takes, and who answers.
type route struct {
	method   string
	template string
	parts    []string // of the template
	takes    parameters
	handle   func(*Server, *call) *answer
}

func endpoint(method, template string, takes parameters, handle func(*Server, *call) *answer) *route {
	return &route{method, template, strings.Split(template, "/"), takes, handle}
}

// routes are all endpoints there are.
var routes = []*route{
	endpoint("GET", "/personal_access_tokens/self", nil, (*Server).showToken),
	endpoint("GET", "/projects", projectsParameters, (*Server).listProjects),
	endpoint("GET", "/projects/:id", nil, (*Server).showProject),
	endpoint("GET", "/groups/:id", groupParameters, (*Server).showGroup),
	endpoint("GET", "/groups/:id/projects", groupProjectsParameters, (*Server).listGroupProjects),
	endpoint("GET", "/groups/:id/registry/repositories", groupRepositoriesParameters, (*Server).listGroupRepositories),
	endpoint("GET", "/projects/:id/registry/repositories", repositoriesParameters, (*Server).listRepositories),
	endpoint("GET", "/projects/:id/registry/repositories/:rid/tags", tagsParameters, (*Server).listTags),
	endpoint("GET", "/projects/:id/registry/repositories/:rid/tags/:name", nil, (*Server).showTag),
	endpoint("DELETE", "/projects/:id/registry/repositories/:rid/tags/:name", nil, (*Server).deleteTag),
}

// resolveRoute finds the call's path and endpoint. It works on the path as it
// was sent: %2F in a project's path does not part elements, and %2E is a dot.
func (c *call) resolveRoute() {
	sent := c.request.URL.EscapedPath()
	rest, below := strings.CutPrefix(sent, c.server.options.basePath+apiRoot)
	elements, err := unescape(rest)
	c.path = strings.Join(elements, "/")
	if !below || err != nil || !strings.HasPrefix(rest, "/") {
		c.path = c.request.URL.Path
		c.refuseRoute(http.StatusNotFound, "Not Found")
		return
	}
	var other bool
	for _, r := range routes {
		params, fits := r.match(elements)
		switch {
		case !fits:
		case r.serves(c.request.Method):
			c.route, c.params = r, params
			return
		default:
			other = true
		}
	}
	if other {
		c.refuseRoute(http.StatusMethodNotAllowed, "Not Allowed")
		return
	}
	c.refuseRoute(http.StatusNotFound, "Not Found")
}

// refuseRoute notes that no endpoint takes the call.
func (c *call) refuseRoute(status int, what string) {
	a := failure(status, what)
	a.body = problem{Error: a.body.(message).Message}
	c.refusal = &refusal{answer: a, why: "no endpoint for " + c.request.Method + " " + c.path}
}

// unescape decodes each element of an escaped path.
func unescape(path string) ([]string, error) {
	elements := strings.Split(path, "/")
	for i, element := range elements {
		decoded, err := url.PathUnescape(element)
		if err != nil {
			return nil, err
		}
		elements[i] = decoded
	}
	return elements, nil
}

func (r *route) serves(method string) bool {
	return method == r.method || method == http.MethodHead && r.method == http.MethodGet
}

// match returns what stands in the places of the template's names.
func (r *route) match(elements []string) (map[string]string, bool) {
	if len(r.parts) != len(elements) {
		return nil, false
	}
	params := make(map[string]string, 3)
	for i, part := range r.parts {
		switch {
		case strings.HasPrefix(part, ":") && elements[i] != "":
			params[part[1:]] = elements[i]
		case part != elements[i]:
			return nil, false
		}
	}
	return params, true
}
