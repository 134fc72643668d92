package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestAnswersThatAreNotGitLabs gives every method answers of the wrong kind. None may
// be taken for an answer, and none may bring the program down.
func TestAnswersThatAreNotGitLabs(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[null]`, `[null,{"id":1,"name":"a"}]`, `42`, `true`, `"tag"`, `{`, `[`, `[{]`, `[[]]`, `{}`, `[{}]`, `[{"name":null,"id":null}]`,
		`{"id":"x","name":7,"scopes":"api"}`, `[{"id":"x","name":7}]`, "\x00", "\xff\xfe", `{"name":"another"}`,
		strings.Repeat("[", 100_000), strings.Repeat(`{"name":`, 100_000),
	} {
		t.Run(fmt.Sprintf("%.20q", body), func(t *testing.T) {
			errs := everyMethod(t, newTestClient(t, answering(200, body), Config{}))
			delete(errs, "DeleteTag") // GitLab's own answer to it is the number 200
			if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "}]") || strings.HasPrefix(body, "[null") {
				delete(errs, "Regime") // which it leaves unknown
			}
			if strings.HasPrefix(body, "{") {
				delete(errs, "CheckToken") // some tokens are described by less
			}
			for _, method := range slices.Sorted(maps.Keys(errs)) {
				if errs[method] == nil {
					t.Errorf("%s takes it for an answer", method)
				} else if _, ok := errors.AsType[*throttle.FormatError](errs[method]); !ok {
					t.Errorf("%s: got %v, want a throttle.FormatError", method, errs[method])
				}
			}
		})
	}
}

// TestPagesInsteadOfJSON: a sign-in page with status 200 is no answer.
func TestPagesInsteadOfJSON(t *testing.T) {
	for _, kind := range []string{"text/html", "text/html; charset=utf-8", "TEXT/HTML"} {
		c := newTestClient(t, answering(200, "[]<html>", "Content-Type", kind), Config{})
		for method, err := range everyMethod(t, c) {
			if _, ok := errors.AsType[*throttle.FormatError](err); !ok {
				t.Errorf("%s of %s: got %v, want a throttle.FormatError", method, kind, err)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/xml", "application/octet-stream"} {
		c := newTestClient(t, answering(200, "[]", "Content-Type", kind), Config{})
		if _, ok := errors.AsType[*throttle.FormatError](ask(t.Context(), c)); !ok {
			t.Errorf("%s is taken for JSON", kind)
		}
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/problem+json", ""} {
		c := newTestClient(t, answering(200, "[]", "Content-Type", kind), Config{})
		if err := ask(t.Context(), c); err != nil {
			t.Errorf("%q is not taken for JSON: %v", kind, err)
		}
	}
}

func TestErrorBodiesAreBoundedAndHarmless(t *testing.T) {
	evil := "a\r\nb\x1b[31mc\x00d\u2028e\u202ef\x7fg\u0085h"
	message := func(text string) string { return fmt.Sprintf(`{"message":%s}`, quoteJSON(text)) }
	for name, test := range map[string]struct{ body, want string }{
		"plain":              {message("404 Tag Not Found"), "404 Tag Not Found"},
		"controls":           {message(evil), "a  b [31mc d e f g h"},
		"letters":            {message("naïve 日本 é"), "naïve 日本 é"},
		"long":               {message(strings.Repeat("x", 5000)), strings.Repeat("x", 1024)},
		"long letters":       {message("x" + strings.Repeat("日", 5000)), "x" + strings.Repeat("日", 341)},
		"invalid letters":    {"{\"message\":\"" + strings.Repeat("\xff", 2000) + "\"}", strings.Repeat(" ", 1024)},
		"object":             {`{"message":{"name":["is bad"]}}`, `{"name":["is bad"]}`},
		"object of ampers":   {`{"message":{"name":["<a> & b"]}}`, `{"name":["<a> & b"]}`},
		"error":              {`{"error":"404 Not Found"}`, "404 Not Found"},
		"description":        {`{"error":"insufficient_scope","error_description":"It needs more."}`, "It needs more."},
		"HTML":               {"<html>" + evil, ""},
		"empty":              {"", ""},
		"10 MB of nothing":   {strings.Repeat(" ", 10<<20), ""},
		"10 MB of a message": {message(strings.Repeat("y", 10<<20)), ""},
		"list":               {`["x"]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			read := 0
			network := wire(func(req *http.Request) (*http.Response, error) {
				resp := reply(req, 400, test.body)
				read = 0
				resp.Body = &counted{strings.NewReader(test.body), &read}
				return resp, nil
			})
			errs := everyMethod(t, newTestClient(t, network, Config{}))
			if read > maxErrorBody+1 {
				t.Errorf("read %d bytes of an error", read)
			}
			for method, err := range errs {
				if method == "CheckToken" {
					continue // takes a 400 for a kind of token that the instance cannot describe
				}
				status, ok := errors.AsType[*throttle.StatusError](err)
				if !ok {
					t.Fatalf("%s: got %v, want a throttle.StatusError", method, err)
				}
				if status.Message != test.want {
					t.Errorf("%s: message %.80q, want %.80q", method, status.Message, test.want)
				}
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%s: not fit to be shown: %q", method, err.Error())
				}
			}
		})
	}
}

