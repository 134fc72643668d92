package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// A Regime is what something says of the kind of registry that an instance has.
type Regime int

// The signs.
const (
	RegimeUnknown Regime = iota
	Legacy               // without the metadata database
	Database             // with it
)

// String returns the sign as reports show it.
func (s Regime) String() string { return [...]string{"unknown", "legacy", "database"}[s] }

// Signs is what a registry shows of itself.
type Signs struct {
	// InReach is true when the registry serves this token.
	InReach bool
	// Header is what the registry says of its database at /v2/; older ones do not.
	Header Regime
	// V1 is whether the registry has GitLab's own API, which newer ones have with the
	// database only; before registry 3.60 all have it. A proxy that lets pass no more than
	// /v2/ makes a registry look as if it had no database.
	V1 Regime
}

// databaseHeader is what newer registries of GitLab send at /v2/.
const databaseHeader = "Gitlab-Container-Registry-Database-Enabled"

// Signs finds out whether the registry is in reach, and of what kind it is. The error says why
// it is not in reach, or why not all of its signs could be read; signs that could not be read
// are unknown.
func (r *Registry) Signs(ctx context.Context) (Signs, error) {
	var signs Signs
	resp, err := r.do(ctx, request{method: http.MethodGet, path: "/v2/"})
	if err != nil {
		return signs, fmt.Errorf("asking the registry at %s: %w", r.base.Host, err)
	}
	signs.InReach = true
	switch strings.ToLower(resp.Header.Get(databaseHeader)) {
	case "true":
		signs.Header = Database
	case "false":
		signs.Header = Legacy
	}
	_, err = r.do(ctx, request{method: http.MethodGet, path: "/gitlab/v1/"})
	status, answered := errors.AsType[*throttle.StatusError](err)
	switch {
	case err == nil:
		signs.V1 = Database
	case answered && status.Status == http.StatusNotFound && !strings.HasSuffix(status.Path, "/jwt/auth"):
		signs.V1 = Legacy
	default:
		return signs, fmt.Errorf("asking the registry at %s for GitLab's own API: %w", r.base.Host, err)
	}
	return signs, nil
}
