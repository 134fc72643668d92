package gitlabtest

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	manifestTemplate = "/v2/:path/manifests/:reference"
	blobTemplate     = "/v2/:path/blobs/:digest"
)

// registryRoutes are all endpoints of the registry. Where a path fits several,
// the first of them answers.
var registryRoutes = []*route{
	registryEndpoint("GET", "/v2/", nil, (*Server).registryBase),
	registryEndpoint("GET", "/v2/:path/tags/list", parameters{"n": isPositive, "last": anything}, (*Server).listTagNames, "pull"),
	registryEndpoint("GET", manifestTemplate, nil, (*Server).showManifest, "pull"),
	registryEndpoint("PUT", manifestTemplate, nil, (*Server).putManifest, "pull", "push"),
	registryEndpoint("DELETE", manifestTemplate, nil, (*Server).deleteManifest, "delete"),
	registryEndpoint("GET", blobTemplate, nil, (*Server).showBlob, "pull"),
	// By this one clients find out whether the registry has a database.
	registryEndpoint("GET", "/gitlab/v1/", nil, func(*Server, *call) *answer { return ok(noBody{}) }),
	registryEndpoint("GET", "/gitlab/v1/repositories/:path/tags/list/", parameters{
		"n": isPageOfRows, "last": func(s string) bool { return s == "" || validTag(s) }, "name_exact": validTag,
	}, (*Server).listRows, "pull"),
}

// registryEndpoint is an endpoint of the registry, which needs a token that
// allows some actions on the repository in its path. What only a registry with a database
// has is 401 without a token on every registry.
func registryEndpoint(method, template string, takes parameters, handle func(*Server, *call) *answer, needs ...string) *route {
	return &route{
		method: method, template: template, parts: strings.Split(template, "/"), takes: takes, handle: handle,
		guard: func(s *Server, c *call) *answer {
			if refused := s.admit(c, needs); refused != nil {
				return refused
			}
			base := s.options.ownAPIAnyway && template == "/gitlab/v1/"
			if s.state.regime == Legacy && strings.HasPrefix(template, "/gitlab/v1/") && !base {
				return noRegistryPage(http.StatusNotFound)
			}
			return nil
		},
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

// admit lets a call to the registry pass if its token allows what it needs, and
// challenges every other: with 401, where to get a token, and for what.
func (s *Server) admit(c *call, needs []string) *answer {
	if s.options.openRegistry {
		return nil
	}
	path, why := c.params["path"], ""
	if token, sent := strings.CutPrefix(c.request.Header.Get("Authorization"), "Bearer "); sent {
		s.mu.Lock()
		given, known := s.tokens[token]
		s.mu.Unlock()
		switch {
		case !known || !s.options.clock().Before(given.expires):
			why = `,error="invalid_token"`
		case given.allows(path, needs):
			return nil
		default:
			why = `,error="insufficient_scope"`
		}
	}
	value := `Bearer realm="` + cmp.Or(c.realm, c.instance()+tokenRoute.template) + `",service="` + tokenService + `"`
	var detail any
	if len(needs) > 0 {
		value += `,scope="repository:` + path + ":" + strings.Join(needs, ",") + `"`
		var list []map[string]string
		for _, action := range needs {
			list = append(list, map[string]string{"Type": "repository", "Class": "", "Name": path, "Action": action})
		}
		detail = list
	}
	c.header.Set("WWW-Authenticate", value+why)
	return registryFailure(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required", detail)
}

const (
	// tokenService is what the registry is called where tokens are given out.
	tokenService = "container_registry"
	// tokenLife is how long GitLab lets tokens for the registry live.
	tokenLife = 5 * time.Minute
)

// tokenRoute stands below the instance's base path, but not below the API's.
var tokenRoute = &route{
	method: "GET", template: "/jwt/auth", parts: []string{"", "jwt", "auth"}, repeats: "scope",
	takes: parameters{
		"account": anything, "client_id": anything, "offline_token": isFlag,
		"scope": anything, "service": anything,
	},
	guard:  (*Server).authenticate,
	handle: (*Server).grant,
}

// registryToken is what a token for the registry allows: actions, by the path of a
// repository.
type registryToken struct {
	actions map[string][]string
	expires time.Time
}

func (t registryToken) allows(path string, needs []string) bool {
	return !slices.ContainsFunc(needs, func(action string) bool { return !slices.Contains(t.actions[path], action) })
}

// authenticate refuses unknown passwords. A request without any is let in: there may be
// public projects.
func (s *Server) authenticate(c *call) *answer {
	_, password, given := c.request.BasicAuth()
	if _, known := s.options.tokens[password]; given && known || c.request.Header.Get("Authorization") == "" {
		return nil
	}
	return registryFailure(http.StatusUnauthorized, "UNAUTHORIZED", "HTTP Basic: Access denied. "+
		"The provided password or token is incorrect or your account has 2FA enabled "+
		"and you must use a personal access token instead of a password.", nil)
}

// grant answers GET /jwt/auth with a token for what the user may do of what is asked for.
// Whatever is denied is left out in silence. A repository need not exist, only its project;
// in a public project without membership nothing is granted.
func (s *Server) grant(c *call) *answer {
	user, known := s.options.tokens[c.token]
	reads := slices.Contains(user, "api") || slices.Contains(user, granular) || slices.Contains(user, "read_registry")
	switch {
	case c.query.Get("service") != tokenService:
		return &answer{status: http.StatusNotFound, body: noBody{}}
	case known && !reads, !known && !c.query.Has("scope"):
		return registryFailure(http.StatusForbidden, "DENIED", "access forbidden", nil)
	}
	given := registryToken{actions: map[string][]string{}, expires: c.at.Add(tokenLife)}
	for _, scope := range c.query["scope"] {
		parts := strings.Split(scope, ":")
		if len(parts) != 3 || parts[0] != "repository" {
			continue
		}
		p := s.state.projectOf(parts[1])
		if p == nil || p.unreadable() || p.NotMember {
			continue
		}
		for action := range strings.SplitSeq(parts[2], ",") {
			full := slices.Contains(user, "api") || slices.Contains(user, granular)
			may := reads
			switch writes := !p.readOnly() && s.options.role >= Developer; action {
			case "pull":
			case "push":
				may = writes && (full || slices.Contains(user, "write_registry"))
			case "delete":
				may = writes && full
			default:
				may = false
			}
			if may {
				given.actions[parts[1]] = append(given.actions[parts[1]], action)
			}
		}
	}
	access := []map[string]any{}
	for name, actions := range given.actions {
		access = append(access, map[string]any{"type": "repository", "name": name, "actions": actions})
	}
	// Clients read in it what it is for, and how long. Only the server would look at the
	// signature, and it remembers its tokens.
	claims, err := json.Marshal(map[string]any{"access": access, "aud": tokenService, "iat": c.at.Unix(), "exp": given.expires.Unix()})
	mustBe(err == nil, "%v", err)
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims) + "." + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = given
	return ok(map[string]string{"token": token})
}

// projectOf returns the project that a path in the registry lies in, nil if
// there is none.
func (st *state) projectOf(path string) *project {
	for ok := true; ok; path, _, ok = cutLast(path) {
		if p := st.byPath[path]; p != nil {
			return p
		}
	}
	return nil
}