// TestGraphQLsWordsAreBoundedAndHarmless: they come with status 200.
func TestGraphQLsWordsAreBoundedAndHarmless(t *testing.T) {
	for name, test := range map[string]struct {
		messages []string
		want     string
	}{
		"one":      {[]string{"odd"}, "odd"},
		"several":  {[]string{"a", "b", "a", "c", "d"}, "a; b; c"},
		"controls": {[]string{"a\r\nb\x1b[31m\u202e"}, "a  b [31m "},
		"long":     {[]string{strings.Repeat("x", 64<<10), "b"}, strings.Repeat("x", maxMessage)},
		"empty":    {[]string{""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := mustMarshal(t, object{"errors": saying(test.messages...)})
			_, err := newTestClient(t, answering(200, body), Config{}).DeleteTags(t.Context(), t.Context(), []Deletion{{somewhere, []string{"tag"}}})
			says, ok := errors.AsType[*graphQLError](err)
			if !ok || says.message != test.want {
				t.Errorf("got %.100v, want %.100q", err, test.want)
			}
		})
	}
}

func quoteJSON(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if r < ' ' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// What package throttle keeps and reads of an answer that is no success.
const (
	maxMessage   = 1024
	maxErrorBody = 64 << 10
)

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n *int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}

func (*counted) Close() error { return nil }

func TestAnswersLargerThanAnyPageAreRefused(t *testing.T) {
	for _, test := range []struct {
		size    int
		refused bool
	}{{throttle.MaxBody, false}, {throttle.MaxBody + 1, true}, {throttle.MaxBody * 3, true}} {
		read := 0
		network := wire(func(req *http.Request) (*http.Response, error) {
			resp := reply(req, 200, "")
			resp.Body = &counted{strings.NewReader("[]" + strings.Repeat(" ", test.size-2)), &read}
			return resp, nil
		})
		_, err := newTestClient(t, network, Config{MaxRetries: 3}).Tags(t.Context(), somewhere)
		if _, ok := errors.AsType[*throttle.FormatError](err); ok != test.refused || err != nil != test.refused {
			t.Errorf("%d bytes: %v", test.size, err)
		}
		if read > throttle.MaxBody+1 {
			t.Errorf("read %d bytes of %d, or more than once", read, test.size)
		}
	}
}

