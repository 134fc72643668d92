package gitlabapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// handshake is the network that go-containerregistry's side of the handshake gets. It
// reaches one address only, and lets pass only the statuses that are expected.
type handshake struct {
	client  *Client
	address *url.URL // but for its query
	source  source
	takes   []int
}

// RoundTrip implements [http.RoundTripper].
func (h handshake) RoundTrip(req *http.Request) (*http.Response, error) {
	u := req.URL
	if u.Scheme != h.address.Scheme || u.Host != h.address.Host || u.Path != h.address.Path {
		return nil, errors.New("not the address of the handshake")
	}
	req = req.Clone(req.Context())
	resp, err := h.client.roundTrip(req)
	if err != nil {
		return nil, ownError{err}
	}
	// To go-containerregistry a 401 that says nothing looks like a registry that wants
	// no token.
	silent := resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") == ""
	if silent || !slices.Contains(h.takes, resp.StatusCode) {
		return nil, ownError{h.client.refusal(req, resp, h.source)}
	}
	return resp, nil
}

// ownError marks errors that are the package's own, in whatever go-containerregistry
// wraps them.
type ownError struct{ error }

// handshakeError returns the package's own error in what go-containerregistry returned,
// or the other one: its own would quote what the server said, tokens included.
func handshakeError(err, other error) error {
	if own, ok := errors.AsType[ownError](err); ok {
		return own.error
	}
	return other
}
