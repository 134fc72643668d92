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
	limiter  *rateLimiter
	faults   faults
	hook     atomic.Pointer[func(Request)]
	outage   atomic.Bool
	closed   atomic.Bool // the registry's front door
	bans     bans
	signer   signer
	backend  *backend               // nil when the registry is in memory
	below    func() *below          // made when GraphQL is asked first
	address  atomic.Pointer[string] // where the API was asked last

	mu      sync.Mutex // guards what follows; never held while somebody waits
	state   *state
	deleted []TagState
	// notFound is what a proxy before the registry remembers, by URI.
	notFound map[string]rememberedAnswer
}

// New returns a server of a world. It copies the world, sets Dead of its tags
// and keeps no hold of it. It panics when a repository has a tag twice.
func New(w *World, opts ...Option) *Server {
	w.judge()
	o := options{
		clock: time.Now, tokens: map[string][]string{}, seed: 1,
		tokenLife: defaultTokenLife, banAfter: defaultBanAfter,
	}
	for _, set := range opts {
		set(&o)
	}
	if len(o.tokens) == 0 {
		o.tokens[DefaultToken] = []string{"api"}
	}
	s := &Server{options: o, state: newState(w), recorder: newRecorder(o.log), signer: newSigner(o.seed)}
	s.below = sync.OnceValue(func() *below { return newBelow(s.state) })
	if o.backendURL != "" {
		mustBe(w.Regime == Legacy, "a registry behind the server has no database")
		s.backend = &backend{o.backendURL}
		s.state.dropMissing()
	}
	if o.ratePerMinute > 0 {
		s.limiter = &rateLimiter{perMinute: o.ratePerMinute, windows: map[string]*window{}}
	}
	s.SetFaults(o.faults...)
	return s
}

// Request is what the hook of [Server.OnRequest] learns of a request.
type Request struct {
	Method   string
	Path     string // decoded, below /api/v4; whole at the registry, /jwt/auth and /api/graphql
	Query    string // raw
	Endpoint string // as in [Stats]
	Registry bool   // the registry is asked
	// Operation is query or mutation where GraphQL is asked; "" where it is not,
	// and where the request does not say.
	Operation string
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

// StartOutage makes the registry answer errors until [Server.EndOutage]: by
// Rails details are 404, lists empty with 200, deletions 400; the registry
// itself says 503 to everything.
func (s *Server) StartOutage() { s.outage.Store(true) }

// EndOutage ends an outage of the registry.
func (s *Server) EndOutage() { s.outage.Store(false) }

// CloseFrontDoor makes the registry answer 503 to clients, while Rails reaches
// it as before, until [Server.OpenFrontDoor].
func (s *Server) CloseFrontDoor() { s.closed.Store(true) }

// OpenFrontDoor ends what [Server.CloseFrontDoor] began.
func (s *Server) OpenFrontDoor() { s.closed.Store(false) }

// ServeHTTP implements [http.Handler]. It serves API and registry, or what
// belongs to the host that is asked if the registry has one of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serveAt(s.doorOf(r), w, r)
}

// serveAt serves a request that came in by a door.
func (s *Server) serveAt(at door, w http.ResponseWriter, r *http.Request) {
	c := s.newCall(at, w, r)
	if !c.registry {
		s.address.Store(new(c.instance()))
	}
	s.recorder.start(c)
	// Deferred, since a connection that is cut ends in a panic.
	defer func() { s.recorder.end(c, s.options.clock()) }()
	if f := s.hook.Load(); f != nil {
		(*f)(Request{
			Method: r.Method, Path: c.path, Query: r.URL.RawQuery,
			Endpoint: c.endpoint(), Registry: c.registry, Operation: c.kind(),
		})
	}
	a := s.remembered(c)
	if a == nil {
		a = s.serve(c)
		s.remember(c, a)
	}
	c.write(a)
}

// serve finds the answer to a call. The rate limit stands first, so that
// its headers are on every answer, and it is Rails' alone; then what goes wrong,
// the routes, the token, the parameters, and only then the thing that was asked
// for.
func (s *Server) serve(c *call) *answer {
	if s.limiter != nil && !c.registry {
		if a := s.limiter.take(c, s.options.clock()); a != nil {
			return a
		}
	}
	for _, effect := range s.faults.strike(c) {
		if a := effect.apply(c); a != nil {
			return a
		}
	}
	if a := s.registryDown(c); a != nil {
		return a
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
	return s.handle(c)
}

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