// TestForeignRedirectsReachNobody redirects between real servers, one of which must
// not hear anything at all.
func TestForeignRedirectsReachNobody(t *testing.T) {
	var heard atomic.Int64
	listen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "[]")
	})
	foreign := httptest.NewServer(listen)
	defer foreign.Close()
	secure := httptest.NewTLSServer(listen)
	defer secure.Close()
	var target func(*http.Request) string
	status := http.StatusFound
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved") {
			listen(w, r)
			return
		}
		w.Header().Set("Location", target(r))
		w.WriteHeader(status)
	}))
	defer instance.Close()
	asked := func(scheme, host string) func(*http.Request) string {
		return func(r *http.Request) string { return scheme + "://" + host + r.URL.RequestURI() }
	}
	host := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for name, where := range map[string]func(*http.Request) string{
		"another port":   asked("http", host(foreign)),
		"another scheme": asked("https", host(secure)),
		"another name":   asked("http", strings.Replace(host(instance), "127.0.0.1", "localhost", 1)),
		"no scheme":      func(*http.Request) string { return "//" + host(foreign) + "/moved" },
		"user":           asked("http", "user@"+host(foreign)),
	} {
		for _, status = range []int{301, 302, 303, 307, 308} {
			for method, send := range verbs {
				t.Run(fmt.Sprintf("%s of %d %s", name, status, method), func(t *testing.T) {
					target = where
					heard.Store(0)
					c := newTestClient(t, secure.Client().Transport, Config{URL: instance.URL})
					_, refused := errors.AsType[*throttle.RedirectError](send(t.Context(), c))
					if !refused {
						t.Error("not refused")
					}
					if heard.Load() != 0 {
						t.Error("the other host was asked")
					}
				})
			}
		}
	}
	t.Run("another scheme of the same host", func(t *testing.T) {
		network := wire(func(req *http.Request) (*http.Response, error) {
			if req.URL.Scheme != "https" {
				t.Errorf("%s was asked", req.URL)
			}
			return reply(req, 302, "", "Location", "http://gitlab.example/moved"), nil
		})
		if _, refused := errors.AsType[*throttle.RedirectError](ask(t.Context(), newTestClient(t, network, Config{}))); !refused {
			t.Error("not refused")
		}
	})
	t.Run("a GET within the instance is followed", func(t *testing.T) {
		target = func(*http.Request) string { return "/moved" }
		status = http.StatusMovedPermanently
		heard.Store(0)
		if err := ask(t.Context(), newTestClient(t, http.DefaultTransport, Config{URL: instance.URL})); err != nil || heard.Load() != 1 {
			t.Errorf("asked %d times, %v", heard.Load(), err)
		}
	})
	t.Run("a deletion within the instance is no success", func(t *testing.T) {
		for _, status = range []int{301, 302, 303, 307, 308} {
			heard.Store(0)
			err := newTestClient(t, http.DefaultTransport, Config{URL: instance.URL}).DeleteTag(t.Context(), t.Context(), somewhere, "tag")
			if _, refused := errors.AsType[*throttle.RedirectError](err); !refused || heard.Load() != 0 {
				t.Errorf("%d: asked %d times, %v", status, heard.Load(), err)
			}
		}
	})
	t.Run("a circle ends", func(t *testing.T) {
		target, status = func(r *http.Request) string { return r.URL.RequestURI() }, http.StatusFound
		c := newTestClient(t, http.DefaultTransport, Config{URL: instance.URL, MaxRetries: 3})
		if _, refused := errors.AsType[*throttle.RedirectError](ask(t.Context(), c)); !refused {
			t.Error("not refused")
		}
		if got := c.Stats(); got.Requests > 4 || got.Retries != 0 {
			t.Errorf("Stats() = %+v", got)
		}
	})
}

// TestStatusErrorsAreSorted pins which errors are of which class.
func TestStatusErrorsAreSorted(t *testing.T) {
	classes := map[string]error{
		"unauthorized": throttle.ErrUnauthorized, "scope": throttle.ErrInsufficientScope, "forbidden": throttle.ErrForbidden, "not found": throttle.ErrNotFound, "tag": ErrTagNotFound,
	}
	for _, test := range []struct {
		status int
		body   string
		want   string
	}{
		{401, `{"message":"401 Unauthorized"}`, "unauthorized"},
		{401, `{"error":"invalid_token","error_description":"Token was revoked."}`, "unauthorized"},
		{403, `{"message":"403 Forbidden"}`, "forbidden"},
		{403, `{"error":"insufficient_scope","error_description":"x","scope":"api"}`, "forbidden scope"},
		{403, `{"message":"insufficient_scope"}`, "forbidden"},
		{400, `{"error":"insufficient_scope"}`, ""},
		{404, `{"message":"404 Tag Not Found"}`, "not found tag"},
		{404, `{"message":"404 tag not found"}`, "not found tag"},
		{404, `{"message":"404 Project Not Found"}`, "not found"},
		{404, `{"message":"404 Not found"}`, "not found"},
		{404, `{"message":"404 Tag Not Found in cache"}`, "not found"},
		{404, `{"message":"Tag Not Found"}`, "not found"},
		{404, `{"message":{"tag":"404 Tag Not Found"}}`, "not found"},
		{404, `{"error":"404 Not Found"}`, "not found"},
		{404, `<html>404 Tag Not Found</html>`, "not found"},
		{404, `404 Tag Not Found`, "not found"},
		{404, ``, "not found"},
		{405, `{"message":"404 Tag Not Found"}`, ""},
		{500, `{"message":"404 Tag Not Found"}`, ""},
	} {
		_, err := newTestClient(t, answering(test.status, test.body), Config{}).TagDetails(t.Context(), somewhere, "tag")
		var got []string
		for _, name := range slices.Sorted(maps.Keys(classes)) {
			if errors.Is(err, classes[name]) {
				got = append(got, name)
			}
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%d %s is %q, want %q", test.status, test.body, text, test.want)
		}
	}
}

// verbs are a request of each method that the client sends.
var verbs = map[string]func(context.Context, *Client) error{
	http.MethodGet: ask,
	http.MethodDelete: func(ctx context.Context, c *Client) error {
		return c.DeleteTag(ctx, ctx, somewhere, "tag")
	},
	http.MethodPost: func(ctx context.Context, c *Client) error {
		_, err := c.DeleteTags(ctx, ctx, []Deletion{{somewhere, []string{"tag"}}})
		return err
	},
}
