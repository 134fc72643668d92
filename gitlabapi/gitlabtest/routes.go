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

// Where the tags of a repository are, and the notes of a merge request.
const (
	tagsTemplate  = "/projects/:id/registry/repositories/:rid/tags"
	tagTemplate   = tagsTemplate + "/:name"
	notesTemplate = "/projects/:id/merge_requests/:iid/notes"
)

// routes are all endpoints of the API.
var routes = []*route{
	endpoint("GET", "/personal_access_tokens/self", nil, (*Server).showToken),
	endpoint("GET", "/user", nil, (*Server).showUser),
	endpoint("GET", "/projects", projectsParameters, (*Server).listProjects),
	endpoint("GET", "/projects/:id", nil, (*Server).showProject),
	endpoint("GET", "/groups/:id", parameters{"with_projects": isFlag}, (*Server).showGroup),
	endpoint("GET", "/groups/:id/projects", groupProjectsParameters, (*Server).listGroupProjects),
	endpoint("GET", "/groups/:id/registry/repositories", pageParameters, (*Server).listGroupRepositories),
	endpoint("GET", "/projects/:id/registry/repositories", pageParameters, (*Server).listRepositories),
	endpoint("GET", "/projects/:id/registry/protection/tag/rules", nil, (*Server).listProtectionRules),
	endpoint("GET", "/projects/:id/repository/branches", pageParameters, (*Server).listBranches),
	endpoint("GET", "/projects/:id/repository/tags", pageParameters, (*Server).listGitTags),
	endpoint("GET", notesTemplate, notesParameters, (*Server).listNotes),
	endpoint("POST", notesTemplate, nil, (*Server).createNote),
	endpoint("PUT", notesTemplate+"/:note_id", nil, (*Server).updateNote),
	endpoint("GET", tagsTemplate, tagsParameters, (*Server).listTags),
	endpoint("GET", tagTemplate, nil, (*Server).showTag),
	endpoint("DELETE", tagTemplate, nil, (*Server).deleteTag),
}

// resolveRoute finds the call's path and endpoint, or notes that there is none. It works on
// the path as it was sent: %2F in a project's path does not part elements, and %2E is a dot.
func (c *call) resolveRoute(at host) {
	sent, base := c.request.URL.EscapedPath(), c.server.options.basePath
	rest, below := strings.CutPrefix(sent, base+apiRoot)
	var among []*route
	switch registry := isRegistryPath(sent); {
	case at != sharedHost && registry != (at == registryOnlyHost):
		c.registry = at == registryOnlyHost
	case registry:
		c.registry, among = true, registryRoutes
	case sent == base+tokenRoute.template:
		among, sent = []*route{tokenRoute}, tokenRoute.template
	case sent == base+graphqlPath:
		among, sent = []*route{graphqlRoute}, graphqlPath
	case strings.HasPrefix(sent, base+"/") && strings.HasSuffix(sent, ".git/info/refs"):
		among, sent = []*route{gitRoute}, strings.TrimPrefix(sent, base)
	case below && strings.HasPrefix(rest, "/"):
		among, sent = routes, rest
	}
	status, elements := http.StatusNotFound, strings.Split(sent, "/")
	for i := range elements {
		decoded, err := url.PathUnescape(elements[i])
		if err != nil {
			among = nil
		}
		elements[i] = decoded
	}
	if c.path = strings.Join(elements, "/"); among == nil {
		c.path = c.request.URL.Path
	}
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
	a := &answer{status: status, body: problem{Error: "404 Not Found"}}
	if c.registry {
		a = noRegistryPage(status)
	} else if status == http.StatusMethodNotAllowed {
		a = notAllowed("405 Not Allowed")
	}
	c.refusal = &refusal{answer: a, why: "no endpoint for " + c.request.Method + " " + c.path}
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
	for i, part := range r.parts {
		if part != elements[i] && (!strings.HasPrefix(part, ":") || elements[i] == "") {
			return nil, false
		}
	}
	params := make(map[string]string, 3)
	for i, part := range r.parts {
		if strings.HasPrefix(part, ":") {
			params[part[1:]] = elements[i]
		}
	}
	return params, true
}

// parameters are the query parameters of an endpoint, each with a check of
// its value.
type parameters map[string]func(value string) bool

func anything(string) bool { return true }

var isFlag = oneOf("true", "false", "1", "0")

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
	isPagination = oneOf("keyset", "legacy")

	projectsParameters      = projectFilters.with(parameters{"id_after": isPositive, "membership": isFlag, "pagination": isPagination})
	groupProjectsParameters = projectFilters.with(parameters{"include_subgroups": isFlag, "with_shared": isFlag})
	notesParameters         = pageParameters.with(parameters{"order_by": oneOf("created_at"), "sort": oneOf("asc", "desc")})
	tagsParameters          = pageParameters.with(parameters{"last": anything, "pagination": isPagination, "sort": oneOf("asc")})
)

// checkParameters refuses parameters that the endpoint does not have, and
// values that GitLab refuses. A real GitLab ignores unknown parameters in silence, which
// is how a misspelt filter goes unnoticed. Of the orders that GitLab has, lists have only
// the one by id.
func (c *call) checkParameters() *answer {
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		valid, known := c.route.takes[name]
		switch values := c.query[name]; {
		case !known:
			return c.violates(name + " is no parameter of this endpoint")
		case len(values) > 1 && name != c.route.repeats:
			return c.violates(name + " is given more than once")
		case slices.ContainsFunc(values, func(value string) bool { return !valid(value) }):
			return c.violates(name + " does not have a valid value")
		}
	}
	return nil
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
