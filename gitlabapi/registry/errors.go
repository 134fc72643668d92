package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// Classes of a [throttle.StatusError] beside those of package throttle, for [errors.Is].
var (
	// ErrDenied: /jwt/auth refuses the token as a password for the registry. The registry
	// is out of reach for the rest of the run, and no method of a [Registry] sends anything
	// any more; the API may well go on accepting the token.
	ErrDenied = errors.New("the token is not accepted for the registry")
	// ErrMayNotPull: GitLab itself says at /jwt/auth that the token has no business with the
	// registry at all, as one has none with the scope read_api and without read_registry. It is
	// also [throttle.ErrForbidden].
	ErrMayNotPull = errors.New("the token may not pull from the registry")
	// ErrManifestNotFound: the registry itself, in its own words, says that it has no such
	// manifest. It is also [throttle.ErrNotFound].
	ErrManifestNotFound = errors.New("manifest not found")
	// ErrNoSuchTag: the registry itself says that it has no such tag. It is also
	// ErrManifestNotFound.
	ErrNoSuchTag = errors.New("no such tag in the registry")
	// ErrRepositoryNotFound: the registry itself says that it has no such repository. It is
	// also [throttle.ErrNotFound].
	ErrRepositoryNotFound = errors.New("repository not found in the registry")
	// ErrTokenRanOut: the registry's own token was refused for a push, and a read would get a new one.
	ErrTokenRanOut = errors.New("the token of the registry has run out")
	// ErrCollected: the registry itself says of a manifest that it was sent that it does not have
	// what that refers to.
	ErrCollected = errors.New("the registry has removed what the manifest refers to")
)

// errNoOwnAPI is the class of a 404 in which the registry itself says that it does not serve a
// path: it names itself in a header, as it does in all that it answers, and sends no page.
var errNoOwnAPI = errors.New("the registry does not have this")

// A RealmError says that the registry wants a token of another address than the instance's own
// /jwt/auth, which alone is shown the access token.
type RealmError struct {
	Realm string // where the registry sends its clients for a token
	Own   string // the instance's own
}

// Error implements error.
func (e *RealmError) Error() string {
	return "the registry asks for a token of " + e.Realm + ", which is not the instance's own, " + e.Own
}

// Instance returns the address of the instance that the realm seems to be of, empty where it is none.
func (e *RealmError) Instance() string {
	base, found := strings.CutSuffix(e.Realm, "/jwt/auth")
	if u, err := throttle.ParseURL(base); found && err == nil {
		return u.String()
	}
	return ""
}

// OnlySchemeDiffers reports whether the realm is the instance's own but for https or http.
func (e *RealmError) OnlySchemeDiffers() bool {
	_, realm, _ := strings.Cut(e.Realm, "://")
	_, own, _ := strings.Cut(e.Own, "://")
	return realm == own
}

// An AddressError says that what should be the address of a registry is none.
type AddressError struct {
	Address string
	Err     error
}

// Error implements error.
func (e *AddressError) Error() string { return fmt.Sprintf("the address %q: %v", e.Address, e.Err) }

// Unwrap returns what is wrong with it.
func (e *AddressError) Unwrap() error { return e.Err }

// A LostManifestError is a tag that is there, and whose manifest cannot be found: it is lost,
// or where the registry keeps its data is not mounted or only half restored, and then every
// tag answers so. It is also [ErrManifestNotFound].
type LostManifestError struct {
	Digest string // that the tag names
	Err    *throttle.StatusError
}

// Error implements error.
func (e *LostManifestError) Error() string {
	return "the tag names " + e.Digest + ", which the registry cannot find: " + e.Err.Error()
}

// Unwrap returns the registry's answer.
func (e *LostManifestError) Unwrap() error { return e.Err }

// An ElsewhereError is a blob that the registry keeps elsewhere, as a rule in an object store, to
// which it redirects. The redirect was not followed: ask the API instead.
type ElsewhereError struct{ To string } // without query

// Error implements error.
func (e *ElsewhereError) Error() string { return "the registry keeps it elsewhere, at " + e.To }

// wrap puts what was being done before an error, if there is one.
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// ownHeader is in all answers of a registry. There are proxies that add it to their own errors.
const ownHeader = "Docker-Distribution-Api-Version"

// refusal reads the registry's words out of an answer that is no success; the tag is the one
// whose manifest was asked for, if any. A registry answers 401 to a token that does not allow
// what is asked, which says nothing about the access token: it is forbidden there and then.
//
// All that the registry says must be that it has no such repository or manifest. It says so,
// too, of an index that it has when the request's Accept names no index, as happens behind a
// proxy that tampers with the header: such words are no proof.
func (r *Registry) refusal(resp *http.Response, tag string) error {
	e := r.client.StatusError(resp)
	if e.Status == http.StatusUnauthorized {
		class := throttle.ErrForbidden
		// Of what is protected the registry speaks without a challenge. Reads get a new token anyway.
		if _, challenge := parseChallenge(resp.Header.Get("WWW-Authenticate")); e.Method == http.MethodPut && challenge["realm"] != "" && challenge["error"] != "insufficient_scope" {
			class = ErrTokenRanOut
		}
		e.Classes = append(e.Classes, class)
	}
	var answer struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Detail  any    `json:"detail"`
		} `json:"errors"`
	}
	if e.Method == http.MethodPut && e.Status == http.StatusBadRequest && json.Unmarshal(throttle.Body(resp), &answer) == nil &&
		len(answer.Errors) > 0 && answer.Errors[0].Code == "MANIFEST_BLOB_UNKNOWN" {
		e.Classes = append(e.Classes, ErrCollected)
	}
	if e.Status == http.StatusNotFound && resp.Header.Get(ownHeader) != "" && !throttle.IsHTML(resp) {
		e.Classes = append(e.Classes, errNoOwnAPI)
	}
	if e.Status != http.StatusNotFound || json.Unmarshal(throttle.Body(resp), &answer) != nil || len(answer.Errors) == 0 {
		return e
	}
	for _, said := range answer.Errors {
		known := slices.Contains([]string{"MANIFEST_UNKNOWN", "NAME_UNKNOWN"}, said.Code)
		if !known || strings.Contains(strings.ToLower(said.Message), "accept") {
			return e
		}
	}
	if answer.Errors[0].Code == "NAME_UNKNOWN" {
		e.Classes = append(e.Classes, ErrRepositoryNotFound)
	}
	if tag == "" {
		return e
	}
	e.Classes = append(e.Classes, ErrManifestNotFound)
	if len(answer.Errors) == 1 && answer.Errors[0].Code == "MANIFEST_UNKNOWN" && answer.Errors[0].Detail == "unknown tag="+tag {
		e.Classes = append(e.Classes, ErrNoSuchTag) // in the words of distribution v3
		return e
	}
	detail, ok := answer.Errors[0].Detail.(map[string]any)
	if !ok || len(answer.Errors) > 1 || answer.Errors[0].Code != "MANIFEST_UNKNOWN" {
		return e
	}
	name, named := detail["Tag"]
	digest, _ := detail["Revision"].(string)
	switch {
	case named && digest == "" && name == tag:
		e.Classes = append(e.Classes, ErrNoSuchTag)
	case !named && manifest.IsDigest(digest):
		return &LostManifestError{digest, e}
	}
	return e
}
