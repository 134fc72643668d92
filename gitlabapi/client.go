package gitlabapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/time/rate"
)

// pageSize is the most that GitLab gives in one page.
const pageSize = 100

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
	// RateLimit is the number of requests a second, 0 for no limit; RateBurst how
	// many may go at once after a quiet time, less than 1 counting as 1. Requests to
	// the instance come slower, never faster, while its answers say that less is
	// left: what RateLimit-Remaining leaves, but for a tenth of RateLimit-Limit, is
	// spread over the time to RateLimit-Reset. That holds without a limit too. After
	// a pause that a server asked for, everything begins at half the rate, without
	// one at half of what it was before, and is back after ten seconds.
	RateLimit float64
	RateBurst int
	// RequestTimeout bounds one attempt of a request, from sending it to the last
	// byte of the answer; 0 for none.
	RequestTimeout time.Duration
	// MaxRetries is how often a failed request is sent again.
	MaxRetries int
	// Log is told of attempts that are repeated and of pauses that the server asks
	// for. Nil for no log.
	Log *slog.Logger
	// Transport replaces the network, for tests. Nil stands for the ordinary one,
	// which obeys HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE.
	Transport http.RoundTripper
}

// A Client asks one GitLab instance under one token. It is safe for concurrent use.
type Client struct {
	gitlab   *gitlab.Client
	graphQL  *graphQL
	registry *retryablehttp.Client // for what GitLab's own client does not speak
	login    *login
	base     *url.URL
	token    Secret
	agent    string
	gate     *gate
	count    *counters
	log      *slog.Logger
}

// counters are what the client has done so far.
type counters struct {
	requests         atomic.Int64
	registryRequests atomic.Int64
	retries          atomic.Int64
}

// sent counts a request.
func (c *counters) sent(to party) {
	if to == registry {
		c.registryRequests.Add(1)
		return
	}
	c.requests.Add(1)
}

// Stats says what a client has done so far.
type Stats struct {
	Requests         int64 // every request sent to the instance, retries and /jwt/auth included
	RegistryRequests int64 // every request sent to the registry, retries included
	Retries          int64 // how many of all these repeated one that failed
	// Throttled is how long the servers had everything held back. That the rate, or
	// what was left of a limit, parted requests does not count.
	Throttled time.Duration
}

// New returns a client. It sends nothing yet.
func New(config Config) (*Client, error) {
	base, err := ParseURL(config.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:    base,
		token:   config.Token,
		agent:   config.UserAgent,
		gate:    newGate(config.RateLimit, config.RateBurst, config.Concurrency),
		count:   new(counters),
		login:   newLogin(),
		graphQL: newGraphQL(),
		log:     cmp.Or(config.Log, slog.New(slog.DiscardHandler)),
	}
	c.gate.pauses.onPause = func(length time.Duration) {
		c.log.Info("GitLab asks to wait", "seconds", length.Round(time.Millisecond).Seconds())
	}
	layers := c.transport(config)
	c.registry = c.registryClient(layers, config.MaxRetries)
	c.gitlab, err = gitlab.NewClient(config.Token.Reveal(),
		gitlab.WithBaseURL(base.String()),
		gitlab.WithHTTPClient(&http.Client{CheckRedirect: refuseRedirects, Transport: layers}),
		gitlab.WithUserAgent(config.UserAgent),
		gitlab.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0)), // ours is in the transport
		gitlab.WithCustomRetry(c.retries),
		gitlab.WithCustomRetryMax(config.MaxRetries),
		gitlab.WithCustomBackoff(backoff),
		gitlab.WithRequestLogHook(c.countRetry),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up the client of %s: %w", base.Redacted(), err)
	}
	return c, nil
}

// ParseURL checks the address of an instance.
func ParseURL(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it must be an address such as https://gitlab.example.com")
	case u.User != nil:
		return nil, errors.New("it must not hold a user name or a password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it must end with the path")
	}
	u.Path = strings.TrimSuffix(u.Path, "/api/v4")
	return u, nil
}

// Format implements [fmt.Formatter], so that no verb shows what GitLab's client holds.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "client of %s", c.base.Redacted()) }

// Stats returns what the client has done so far.
func (c *Client) Stats() Stats {
	return Stats{
		Requests:         c.count.requests.Load(),
		RegistryRequests: c.count.registryRequests.Load(),
		Retries:          c.count.retries.Load(),
		Throttled:        c.gate.throttledFor(time.Now()),
	}
}

// transport composes what lies under the retries. The API and the registry share it,
// and with it the gate.
func (c *Client) transport(config Config) *transport {
	base := config.Transport
	if base == nil {
		ordinary := http.DefaultTransport.(*http.Transport).Clone()
		ordinary.MaxIdleConnsPerHost = max(config.Concurrency, 1)
		base = ordinary
	}
	return &transport{
		base:    base,
		gate:    c.gate,
		timeout: config.RequestTimeout,
		count:   c.count,
	}
}

// registryClient composes the retries of requests to the registry and for its tokens,
// which follow no redirect at all.
func (c *Client) registryClient(layers *transport, maxRetries int) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:     &http.Client{CheckRedirect: refuseEveryRedirect, Transport: layers},
		RetryMax:       maxRetries,
		CheckRetry:     c.retries,
		Backoff:        backoff,
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
		RequestLogHook: c.countRetry,
	}
}

// A failed attempt is noted here for the log line about the next one, to which the hook
// of that one has only the request.
type lastFailure struct{ cause string }

type lastFailureKey struct{}

// countRetry is told of every attempt, the first one being 0, before it is made. It is the
// one place that sees a request of either client before all of its attempts.
func (c *Client) countRetry(_ retryablehttp.Logger, req *http.Request, attempt int) {
	if attempt == 0 {
		*req = *req.WithContext(context.WithValue(req.Context(), lastFailureKey{}, new(lastFailure)))
		return
	}
	c.count.retries.Add(1)
	cause := ""
	if last, ok := req.Context().Value(lastFailureKey{}).(*lastFailure); ok {
		cause = c.harmless(credentialOf(req).scrub(last.cause)) // a broken answer may be quoted
	}
	c.log.Info("trying again", "method", req.Method, "path", req.URL.EscapedPath(), "attempt", attempt+1, "cause", cause)
}

// retries is the CheckRetry of both clients: it decides as shouldRetry does, and notes
// what the next attempt is made for.
func (c *Client) retries(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if last, ok := ctx.Value(lastFailureKey{}).(*lastFailure); ok {
		last.cause = causeOf(resp, err)
	}
	return shouldRetry(ctx, resp, err)
}

// causeOf says in short why an attempt was no success.
func causeOf(resp *http.Response, err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the address, whose query may hold anything
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("status %d", resp.StatusCode)
}
