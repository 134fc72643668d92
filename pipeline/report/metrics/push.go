package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus/push"
)

// job is what Prometheus shows the metrics under.
const job = "registry_gc"

// A Gateway is a Pushgateway, and the group of metrics in it that a run replaces.
type Gateway struct {
	address *url.URL // without user and password
	user    *url.Userinfo
	// Instance names the GitLab instance. Runs against several can share a Pushgateway.
	Instance string
	// Scope names the part of the instance that was walked, if it was not all of it, so
	// that runs for one group each do not replace each other's metrics.
	Scope string
	// Shard is the index of one of several processes that walk it together.
	Shard string
	// DryRun keeps the metrics of dry runs apart: what watches the age and the exit code of
	// the real ones would otherwise see theirs.
	DryRun bool
}

// ErrAddress says that an address cannot be that of a Pushgateway. The address, which
// may hold a password, is no part of it.
var ErrAddress = errors.New("not the address of a Pushgateway")

// ParseGateway takes the address of a Pushgateway, with user and password where it wants
// them.
func ParseGateway(address string) (*Gateway, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, ErrAddress
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, ErrAddress
	}
	g := &Gateway{address: u, user: u.User}
	u.User = nil
	return g, nil
}

// Host returns the host of the Pushgateway, for logs.
func (g *Gateway) Host() string { return g.address.Host }

// Push replaces the group's metrics by those of the run. It is tried once, and takes as
// long as the context lets it. Its errors show neither user nor password, nor anything
// that the Pushgateway wrote.
func (g *Gateway) Push(ctx context.Context, run *Run) error {
	pusher := push.New(g.address.String(), job).Gatherer(run.registry()).Client(newOnce()).Grouping("instance", g.Instance)
	if g.Scope != "" {
		pusher.Grouping("scope", g.Scope)
	}
	if g.Shard != "" {
		pusher.Grouping("shard", g.Shard)
	}
	if g.DryRun {
		pusher.Grouping("mode", "dry-run") // dry_run is a label of a metric already
	}
	if g.user != nil {
		password, _ := g.user.Password()
		pusher.BasicAuth(g.user.Username(), password)
	}
	if err := pusher.PushContext(ctx); err != nil {
		return fmt.Errorf("pushing metrics to %s: %w", g.Host(), err)
	}
	return nil
}

// once sends a request and looks at the status of the answer alone.
type once struct{ client *http.Client }

// newOnce returns a client that goes where it is told: following a redirect would take
// the password along, or the metrics to where nobody wanted them.
func newOnce() *once {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // there is no next request
	return &once{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do implements [push.HTTPDoer]. The pusher would put the whole answer into its error,
// however long it is and whatever it repeats.
func (o *once) Do(req *http.Request) (*http.Response, error) {
	resp, err := o.client.Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return nil, failed.Err
	}
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	resp.Body = http.NoBody
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return resp, nil
}
