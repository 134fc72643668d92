package gitlabtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

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
		Issued: now.Unix(), Expires: now.Add(tokenLife).Unix(),
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
// In a public project without membership nothing is granted.
func (s *Server) granted(user []string, scope string) []access {
	parts := strings.Split(scope, ":")
	if len(parts) != 3 || parts[0] != "repository" {
		return nil
	}
	s.mu.Lock()
	p := s.state.projectOf(parts[1])
	s.mu.Unlock()
	if p == nil || p.disabled || p.forbidden || p.notMember || !readsRegistry(user) {
		return nil
	}
	allowed := []string{"pull"}
	if slices.Contains(user, "api") && !p.archived {
		allowed = append(allowed, "push", "delete")
	}
	var actions []string
	for action := range strings.SplitSeq(parts[2], ",") {
		if slices.Contains(allowed, action) && !slices.Contains(actions, action) {
			actions = append(actions, action)
		}
	}
	if actions == nil {
		return nil
	}
	return []access{{Type: "repository", Name: parts[1], Actions: actions}}
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

// claims are what a token for the registry says.
type claims struct {
	Access   []access `json:"access"`
	Audience string   `json:"aud"`
	Issuer   string   `json:"iss"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// access is what may be done with one repository.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
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

// signer makes tokens that say themselves what they allow, so that the server
// need not remember any.
type signer struct{ key []byte }

func newSigner(seed uint64) signer {
	key := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("registry"), seed))
	return signer{key[:]}
}

var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func (s signer) sign(k claims) string {
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(encode(k))
	return signed + "." + s.signature(signed)
}

func (s signer) signature(signed string) string {
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open returns what a token says, if the signer made it and it has not run out.
func (s signer) open(token string, now time.Time) (*claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !hmac.Equal([]byte(token[i+1:]), []byte(s.signature(token[:i]))) {
		return nil, false
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, false
	}
	k := &claims{}
	if err := json.Unmarshal(text, k); err != nil {
		return nil, false
	}
	return k, now.Before(time.Unix(k.Expires, 0))
}
