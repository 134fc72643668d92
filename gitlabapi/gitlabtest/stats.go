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
	// GraphQL.
	Changing    int `json:"changing"`
	MaxInFlight int `json:"max_in_flight"`
	// AverageInFlight is over the time from the first request to the last answer.
	AverageInFlight float64 `json:"average_in_flight"`
	// PerSecond counts requests by the second of the clock in which they came.
	PerSecond map[int64]int `json:"per_second"`
	// Violations are requests that no client of GitLab should send: the first
	// hundred, in order.
	Violations []string `json:"violations"`
}

// Record is one request and its answer.
type Record struct {
	Method   string
	Path     string // decoded, below /api/v4; whole elsewhere
	Query    string // raw
	Endpoint string
	Registry bool // the registry was asked
	Status   int
	Time     time.Time // when it came
}

const maxViolations = 100

// recorder keeps count of requests.
type recorder struct {
	mu       sync.Mutex
	stats    Stats
	inFlight int
	load     load
	paths    map[string]int
	logging  bool
	log      []Record
}

func newRecorder(logging bool) *recorder {
	return &recorder{
		logging: logging, paths: map[string]int{},
		stats: Stats{
			ByEndpoint: map[string]int{}, ByStatus: map[int]int{},
			PerSecond: map[int64]int{}, Violations: []string{},
		},
	}
}

// start counts a request that has come in.
func (r *recorder) start(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.load.until(c.at, r.inFlight)
	r.inFlight++
	r.stats.MaxInFlight = max(r.stats.MaxInFlight, r.inFlight)
	r.stats.Total++
	if c.registry {
		r.stats.Registry++
	}
	r.stats.ByEndpoint[c.endpoint()]++
	r.stats.PerSecond[c.at.Unix()]++
	if c.changes() {
		r.stats.Changing++
	}
	r.countPath(c)
}

// load adds up the time that requests spend in the server.
type load struct {
	first, last time.Time
	spent       time.Duration // of all requests together
}

// until notes that so many requests were in flight from the last event to this one.
// Events of several goroutines may come in another order than they happened.
func (l *load) until(now time.Time, inFlight int) {
	if l.first.IsZero() {
		l.first, l.last = now, now
	}
	if passed := now.Sub(l.last); passed > 0 {
		l.spent += passed * time.Duration(inFlight)
		l.last = now
	}
}

func (l *load) average() float64 {
	passed := l.last.Sub(l.first)
	if passed == 0 {
		return 0
	}
	return float64(l.spent) / float64(passed)
}

// singles end the templates of what there are millions of.
var singles = []string{":name", ":reference", ":digest"}

// countPath counts lists only, unless everything is logged: single tags would
// fill the memory.
func (r *recorder) countPath(c *call) {
	single := c.route != nil && slices.Contains(singles, path.Base(c.route.template))
	if single && !r.logging {
		return
	}
	r.paths[c.path]++
	if page, ok := pageOf(c); ok {
		r.paths[c.path+"?page="+page]++
	}
}

// pageOf names the page of a list that a call asks for: no page is the first.
func pageOf(c *call) (string, bool) {
	if page := c.query.Get("page"); page != "" {
		return page, true
	}
	for _, other := range []string{"last", "id_after", "id_before"} {
		if c.query.Has(other) {
			return "", false
		}
	}
	return "1", true
}

// end counts the answer.
func (r *recorder) end(c *call, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.load.until(now, r.inFlight)
	r.inFlight--
	r.stats.ByStatus[c.status]++
	if c.violation != "" && len(r.stats.Violations) < maxViolations {
		r.stats.Violations = append(r.stats.Violations, c.violation)
	}
	if r.logging {
		r.log = append(r.log, Record{
			Method: c.request.Method, Path: c.path, Query: c.request.URL.RawQuery,
			Endpoint: c.endpoint(), Registry: c.registry, Status: c.status, Time: c.at,
		})
	}
}

// Stats returns what has been asked so far.
func (s *Server) Stats() Stats {
	r := s.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.AverageInFlight = r.load.average()
	stats.ByEndpoint = maps.Clone(stats.ByEndpoint)
	stats.ByStatus = maps.Clone(stats.ByStatus)
	stats.PerSecond = maps.Clone(stats.PerSecond)
	stats.Violations = slices.Clone(stats.Violations)
	return stats
}

// Requests returns the requests that have been answered, in the order of
// their answers. It needs [WithLog].
func (s *Server) Requests() []Record {
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
