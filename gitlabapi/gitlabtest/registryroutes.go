package gitlabtest

import (
	"net/http"
	"strconv"
	"strings"
)

// registryEndpoint is an endpoint of the registry, which needs a token that
// allows some actions on the repository in its path.
func registryEndpoint(method, template string, takes parameters, handle func(*Server, *call) *answer, needs ...string) *route {
	return &route{
		method: method, template: template, parts: strings.Split(template, "/"), takes: takes,
		guard:  func(s *Server, c *call) *answer { return s.admit(c, needs) },
		handle: handle,
	}
}

// databaseEndpoint is one that only a registry with a database has.
func databaseEndpoint(template string, takes parameters, handle func(*Server, *call) *answer, needs ...string) *route {
	r := registryEndpoint("GET", template, takes, handle, needs...)
	admit := r.guard
	r.guard = func(s *Server, c *call) *answer {
		if s.state.regime == Legacy {
			return noRegistryPage(http.StatusNotFound)
		}
		return admit(s, c)
	}
	return r
}

const (
	manifestTemplate = "/v2/:path/manifests/:reference"
	blobTemplate     = "/v2/:path/blobs/:digest"
)

// registryRoutes are all endpoints of the registry. Where a path fits several,
// the first has it.
var registryRoutes = []*route{
	registryEndpoint("GET", "/v2/", nil, (*Server).registryBase),
	registryEndpoint("GET", "/v2/:path/tags/list", listParameters, (*Server).listTagNames, "pull"),
	registryEndpoint("GET", manifestTemplate, nil, (*Server).showManifest, "pull"),
	registryEndpoint("PUT", manifestTemplate, nil, (*Server).putManifest, "pull", "push"),
	registryEndpoint("DELETE", manifestTemplate, nil, (*Server).deleteManifest, "delete"),
	registryEndpoint("GET", blobTemplate, nil, (*Server).showBlob, "pull"),
	databaseEndpoint("/gitlab/v1/", nil, (*Server).databaseBase),
	databaseEndpoint("/gitlab/v1/repositories/:path/tags/list/", rowsParameters, (*Server).listRows, "pull"),
	databaseEndpoint("/gitlab/v1/repositories/:path/", sizeParameters, (*Server).showStoredRepository, "pull"),
}

var (
	listParameters = parameters{"n": isPositive, "last": anything}
	rowsParameters = parameters{"n": upTo(maxRows), "last": isTagOrNothing, "name_exact": validTag}
	sizeParameters = parameters{"size": oneOf("self")}
)

const (
	// defaultRows is how many tags a page has that nobody gave a size.
	defaultRows = 100
	// maxRows is how many tags a page of /gitlab/v1 can have.
	maxRows = 1000
)

// upTo lets positive numbers pass that are not too large.
func upTo(most int) func(string) bool {
	return func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n > 0 && n <= most
	}
}

func isTagOrNothing(s string) bool { return s == "" || validTag(s) }

// registryDown answers for a registry that cannot be reached or is broken.
func (s *Server) registryDown(c *call) *answer {
	switch {
	case !c.registry:
		return nil
	case c.registryUnreachable:
		panic(http.ErrAbortHandler)
	case s.registryFails(c) || s.closed.Load():
		return unavailable()
	default:
		c.header.Set("Docker-Distribution-Api-Version", "registry/2.0")
		return nil
	}
}

// registryBase answers GET /v2/.
func (s *Server) registryBase(c *call) *answer {
	if !s.options.oldRegistry {
		c.header.Set("Gitlab-Container-Registry-Features", "tag_delete")
		c.header.Set("Gitlab-Container-Registry-Database-Enabled", strconv.FormatBool(s.state.regime == Database))
	}
	return &answer{status: http.StatusOK, body: "{}", contentType: registryJSON}
}
