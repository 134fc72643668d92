package gitlabtest

import (
	"maps"
	"path"
	"slices"
	"sync"
	"time"
)

// Stats says what a server was asked.
type Stats struct {
	// Total counts all requests, Registry those among them that asked the
	// registry: /v2 and /gitlab/v1. What is left is the instance's.
	Total    int `json:"total"`
	Registry int `json:"registry"`
	// ByEndpoint counts them by method and template; GraphQL's by kind as well:
	// "POST /api/graphql query", and "mutation".
	ByEndpoint map[string]int `json:"by_endpoint"`
	// ByStatus counts answers; 0 stands for connections that were cut before
	// there was one.
	ByStatus map[int]int `json:"by_status"`
	// Changing counts requests that were neither GET nor HEAD, nor a query of
	// GraphQL: what a plan sends none of, unless it writes a note.
	Changing int `json:"changing"`
	// AverageInFlight is over the time from the first request to the last answer.
	AverageInFlight float64 `json:"average_in_flight"`
	// Violations are requests that no client of GitLab should send: the first
	// hundred, in order.
	Violations []string `json:"violations"`
}

// Request is one request: what the hook of [Server.OnRequest] learns of it, and what
// [Server.Requests] keeps.
type Request struct {
	Method   string
	Path     string // decoded, below /api/v4; whole at the registry, /jwt/auth, /api/graphql and for Git
	Query    string // raw
	Endpoint string // as in [Stats]
	Registry bool   // the registry is asked
	// Operation is query or mutation where GraphQL is asked; "" where it is not,
	// and where the request does not say.
	Operation string
	Time      time.Time // when it came
	Status    int       // of the answer, once there is one
}

// asked describes the call.
func (c *call) asked() Request {
	return Request{
		Method: c.request.Method, Path: c.path, Query: c.request.URL.RawQuery,
		Endpoint: c.endpoint(), Registry: c.registry, Operation: c.kind(), Time: c.at, Status: c.status,
	}
}

const maxViolations = 100

// recorder keeps count of requests.
type recorder struct {
	mu          sync.Mutex
	stats       Stats
	inFlight    int
	first, last time.Time     // events
	spent       time.Duration // in the server, by all requests together
	paths       map[string]int
	logging     bool
	log         []Request
}

func newRecorder(logging bool) *recorder {
	return &recorder{
		logging: logging, paths: map[string]int{},
		stats: Stats{ByEndpoint: map[string]int{}, ByStatus: map[int]int{}, Violations: []string{}},
	}
}

// start counts a request that has come in.
func (r *recorder) start(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passTime(c.at)
	r.inFlight++
	r.stats.Total++
	if c.registry {
		r.stats.Registry++
	}
	r.stats.ByEndpoint[c.endpoint()]++
	if c.changes() {
		r.stats.Changing++
	}
	// Unless everything is logged, paths of lists are counted only: those of single tags
	// would fill the memory.
	single := c.route != nil && slices.Contains([]string{":name", ":reference", ":digest"}, path.Base(c.route.template))
	if single && !r.logging {
		return
	}
	r.paths[c.path]++
	page := c.query.Get("page")
	if page == "" && !c.query.Has("last") && !c.query.Has("id_after") {
		page = "1"
	}
	if page != "" {
		r.paths[c.path+"?page="+page]++
	}
}

// passTime notes that so many requests were in flight from the last event to this one.
// Events of several goroutines may come in another order than they happened.
func (r *recorder) passTime(now time.Time) {
	if r.first.IsZero() {
		r.first, r.last = now, now
	}
	if passed := now.Sub(r.last); passed > 0 {
		r.spent += passed * time.Duration(r.inFlight)
		r.last = now
	}
}

// end counts the answer.
func (r *recorder) end(c *call, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passTime(now)
	r.inFlight--
	r.stats.ByStatus[c.status]++
	if c.violation != "" && len(r.stats.Violations) < maxViolations {
		r.stats.Violations = append(r.stats.Violations, c.violation)
	}
	if r.logging {
		r.log = append(r.log, c.asked())
	}
}

// Stats returns what has been asked so far.
func (s *Server) Stats() Stats {
	r := s.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	if passed := r.last.Sub(r.first); passed > 0 {
		stats.AverageInFlight = float64(r.spent) / float64(passed)
	}
	stats.ByEndpoint = maps.Clone(stats.ByEndpoint)
	stats.ByStatus = maps.Clone(stats.ByStatus)
	stats.Violations = slices.Clone(stats.Violations)
	return stats
}

// Requests returns the requests that have been answered, in the order of
// their answers. It needs [WithLog].
func (s *Server) Requests() []Request {
	r := s.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

// PathCount says how often a decoded path below /api/v4 was asked for, or,
// with ?page=N behind it, one page of it; the first page is also the one that
// was asked for without a number. Single tags are counted with [WithLog] only.
func (s *Server) PathCount(path string) int {
	r := s.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths[path]
}
