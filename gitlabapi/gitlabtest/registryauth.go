package gitlabtest

import (
	"net/http"
	"slices"
	"strings"
)

// admit lets a call to the registry in whose token allows what it needs, and
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

// allow says whether all the actions are among those granted.
func (k *claims) allow(path string, needs []string) bool {
	for _, action := range needs {
		granted := slices.ContainsFunc(k.Access, func(a access) bool {
			return a.Name == path && slices.Contains(a.Actions, action)
		})
		if !granted {
			return false
		}
	}
	return true
}

// neededAction is a detail of the registry's 401.
type neededAction struct {
	Type, Class, Name, Action string
}

// challenge answers 401 and says where a token is to be had, and for what.
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

// realm is the address of /jwt/auth. A registry with a host of its own was told
// the instance's; a stand-in that was not takes it from who asked the API.
func (s *Server) realm(c *call) string {
	switch {
	case c.realm != "":
		return c.realm
	case s.options.externalURL != "":
		return s.options.externalURL + tokenRoute.template
	}
	if asked := s.address.Load(); asked != nil && s.apart(c) {
		return *asked + tokenRoute.template
	}
	return c.instance() + tokenRoute.template
}

// apart says whether the call came to a host that is not the instance's.
func (s *Server) apart(c *call) bool { return c.door == registryDoor }
