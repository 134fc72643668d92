package gitlabapi

import (
	"net/http"
	"strings"
)

// A kind of request is what GitLab may count by itself. Which limit a request counts
// against is only in the answer, so the gate remembers it by kind. Kinds are coarse:
// a limit that two of them share is recognized by its name, and two limits under one
// kind cost no more than pace.
type kind int

const (
	toRegistry  kind = iota // not GitLab's API: none of its limits is about it
	signIn                  // /jwt/auth
	queries                 // counts as web where that is limited
	allProjects             // the listing of projects has a limit of its own
	ofGroup                 // so have the listings of groups
	reads                   // everything else of the API
	writes
	kinds // how many there are
)

// kindOf returns the kind of a request to a party.
func kindOf(req *http.Request, to party) kind {
	if to == registry {
		return toRegistry
	}
	path := req.URL.Path
	_, resource, _ := strings.Cut(path, "/api/v4/")
	isRead := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch {
	case strings.HasSuffix(path, "/jwt/auth"):
		return signIn
	case strings.HasSuffix(path, "/api/graphql"):
		return queries
	case !isRead:
		return writes
	case resource == "projects":
		return allProjects
	case strings.HasPrefix(resource, "groups/"):
		return ofGroup
	default:
		return reads
	}
}
