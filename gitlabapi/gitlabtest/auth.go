package gitlabtest

import (
	"net/http"
	"slices"
	"strings"
)

// tokenOf returns the token of a request, "" if it has none.
func tokenOf(r *http.Request) string {
	if token := r.Header.Get("PRIVATE-TOKEN"); token != "" {
		return token
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// authorize refuses a call that its token does not allow.
func (s *Server) authorize(c *call) *answer {
	scopes, known := s.options.tokens[c.token]
	if !known {
		return failure(http.StatusUnauthorized, "Unauthorized")
	}
	reads := c.route.method == http.MethodGet
	if slices.Contains(scopes, "api") || reads && slices.Contains(scopes, "read_api") {
		return nil
	}
	return &answer{status: http.StatusForbidden, body: problem{
		Error:       "insufficient_scope",
		Description: "The request requires higher privileges than provided by the access token.",
		Scope:       "api",
	}}
}

// showToken answers GET /personal_access_tokens/self.
func (s *Server) showToken(c *call) *answer {
	return ok(struct {
		ID         int64    `json:"id"`
		Name       string   `json:"name"`
		Revoked    bool     `json:"revoked"`
		CreatedAt  string   `json:"created_at"`
		Scopes     []string `json:"scopes"`
		UserID     int64    `json:"user_id"`
		LastUsedAt *string  `json:"last_used_at"`
		Active     bool     `json:"active"`
		ExpiresAt  string   `json:"expires_at"`
	}{
		ID: 1, Name: "registry-gc", CreatedAt: rowTime(Created),
		Scopes: s.options.tokens[c.token], UserID: 2, Active: true,
		ExpiresAt: s.options.clock().AddDate(0, 6, 0).UTC().Format("2006-01-02"),
	})
}
