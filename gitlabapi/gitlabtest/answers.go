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
