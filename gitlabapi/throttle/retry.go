package throttle

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
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

// passingStatuses are those that another attempt may cure.
var passingStatuses = []int{
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// repeatable are the methods of reads, and of deletions of a tag, which are harmless
// twice. All that is sent by POST is GraphQL: queries, which read, and deletions of tags.
var repeatable = []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost}

// isRepeatable reports whether another attempt may do what one with this answer did not.
func isRepeatable(req *http.Request, resp *http.Response) bool {
	return slices.Contains(repeatable, req.Method) && slices.Contains(passingStatuses, resp.StatusCode)
}

// passes reports whether an error of the network may pass by itself. A certificate
// that is not trusted, a name that does not exist, an answer in another format or out
// of a cache stay what they are.
func passes(err error) bool {
	if _, ok := errors.AsType[*FormatError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*StaleError](err); ok {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	return !isCertificateError(err)
}

func isCertificateError(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return verification || authority || host || record || errors.Is(err, http.ErrSchemeMismatch)
}

// backoff returns how long to wait after a failed attempt, the first being 0. After an answer
// that put everybody on hold the limiter does the waiting.
func backoff(attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		_, asked := askedPause(resp, time.Now())
		if asked || resp.StatusCode == http.StatusTooManyRequests {
			return 0
		}
	}
	ceiling := min(firstBackoff<<min(attempt, 10), maxBackoff)
	return ceiling/2 + rand.N(ceiling/2)
}
