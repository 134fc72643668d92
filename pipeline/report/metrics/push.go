package metrics

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

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
	// DryRun keeps the metrics of dry runs apart: an alert on the age and the exit code of
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
//
// It follows no redirect, which would take the password along, or the metrics to another
// place.
func (g *Gateway) Push(ctx context.Context, run *Run) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, g.group(), bytes.NewReader(run.Text()))
	if err != nil {
		return fmt.Errorf("pushing metrics to %s: %w", g.Host(), ErrAddress)
	}
	request.Header.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if g.user != nil {
		password, _ := g.user.Password()
		request.SetBasicAuth(g.user.Username(), password)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // there is no next request
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err == nil {
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusAccepted {
			err = fmt.Errorf("it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
		}
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the address
	}
	if err != nil {
		return fmt.Errorf("pushing metrics to %s: %w", g.Host(), err)
	}
	return nil
}

// group returns the address of the run's group of metrics. A value with a slash has a place in
// a path in Base64 only.
func (g *Gateway) group() string {
	mode := ""
	if g.DryRun {
		mode = "dry-run" // dry_run is a label of a metric already
	}
	address := strings.TrimSuffix(g.address.String(), "/") + "/metrics/job/registry_gc"
	for _, label := range [][2]string{{"instance", g.Instance}, {"scope", g.Scope}, {"shard", g.Shard}, {"mode", mode}} {
		switch name, value := label[0], label[1]; {
		case value == "":
		case strings.Contains(value, "/"):
			address += "/" + name + "@base64/" + base64.RawURLEncoding.EncodeToString([]byte(value))
		default:
			address += "/" + name + "/" + url.PathEscape(value)
		}
	}
	return address
}
