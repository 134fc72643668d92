package gitlabapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

// TestNoErrorHoldsTheToken has a server that puts the token wherever its answers end
// up in an error.
func TestNoErrorHoldsTheToken(t *testing.T) {
	quoted := func(s string) string { text, _ := json.Marshal(s); return string(text) }
	body := func(status int, s string, header ...string) wire { return answering(status, s, header...) }
	for name, network := range map[string]wire{
		"message":              body(403, `{"message":"403 `+secretToken+` is bad"}`),
		"message as an object": body(400, `{"message":{"`+secretToken+`":["is `+secretToken+`"]}}`),
		"escaped":              body(400, `{"message":"\u0067lpat`+strings.TrimPrefix(secretToken, "glpat")+`"}`),
		"error":                body(401, `{"error":"`+secretToken+`"}`),
		"scope error":          body(403, `{"error":"`+secretToken+`","error_description":"x"}`),
		"description":          body(403, `{"error":"insufficient_scope","error_description":"`+secretToken+`"}`),
		"at the cut":           body(400, `{"message":`+quoted(strings.Repeat("x", maxMessage-7)+secretToken)+`}`),
		"odd success":          body(203, `{"message":"`+secretToken+`"}`),
		"odd success, no JSON": body(206, secretToken),
		"date":                 body(200, `{"name":"tag","created_at":"`+secretToken+`"}`),
		"date in a list":       body(200, `[{"name":"tag","created_at":"`+secretToken+`"}]`),
		"no JSON":              body(200, secretToken),
		"another type":         body(200, `"`+secretToken+`"`),
		"content type":         body(200, "", "Content-Type", "text/"+secretToken),
		"GraphQL's word":       body(200, `{"errors":[{"message":"`+secretToken+`","path":["`+secretToken+`"],"extensions":{"code":"`+secretToken+`"}}]}`),
		"GraphQL's schema":     body(200, `{"errors":[{"message":"Field '`+secretToken+`' doesn't exist on type 'x'"}]}`),
		"GraphQL's status":     body(401, `{"errors":[{"message":"`+secretToken+`"}]}`),
		"redirect path":        body(302, "", "Location", "https://elsewhere.example/"+secretToken),
		"redirect host":        body(302, "", "Location", "https://"+secretToken+".example/"),
		"redirect query":       body(302, "", "Location", "https://elsewhere.example/?private_token="+secretToken),
		"redirect user":        body(302, "", "Location", "https://"+secretToken+"@elsewhere.example/"),
		"malformed redirect":   body(302, "", "Location", "http://[::1"+secretToken),
		"link host":            body(200, `[{"name":"a"}]`, "Link", `<https://`+secretToken+`.example/>; rel="next"`),
		"link path":            body(200, `[{"name":"a"}]`, "Link", `</`+secretToken+`>; rel="next"`),
		"malformed link":       body(200, `[{"name":"a"}]`, "Link", `<http://[::1`+secretToken+`>; rel="next"`),
		"next page":            body(200, `[{"name":"a"}]`, "X-Next-Page", secretToken),
		"the path it leads to": func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, secretToken) {
				return reply(req, 404, `{"message":"404 Not Found"}`), nil
			}
			return reply(req, 302, "", "Location", "/"+secretToken), nil
		},
		"network": func(*http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", secretToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, network, Config{})
			for _, err := range everyMethod(t, c) {
				for ; err != nil; err = errors.Unwrap(err) {
					for _, way := range wiretest.Shows(err, secretToken) {
						t.Errorf("%T shows the token: %s", err, way)
					}
					if len(err.Error()) > 2*maxMessage {
						t.Errorf("%T has a text of %d bytes", err, len(err.Error()))
					}
				}
			}
		})
	}
}

// everyMethod asks for everything that a client can ask for and returns the errors by
// method, nil for none.
func everyMethod(t *testing.T, c *Client) map[string]error {
	ctx := t.Context()
	errs := make(map[string]error)
	_, errs["Tags"] = c.Tags(ctx, somewhere)
	_, errs["HasTags"] = c.HasTags(ctx, somewhere)
	_, errs["TagDetails"] = c.TagDetails(ctx, somewhere, "tag")
	errs["DeleteTag"] = c.DeleteTag(ctx, ctx, somewhere, "tag")
	_, errs["Regime"] = c.Regime(ctx, somewhere)
	_, errs["Project"] = c.Project(ctx, "group/app")
	errs["Group"] = c.Group(ctx, "group")
	_, errs["ProjectRepositories"] = c.ProjectRepositories(ctx, 1)
	_, errs["GroupRepositories"] = c.GroupRepositories(ctx, "group")
	errs["CheckToken"] = c.CheckToken(ctx, true)
	_, errs["DeleteTags"] = c.DeleteTags(ctx, ctx, []Deletion{{somewhere, []string{"tag"}}})
	for _, err := range c.ProjectPages(ctx, true) {
		errs["ProjectPages"] = err
	}
	errs["RepositoriesOf"] = c.RepositoriesOf(ctx, []Project{{ID: 1, Path: "a/b"}, {ID: 2, Path: "a/c"}})[0].Err
	for _, err := range c.Projects(ctx, true) {
		errs["Projects"] = err
	}
	for _, err := range c.GroupProjects(ctx, "group") {
		errs["GroupProjects"] = err
	}
	return errs
}
