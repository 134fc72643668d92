package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
	// Header is what the registry says of its database at /v2/ to those who show a token: the
	// surest sign. Registries before 3.84 do not say it, and neither does one whose headers a
	// proxy takes away.
	Header Regime
	// V1 is whether the registry serves GitLab's own API. With the database it does; without, it
	// does not since 3.60, so that of a registry that does not say Header only its absence says
	// something, and not much.
	V1 Regime
	// V1Err says why V1 is not known, nil where it is, and where it was not asked for.
	V1Err error
}

// databaseHeader is what newer registries of GitLab send at /v2/.
const databaseHeader = "Gitlab-Container-Registry-Database-Enabled"

// OwnAPI is where GitLab's registries have their own API.
const OwnAPI = "/gitlab/v1/"

// Signs finds out whether the registry is in reach, and of what kind it is. The error says why
// it is not in reach. GitLab's own API is asked for where it is going to be needed or may say
// something more; that it is refused is one sign less.
func (r *Registry) Signs(ctx context.Context) (Signs, error) {
	var signs Signs
	resp, err := r.do(ctx, request{method: http.MethodGet, path: "/v2/"})
	if err != nil {
		return signs, fmt.Errorf("asking the registry at %s: %w", r.base.Host, err)
	}
	switch strings.ToLower(resp.Header.Get(databaseHeader)) {
	case "true":
		signs.Header = Database
	case "false":
		signs.Header = Legacy
		return signs, nil
	}
	_, err = r.do(ctx, request{method: http.MethodGet, path: OwnAPI})
	switch {
	case err == nil:
		signs.V1 = Database
	case errors.Is(err, errNoOwnAPI):
		signs.V1 = Legacy
	default:
		signs.V1Err = fmt.Errorf("asking the registry at %s for GitLab's own API: %w", r.base.Host, err)
	}
	return signs, nil
}
