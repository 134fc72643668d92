package gitlabtest

import (
	"net/http"
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

	mu      sync.Mutex // guards what follows; never held while somebody waits
	state   *state
	deleted []TagState
}

// New returns a server of a world. It copies the world, sets Dead of its tags
// and keeps no hold of it. It panics when a repository has a tag twice.
func New(w *World, opts ...Option) *Server {
	w.judge()
	o := options{clock: time.Now, tokens: map[string][]string{}, seed: 1}
	for _, set := range opts {
		set(&o)
	}
	if len(o.tokens) == 0 {
		o.tokens[DefaultToken] = []string{"api"}
	}
	s := &Server{options: o, state: newState(w), recorder: newRecorder(o.log)}
	if o.ratePerMinute > 0 {
		s.limiter = &rateLimiter{perMinute: o.ratePerMinute, windows: map[string]*window{}}
	}
	s.SetFaults(o.faults...)
	return s
}

// Request is what the hook of [Server.OnRequest] learns of a request.
type Request struct {
	Method   string
	Path     string // decoded, below /api/v4
	Query    string // raw
	Endpoint string // as in [Stats]
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

// StartOutage makes the registry answer errors until [Server.EndOutage]:
// details are 404, lists empty with 200, deletions 400.
func (s *Server) StartOutage() { s.outage.Store(true) }

// EndOutage ends an outage of the registry.
func (s *Server) EndOutage() { s.outage.Store(false) }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := s.newCall(w, r)
	s.recorder.start(c)
	// Deferred, since a connection that is cut ends in a panic.
	defer func() { s.recorder.end(c) }()
	if f := s.hook.Load(); f != nil {
		(*f)(Request{Method: r.Method, Path: c.path, Query: r.URL.RawQuery, Endpoint: c.endpoint()})
	}
	c.write(s.serve(c))
}

// serve finds the answer to a call. The rate limit stands first, so that
// its headers are on every answer; then what goes wrong, the routes, the token,
// the parameters, and only then the thing that was asked for.
func (s *Server) serve(c *call) *answer {
	if s.limiter != nil {
		if a := s.limiter.take(c, s.options.clock()); a != nil {
			return a
		}
	}
	for _, effect := range s.faults.strike(c) {
		if a := effect.apply(c); a != nil {
			return a
		}
	}
	if c.refusal != nil {
		c.violation = c.refusal.why
		return c.refusal.answer
	}
	if a := s.authorize(c); a != nil {
		return a
	}
	if a := c.checkParameters(); a != nil {
		return a
	}
	return c.route.handle(s, c)
}
