package throttle

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

// secretToken is the token of these tests, to be looked for where it must not be.
const secretToken = "glpat-Very_Secret.Token-0123456789"

// What these tests need of package wiretest.
type wire = wiretest.Network

var (
	reply       = wiretest.Reply
	answering   = wiretest.Answering
	newArrivals = wiretest.NewArrivals
	seconds     = wiretest.Seconds
)

// newTestClient returns a client of an instance that is behind the wire.
func newTestClient(t testing.TB, network http.RoundTripper, config Config) *Client {
	t.Helper()
	config.Transport = network
	if config.URL == "" {
		config.URL = "https://gitlab.example"
	}
	if config.Token.IsZero() {
		config.Token = NewSecret(secretToken)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request sends a request to GitLab's API, as GitLab's own client does.
func request(ctx context.Context, c *Client, method, path, body string, options Request) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL().JoinPath(path).String(), strings.NewReader(body))
	if body == "" {
		req, err = http.NewRequestWithContext(ctx, method, c.URL().JoinPath(path).String(), nil)
	}
	if err != nil {
		return err
	}
	req.Header.Set("PRIVATE-TOKEN", c.Token().Reveal())
	resp, err := c.Do(req, options)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = c.StatusError(resp)
	}
	return err
}

// ask sends one GET of what is no project's.
func ask(ctx context.Context, c *Client) error {
	return request(ctx, c, http.MethodGet, aListing, "", Request{})
}
