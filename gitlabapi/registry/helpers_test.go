package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
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
func newTestClient(t testing.TB, network http.RoundTripper, config throttle.Config) *throttle.Client {
	t.Helper()
	config.Transport = network
	if config.URL == "" {
		config.URL = "https://gitlab.example"
	}
	if config.Token.IsZero() {
		config.Token = throttle.NewSecret(secretToken)
	}
	c, err := throttle.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fixture reads a manifest that a real BuildKit pushed.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "gitlabtest", "testdata", "buildkit", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func quoteJSON(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}
