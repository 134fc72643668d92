// Package throttle sends requests to a GitLab instance and to its container registry. A
// [Client] is an [http.RoundTripper] that the clients of both are built on, so that all
// requests of a program share one rate limit:
//
//   - every attempt of every request takes one token of one rate limiter, and none is sent
//     while a server has asked for a pause (429 or Retry-After);
//   - what GitLab's RateLimit headers say is left of a limit is spread over the time until
//     the limit begins anew;
//   - deletions are sent before rechecks and those before everything else, and within one
//     priority requests are sent in the order in which they come: the evidence for a deletion
//     grows old while it waits;
//   - what may be repeated is repeated after failures that pass, nothing else is;
//   - redirects to another host are refused, and so are answers out of a cache;
//   - errors are typed and bounded, say what was asked for, and never hold a token.
//
// A request goes through the retries, then the limiter, then the timeout of one attempt, and
// then to the network.
package throttle

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Config is what a [Client] needs to know.
type Config struct {
	// URL is the instance's address, with a path if the instance has one.
	URL string
	// Token is an access token: personal, of a group or of a project.
	Token Secret
	// UserAgent is sent with every request.
	UserAgent string
	// Concurrency bounds the requests in flight; less than 1 counts as 1.
	Concurrency int
	// RateLimit is the number of requests a second, 0 for no limit; RateBurst how many may
	// go at once after a quiet time, less than 1 counting as 1. With and without a limit,
	// requests come slower while GitLab's RateLimit headers say that less is left, of which a
	// tenth is left to others, and for ten seconds after a pause that a server asked for.
	RateLimit float64
	RateBurst int
	// RequestTimeout bounds one attempt of a request, from sending it to the last byte of
	// the answer; 0 for none.
	RequestTimeout time.Duration
	// MaxRetries is how often a failed request is sent again.
	MaxRetries int
	// Log is told of attempts that are repeated and of pauses that a server asks for. Nil
	// for no log.
	Log *slog.Logger
	// Transport replaces the network, for tests. Nil stands for the ordinary one, which
	// obeys HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE.
	Transport http.RoundTripper
}

// A Client sends requests. It is safe for concurrent use.
type Client struct {
	config  Config // with Log and Transport
	base    *url.URL
	limiter *limiter
	clock   clock
	large   chan struct{}   // has a place for the one who gets a large answer
	sent    [2]atomic.Int64 // requests, by Server
	retries atomic.Int64
}

// Stats says what a client has done so far.
type Stats struct {
	Requests         int64 // every request sent to the instance, retries and /jwt/auth included
	RegistryRequests int64 // every request sent to the registry, retries included
	Retries          int64 // how many of all these repeated one that failed
	// Throttled is how long the servers had everything held back. That the rate, or what
	// was left of a limit, parted requests does not count.
	Throttled time.Duration
}

// New returns a client. It sends nothing yet.
func New(config Config) (*Client, error) {
	base, err := ParseURL(config.URL)
	if err != nil {
		return nil, err
	}
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	if config.Transport == nil {
		network := http.DefaultTransport.(*http.Transport).Clone()
		network.MaxIdleConnsPerHost = max(config.Concurrency, 1)
		config.Transport = network
	}
	limiter := newLimiter(config.RateLimit, config.RateBurst, config.Concurrency)
	return &Client{config: config, base: base, limiter: limiter, large: make(chan struct{}, 1)}, nil
}

// ParseURL checks the address of an instance.
func ParseURL(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it must begin with https:// or http:// and name a host")
	case u.User != nil:
		return nil, errors.New("it must not hold a user name or a password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it must end with the path")
	}
	u.Path = strings.TrimSuffix(u.Path, "/api/v4")
	return u, nil
}

// URL returns the instance's address.
func (c *Client) URL() *url.URL {
	u := *c.base
	return &u
}

// Token returns the access token.
func (c *Client) Token() Secret { return c.config.Token }

// Tries returns how often a request is sent at most.
func (c *Client) Tries() int { return max(c.config.MaxRetries, 0) + 1 }

// HeldFor returns how long it is, at most two minutes, until everything may be asked for again that was
// given up with a [HeldError].
func (c *Client) HeldFor() time.Duration { return c.limiter.heldFor(time.Now()) }

// Stats returns what the client has done so far.
func (c *Client) Stats() Stats {
	return Stats{
		Requests:         c.sent[Instance].Load(),
		RegistryRequests: c.sent[Registry].Load(),
		Retries:          c.retries.Load(),
		Throttled:        c.limiter.throttledFor(time.Now()),
	}
}

// Format implements [fmt.Formatter], so that no verb shows the token.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "client of %s", c.base.Redacted()) }

// Do sends a request past GitLab's own client. The answer is returned whatever its status,
// with its body in memory (see [Body]). The error is a [RequestError].
func (c *Client) Do(req *http.Request, options Request) (*http.Response, error) {
	resp, err := c.RoundTrip(req.WithContext(With(req.Context(), options)))
	if err != nil {
		return nil, &RequestError{req.Method, c.Scrub(req.URL.EscapedPath()), err}
	}
	return resp, nil
}
