package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// TestAdviceOnTheRegistry: whatever keeps the registry out of reach, the setting that mends it is
// named.
func TestAdviceOnTheRegistry(t *testing.T) {
	at := func(err error) error { return &throttle.RequestError{Method: "GET", Path: "/v2/", Err: err} }
	status := func(code int, path string, classes ...error) error {
		return &throttle.StatusError{Method: "GET", Path: path, Status: code, Classes: classes}
	}
	const host = "registry.example.com:5050"
	for want, failure := range map[string]*pipeline.NoRegistryError{
		"set REGISTRY_URL to http://" + host:             {Address: host, Err: at(tls.RecordHeaderError{Msg: "x"})},
		"set GITLAB_URL to that address":                 {Address: host, Err: at(&registry.RealmError{Realm: "https://gitlab.internal/jwt/auth", Own: "x"})},
		"if https://gitlab.internal is the same":         {Address: host, Err: at(&registry.RealmError{Realm: "https://gitlab.internal/jwt/auth", Own: "x"})},
		"correct GITLAB_URL, or the token realm":         {Address: host, Err: at(&registry.RealmError{Realm: "http://gitlab.example/jwt/auth", Own: "https://gitlab.example/jwt/auth"})},
		"set REGISTRY_URL to a registry of this":         {Address: host, Err: at(&registry.RealmError{Realm: "https://auth.docker.io/token", Own: "x"})},
		"needs the scope read_registry":                  {Address: host, Err: status(403, "/jwt/auth", throttle.ErrForbidden, registry.ErrMayNotPull)},
		"firewall in front of GitLab must let /jwt/auth": {Address: host, Err: status(403, "/jwt/auth", throttle.ErrForbidden)},
		"lists are below /gitlab/v1/":                    {Address: host, Err: status(403, "/gitlab/v1/", throttle.ErrForbidden)},
		"run again when it has recovered":                {Address: host, Err: status(503, "/v2/")},
		"cannot resolve the name: set REGISTRY_URL":      {Address: host, Err: at(&net.DNSError{IsNotFound: true})},
		"another address from here, set REGISTRY_URL":    {Address: host, Err: at(errors.New("connection refused"))},
		"GitLab does not say where its registry is":      {Err: &registry.AddressError{Err: errors.New("x")}},
		"such as https://registry.example.com":           {Address: "x/y", Err: &registry.AddressError{Address: "x/y", Err: errors.New("x")}},
		"set REGISTRY_URL to the address of GitLab's":    {Address: host, Err: at(&throttle.FormatError{Problem: "HTML"})},
	} {
		got := advice(fmt.Errorf("run: %w", failure))
		if !strings.Contains(got, want) || !strings.HasPrefix(got, "the registry cannot be asked") {
			t.Errorf("%v: %s; want %q", failure, got, want)
		}
	}
}
