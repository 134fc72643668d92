package gitlabtest

import (
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Fault is something that goes wrong with some requests. A request that
// several faults match has them all, in their order, until one of them
// answers it.
type Fault struct {
	// Method is the method that it matches; "" for all.
	Method string
	// Path must match the decoded path, as in [Request]; nil for all paths.
	Path *regexp.Regexp
	// Repository is the full path of a repository, or of a project or group that it must
	// lie below; "" for all. At the registry it is the one in the path, in REST the one
	// whose id stands there; what GraphQL is asked about is not known.
	Repository string
	// Operation is what GraphQL must be asked, query or mutation; "" for anything,
	// of GraphQL or not.
	Operation string
	// Probability is the share of the matching requests that fail; 0 means all of them.
	Probability float64
	// Skip is how many matches pass unharmed, and Count how many fail after
	// that at most; 0 means no end.
	Skip, Count int
	// Alternate lets so many matches fail, then as many pass, and so on; 0 means that
	// they do not take turns. It begins after Skip.
	Alternate int
	// PerPath counts Skip, Count and Alternate for each path on its own.
	PerPath bool
	// Effect is what happens.
	Effect Effect
}

// Effect is what a fault does to a request: see the functions that return one.
type Effect *effect

type effect struct {
	// do answers the call, or changes how it is served and returns nil.
	do func(*call) *answer
	// concerns says which calls it can do anything to; nil for all. No others match.
	concerns func(*call) bool
	// bind makes the effect for a server when the fault is set; nil for most.
	bind func(*Server) Effect
}

// SetFaults replaces the faults, and starts their counts afresh. It panics on a
// fault without an effect.
func (s *Server) SetFaults(f ...Fault) {
	active := make([]*activeFault, len(f))
	for i, fault := range f {
		mustBe(fault.Effect != nil, "fault %d has no effect", i)
		if fault.Effect.bind != nil {
			fault.Effect = fault.Effect.bind(s)
		}
		active[i] = &activeFault{Fault: fault, seed: s.options.seed + uint64(i), counts: map[string]*faultCount{}}
	}
	s.faults.Store(&active)
}

// activeFault is a fault of a server with its counts.
type activeFault struct {
	Fault
	seed   uint64
	mu     sync.Mutex
	counts map[string]*faultCount // by path, or all under ""
}

type faultCount struct{ matched, failed int }

// undergo lets a call have its faults, and returns the answer of the first that has one.
func (s *Server) undergo(c *call) *answer {
	for _, f := range *s.faults.Load() {
		if !f.matches(c) || !f.fails(c.path) {
			continue
		}
		if a := f.Effect.do(c); a != nil {
			return a
		}
	}
	return nil
}

func (f *activeFault) matches(c *call) bool {
	return (f.Effect.concerns == nil || f.Effect.concerns(c)) &&
		(f.Method == "" || f.Method == c.request.Method) &&
		(f.Path == nil || f.Path.MatchString(c.path)) &&
		(f.Operation == "" || f.Operation == c.kind()) &&
		(f.Repository == "" || strings.HasPrefix(c.repositoryPath()+"/", f.Repository+"/"))
}

// repositoryPath is the full path of the repository that the call is about, "" where
// there is none or it is not known.
func (c *call) repositoryPath() string {
	if c.registry {
		return c.params["path"]
	}
	id, _ := strconv.ParseInt(c.params["rid"], 10, 64)
	if r := c.server.state.numbered[id]; r != nil {
		return r.path
	}
	return ""
}

// fails counts a match and says whether it is one that fails.
func (f *activeFault) fails(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.count("")
	if f.PerPath {
		n = f.count(path)
	}
	n.matched++
	switch {
	case n.matched <= f.Skip, f.Count > 0 && n.failed >= f.Count:
		return false
	case f.Alternate > 0 && (n.matched-f.Skip-1)/f.Alternate%2 == 1:
		return false
	case f.Probability > 0 && f.draw(path) >= f.Probability:
		return false
	}
	n.failed++
	return true
}

func (f *activeFault) count(key string) *faultCount {
	if f.counts[key] == nil {
		f.counts[key] = &faultCount{}
	}
	return f.counts[key]
}

// draw returns a number from 0 to 1. It depends on the path and on how often it
// was drawn for, and not on what else is going on.
func (f *activeFault) draw(path string) float64 {
	draws := f.count("draws for " + path)
	draws.matched++
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(path))
	return rand.New(rand.NewPCG(f.seed, hash.Sum64()+uint64(draws.matched))).Float64()
}
