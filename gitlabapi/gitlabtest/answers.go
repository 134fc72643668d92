package gitlabtest

import (
	"net/http"
	"strconv"
)

// message is the body of most of GitLab's errors.
type message struct {
	Message string `json:"message"`
}

// problem is the body of errors that its API framework raises.
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Scope       string `json:"scope,omitempty"`
}

func ok(body any) *answer { return &answer{status: http.StatusOK, body: body} }

// failure is an error in GitLab's words: the status, and what went wrong.
func failure(status int, what string) *answer {
	return &answer{status: status, body: message{strconv.Itoa(status) + " " + what}}
}

func notFound(what string) *answer {
	return failure(http.StatusNotFound, what+" Not Found")
}

func forbidden() *answer { return failure(http.StatusForbidden, "Forbidden") }

func badRequest(what string) *answer {
	return &answer{status: http.StatusBadRequest, body: problem{Error: what}}
}

func notAllowed(what string) *answer {
	return &answer{status: http.StatusMethodNotAllowed, body: problem{Error: what}}
}

// registryUnreachable is what Rails says when it cannot connect to the
// registry.
func registryUnreachable() *answer {
	return failure(http.StatusServiceUnavailable, "Service Unavailable")
}

const registryJSON = "application/json; charset=utf-8"

// registryErrors is the body of the registry's errors, and of those of
// /jwt/auth.
type registryErrors struct {
	Errors []registryError `json:"errors"`
}

type registryError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

func registryFailure(status int, code, message string, detail any) *answer {
	return &answer{
		status: status, contentType: registryJSON,
		body: registryErrors{[]registryError{{code, message, detail}}},
	}
}

// noRegistryPage is what the registry says to paths and methods that it does not
// know.
func noRegistryPage(status int) *answer {
	text := "404 page not found\n"
	if status == http.StatusMethodNotAllowed {
		text = "Method not allowed\n"
	}
	return &answer{status: status, body: text, contentType: "text/plain; charset=utf-8"}
}

func unavailable() *answer {
	return registryFailure(http.StatusServiceUnavailable, "UNAVAILABLE", "service unavailable", nil)
}

func nameUnknown(path string) *answer {
	return registryFailure(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry",
		map[string]string{"name": path})
}

func nameInvalid(path string) *answer {
	return registryFailure(http.StatusBadRequest, "NAME_INVALID", "invalid repository name", path)
}

func tagUnknown(tag string) *answer {
	return manifestUnknown("manifest unknown", map[string]string{"Tag": tag})
}

// tagProtected has no WWW-Authenticate, which tells it from a token that ran out.
func tagProtected() *answer {
	return registryFailure(http.StatusUnauthorized, "PROTECTED_TAG", "insufficient permissions to alter protected tag", nil)
}

func revisionUnknown(path, digest string) *answer {
	return manifestUnknown("manifest unknown", map[string]string{"Name": path, "Revision": digest})
}

func manifestUnknown(message string, detail any) *answer {
	return registryFailure(http.StatusNotFound, "MANIFEST_UNKNOWN", message, detail)
}

func manifestInvalid(detail any) *answer {
	return registryFailure(http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid", detail)
}

func digestInvalid() *answer {
	return registryFailure(http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content", nil)
}

func blobUnknown(status int, code, digest string) *answer {
	return registryFailure(status, code, "blob unknown to registry", digest)
}

// codeOf is the code of an error that says no more than its status.
func codeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusForbidden:
		return "DENIED"
	case http.StatusTooManyRequests:
		return "TOOMANYREQUESTS"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	default:
		return "UNKNOWN"
	}
}
