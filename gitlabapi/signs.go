package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// RegistrySigns is what a registry shows of itself and of the instance's regime.
type RegistrySigns struct {
	// InReach is true when the registry serves this token.
	InReach bool
	// Header is the regime by what the registry says of its database at /v2/; older
	// ones do not.
	Header Regime
	// V1 is the regime by whether the registry has GitLab's own API, which it has with
	// the database only. A proxy that lets pass no more than /v2/ makes it look like
	// legacy.
	V1 Regime
}

// databaseHeader is what newer registries of GitLab send at /v2/.
const databaseHeader = "Gitlab-Container-Registry-Database-Enabled"

// Signs finds out whether the registry is in reach, and what it says of the regime. The
// error says why it is not in reach, or why not all of its signs could be read; signs
// that could not be read are unknown.
func (r *Registry) Signs(ctx context.Context) (RegistrySigns, error) {
	var signs RegistrySigns
	resp, err := r.ask(ctx, question{method: http.MethodGet, url: r.at("/v2/", ""), expect: fromRegistry})
	if err != nil {
		return signs, fmt.Errorf("asking the registry at %s: %w", r.Host(), err)
	}
	signs.InReach = true
	switch strings.ToLower(resp.Header.Get(databaseHeader)) {
	case "true":
		signs.Header = RegimeDatabase
	case "false":
		signs.Header = RegimeLegacy
	}
	_, err = r.ask(ctx, question{method: http.MethodGet, url: r.at("/gitlab/v1/", ""), expect: fromRegistry})
	status, answered := errors.AsType[*StatusError](err)
	switch {
	case err == nil, answered && status.source == sourceRegistry && status.Status == http.StatusUnauthorized:
		signs.V1 = RegimeDatabase
	case answered && status.source == sourceRegistry && status.Status == http.StatusNotFound:
		signs.V1 = RegimeLegacy
	default:
		return signs, fmt.Errorf("asking the registry at %s for GitLab's own API: %w", r.Host(), err)
	}
	return signs, nil
}
