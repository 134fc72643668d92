package throttle

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
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
	// ErrReadOnly: the instance takes no writes from anybody just now, as in maintenance mode.
	// It is not ErrForbidden, which would send people to look at roles.
	ErrReadOnly = errors.New("the instance is read-only")
	// ErrPage: what answered is no GitLab and no registry, but a proxy or firewall before it,
	// with a page for people. Such an answer says nothing of what was asked for: it is neither
	// ErrForbidden nor ErrNotFound.
	ErrPage = errors.New("a proxy or firewall answered")
)

// readOnlyWords are what GitLab says of a write while it takes none: it has no code for that.
var readOnlyWords = regexp.MustCompile(`(?i)\bmaintenance mode\b|\bread-only instance\b`)

// SaysReadOnly reports whether these words of GitLab's are of class [ErrReadOnly].
func SaysReadOnly(words string) bool { return readOnlyWords.MatchString(words) }

// ErrNotSent says that a request was given up before it was sent for the first time.
var ErrNotSent = errors.New("the request was not sent")

// A StatusError is an answer that is no success.
type StatusError struct {
	Method  string
	Path    string // escaped, without query
	Status  int
	Message string // the server's own, at most a kilobyte, printable, on one line
	// Classes are what the error is, for [errors.Is]. The client that asked knows.
	Classes []error
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Method, e.Path, e.Words())
}

// Words are what was answered, whatever was asked for.
func (e *StatusError) Words() string {
	return strings.TrimSuffix(fmt.Sprintf("status %d: %s", e.Status, e.Message), ": ")
}

// Is reports whether the error is of a class.
func (e *StatusError) Is(class error) bool { return slices.Contains(e.Classes, class) }

// StatusError reads the server's own words out of an answer that is no success: those of
// GitLab's API, of GraphQL, or of a registry. Those of status 403 and 404 have their classes, and
// those that are no words of theirs.
func (c *Client) StatusError(resp *http.Response) *StatusError {
	e := &StatusError{
		Method: resp.Request.Method,
		Path:   c.scrub(resp.Request, resp.Request.URL.EscapedPath()), // a redirect may have chosen it
		Status: resp.StatusCode,
	}
	if isHTML(mediaTypeOf(resp)) {
		e.Classes = append(e.Classes, ErrPage)
		e.Message = c.scrub(resp.Request, pageMessage(Body(resp)))
		return e
	}
	var answer struct {
		Message     any    `json:"message"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Errors      any    `json:"errors"`
	}
	if json.Unmarshal(Body(resp), &answer) == nil {
		e.Message = firstText(answer.Message, answer.Description, answer.Error, answer.Errors)
		if answer.Error == "insufficient_scope" && e.Status == http.StatusForbidden {
			e.Classes = append(e.Classes, ErrInsufficientScope)
		}
	}
	var registry struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(Body(resp), &registry) == nil && len(registry.Errors) > 0 && registry.Errors[0].Code != "" {
		e.Message = strings.TrimSuffix(registry.Errors[0].Code+": "+registry.Errors[0].Message, ": ")
	}
	e.Message = c.scrub(resp.Request, e.Message)
	switch writes := e.Method != http.MethodGet && e.Method != http.MethodHead; {
	case writes && SaysReadOnly(e.Message) && (e.Status == http.StatusForbidden || e.Status == http.StatusServiceUnavailable):
		e.Classes = append(e.Classes, ErrReadOnly)
	case e.Status == http.StatusForbidden:
		e.Classes = append(e.Classes, ErrForbidden)
	case e.Status == http.StatusNotFound:
		e.Classes = append(e.Classes, ErrNotFound)
	}
	return e
}

// pageTitle is what a page calls itself.
var pageTitle = regexp.MustCompile(`(?is)<title[^>]*>\s*([^<]{1,200}?)\s*</title>`)

// pageMessage says of a page that it is one, and what it calls itself.
func pageMessage(page []byte) string {
	message := "a proxy or firewall answered, with a page"
	if title := pageTitle.FindSubmatch(page); title != nil {
		message += ": " + html.UnescapeString(string(title[1]))
	}
	return message
}

// firstText returns the first value that says something. GitLab's message is a string, or an
// object of lists of strings after a failed validation.
func firstText(values ...any) string {
	i := slices.IndexFunc(values, func(value any) bool { return value != nil && value != "" })
	if i < 0 {
		return ""
	}
	if text, ok := values[i].(string); ok {
		return text
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(values[i]) // what came out of JSON goes into it
	return strings.TrimSpace(text.String())
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

// A FormatError is an answer that is not what the server gives: HTML instead of JSON, details
// of another tag than the one asked for, what a cache remembers of an earlier answer.
type FormatError struct{ Problem string }

// Error implements error.
func (e *FormatError) Error() string { return e.Problem }

// A RedirectError is a redirect that was not followed.
type RedirectError struct {
	To     string // without query
	Server Server // that redirects
	secure bool   // it leads to the same host, by HTTPS instead of HTTP
}

// Error implements error.
func (e *RedirectError) Error() string {
	variable, whose := e.Server.setting()
	must := "be " + whose + "'s own address"
	if e.secure {
		must = "begin with https://"
	}
	return fmt.Sprintf("refused a redirect to %s: %s must %s", e.To, variable, must)
}

// A TimeoutError is an attempt that took longer than the configured time.
type TimeoutError struct{ After time.Duration }

// Error implements error.
func (e *TimeoutError) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// A ListingError is a listing that cannot be relied upon although every page of it was
// answered.
type ListingError struct{ Problem string }

// Error implements error.
func (e *ListingError) Error() string { return e.Problem }

// Scrub makes a text in which a server has a say fit to be shown: without the token, at most a
// kilobyte, printable, on one line.
func (c *Client) Scrub(text string) string {
	return printable.Bound(printable.Replace(c.config.Token.scrub(text), ' '), maxMessage)
}

// scrub takes away, too, what a request has shown of its sender, which its answer may repeat.
func (c *Client) scrub(req *http.Request, text string) string {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return c.Scrub(NewSecret(credential).scrub(text))
}
