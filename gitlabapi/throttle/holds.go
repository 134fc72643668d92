package throttle

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// shortHold is the longest wait for a place in which requests are kept. During a longer one
	// they are turned away, since who waits for one project keeps a worker from all others; that it
	// is over is for the caller to wait for, see [Client.HeldFor].
	shortHold = 5 * time.Second
	// longestHold is the longest wait that [Client.HeldFor] advises.
	longestHold = 2 * time.Minute
)

// A place is what the wish of a server to be left alone for a while is about, where it is not
// about everything: one project, group or repository of the registry, or the deletions there, or
// all deletions. An organization in maintenance says so below the paths of its own projects, and an
// instance in maintenance to those who write.
type place struct {
	path      string // such as "projects/7"; "" for all paths
	deletions bool   // of what is below the path, only these
}

// everything is what a server's wish is about that is said at a path of no project.
var everything = place{}

// placeOf returns the place of a request.
func placeOf(req *http.Request, r Request) place {
	path := req.URL.EscapedPath()
	below := place{deletions: r.Priority == Deletion}
	if r.Server == Registry {
		below.path = repositoryIn(path)
		return below
	}
	_, resource, isREST := strings.Cut(path, "/api/v4/")
	parts := strings.SplitN(resource, "/", 3)
	repository, isGit := strings.CutSuffix(path, ".git/info/refs")
	switch {
	case isREST && len(parts) > 1 && (parts[0] == "projects" || parts[0] == "groups"):
		below.path = parts[0] + "/" + parts[1]
	case isGit:
		below.path = repository
	}
	return below
}

// repositoryIn returns the repository in a path of the registry, "" for its root.
func repositoryIn(path string) string {
	for _, root := range []string{"/gitlab/v1/repositories/", "/v2/"} {
		_, rest, found := strings.Cut(path, root)
		if !found {
			continue
		}
		for _, resource := range []string{"/manifests/", "/blobs/", "/tags/"} {
			if repository, _, found := strings.Cut(rest, resource); found {
				return root + repository
			}
		}
	}
	return ""
}

// within returns the places whose holds are about a place.
func (p place) within() []place {
	switch {
	case p == everything:
		return nil
	case p.deletions && p.path != "":
		return []place{p, {path: p.path}, {deletions: true}}
	default:
		return []place{p}
	}
}

// String names the place.
func (p place) String() string {
	switch {
	case p.deletions && p.path == "":
		return "all deletions"
	case p.deletions:
		return "deletions in " + p.path
	default:
		return p.path
	}
}

// A HeldError is a request that was not sent, or not again: the server asked for a pause for a part of
// what it has that is too long to wait for here. It unwraps to what the server said.
type HeldError struct {
	Place string
	For   time.Duration
	Err   *StatusError
}

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("given up, as the server asked for a pause of %v for %s: %s", e.For.Round(time.Second), e.Place, e.Err.Words())
}

// Unwrap returns the answer that asked for the pause.
func (e *HeldError) Unwrap() error { return e.Err }

// A hold is a pause that is about one place.
type hold struct {
	until  time.Time
	length time.Duration
	err    *StatusError // which asked for it
}

// holds are those that are on, by place.
type holds map[place]*hold

// observe learns from an answer of a place how long a pause it asks for, and if it does what it says.
func (hs holds) observe(now time.Time, at place, length time.Duration, said *StatusError) {
	if length == 0 {
		return
	}
	h := hs[at]
	if h == nil {
		h = new(hold)
		hs[at] = h
	}
	if until := now.Add(length); until.After(h.until) {
		h.until, h.length, h.err = until, length, said
	}
}

// holding returns the longest hold that is on for a request, nil for none, and why the request is not
// going to wait for it, nil where it is.
func (hs holds) holding(now time.Time, of place) (longest *hold, refusal error) {
	for _, p := range of.within() {
		if h := hs[p]; h != nil && now.Before(h.until) && (longest == nil || h.until.After(longest.until)) {
			longest, refusal = h, nil
			if h.until.Sub(now) > shortHold {
				refusal = &HeldError{Place: p.String(), For: h.length, Err: h.err}
			}
		}
	}
	return longest, refusal
}

// left returns how long it is until all places may be asked again, deletions apart.
func (hs holds) left(now time.Time) (longest time.Duration) {
	for p, h := range hs {
		if !p.deletions {
			longest = max(longest, h.until.Sub(now))
		}
	}
	return min(longest, longestHold)
}
