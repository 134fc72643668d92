package gitlabapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// roundTrip sends a request past GitLab's own client: with retries, limits and all
// that lies below them. The error is one of the package's; an answer is returned
// whatever its status.
func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	retrying := &retryablehttp.RoundTripper{Client: c.registry}
	resp, err := retrying.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	secret := credentialOf(req)
	if redirect, ok := errors.AsType[*RedirectError](err); ok {
		err = &RedirectError{To: c.harmless(secret.scrub(redirect.To)), from: redirect.from, secure: redirect.secure}
	} else if text := err.Error(); text != secret.scrub(text) {
		err = errors.New(secret.scrub(text))
	}
	return nil, c.failure(req.Method, req.URL.EscapedPath(), nil, err)
}

// credentialOf returns what a request shows of its sender, for the server's answer may
// repeat it.
func credentialOf(req *http.Request) Secret {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return NewSecret(credential)
}

// Codes of errors in the specification of OCI's distribution.
const (
	codeManifestUnknown = "MANIFEST_UNKNOWN"
	codeNameUnknown     = "NAME_UNKNOWN"
)

// refusals is the form in which a registry, and /jwt/auth, give errors.
type refusals struct {
	Errors []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}

// refusal reads the words of a registry, or of /jwt/auth, out of an answer that is no
// success.
func (c *Client) refusal(req *http.Request, resp *http.Response, from source) *StatusError {
	e := c.statusError(resp)
	e.Method, e.Path, e.source = req.Method, c.harmless(req.URL.EscapedPath()), from
	body, ok := resp.Body.(*readBody)
	var answer refusals
	if ok && json.Unmarshal(body.data, &answer) == nil && len(answer.Errors) > 0 {
		e.Code, e.Message = answer.Errors[0].Code, answer.Errors[0].Message
		e.absent = e.Status == http.StatusNotFound && answer.sayAbsent()
	}
	secret := credentialOf(req)
	e.Code, e.Message = c.harmless(secret.scrub(e.Code)), c.harmless(secret.scrub(e.Message))
	return e
}

// sayAbsent reports whether all that a registry says is that it has no such repository
// or manifest. It says so, too, of an index that it has when the request's Accept
// names no index, as happens behind a proxy that tampers with the header: such words
// are no proof.
func (r refusals) sayAbsent() bool {
	for _, e := range r.Errors {
		known := e.Code == codeManifestUnknown || e.Code == codeNameUnknown
		if !known || strings.Contains(strings.ToLower(e.Message), "accept") {
			return false
		}
	}
	return len(r.Errors) > 0
}
