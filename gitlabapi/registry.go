package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/flight"
)

// maxGrants bounds how many repositories' tokens a [Registry] keeps: those of the
// repositories at work, and some more.
const maxGrants = 256

// A Registry asks the container registry of an instance. It shares rate, pauses, room
// and retries with its [Client], and is safe for concurrent use.
//
// What it is told by the registry it believes; what a proxy or another program says in
// the registry's place is an error. Errors are those of the package; of the classes,
// [ErrUnauthorized] never is among them: a token that is good for the API may not be
// good for the registry, which is [ErrRegistryDenied] or, for one repository,
// [ErrForbidden].
type Registry struct {
	client     *Client
	base       *url.URL // scheme and host
	challenges *flight.Cache[challenge]
	grants     *flight.Cache[grant] // by the scopes asked for; "" for none
	together   map[string][]string  // for a repository, all that share its token
}

// Registry returns the registry at an address: that of REGISTRY_URL, or the host in a
// repository's location. Without a scheme it is HTTPS, but HTTP on loopback. Nothing is
// sent yet.
func (c *Client) Registry(address string) (*Registry, error) {
	base, err := ParseRegistryURL(address)
	if err != nil {
		return nil, err
	}
	return &Registry{
		client:     c,
		base:       base,
		challenges: flight.NewCache[challenge](1),
		grants:     flight.NewCache[grant](maxGrants),
	}, nil
}

// ParseRegistryURL checks the address of a registry and adds the scheme that it lacks.
func ParseRegistryURL(address string) (*url.URL, error) {
	bare := !strings.Contains(address, "://")
	if bare {
		address = "https://" + address
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it must be an address such as https://registry.example.com")
	case u.User != nil:
		return nil, errors.New("it must not hold a user name or a password")
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it must end with the host: a registry has no path")
	}
	if bare && isLoopback(u.Hostname()) {
		u.Scheme = "http"
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// How many repositories share a token at most, and how long their paths are together, in
// bytes. Each adds its path and some 30 bytes to the address that asks for the token, and
// its path and some 60 bytes to the token, which grows by a third when it is encoded.
// With these figures the address stays below 2 KB and the header with the token below
// 4 KB, which every proxy lets through; ten paths may have 2.5 KB.
const (
	maxTogether      = 10
	maxTogetherPaths = 1 << 10
)

// For returns the same registry for somebody who is going to ask about several
// repositories: one token does for up to ten of them, where each would have needed its
// own. What the token's user may not read among them is refused as ever.
func (r *Registry) For(repositories []string) *Registry {
	view := *r
	view.together = make(map[string][]string, len(repositories))
	left := slices.DeleteFunc(slices.Clone(repositories), func(path string) bool {
		return checkRepositoryPath(path) != nil // it could add a scope of its own
	})
	for len(left) > 0 {
		n := fitTogether(left)
		for _, path := range left[:n] {
			view.together[path] = left[:n:n]
		}
		left = left[n:]
	}
	return &view
}

// fitTogether returns how many of the first of some repositories share a token.
func fitTogether(repositories []string) int {
	length := len(repositories[0])
	for n := 1; n < min(len(repositories), maxTogether); n++ {
		if length += len(repositories[n]); length > maxTogetherPaths {
			return n
		}
	}
	return min(len(repositories), maxTogether)
}

// sharing returns the repositories whose token is that of the given one: itself and, if
// it is among those that are asked about together, its neighbours.
func (r *Registry) sharing(repository string) []string {
	if together := r.together[repository]; together != nil {
		return together
	}
	return []string{repository}
}

// Host returns the registry's host, with a port if it has one.
func (r *Registry) Host() string { return r.base.Host }

// Format implements [fmt.Formatter], so that no verb shows what the registry holds.
func (r *Registry) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "registry at %s", r.base.Redacted()) }

// repositoryPath is what the path of a repository looks like: parts in lower case,
// joined by slashes (GitLab's own rule for the names of images). Anything else in an
// address or a scope could name another thing than a repository.
var repositoryPath = regexp.MustCompile(`^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$`)

// checkRepositoryPath refuses, before anything is sent, a path that no repository can
// have.
func checkRepositoryPath(path string) error {
	if len(path) > 255 || !repositoryPath.MatchString(path) {
		return &FormatError{"no repository can have this path"}
	}
	return nil
}

// What is expected of the registry's answers.
var (
	fromRegistry = &expectation{from: registry, limit: maxBody}
	aTagList     = &expectation{from: registry, limit: 64 << 20} // a million names, where there are no pages
	aManifest    = &expectation{from: registry, limit: maxDocument, types: applications}
	aBlob        = &expectation{from: registry, limit: maxDocument, types: anyType}
)

// manifestTypes is what to accept as a manifest. Without an index among them a registry
// says of an index that there is nothing. They stand in one header, as there are
// proxies that pass on only the first of several.
var manifestTypes = strings.Join([]string{typeOCIManifest, typeOCIIndex, typeDockerManifest, typeDockerList}, ", ")

// question is a request to the registry.
type question struct {
	method     string
	repository string   // whose token to use; "" for one of none
	url        *url.URL // at the registry
	accept     string
	expect     *expectation
	tag        bool // it is about a manifest
}

// at returns an address at the registry. The path is used as it is.
func (r *Registry) at(path, query string) *url.URL {
	return &url.URL{Scheme: r.base.Scheme, Host: r.base.Host, Path: path, RawQuery: query}
}

// ask sends a request with the token of its repository and returns the answer if it is
// a success. A token that is refused may have run out and is renewed, once.
func (r *Registry) ask(ctx context.Context, q question) (*http.Response, error) {
	bearer, err := r.bearer(ctx, q.repository, Secret{})
	if err != nil {
		return nil, err
	}
	req, resp, err := r.send(ctx, q, bearer)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && !bearer.IsZero() {
		if bearer, err = r.bearer(ctx, q.repository, bearer); err != nil {
			return nil, err
		}
		req, resp, err = r.send(ctx, q, bearer)
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		failed := r.client.refusal(req, resp, sourceRegistry)
		failed.tag = q.tag
		return nil, failed
	}
	return resp, nil
}

// send sends a request with a token, or without any.
func (r *Registry) send(ctx context.Context, q question, bearer Secret) (*http.Request, *http.Response, error) {
	req, err := http.NewRequestWithContext(expecting(ctx, q.expect), q.method, q.url.String(), nil)
	if err != nil {
		return nil, nil, &RequestError{q.method, oneLine(q.url.EscapedPath()), errors.New("the request cannot be made")}
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if !bearer.IsZero() {
		req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	resp, err := r.client.roundTrip(req)
	return req, resp, err
}
