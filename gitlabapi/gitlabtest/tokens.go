package gitlabtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// tokenService is what the registry is called where tokens are given out.
	tokenService = "container_registry"
	// defaultTokenLife is how long GitLab lets tokens for the registry live.
	defaultTokenLife = 5 * time.Minute
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

// grant answers GET /jwt/auth with a token for what the user may do of what is
// asked for. Whatever is denied is left out in silence.
func (s *Server) grant(c *call) *answer {
	user, known := s.options.tokens[c.token]
	switch {
	case c.query.Get("service") != tokenService:
		return &answer{status: http.StatusNotFound, body: noBody{}}
	case known && !readsRegistry(user), !known && !c.query.Has("scope"):
		return registryFailure(http.StatusForbidden, "DENIED", "access forbidden", nil)
	}
	now := s.options.clock()
	k := claims{
		Audience: tokenService, Issuer: "gitlab-issuer",
		Issued: now.Unix(), Expires: now.Add(s.options.tokenLife).Unix(),
	}
	for _, scope := range c.query["scope"] {
		k.Access = append(k.Access, s.granted(user, scope)...)
	}
	return ok(struct {
		Token string `json:"token"`
	}{s.signer.sign(k)})
}

// readsRegistry says whether a token's scopes open the registry at all.
func readsRegistry(scopes []string) bool {
	return slices.Contains(scopes, "api") || slices.Contains(scopes, "read_registry")
}

// granted returns what a user may do of one scope, which is nothing, or some of
// the actions on one repository. The repository need not exist, only its project.
func (s *Server) granted(user []string, scope string) []access {
	parts := strings.Split(scope, ":")
	if len(parts) != 3 || parts[0] != "repository" {
		return nil
	}
	s.mu.Lock()
	p := s.state.projectOf(parts[1])
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	var actions []string
	for action := range strings.SplitSeq(parts[2], ",") {
		if s.mayDo(user, p, action) && !slices.Contains(actions, action) {
			actions = append(actions, action)
		}
	}
	if actions == nil {
		return nil
	}
	return []access{{Type: "repository", Name: parts[1], Actions: actions}}
}

// mayDo says whether a user may do a thing with a project's registry. Where
// the user is no member there is nothing to be had, though the project be public.
func (s *Server) mayDo(user []string, p *project, action string) bool {
	if p.disabled || p.forbidden || p.notMember || !readsRegistry(user) {
		return false
	}
	writes := slices.Contains(user, "api") && !p.archived
	switch action {
	case "pull":
		return true
	case "push":
		return writes
	case "delete":
		return writes && !s.options.cannotDelete
	default:
		return false
	}
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
