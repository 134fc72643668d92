package throttle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// verbs are a request of each method that is sent.
var verbs = map[string]func(context.Context, *Client) error{
	http.MethodGet: ask,
	http.MethodDelete: func(ctx context.Context, c *Client) error {
		return request(ctx, c, http.MethodDelete, aRead+"/tag", "", Request{})
	},
	http.MethodPost: func(ctx context.Context, c *Client) error {
		return request(ctx, c, http.MethodPost, "/api/graphql", "{}", Request{})
	},
}

// success is the body of an answer that satisfies one of them.
func success(method string) string {
	if method == http.MethodPost {
		return `{"data":{"d0":{"deletedTagNames":["tag"]}}}`
	}
	return "[]"
}

// TestWhatIsRepeated counts the attempts of requests that fail for ever.
func TestWhatIsRepeated(t *testing.T) {
	const maxRetries = 4
	failing := func(err error) wire {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	cut := wire(func(req *http.Request) (*http.Response, error) {
		resp := reply(req, 200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`[{"na`), failingReader{}))
		return resp, nil
	})
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	tests := []struct {
		name    string
		network wire
		repeats bool
	}{
		{"connection refused", failing(dial(syscall.ECONNREFUSED)), true},
		{"connection reset", failing(syscall.ECONNRESET), true},
		{"cut before the answer", failing(io.EOF), true},
		{"cut in the answer", cut, true},
		{"name server out of reach", failing(dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true})), true},
		{"no such host", failing(dial(&net.DNSError{Err: "no such host", IsNotFound: true})), false},
		{"unknown authority", failing(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false},
		{"bare unknown authority", failing(x509.UnknownAuthorityError{}), false},
		{"wrong host in the certificate", failing(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}), false},
		{"no TLS there", failing(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), false},
		{"HTML", answering(200, "<html>", "Content-Type", "text/html"), false},
		{"foreign redirect", answering(302, "", "Location", "https://elsewhere.example/"), false},
		{"redirect without an address", answering(302, ""), false},
	}
	for status, repeats := range map[int]bool{
		400: false, 401: false, 403: false, 404: false, 405: false, 408: false, 409: false, 412: false, 422: false, 423: false, 425: false,
		429: true, 500: true, 501: false, 502: true, 503: true, 504: true, 505: false, 507: false,
	} {
		tests = append(tests, struct {
			name    string
			network wire
			repeats bool
		}{fmt.Sprint(status), answering(status, `{"message":"x"}`), repeats})
	}
	for _, test := range tests {
		for method, send := range verbs {
			t.Run(method+" "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					want := int64(1)
					if test.repeats {
						want += maxRetries
					}
					c := newTestClient(t, test.network, Config{MaxRetries: maxRetries})
					if err := send(t.Context(), c); err == nil {
						t.Error("no error")
					}
					if got := c.Stats(); got.Requests != want || got.Retries != want-1 {
						t.Errorf("%d requests and %d retries, want %d and %d", got.Requests, got.Retries, want, want-1)
					}
				})
			})
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestOnlyReadsAndDeletionsAreRepeated asks about methods that the client does not
// send yet.
func TestOnlyReadsAndDeletionsAreRepeated(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		req := httptest.NewRequest(method, "https://gitlab.example", nil)
		if isRepeatable(req, reply(req, 503, "")) {
			t.Errorf("%s is repeated after 503", method)
		}
	}
}

func TestARequestThatRecoversSucceeds(t *testing.T) {
	for method, send := range verbs {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newArrivals()
				network := wire(func(req *http.Request) (*http.Response, error) {
					if req.Header.Get("PRIVATE-TOKEN") != secretToken || req.Method != method {
						t.Errorf("attempt %d is %s with token %q", len(d.Times()), req.Method, req.Header.Get("PRIVATE-TOKEN"))
					}
					switch d.Add() {
					case 0:
						return nil, syscall.ECONNRESET
					case 1:
						return reply(req, 502, "<html>Bad Gateway</html>", "Content-Type", "text/html"), nil
					case 2:
						resp := reply(req, 200, "")
						resp.Body = io.NopCloser(failingReader{})
						return resp, nil
					default:
						return reply(req, 200, success(method)), nil
					}
				})
				c := newTestClient(t, network, Config{MaxRetries: 3})
				if err := send(t.Context(), c); err != nil {
					t.Error(err)
				}
				// Between attempts n and n+1 lie 250 ms doubled n times, up to twice that.
				for i, at := range d.Times()[1:] {
					wait, least := at-d.Times()[i], firstBackoff/2<<i
					if wait < least || wait > 2*least {
						t.Errorf("waited %v before attempt %d, want between %v and %v", wait, i+2, least, 2*least)
					}
				}
			})
		})
	}
}

