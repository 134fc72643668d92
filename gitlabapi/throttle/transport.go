package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"
)

// maxErrorBody is how much is read of an answer that is no success, in bytes.
const maxErrorBody = 64 << 10

// maxRedirects is how many redirects of one request are followed.
const maxRedirects = 3

// RoundTrip implements [http.RoundTripper]: it sends a request, follows redirects within its
// host, and repeats what failed for a reason that may pass. What a [Request] says of it stands
// in its context. The body of the answer is in memory already.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	r := requestOf(req.Context())
	req = req.Clone(req.Context())
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	req.Header.Set("Cache-Control", "no-cache") // evidence out of a cache is none
	first := req
	for redirects := 0; ; redirects++ {
		resp, err := c.retry(req, r)
		if err != nil || !isRedirect(resp) {
			return resp, err
		}
		to, err := resp.Location()
		if err != nil {
			return nil, &RedirectError{To: "an address that is none", Server: r.Server}
		}
		// Any other redirect would show the token to somebody else, and a DELETE would
		// become a GET whose success says nothing about the tag.
		sameOrigin := to.Scheme == first.URL.Scheme && to.Host == first.URL.Host && to.User == nil
		if r.NoRedirect || first.Method != http.MethodGet || !sameOrigin || redirects == maxRedirects {
			return nil, &RedirectError{
				To:     c.scrub(req, to.Scheme+"://"+to.Host+to.EscapedPath()),
				Server: r.Server,
				secure: first.URL.Scheme == "http" && to.Scheme == "https" && to.Hostname() == first.URL.Hostname(),
			}
		}
		req = req.Clone(req.Context())
		req.URL, req.Host = to, ""
	}
}

// isRedirect reports whether an answer leads elsewhere. Without an address it is no success
// like any other.
func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	default:
		return false
	}
}

// retry sends a request until it succeeds, fails for good, or has been repeated as often as
// is allowed. Where it may not be sent again for want of time, the error is that of the context
// which ended, and what became of the attempts before is not known.
func (c *Client) retry(req *http.Request, r Request) (*http.Response, error) {
	ctx, before := req.Context(), req.Context()
	if r.Before != nil {
		var cancel context.CancelFunc
		before, cancel = context.WithCancel(r.Before)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
	}
	cause := "" // of the next attempt
	for attempt := 0; ; attempt++ {
		endpoint := endpointOf(req, r.Server)
		if err := c.limiter.wait(before, endpoint, r.Priority); err != nil {
			if attempt == 0 {
				return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
			}
			return nil, fmt.Errorf("not sent again after %s: %w", cause, err)
		}
		resp, err := c.attempt(req, r, endpoint)
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case err != nil:
			again := passes(err)
			if text := c.scrub(req, err.Error()); text != err.Error() {
				err = errors.New(text) // a broken answer may be quoted
			}
			if !again {
				return nil, err
			}
			cause = err.Error()
		case isRepeatable(req, resp):
			cause = fmt.Sprintf("status %d", resp.StatusCode)
		default:
			return resp, nil
		}
		if attempt >= c.maxRetries {
			return resp, err
		}
		select {
		case <-time.After(backoff(attempt, resp)):
		case <-before.Done(): // which the limiter sees
			continue
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		c.retries.Add(1)
		c.log.Info("trying again", "method", req.Method, "path", c.scrub(req, req.URL.EscapedPath()), "attempt", attempt+2, "cause", cause)
	}
}

// attempt sends a request that has passed the limiter, and reads the whole answer within the
// timeout.
//
// When a server closes a connection that was kept alive, net/http sends a GET again by itself,
// on another connection. That is a request like any other: it waits for the limiter in the
// moment in which it gets its connection, and is counted.
func (c *Client) attempt(req *http.Request, r Request, endpoint endpoint) (*http.Response, error) {
	ctx := req.Context()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, &TimeoutError{c.timeout})
		defer cancel()
	}
	sent, inFlight := time.Now(), true
	c.count(r.Server)
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connections++; connections == 1 {
			return
		}
		c.limiter.leave(endpoint, sent, nil)
		if inFlight = c.limiter.wait(ctx, endpoint, r.Priority) == nil; inFlight {
			sent = time.Now()
			c.count(r.Server)
			c.retries.Add(1)
		}
	}})
	resp, err := c.network.RoundTrip(req.WithContext(ctx))
	if err == nil {
		resp.Request = req
		if err = buffer(resp, r.MaxBody); err != nil {
			resp = nil
		}
	}
	var pause time.Duration
	if inFlight {
		pause = c.limiter.leave(endpoint, sent, resp)
	}
	if pause > 0 {
		c.log.Info("GitLab asks to wait", "seconds", pause.Round(time.Millisecond).Seconds())
	}
	if timeout, ok := errors.AsType[*TimeoutError](context.Cause(ctx)); err != nil && ok {
		return nil, timeout
	}
	if err == nil {
		err = c.check(req, r, resp)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// count counts a request that is sent.
func (c *Client) count(to Server) {
	if to == Registry {
		c.registryRequests.Add(1)
	} else {
		c.requests.Add(1)
	}
}

// readBody is the body of an answer that has been read, with its bytes still at hand after
// others have consumed it. It also keeps the Link headers, which are taken away from GitLab's
// client: that one splits them unseen and panics on some.
type readBody struct {
	*bytes.Reader
	data  []byte
	links []string
}

// Close implements [io.Closer].
func (*readBody) Close() error { return nil }

// Body returns the body of an answer that a [Client] gave, nil for any other.
func Body(resp *http.Response) []byte {
	if body, ok := resp.Body.(*readBody); ok {
		return body.data
	}
	return nil
}

// buffer replaces the body of an answer by its bytes in memory. The limit is that of a
// success.
func buffer(resp *http.Response, limit int64) error {
	defer resp.Body.Close()
	isError := resp.StatusCode >= http.StatusMultipleChoices
	if isError {
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
		if !isError {
			return &FormatError{fmt.Sprintf("the answer is larger than %d MiB", limit>>20)}
		}
		data = data[:limit]
	}
	resp.Body = &readBody{bytes.NewReader(data), data, resp.Header.Values("Link")}
	resp.Header.Del("Link")
	return nil
}
