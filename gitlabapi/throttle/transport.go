package throttle

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"
)

// maxRedirects is how many redirects of one request are followed.
const maxRedirects = 3

// redirectStatuses are those of redirects. Without an address they are no success like others.
var redirectStatuses = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}

// RoundTrip implements [http.RoundTripper]: it sends a request, follows redirects within its
// host, and repeats what failed for a reason that may pass. What a [Request] says of it stands
// in its context. The body of the answer is in memory already.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	r := requestOf(req.Context())
	req = req.Clone(req.Context())
	if c.config.UserAgent != "" {
		req.Header.Set("User-Agent", c.config.UserAgent)
	}
	req.Header.Set("Cache-Control", "no-cache") // evidence out of a cache is none
	first := req
	for redirects := 0; ; redirects++ {
		resp, err := c.retry(req, r)
		if err != nil || !slices.Contains(redirectStatuses, resp.StatusCode) || resp.Header.Get("Location") == "" {
			return resp, err
		}
		to, err := resp.Location()
		if err != nil {
			return nil, &RedirectError{To: "an address that is none", Server: r.Server}
		}
		// Any other redirect would show the token to another server, and a DELETE would
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

// attempt sends a request that has passed the limiter, and reads the whole answer within the
// timeout.
//
// When a server closes a connection that was kept alive, net/http sends a GET again by itself,
// on another connection. That is a request like any other: it waits for the limiter in the
// moment in which it gets its connection, and is counted. Any other method it sends again only when
// nothing of it had left: that is the request that was paid for, and it must not wait beyond the time
// by which it is to be sent.
func (c *Client) attempt(req *http.Request, r Request, at place, endpoint endpoint) (*http.Response, error) {
	ctx := req.Context()
	if c.config.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.config.RequestTimeout, &TimeoutError{c.config.RequestTimeout})
		defer cancel()
	}
	sent, inFlight := time.Now(), true
	if r.Sent != nil {
		*r.Sent = sent
	}
	c.sent[r.Server].Add(1)
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connections++; connections == 1 || req.Method != http.MethodGet && req.Method != http.MethodHead {
			return
		}
		c.limiter.leave(at, endpoint, sent, nil, nil)
		if inFlight = c.limiter.wait(ctx, at, endpoint, r.Priority) == nil; inFlight {
			sent = time.Now()
			c.sent[r.Server].Add(1)
			c.retries.Add(1)
		}
	}})
	resp, err := c.config.Transport.RoundTrip(req.WithContext(ctx))
	if err == nil {
		resp.Request = req
		if r.Server == Instance {
			c.clock.observe(resp, time.Now(), c.config.Log)
		}
		if err = buffer(resp, r.MaxBody); err != nil {
			resp = nil
		}
	}
	var said *StatusError
	if err == nil && at != everything && askedPause(resp, time.Now()) > 0 {
		said = c.StatusError(resp)
	}
	if inFlight {
		if pause := c.limiter.leave(at, endpoint, sent, resp, said); pause > 0 {
			c.config.Log.Info("GitLab asks to wait", "seconds", pause.Round(time.Millisecond).Seconds())
		}
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
