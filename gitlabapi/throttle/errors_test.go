package throttle

import (
	"errors"
	"strings"
	"testing"
)

// TestWhoAnswered: a page for people is called what it is and is none of what GitLab means by its
// status, and an instance that takes no writes says nothing about the rights of the token's user.
func TestWhoAnswered(t *testing.T) {
	classes := []error{ErrForbidden, ErrNotFound, ErrReadOnly, ErrPage, ErrInsufficientScope}
	const page = "text/html; charset=utf-8"
	for name, test := range map[string]struct {
		method      string
		status      int
		body        string
		contentType string
		want        error
		says        string
	}{
		"forbidden":                 {"DELETE", 403, `{"message":"403 Forbidden"}`, "application/json", ErrForbidden, "403 Forbidden"},
		"a firewall's page":         {"DELETE", 403, "<html><head>\n<title> 403 &amp; out </title></head></html>", page, ErrPage, "a proxy or firewall answered, with a page: 403 & out"},
		"a proxy's page":            {"GET", 404, "<html>", page, ErrPage, "a proxy or firewall answered, with a page"},
		"a proxy that has no other": {"GET", 502, "<html><TITLE>502 Bad Gateway</TITLE>", "TEXT/HTML", ErrPage, "502 Bad Gateway"},
		"not found":                 {"GET", 404, `{"message":"404 Tag Not Found"}`, "application/json", ErrNotFound, "404 Tag Not Found"},
		"read-only":                 {"DELETE", 403, `{"message":"You cannot perform write operations on a read-only instance"}`, "application/json", ErrReadOnly, "read-only instance"},
		"maintenance":               {"POST", 503, `{"message":"GitLab Maintenance: system is in maintenance mode"}`, "application/json", ErrReadOnly, "maintenance mode"},
		"a read in maintenance":     {"GET", 403, `{"message":"GitLab Maintenance: system is in maintenance mode"}`, "application/json", ErrForbidden, "maintenance mode"},
		"a tag of that name":        {"DELETE", 400, `{"message":"400 Bad request: maintenance mode"}`, "application/json", nil, "400 Bad request"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, answering(test.status, test.body, "Content-Type", test.contentType), Config{})
			err := request(t.Context(), c, test.method, "/api/v4/projects/1", "", Request{})
			said, ok := errors.AsType[*StatusError](err)
			if !ok || !strings.Contains(said.Message, test.says) {
				t.Fatalf("%v, want it to say %q", err, test.says)
			}
			for _, class := range classes {
				if errors.Is(err, class) != (class == test.want) {
					t.Errorf("%v: of class %q: %v", err, class, errors.Is(err, class))
				}
			}
		})
	}
}
