package gitlabtest

import (
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Fault is something that goes wrong with some requests. A request that
// several faults match suffers them all, in their order, until one of them
// answers it.
type Fault struct {
	// Method is the method that it strikes; "" for all.
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
	// Probability is the share of the matching requests that it strikes; 0
	// means all of them.
	Probability float64
	// Skip is how many matches pass unharmed, and Count how many it strikes
	// after that at most; 0 means no end.
	Skip, Count int
	// Alternate lets so many matches suffer, then as many pass, and so on; 0 means that
	// they do not take turns. It begins after Skip.
	Alternate int
	// PerPath counts Skip, Count and Alternate for each path on its own.
	PerPath bool
	// Effect is what happens.
	Effect Effect
}

// Effect is what a fault does to a request: see the functions that return one.
type Effect interface {
	// apply changes the call or answers it.
	apply(*call) *answer
}

// SetFaults replaces the faults, and starts their counts afresh. It panics on a
// fault without an effect.
func (s *Server) SetFaults(f ...Fault) {
	f = slices.Clone(f)
	armed := make([]*armedFault, len(f))
	for i := range f {
		mustBe(f[i].Effect != nil, "fault %d has no effect", i)
		if stale, ok := f[i].Effect.(staleRegistry); ok {
			f[i].Effect = stale.copied(s)
		}
		armed[i] = &armedFault{Fault: f[i], seed: s.options.seed + uint64(i), counts: map[string]*strikes{}}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.armed = armed
}

// faults are those that a server has at present.
type faults struct {
	mu    sync.Mutex
	armed []*armedFault
}

// armedFault is a fault with its counts.
type armedFault struct {
	Fault
	seed   uint64
	counts map[string]*strikes // by path, or all under ""
}

type strikes struct{ matched, struck int }

// strike returns the effects that a call suffers.
func (f *faults) strike(c *call) []Effect {
	f.mu.Lock()
	defer f.mu.Unlock()
	var effects []Effect
	for _, armed := range f.armed {
		if armed.matches(c) && armed.strikes(c.path) {
			effects = append(effects, armed.Effect)
			if isFinal(armed.Effect) {
				break
			}
		}
	}
	return effects
}

func (f *armedFault) matches(c *call) bool {
	if e, ok := f.Effect.(effect); ok && e.concerns != nil && !e.concerns(c) {
		return false
	}
	return (f.Repository == "" || isBelow(c.repositoryPath(), f.Repository)) &&
		(f.Method == "" || f.Method == c.request.Method) &&
		(f.Path == nil || f.Path.MatchString(c.path)) &&
		(f.Operation == "" || f.Operation == c.kind())
}

// repositoryPath is the full path of the repository that the call is about, "" where
// there is none or it is not known.
func (c *call) repositoryPath() string {
	if c.registry {
		return c.params["path"]
	}
	if c.params["rid"] == "" {
		return ""
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	r, refused := c.server.repository(c)
	if refused != nil {
		return ""
	}
	return r.path
}

// isBelow says whether a path is another one or lies below it.
func isBelow(path, above string) bool {
	return path == above || strings.HasPrefix(path, above+"/")
}

// strikes counts a match and says whether it is one that suffers.
func (f *armedFault) strikes(path string) bool {
	n := f.count("")
	if f.PerPath {
		n = f.count(path)
	}
	n.matched++
	switch {
	case n.matched <= f.Skip, f.Count > 0 && n.struck >= f.Count:
		return false
	case f.Alternate > 0 && (n.matched-f.Skip-1)/f.Alternate%2 == 1:
		return false
	case !f.lucky(path):
		return false
	}
	n.struck++
	return true
}

func (f *armedFault) count(key string) *strikes {
	n := f.counts[key]
	if n == nil {
		n = &strikes{}
		f.counts[key] = n
	}
	return n
}

// lucky draws for the fault. The draw hangs on the path and on how often it
// was drawn for, and not on what else is going on.
func (f *armedFault) lucky(path string) bool {
	if f.Probability == 0 {
		return true
	}
	draws := f.count("draws for " + path)
	draws.matched++
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(path))
	source := rand.NewPCG(f.seed, hash.Sum64()+uint64(draws.matched))
	return rand.New(source).Float64() < f.Probability
}
