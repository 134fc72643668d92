package gitlabtest

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an instance. It is an [http.Handler], and safe for use by many
// goroutines at once.
type Server struct {
	options  options
	recorder *recorder
	limiter  rateLimiter
	faults   atomic.Pointer[[]*activeFault]
	hook     atomic.Pointer[func(Request)]
	real     *realRegistry // nil when the registry is in memory

	mu       sync.Mutex // guards what follows; never held during a wait
	state    *state
	deleted  []TagState
	tokens   map[string]registryToken    // for the registry
	notFound map[string]rememberedAnswer // what a proxy remembers, by URI
}

// New returns a server of a world. It copies the world
// and keeps no reference to it. It panics when a repository has a tag twice.
func New(w *World, opts ...Option) *Server {
	o := options{clock: time.Now, tokens: map[string][]string{}, seed: 1}
	for _, set := range opts {
		set(&o)
	}
	if len(o.tokens) == 0 {
		o.tokens[DefaultToken] = []string{"api"}
	}
	s := &Server{
		options: o, state: newState(w, true), recorder: newRecorder(o.log),
		limiter: rateLimiter{windows: map[string]*window{}},
		tokens:  map[string]registryToken{}, notFound: map[string]rememberedAnswer{},
	}
	if o.realRegistry != "" {
		mustBe(w.Regime == Legacy, "a real registry behind the server has no database")
		s.real = &realRegistry{o.realRegistry}
		s.state.dropMissing()
	}
	s.SetFaults(o.faults...)
	return s
}

// OnRequest sets a function that is called before each request is served, and
// may change the instance through the server's methods. Nil removes it.
func (s *Server) OnRequest(f func(Request)) {
	if f == nil {
		s.hook.Store(nil)
		return
	}
	s.hook.Store(&f)
}

// host is what is served at the host that a request was sent to.
type host uint8

const (
	sharedHost       host = iota // API and registry
	apiHost                      // the API: the registry has a host of its own
	registryOnlyHost             // the registry
)

// ServeHTTP implements [http.Handler]. It serves API and registry, or what
// belongs to the host that is asked if the registry has one of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own := s.options.registryHost
	external, err := url.Parse(s.options.externalURL)
	switch {
	case own == "" || err == nil && own == external.Host:
		s.serveAt(sharedHost, w, r)
	case r.Host == own:
		s.serveAt(registryOnlyHost, w, r)
	default:
		s.serveAt(apiHost, w, r)
	}
}

// Registry returns a handler that serves the registry's paths and no others,
// whatever host is asked: for a listener of its own.
func (s *Server) Registry() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serveAt(registryOnlyHost, w, r)
	})
}

// isRegistryPath says whether a path is the registry's.
func isRegistryPath(path string) bool {
	return path == "/v2" || strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/gitlab/v1/")
}

// serveAt serves a request that was sent to a host.
func (s *Server) serveAt(at host, w http.ResponseWriter, r *http.Request) {
	c := s.newCall(at, w, r)
	s.recorder.start(c)
	// Deferred, since a connection that is cut ends in a panic.
	defer func() { s.recorder.end(c, s.options.clock()) }()
	if f := s.hook.Load(); f != nil {
		(*f)(c.asked())
	}
	c.write(s.answerByProxy(c))
}

// answer finds the answer to a call. The rate limit stands first, so that
// its headers are on every answer, and it is Rails' alone; then the faults,
// the route, the token, the parameters, and only then what was asked for.
func (s *Server) answer(c *call) *answer {
	if s.options.ratePerMinute > 0 && !c.registry && c.route != gitRoute { // Git has a limit of its own
		if a := s.limiter.take(c, s.options.ratePerMinute); a != nil {
			return a
		}
	}
	if a := s.undergo(c); a != nil {
		return a
	}
	if c.registry {
		switch {
		case c.registryUnreachable:
			panic(http.ErrAbortHandler)
		case c.registryFails:
			return unavailable()
		}
		c.header.Set("Docker-Distribution-Api-Version", "registry/2.0")
	}
	if c.refusal != nil {
		c.violation = c.refusal.why
		return c.refusal.answer
	}
	if a := c.route.guard(s, c); a != nil {
		return a
	}
	if a := c.checkParameters(); a != nil {
		return a
	}
	if s.real != nil {
		return s.real.answer(s, c)
	}
	return c.route.handle(s, c)
}
