package gitlabtest

import (
	"net/http"
	"net/url"
	"strings"
)

// door is where a request comes in, and so what it can ask for.
type door uint8

const (
	everyDoor    door = iota // API and registry share a host
	apiDoor                  // the registry has a host of its own, and this is not it
	registryDoor             // the registry's own host
)

// opensTo says whether what is asked can be found behind the door.
func (d door) opensTo(registry bool) bool {
	return d == everyDoor || registry == (d == registryDoor)
}

// doorOf finds the door by the host that is asked.
func (s *Server) doorOf(r *http.Request) door {
	own := s.options.registryHost
	switch {
	case own == "" || own == s.externalHost():
		return everyDoor
	case r.Host == own:
		return registryDoor
	default:
		return apiDoor
	}
}

// externalHost is the host of the instance where the server was told it.
func (s *Server) externalHost() string {
	external, err := url.Parse(s.options.externalURL)
	if err != nil {
		return ""
	}
	return external.Host
}

// Registry returns a handler that serves the registry's paths and no others,
// whatever host is asked: for a listener of its own.
func (s *Server) Registry() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serveAt(registryDoor, w, r)
	})
}

// isRegistryPath says whether a path is the registry's.
func isRegistryPath(path string) bool {
	return path == "/v2" || strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/gitlab/v1/")
}
