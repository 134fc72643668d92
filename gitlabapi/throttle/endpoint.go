package throttle

import (
	"net/http"
	"strings"
)

// An endpoint is a kind of request that GitLab may count by itself. Which limit a request
// counts against is only in the answer, so the limiter remembers it by endpoint. They are
// coarse: a limit that two of them share is recognized by its name, and two limits under one
// endpoint cost no more than speed.
type endpoint int

const (
	atRegistry  endpoint = iota // not GitLab's API: none of its limits is about it
	jwtAuth                     // /jwt/auth
	gitHTTP                     // Git over HTTP has a limit of its own
	graphQL                     // counts as web where that is limited
	projectList                 // the list of projects has a limit of its own
	groupLists                  // so have the lists of groups
	reads                       // everything else of the API
	writes
	endpoints // how many there are
)

// endpointOf returns the endpoint of a request.
func endpointOf(req *http.Request, to Server) endpoint {
	if to == Registry {
		return atRegistry
	}
	path := req.URL.Path
	_, resource, _ := strings.Cut(path, "/api/v4/")
	isRead := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch {
	case strings.HasSuffix(path, "/jwt/auth"):
		return jwtAuth
	case strings.HasSuffix(path, ".git/info/refs"):
		return gitHTTP
	case strings.HasSuffix(path, "/api/graphql"):
		return graphQL
	case !isRead:
		return writes
	case resource == "projects":
		return projectList
	case strings.HasPrefix(resource, "groups/"):
		return groupLists
	default:
		return reads
	}
}
