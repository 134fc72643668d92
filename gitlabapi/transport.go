package gitlabapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxErrorBody is how much is read of an answer that is no success, in bytes.
const maxErrorBody = 64 << 10

// transport sends one attempt of a request. It sits under the retries of GitLab's
// client, so that every attempt is counted, limited and timed like a first one.
//
// The gate counts an attempt from when it passes until its body is read: that bounds
// the requests in flight, and with them the memory that answers take. A cancelled
// context ends the wait at the gate and the exchange itself.
type transport struct {
	base    http.RoundTripper
	gate    *gate
	timeout time.Duration // of one attempt, from when it is sent; 0: none
	count   *counters
}

// RoundTrip implements [http.RoundTripper]. The body of the response is in memory
// already: a connection that breaks off half-way is an error here, where the retries
// see it.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	d := departureOf(req.Context())
	expected := expectationOf(req.Context())
	kind := kindOf(req, expected.from)
	if t.gate.wait(d.before, kind) != nil {
		return nil, d.missed()
	}
	d.sent.Store(true)
	sent := time.Now()
	t.count.sent(expected.from)
	resp, err := t.exchange(req)
	t.gate.leave(kind, sent, resp)
	if err != nil {
		return nil, err
	}
	if err := expected.check(req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// exchange sends the request and reads the whole answer within the timeout.
func (t *transport) exchange(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, &TimeoutError{t.timeout})
		defer cancel()
	}
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err == nil {
		err = buffer(resp, expectationOf(ctx).limit)
	}
	if err == nil {
		return resp, nil
	}
	if timeout, ok := errors.AsType[*TimeoutError](context.Cause(ctx)); ok {
		return nil, timeout
	}
	return nil, err
}

// readBody is the body of a response that has been read, with its bytes still at
// hand after others have consumed it. It also keeps the Link headers, which are taken
// away from GitLab's client: that one splits them unseen and panics on some.
type readBody struct {
	*bytes.Reader
	data  []byte
	links []string
}

// Close implements [io.Closer].
func (*readBody) Close() error { return nil }

// buffer replaces the body of a response by its bytes in memory, at most the largest
// number of them that is given.
func buffer(resp *http.Response, largest int64) error {
	defer resp.Body.Close()
	limit := largest
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = maxErrorBody
	}
	var body bytes.Buffer
	if 0 < resp.ContentLength && resp.ContentLength <= limit {
		body.Grow(int(min(resp.ContentLength, 1<<20)) + bytes.MinRead) // pages have hundreds of kilobytes
	}
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	data := body.Bytes()
	if int64(len(data)) > limit {
		if resp.StatusCode < http.StatusMultipleChoices {
			return &FormatError{fmt.Sprintf("the answer is larger than %d MiB", limit>>20)}
		}
		data = data[:limit]
	}
	resp.Body = &readBody{bytes.NewReader(data), data, resp.Header.Values("Link")}
	resp.Header.Del("Link")
	return nil
}

// refuseRedirects is the CheckRedirect of the client. Only a GET may be redirected,
// and only to the host and scheme that it was sent to: anything else would show the
// token to somebody, and a redirected DELETE would become a GET whose success says
// nothing about the tag.
func refuseRedirects(req *http.Request, via []*http.Request) error {
	first := via[0]
	sameOrigin := req.URL.Scheme == first.URL.Scheme && req.URL.Host == first.URL.Host
	if first.Method != http.MethodGet || !sameOrigin || len(via) > 3 {
		return redirected(req, first)
	}
	return nil
}

// refuseEveryRedirect is the CheckRedirect of requests to the registry and for its
// tokens: all of them carry a secret, and none is known to be redirected but those for
// blobs, to a store that wants no token and that nobody has configured.
func refuseEveryRedirect(req *http.Request, via []*http.Request) error {
	return redirected(req, via[0])
}

// redirected describes where a redirect leads, without its query, which may be signed.
func redirected(req, first *http.Request) *RedirectError {
	sameHost := req.URL.Hostname() == first.URL.Hostname()
	return &RedirectError{
		To:     oneLine(req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()),
		from:   expectationOf(req.Context()).from,
		secure: first.URL.Scheme == "http" && req.URL.Scheme == "https" && sameHost,
	}
}
