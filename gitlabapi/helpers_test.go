package gitlabapi

import (
	"context"
	"net/http"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

// secretToken is the token of these tests, to be looked for where it must not be.
const secretToken = "glpat-Very_Secret.Token-0123456789"

// somewhere is a repository to ask about where it does not matter which.
var somewhere = Repository{ID: 2, ProjectID: 1, Path: "group/app"}

// What these tests need of package wiretest.
type wire = wiretest.Network

var (
	reply     = wiretest.Reply
	answering = wiretest.Answering
)

// newTestClient returns a client of an instance that is behind the wire.
func newTestClient(t testing.TB, network http.RoundTripper, config Config) *Client {
	t.Helper()
	config.Transport = network
	if config.URL == "" {
		config.URL = "https://gitlab.example"
	}
	if config.Token.IsZero() {
		config.Token = throttle.NewSecret(secretToken)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends one GET.
func ask(ctx context.Context, c *Client) error {
	_, err := c.HasTags(ctx, somewhere)
	return err
}
