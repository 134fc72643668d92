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

// databaseEndpoint is one that only a registry with a database has. Without a token it is
// 401 on every registry.
func databaseEndpoint(template string, takes parameters, handle func(*Server, *call) *answer, needs ...string) *route {
	r := registryEndpoint("GET", template, takes, handle, needs...)
	admit := r.guard
	r.guard = func(s *Server, c *call) *answer {
		a := admit(s, c)
		if a == nil && s.state.regime == Legacy {
			return noRegistryPage(http.StatusNotFound)
		}
		return a
	}
	return r
}

const (
	manifestTemplate = "/v2/:path/manifests/:reference"
	blobTemplate     = "/v2/:path/blobs/:digest"
)

// registryRoutes are all endpoints of the registry. Where a path fits several,
// the first of them answers.
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
	// defaultRows is how many tags a page has by default.
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

// registryBase answers GET /v2/.
func (s *Server) registryBase(c *call) *answer {
	if !s.options.oldRegistry {
		c.header.Set("Gitlab-Container-Registry-Features", "tag_delete")
		c.header.Set("Gitlab-Container-Registry-Database-Enabled", strconv.FormatBool(s.state.regime == Database))
	}
	return &answer{status: http.StatusOK, body: "{}", contentType: registryJSON}
}

// admit lets a call to the registry pass if its token allows what it needs, and
// challenges every other.
func (s *Server) admit(c *call, needs []string) *answer {
	if s.options.openRegistry {
		return nil
	}
	sent, there := strings.CutPrefix(c.request.Header.Get("Authorization"), "Bearer ")
	claims, valid := s.signer.open(sent, s.options.clock())
	switch {
	case !there:
		return s.challenge(c, needs, "")
	case !valid:
		return s.challenge(c, needs, "invalid_token")
	case !claims.allow(c.params["path"], needs):
		return s.challenge(c, needs, "insufficient_scope")
	default:
		return nil
	}
}

// neededAction is a detail of the registry's 401.
type neededAction struct {
	Type, Class, Name, Action string
}

// challenge answers 401 and says where to get a token, and for what.
func (s *Server) challenge(c *call, needs []string, why string) *answer {
	value := `Bearer realm="` + s.realm(c) + `",service="` + tokenService + `"`
	var detail any
	if len(needs) > 0 {
		path := c.params["path"]
		value += `,scope="repository:` + path + ":" + strings.Join(needs, ",") + `"`
		list := make([]neededAction, len(needs))
		for i, action := range needs {
			list[i] = neededAction{Type: "repository", Name: path, Action: action}
		}
		detail = list
	}
	if why != "" {
		value += `,error="` + why + `"`
	}
	c.header.Set("WWW-Authenticate", value)
	return registryFailure(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required", detail)
}

// realm is the address of /jwt/auth. A registry with a host of its own is configured with
// it; here it is where the API was asked last, unless [WithExternalURL] says it.
func (s *Server) realm(c *call) string {
	switch {
	case c.realm != "":
		return c.realm
	case s.options.externalURL != "":
		return s.options.externalURL + tokenRoute.template
	}
	if asked := s.address.Load(); asked != nil && c.host == registryOnlyHost {
		return *asked + tokenRoute.template
	}
	return c.instance() + tokenRoute.template
}
