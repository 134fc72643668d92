package gitlabapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	remote "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// service is what GitLab's /jwt/auth calls the container registry. It gives tokens for
// other services, too, which a registry has no business with.
const service = "container_registry"

// challenge is what the registry answers to somebody whom it does not know.
type challenge struct {
	open bool // it serves everybody, and wants no token
}

// challenge asks the registry whom it trusts. The answer is good only if that is the
// instance's own /jwt/auth, for the access token is going to be sent there: anything
// else is a [ChallengeError].
func (r *Registry) challenge(ctx context.Context) (challenge, error) {
	options := []name.Option{}
	if r.base.Scheme == "http" {
		options = append(options, name.Insecure)
	}
	request := func(err error) error { return &RequestError{http.MethodGet, "/v2/", err} }
	host, err := name.NewRegistry(r.base.Host, options...)
	if err != nil {
		return challenge{}, request(&ChallengeError{"the registry's host is none that a registry can have"})
	}
	// go-containerregistry tries HTTP beside HTTPS for private addresses, and HTTPS
	// before HTTP. The network that it gets knows the one that is configured.
	network := handshake{client: r.client, address: r.at("/v2/", ""), source: sourceRegistry,
		takes: []int{http.StatusOK, http.StatusUnauthorized}}
	asked, err := remote.Ping(expecting(ctx, fromRegistry), host, network)
	switch {
	case ctx.Err() != nil:
		return challenge{}, ctx.Err()
	case err != nil:
		return challenge{}, handshakeError(err, request(&ChallengeError{"the registry cannot be asked whom it trusts"}))
	}
	if problem := r.client.distrust(asked); problem != "" {
		return challenge{}, request(&ChallengeError{problem})
	}
	return challenge{open: asked.Scheme == ""}, nil
}

// distrust says what is wrong with a challenge; "" means nothing.
func (c *Client) distrust(asked *remote.Challenge) string {
	realm := asked.Parameters["realm"]
	switch {
	case asked.Scheme == "": // and status 200, see handshake
		return ""
	case !strings.EqualFold(asked.Scheme, "bearer") || realm == "":
		return "the registry does not ask for a token, but for another proof"
	case !c.isOwnRealm(realm):
		return "the registry asks for a token of " + c.harmless(realm) +
			", which is not the instance's own: is GITLAB_URL the address that the registry knows it by?"
	case asked.Parameters["service"] != service:
		return "the registry asks for a token of another service than " + service
	}
	return ""
}

// realm is the instance's own /jwt/auth.
func (c *Client) realm() *url.URL {
	root := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: "/"}
	return root.JoinPath(c.base.EscapedPath(), "jwt/auth")
}

// isOwnRealm reports whether a realm is the instance's /jwt/auth: of the same scheme,
// host, port and path, and nothing more.
func (c *Client) isOwnRealm(realm string) bool {
	u, err := url.Parse(realm)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(realm, "?#\\") {
		return false
	}
	own := c.realm()
	return u.Scheme == own.Scheme && strings.EqualFold(u.Hostname(), own.Hostname()) &&
		portOf(u) == portOf(own) && u.EscapedPath() == own.EscapedPath()
}

// portOf returns the port of an address, that of its scheme if it names none.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}
