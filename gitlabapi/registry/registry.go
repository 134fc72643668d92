// Package registry asks the container registry of a GitLab instance: for lists of tags, for
// manifests, and for what kind of registry it is. It gets its tokens from the instance's own
// /jwt/auth; the access token is shown to no other address.
//
// What it is told by the registry it believes; what a proxy or another program says in the
// registry's place is an error. Errors are those of package throttle and of this one; of their
// classes, [throttle.ErrUnauthorized] never is among them: a token that is good for the API
// may not be good for the registry, which is [ErrDenied] or, for one repository,
// [throttle.ErrForbidden].
package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
)

// maxTokens bounds how many tokens a [Registry] keeps: those of the repositories at work, and
// some more.
const maxTokens = 256

// A Registry asks one container registry. It is safe for concurrent use.
type Registry struct {
	client   *throttle.Client
	base     *url.URL // scheme and host
	priority throttle.Priority

	challenges *flight.Cache[bool]  // whether the registry wants no token
	tokens     *flight.Cache[token] // by the repositories that they are for; "" for none
	bans       *banGuard
	group      []string // of repositories that share a token
	push       bool     // tokens are to allow pushes, too
}

// New returns the registry at an address: that of REGISTRY_URL, or the host in a repository's
// location. Without a scheme it is HTTPS, but HTTP on loopback. Nothing is sent yet. Make one
// for an address: it remembers tokens, and that a token was refused. The error is an
// [*AddressError].
func New(client *throttle.Client, address string) (*Registry, error) {
	base, err := ParseURL(address)
	if err != nil {
		return nil, &AddressError{address, err}
	}
	return &Registry{
		client:     client,
		base:       base,
		challenges: flight.NewCache[bool](1),
		tokens:     flight.NewCache[token](maxTokens),
		bans:       newBanGuard(),
	}, nil
}

// ParseURL checks the address of a registry and adds the scheme that it lacks.
func ParseURL(address string) (*url.URL, error) {
	scheme, host, hasScheme := strings.Cut(strings.TrimSuffix(address, "/"), "://")
	if !hasScheme {
		scheme, host = "https", scheme
	}
	u, err := throttle.ParseURL(scheme + "://" + host)
	switch {
	case err != nil:
		return nil, err
	case u.Host != host:
		return nil, errors.New("it must end with the host: a registry has no path")
	case !hasScheme && (net.ParseIP(u.Hostname()).IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")):
		u.Scheme = "http"
	}
	return u, nil
}

// How many repositories share a token at most, and how long their paths are together, in
// bytes. A token of GitLab's has some 1,000 bytes, and for each repository the path twice and
// some 150 bytes, and grows by a third when it is encoded. With these figures it stays below
// 4 KB, which every proxy lets through in a header, and the address that asks for it below
// 1 KB.
const (
	maxShared      = 5
	maxSharedPaths = 512
)

// TokenGroups returns for each of several repositories those that are best read with one token of
// the registry, itself among them. A path that no repository can have is in no group: it could add
// a scope of its own.
func TokenGroups(paths []string) map[string][]string {
	groups := make(map[string][]string, len(paths))
	var group []string
	length := 0
	for _, path := range paths {
		if checkPath(path) != nil || groups[path] != nil {
			continue
		}
		if len(group) == maxShared || length+len(path) > maxSharedPaths {
			group, length = nil, 0
		}
		group, length = append(group, path), length+len(path)
		for _, member := range group {
			groups[member] = group
		}
	}
	return groups
}

// WithGroup returns the same registry for a caller that is going to ask about the repositories of
// a group of [TokenGroups]: one token does for all of them, where each would have needed its own.
// What the token's user may not read among them is refused as ever.
func (r *Registry) WithGroup(paths []string) *Registry {
	view := *r
	view.group = paths
	return &view
}

// WithPush returns the same registry for a caller that is going to push: its tokens allow that, too,
// where the access token's user may.
func (r *Registry) WithPush() *Registry {
	view := *r
	view.push = true
	return &view
}

// Recheck returns the same registry for reading again, right before a deletion, what it rests
// on: its requests are sent before others that wait.
func (r *Registry) Recheck() *Registry {
	view := *r
	view.priority = throttle.Recheck
	return &view
}

// Format implements [fmt.Formatter], so that no verb shows what the registry holds.
func (r *Registry) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "registry at %s", r.base.Redacted()) }

// What a path and a tag look like: parts of a path in lower case, joined by slashes (GitLab's
// own rule for the names of images), and a tag by the distribution specification of OCI.
// Anything else in an address or a scope could name another thing.
var (
	pathForm = regexp.MustCompile(`^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// checkPath refuses, before anything is sent, a path that no repository can have.
func checkPath(path string) error {
	if len(path) > 255 || !pathForm.MatchString(path) {
		return &throttle.FormatError{Problem: "no repository can have this path"}
	}
	return nil
}

// CheckTag returns an error for a name that no tag can have.
func CheckTag(tag string) error {
	if !tagForm.MatchString(tag) {
		return &throttle.FormatError{Problem: "no tag can have this name"}
	}
	return nil
}

// request is a request to the registry.
type request struct {
	method     string
	repository string // whose token to use; "" for one of none
	path       string // used as it is
	query      string
	accept     string
	tag        string           // whose manifest is asked for, "" for other things
	options    throttle.Request // its MaxBody, Accepts, Immutable, Before and Tries

	body        []byte // for PUT
	contentType string
}

// failed puts what is wrong with the answer to a request into an error.
func (q request) failed(err error) error {
	return &throttle.RequestError{Method: q.method, Path: q.path, Err: err}
}

// do sends a request with the token of its repository and returns the answer if it is a
// success. A token that is refused may have run out and is renewed, once; what changes something is not
// sent again for that, as what it rests on may have changed meanwhile.
func (r *Registry) do(ctx context.Context, q request) (*http.Response, error) {
	bearer, err := r.bearer(ctx, q, throttle.Secret{})
	if err != nil {
		return nil, err
	}
	resp, err := r.send(ctx, q, bearer)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && !bearer.IsZero() && q.method != http.MethodPut {
		if bearer, err = r.bearer(ctx, q, bearer); err == nil {
			resp, err = r.send(ctx, q, bearer)
		}
	}
	success := http.StatusOK
	if q.method == http.MethodPut {
		success = http.StatusCreated
	}
	if err == nil && resp.StatusCode != success {
		err = r.refusal(resp, q.tag)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// send sends a request with a token, or without any.
func (r *Registry) send(ctx context.Context, q request, bearer throttle.Secret) (*http.Response, error) {
	address := &url.URL{Scheme: r.base.Scheme, Host: r.base.Host, Path: q.path, RawQuery: q.query}
	req, err := http.NewRequestWithContext(ctx, q.method, address.String(), bytes.NewReader(q.body))
	if err != nil {
		return nil, q.failed(errors.New("the request cannot be made"))
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	if !bearer.IsZero() {
		req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	q.options.Server, q.options.NoRedirect = throttle.Registry, true
	q.options.Priority = max(q.options.Priority, r.priority)
	return r.client.Do(req, q.options)
}
