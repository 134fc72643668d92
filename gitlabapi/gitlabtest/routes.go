package gitlabtest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// apiRoot stands before every endpoint's path.
const apiRoot = "/api/v4"

// route is an endpoint: its name, the parameters that it takes, and what answers it.
type route struct {
	method   string
	template string
	parts    []string // of the template
	takes    parameters
	repeats  string // the parameter that may be given several times
	// guard refuses a call that its token does not allow.
	guard  func(*Server, *call) *answer
	handle func(*Server, *call) *answer
}

func endpoint(method, template string, takes parameters, handle func(*Server, *call) *answer) *route {
	return &route{
		method: method, template: template, parts: strings.Split(template, "/"),
		takes: takes, guard: (*Server).authorize, handle: handle,
	}
}

// Where the tags of a repository are.
const (
	tagsTemplate = "/projects/:id/registry/repositories/:rid/tags"
	tagTemplate  = tagsTemplate + "/:name"
)

// routes are all endpoints of the API.
var routes = []*route{
	endpoint("GET", "/personal_access_tokens/self", nil, (*Server).showToken),
	endpoint("GET", "/projects", projectsParameters, (*Server).listProjects),
	endpoint("GET", "/projects/:id", nil, (*Server).showProject),
	endpoint("GET", "/groups/:id", groupParameters, (*Server).showGroup),
	endpoint("GET", "/groups/:id/projects", groupProjectsParameters, (*Server).listGroupProjects),
	endpoint("GET", "/groups/:id/registry/repositories", pageParameters, (*Server).listGroupRepositories),
	endpoint("GET", "/projects/:id/registry/repositories", pageParameters, (*Server).listRepositories),
	endpoint("GET", tagsTemplate, tagsParameters, (*Server).listTags),
	endpoint("GET", tagTemplate, nil, (*Server).showTag),
	endpoint("DELETE", tagTemplate, nil, (*Server).deleteTag),
}

// resolveRoute finds the call's path and endpoint. It works on the path as it
// was sent: %2F in a project's path does not part elements, and %2E is a dot.
func (c *call) resolveRoute(at host) {
	sent := c.request.URL.EscapedPath()
	if at.serves(isRegistryPath(sent)) {
		switch {
		case isRegistryPath(sent):
			c.registry = true
			c.chooseRoute(registryRoutes, sent)
			return
		case sent == c.server.options.basePath+tokenRoute.template:
			c.chooseRoute([]*route{tokenRoute}, tokenRoute.template)
			return
		case sent == c.server.options.basePath+graphqlPath:
			c.chooseRoute([]*route{graphqlRoute}, graphqlPath)
			return
		}
		rest, below := strings.CutPrefix(sent, c.server.options.basePath+apiRoot)
		if below && strings.HasPrefix(rest, "/") {
			c.chooseRoute(routes, rest)
			return
		}
	}
	c.registry = at == registryOnlyHost
	c.path = c.request.URL.Path
	c.refuseRoute(http.StatusNotFound)
}

// chooseRoute finds the endpoint among several.
func (c *call) chooseRoute(among []*route, path string) {
	elements, err := unescape(path)
	c.path = strings.Join(elements, "/")
	if err != nil {
		c.path = c.request.URL.Path
		c.refuseRoute(http.StatusNotFound)
		return
	}
	status := http.StatusNotFound
	for _, r := range among {
		params, fits := r.match(elements)
		switch {
		case !fits:
		case r.serves(c.request.Method):
			c.route, c.params = r, params
			return
		default:
			status = http.StatusMethodNotAllowed
		}
	}
	c.refuseRoute(status)
}

// refuseRoute notes that no endpoint takes the call.
func (c *call) refuseRoute(status int) {
	what := map[int]string{http.StatusNotFound: "404 Not Found", http.StatusMethodNotAllowed: "405 Not Allowed"}[status]
	a := &answer{status: status, body: problem{Error: what}}
	if c.registry {
		a = noRegistryPage(status)
	}
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

// match returns what stands in the places of the template's names. The name :path
// stands for one element or more: the path of a repository in the registry.
func (r *route) match(elements []string) (map[string]string, bool) {
	if i, more := slices.Index(r.parts, ":path"), len(elements)-len(r.parts); i >= 0 && more > 0 {
		path := strings.Join(elements[i:i+more+1], "/")
		elements = slices.Concat(elements[:i], []string{path}, elements[i+more+1:])
	}
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

// parameters are the query parameters of an endpoint, each with a check of
// its value.
type parameters map[string]func(value string) bool

func anything(string) bool { return true }

func isFlag(s string) bool {
	return s == "true" || s == "false" || s == "1" || s == "0"
}

func isPositive(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0
}

func oneOf(values ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(values, s) }
}

// with adds parameters to those of every paginated list.
func (p parameters) with(more parameters) parameters {
	all := maps.Clone(p)
	maps.Copy(all, more)
	return all
}

var (
	pageParameters = parameters{"page": isPositive, "per_page": isPositive}

	projectFilters = pageParameters.with(parameters{
		"archived":         isFlag,
		"min_access_level": oneOf("5", "10", "15", "20", "25", "30", "40", "50"),
		"order_by":         oneOf("id"),
		"simple":           isFlag,
		"sort":             oneOf("asc", "desc"),
	})
	projectsParameters = projectFilters.with(parameters{
		"id_after":   isPositive,
		"membership": isFlag,
		"pagination": oneOf("keyset", "legacy"),
	})
	groupProjectsParameters = projectFilters.with(parameters{
		"include_subgroups": isFlag,
		"with_shared":       isFlag,
	})
	groupParameters = parameters{"with_projects": isFlag}

	tagsParameters = pageParameters.with(parameters{
		"last":       anything,
		"pagination": oneOf("keyset", "legacy"),
		"sort":       oneOf("asc"),
	})
)

// checkParameters refuses parameters that the endpoint does not have, and
// values that GitLab refuses. A real GitLab ignores unknown parameters in silence, which
// is how a misspelt filter goes unnoticed. Of the orders that GitLab has, lists have only
// the one by id.
func (c *call) checkParameters() *answer {
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		check, known := c.route.takes[name]
		switch values := c.query[name]; {
		case !known:
			return c.violates(name + " is no parameter of this endpoint")
		case len(values) > 1 && name != c.route.repeats:
			return c.violates(name + " is given more than once")
		case !all(values, check):
			return c.violates(name + " does not have a valid value")
		}
	}
	return nil
}

func all(values []string, check func(string) bool) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !check(value) })
}

// violates answers 400 and records why.
func (c *call) violates(why string) *answer {
	c.violation = c.endpoint() + ": " + why
	if c.registry {
		return registryFailure(http.StatusBadRequest, "INVALID_QUERY_PARAMETER_VALUE",
			"the value of a query parameter is invalid", why)
	}
	return badRequest(why)
}
