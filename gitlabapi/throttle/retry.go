package throttle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"
)

// The time before a further attempt: it doubles from the first figure to the last,
// and half of it is left to chance so that many do not come back at once.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

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
		at, endpoint := placeOf(req, r), endpointOf(req, r.Server)
		if err := c.limiter.wait(before, at, endpoint, r.Priority); err != nil {
			_, held := errors.AsType[*HeldError](err)
			switch {
			case attempt == 0:
				return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
			case held:
				return nil, err
			default:
				return nil, fmt.Errorf("not sent again after %s: %w", cause, err)
			}
		}
		if r.Tries != nil {
			*r.Tries--
		}
		resp, err := c.attempt(req, r, at, endpoint)
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
		case isRepeatable(req, resp) && !c.StatusError(resp).Is(ErrReadOnly):
			cause = fmt.Sprintf("status %d", resp.StatusCode)
		default:
			return resp, nil
		}
		if attempt >= c.config.MaxRetries || r.Tries != nil && *r.Tries <= 0 {
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
		c.config.Log.Info("trying again", "method", req.Method, "path", c.scrub(req, req.URL.EscapedPath()), "attempt", attempt+2, "cause", cause)
	}
}

// passingStatuses are those that another attempt may cure.
var passingStatuses = []int{
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// repeatable are the methods of reads, and of deletions of a tag, which are harmless
// twice. What is sent by POST is GraphQL: queries, which read, and deletions of tags; and notes, which
// there would be two of, so that they have one of [Request.Tries].
var repeatable = []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost}

// isRepeatable reports whether another attempt may do what one with this answer did not.
func isRepeatable(req *http.Request, resp *http.Response) bool {
	return slices.Contains(repeatable, req.Method) && slices.Contains(passingStatuses, resp.StatusCode)
}

// passes reports whether an error of the network may pass by itself. A certificate
// that is not trusted, a name that does not exist, an answer in another format or out
// of a cache stay what they are.
func passes(err error) bool {
	_, format := errors.AsType[*FormatError](err)
	dns, named := errors.AsType[*net.DNSError](err)
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return !(format || named && dns.IsNotFound || verification || authority || host || record ||
		errors.Is(err, http.ErrSchemeMismatch))
}

// backoff returns how long to wait after a failed attempt, the first being 0. After an answer
// that asked for a pause the limiter does the waiting.
func backoff(attempt int, resp *http.Response) time.Duration {
	if resp != nil && (askedPause(resp, time.Now()) > 0 || resp.StatusCode == http.StatusTooManyRequests) {
		return 0
	}
	ceiling := min(firstBackoff<<min(attempt, 10), maxBackoff)
	return ceiling/2 + rand.N(ceiling/2)
}