func TestBackoffDoublesWithinBounds(t *testing.T) {
	for attempt, ceiling := range []time.Duration{
		500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
		8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second,
	} {
		var least, most = time.Hour, time.Duration(0)
		for range 2000 {
			wait := backoff(attempt, reply(nil, 500, ""))
			least, most = min(least, wait), max(most, wait)
		}
		if least < ceiling/2 || most > ceiling {
			t.Errorf("attempt %d waits between %v and %v, want %v to %v", attempt, least, most, ceiling/2, ceiling)
		}
		if most-least < ceiling/4 {
			t.Errorf("attempt %d waits between %v and %v: hardly left to chance", attempt, least, most)
		}
	}
	if got := backoff(1_000_000, nil); got < maxBackoff/2 || got > maxBackoff {
		t.Errorf("after a million attempts: %v", got)
	}
}

// TestRealCertificateErrorsAreNotRepeated asks real servers, since what the TLS
// package returns is not ours to guess.
func TestRealCertificateErrorsAreNotRepeated(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it is meant to complain
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	trusting := secure.Client().Transport
	for _, test := range []struct {
		name, url string
		transport http.RoundTripper
	}{
		{"unknown authority", secure.URL, http.DefaultTransport.(*http.Transport).Clone()},
		{"another host's certificate", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), trusting},
		{"HTTP where HTTPS was asked", "https" + strings.TrimPrefix(plain.URL, "http"), trusting},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTestClient(t, test.transport, Config{URL: test.url, MaxRetries: 1})
			err := ask(t.Context(), c)
			if _, ok := errors.AsType[*RequestError](err); !ok {
				t.Errorf("got %v, want a RequestError", err)
			}
			if got := c.Stats().Requests; got != 1 {
				t.Errorf("%d requests, want 1: %v", got, err)
			}
		})
	}
}

// TestTheCauseOfARetryIsLogged, each attempt's own, and neither the token nor an address
// with its query.
func TestTheCauseOfARetryIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newArrivals()
		network := wire(func(req *http.Request) (*http.Response, error) {
			switch d.Add() {
			case 0:
				return reply(req, 502, ""), nil
			case 1:
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused " + secretToken)}
			default:
				return reply(req, 200, "[]"), nil
			}
		})
		var text strings.Builder
		c := newTestClient(t, network, Config{MaxRetries: 3, Log: slog.New(slog.NewTextHandler(&text, nil))})
		if err := ask(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) != 2 || !strings.HasSuffix(lines[0], `attempt=2 cause="status 502"`) ||
			!strings.HasSuffix(lines[1], `attempt=3 cause="dial tcp: refused [redacted]"`) {
			t.Errorf("%s", text.String())
		}
	})
}

// TestAdviceInErrors: an error that one setting mends names it.
func TestAdviceInErrors(t *testing.T) {
	plain := Config{URL: "http://gitlab.example"}
	for name, test := range map[string]struct {
		network wire
		config  Config
		want    string
	}{
		"https of the same host": {answering(301, "", "Location", "https://gitlab.example/api/v4/x"), plain, ": GITLAB_URL must begin with https://"},
		"https of another":       {answering(301, "", "Location", "https://elsewhere.example/"), plain, ": GITLAB_URL must be the instance's own address"},
		"an authority": {func(*http.Request) (*http.Response, error) {
			return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
		}, Config{}, ": SSL_CERT_FILE must name a file with the authority that signed it"},
	} {
		err := ask(t.Context(), newTestClient(t, test.network, test.config))
		if err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheCauseOfARetryHidesTheCredential of the registry, which is not the access token.
func TestTheCauseOfARetryHidesTheCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		network := wire(func(*http.Request) (*http.Response, error) {
			return nil, errors.New(`malformed HTTP response "s3cretcredential"`)
		})
		c := newTestClient(t, network, Config{MaxRetries: 1, Log: slog.New(slog.NewTextHandler(&text, nil))})
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/", nil)
		req.Header.Set("Authorization", "Bearer s3cretcredential")
		_, err := c.Do(req, Request{Server: Registry})
		if got := text.String(); !strings.Contains(got, "malformed HTTP response") || strings.Contains(got+err.Error(), "s3cret") {
			t.Error(got, err)
		}
	})
}

// TestAdviceInErrorsOfTheRegistry: there the same redirect is about another variable.
func TestAdviceInErrorsOfTheRegistry(t *testing.T) {
	c := newTestClient(t, answering(301, "", "Location", "https://registry.example/v2/"), Config{})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example/v2/", nil)
	if _, err := c.Do(req, Request{Server: Registry, NoRedirect: true}); err == nil || !strings.HasSuffix(err.Error(), ": REGISTRY_URL must begin with https://") {
		t.Error(err)
	}
}
