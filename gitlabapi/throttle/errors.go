package throttle

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxMessage bounds what an error keeps of a server's answer, in bytes.
const maxMessage = 1024

// Classes of a [StatusError], for [errors.Is]. The clients of the instance and of the registry
// have further ones of their own.
var (
	// ErrUnauthorized: the instance does not know the token (any more). Nothing else will
	// succeed.
	ErrUnauthorized = errors.New("the token is not accepted")
	// ErrInsufficientScope: the token is known but lacks the scope for what was asked.
	// Nothing of the kind will succeed.
	ErrInsufficientScope = errors.New("the token lacks a scope")
	// ErrForbidden: the token's user may not do this here; elsewhere it may.
	ErrForbidden = errors.New("not allowed")
	// ErrNotFound: there is no such thing, or the token's user may not see it.
	ErrNotFound = errors.New("not found")
)

// ErrNotSent says that a request was given up before it was sent for the first time.
var ErrNotSent = errors.New("the request was not sent")

// A StatusError is an answer that is no success.
type StatusError struct {
	Method  string
	Path    string // escaped, without query
	Status  int
	Code    string // the registry's word for what is wrong, "MANIFEST_UNKNOWN"; "" elsewhere
	Message string // the server's own, at most a kilobyte, printable, on one line
	// Classes are what the error is, for [errors.Is]. The client that asked knows.
	Classes []error
	// LacksScope is set when the answer says that the token lacks a scope.
	LacksScope bool
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: status %d", e.Method, e.Path, e.Status)
	for _, more := range []string{e.Code, e.Message} {
		if more != "" {
			text += ": " + more
		}
	}
	return text
}

// Is reports whether the error is of a class.
func (e *StatusError) Is(class error) bool { return slices.Contains(e.Classes, class) }

// StatusError reads the server's own words out of an answer that is no success: those of
// GitLab's API, of GraphQL, or of a registry. Status 403 and 404 have their classes already.
func (c *Client) StatusError(resp *http.Response) *StatusError {
	e := &StatusError{
		Method: resp.Request.Method,
		Path:   c.scrub(resp.Request, resp.Request.URL.EscapedPath()), // a redirect may have chosen it
		Status: resp.StatusCode,
	}
	var answer struct {
		Message     any    `json:"message"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Errors      any    `json:"errors"`
	}
	if json.Unmarshal(Body(resp), &answer) == nil {
		e.LacksScope = answer.Error == "insufficient_scope" && e.Status == http.StatusForbidden
		e.Message = firstText(answer.Message, answer.Description, answer.Error, answer.Errors)
	}
	var registry struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(Body(resp), &registry) == nil && len(registry.Errors) > 0 && registry.Errors[0].Code != "" {
		e.Code, e.Message = c.scrub(resp.Request, registry.Errors[0].Code), registry.Errors[0].Message
	}
	e.Message = c.scrub(resp.Request, e.Message)
	switch e.Status {
	case http.StatusForbidden:
		e.Classes = append(e.Classes, ErrForbidden)
	case http.StatusNotFound:
		e.Classes = append(e.Classes, ErrNotFound)
	}
	if e.LacksScope {
		e.Classes = append(e.Classes, ErrInsufficientScope)
	}
	return e
}

// firstText returns the first value that says something. GitLab's message is a string, or an
// object of lists of strings after a failed validation.
func firstText(values ...any) string {
	for _, value := range values {
		switch value := value.(type) {
		case nil:
		case string:
			if value != "" {
				return value
			}
		default:
			var text strings.Builder
			encoder := json.NewEncoder(&text)
			encoder.SetEscapeHTML(false)
			if encoder.Encode(value) == nil {
				return strings.TrimSpace(text.String())
			}
		}
	}
	return ""
}

// A RequestError is a request that got no answer, or none that can be used.
type RequestError struct {
	Method string
	Path   string
	Err    error
}

// Error implements error.
func (e *RequestError) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Method, e.Path, e.Err)
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](e.Err); untrusted {
		text += ": SSL_CERT_FILE must name a file with the authority that signed it"
	}
	return text
}

// Unwrap returns what went wrong.
func (e *RequestError) Unwrap() error { return e.Err }

// A FormatError is an answer that is not what the server gives: HTML instead of JSON, say, or
// details of another tag than the one asked for.
type FormatError struct{ Problem string }

// Error implements error.
func (e *FormatError) Error() string { return e.Problem }

// A StaleError is an answer out of a cache, which says nothing about now.
type StaleError struct{ Age int } // in seconds

// Error implements error.
func (e *StaleError) Error() string {
	return fmt.Sprintf("a cache between here and the server answered, with what it was told %d seconds ago: it must let requests with Cache-Control: no-cache pass", e.Age)
}

// A RedirectError is a redirect that was not followed.
type RedirectError struct {
	To     string // without query
	Server Server // that redirects
	secure bool   // it leads to the same host, by HTTPS instead of HTTP
}

// Error implements error.
func (e *RedirectError) Error() string {
	variable, whose := e.Server.setting()
	if e.secure {
		return fmt.Sprintf("refused a redirect to %s: %s must begin with https://", e.To, variable)
	}
	return fmt.Sprintf("refused a redirect to %s: %s must be %s's own address", e.To, variable, whose)
}

// A TimeoutError is an attempt that took longer than the configured time.
type TimeoutError struct{ After time.Duration }

// Error implements error.
func (e *TimeoutError) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// Timeout makes it a timeout in the sense of [net.Error].
func (e *TimeoutError) Timeout() bool { return true }

// A ListingError is a listing that cannot be relied upon although every page of it was
// answered.
type ListingError struct{ Problem string }

// Error implements error.
func (e *ListingError) Error() string { return e.Problem }

// Scrub makes a text in which a server has a say fit to be shown: without the token, bounded,
// and without the control characters that could forge a log line or steer a terminal.
func (c *Client) Scrub(text string) string { return oneLine(c.token.scrub(text)) }

// scrub takes away, too, what a request has shown of its sender, which its answer may repeat.
func (c *Client) scrub(req *http.Request, text string) string {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return c.Scrub(NewSecret(credential).scrub(text))
}

func oneLine(text string) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	if len(text) > maxMessage {
		text = text[:maxMessage]
		for !utf8.ValidString(text) && len(text) > maxMessage-utf8.UTFMax {
			text = text[:len(text)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
