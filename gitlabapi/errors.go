package gitlabapi

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// maxMessage bounds what an error keeps of a server's answer, in bytes.
const maxMessage = 1024

// Classes of a [StatusError], for [errors.Is].
var (
	// ErrUnauthorized: the instance does not know the token (any more). Nothing
	// else will succeed.
	ErrUnauthorized = errors.New("the token is not accepted")
	// ErrInsufficientScope: the token is known but lacks the scope for what was
	// asked. Nothing of the kind will succeed.
	ErrInsufficientScope = errors.New("the token lacks a scope")
	// ErrForbidden: the token's user may not do this here; elsewhere it may.
	ErrForbidden = errors.New("not allowed")
	// ErrNotFound: there is no such thing, or the token's user may not see it.
	ErrNotFound = errors.New("not found")
	// ErrTagNotFound: GitLab itself, not a proxy before it, says that it has no such
	// tag in a repository that it has. It is also ErrNotFound.
	ErrTagNotFound = errors.New("tag not found")
	// ErrRegistryDenied: /jwt/auth refuses the token as a password for the registry.
	// The registry is out of reach for the rest of the run, and no method of a
	// [Registry] sends anything any more; the API may well go on accepting the token.
	ErrRegistryDenied = errors.New("the token is not accepted for the registry")
	// ErrManifestNotFound: the registry itself, in its own words, says that it has no
	// such manifest. It is also ErrNotFound.
	ErrManifestNotFound = errors.New("manifest not found")
	// ErrRepositoryNotFound: the registry itself says that it has no such repository.
	// It is also ErrNotFound.
	ErrRepositoryNotFound = errors.New("repository not found in the registry")
)

// A StatusError is an answer that is no success.
type StatusError struct {
	Method  string
	Path    string // escaped, without query
	Status  int
	Code    string // the registry's word for what is wrong, "MANIFEST_UNKNOWN"; "" elsewhere
	Message string // the server's own, at most a kilobyte, printable, on one line
	source  source
	scope   bool // it is for want of a scope
	absent  bool // the registry has no such repository or manifest
	tag     bool // a manifest was asked for
}

// source is who answered.
type source int

const (
	sourceAPI source = iota
	sourceLogin
	sourceRegistry
)

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

// Is sorts the error into the classes above. A registry answers 401 to a token that
// does not allow what is asked, which says nothing about the access token: it is
// forbidden there and then.
func (e *StatusError) Is(class error) bool {
	api, login, registry := e.source == sourceAPI, e.source == sourceLogin, e.source == sourceRegistry
	unauthorized, notFound := e.Status == http.StatusUnauthorized, e.Status == http.StatusNotFound
	switch class {
	case ErrUnauthorized:
		return api && unauthorized
	case ErrRegistryDenied:
		return login && unauthorized
	case ErrInsufficientScope:
		return e.Status == http.StatusForbidden && e.scope
	case ErrForbidden:
		return e.Status == http.StatusForbidden || registry && unauthorized
	case ErrNotFound:
		return notFound
	case ErrTagNotFound:
		return api && notFound && strings.EqualFold(e.Message, "404 Tag Not Found")
	case ErrManifestNotFound:
		return registry && e.absent && e.tag
	case ErrRepositoryNotFound:
		return registry && e.absent && e.Code == codeNameUnknown
	default:
		return false
	}
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

// A FormatError is an answer that is not what GitLab's API gives: HTML instead of
// JSON, say, or details of another tag than the one asked for.
type FormatError struct{ Problem string }

// Error implements error.
func (e *FormatError) Error() string { return e.Problem }

// A RedirectError is a redirect that was not followed.
type RedirectError struct {
	To     string // without query
	from   party
	secure bool // it leads to the same host, by HTTPS instead of HTTP
}

// Error implements error.
func (e *RedirectError) Error() string {
	variable, whose := e.from.setting()
	if e.secure {
		return fmt.Sprintf("refused a redirect to %s: %s must begin with https://", e.To, variable)
	}
	return fmt.Sprintf("refused a redirect to %s: %s must be %s's own address", e.To, variable, whose)
}

// A ChallengeError is a registry that does not want a token of the instance's own, or
// wants one from somebody else. Nothing was sent there.
type ChallengeError struct{ Problem string }

// Error implements error.
func (e *ChallengeError) Error() string { return e.Problem }

// An ElsewhereError is a blob that the registry keeps in another place, an object
// store as a rule, to which it redirects. The redirect was not followed: ask the API
// instead.
type ElsewhereError struct{ To string } // without query

// Error implements error.
func (e *ElsewhereError) Error() string { return "the registry keeps it elsewhere, at " + e.To }

// A TimeoutError is an attempt that took longer than the configured time.
type TimeoutError struct{ After time.Duration }

// Error implements error.
func (e *TimeoutError) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// Timeout makes it a timeout in the sense of [net.Error].
func (e *TimeoutError) Timeout() bool { return true }

// A ListingError is a listing that cannot be relied upon although every page of it
// was answered.
type ListingError struct{ Problem string }

// Error implements error.
func (e *ListingError) Error() string { return e.Problem }

// failure turns what GitLab's client returned into one of the errors above.
func (c *Client) failure(method, path string, resp *gitlab.Response, err error) error {
	if resp != nil && resp.Response != nil && resp.StatusCode >= http.StatusMultipleChoices {
		return c.statusError(resp.Response)
	}
	// What http.Client wraps around an error repeats method and address.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		err = &FormatError{"the answer is not valid JSON"}
	} else if resp != nil {
		// What the decoder says may quote the answer at any length.
		err = &FormatError{"the answer is not of the form that GitLab's API gives it"}
	}
	if text := err.Error(); text != c.harmless(text) {
		err = errors.New(c.harmless(text))
	}
	return &RequestError{Method: method, Path: path, Err: err}
}

// harmless makes a text in which the server has a say fit to be shown.
func (c *Client) harmless(text string) string { return oneLine(c.token.scrub(text)) }

// statusError reads GitLab's own words out of an answer that is no success.
func (c *Client) statusError(resp *http.Response) *StatusError {
	e := &StatusError{
		Method: resp.Request.Method,
		Path:   c.harmless(resp.Request.URL.EscapedPath()), // a redirect may have chosen it
		Status: resp.StatusCode,
	}
	body, ok := resp.Body.(*readBody)
	if !ok {
		return e
	}
	var answer struct {
		Message     any    `json:"message"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Errors      any    `json:"errors"` // of GraphQL
	}
	if json.Unmarshal(body.data, &answer) == nil {
		e.scope = answer.Error == "insufficient_scope"
		e.Message = firstText(answer.Message, answer.Description, answer.Error, answer.Errors)
	}
	e.Message = c.harmless(e.Message)
	return e
}

// firstText returns the first value that says something. GitLab's message is a
// string, or an object of lists of strings after a failed validation.
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

// oneLine makes a text of the server fit to be shown: bounded, and without the
// control characters that could forge a log line or steer a terminal.
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
