package throttle

import (
	"context"
	"time"
)

// MaxBody is the largest answer that is read unless a [Request] says otherwise, in bytes. A
// page of 100 projects with all their fields has about 400 KB; what is larger than this is no
// answer of GitLab's API.
const MaxBody = 16 << 20

// A Request says what a [Client] has to know of a request beside its HTTP. The zero value is
// that of an ordinary request to GitLab's API. GitLab's own client makes its requests itself,
// so a Request travels in their context, see [With].
type Request struct {
	Server   Server
	Priority Priority
	// Before ends the wait of a request that has not been sent: it is then given up with
	// [ErrNotSent]. Once sent, it may take until its own context ends. Nil for the latter.
	Before context.Context
	// Tries, if not nil, is how often what the request is about may still be sent, by this and by
	// later requests: at least once by each. It is counted down. Nil for no limit but MaxRetries.
	Tries *int
	// Sent, if not nil, is set to when the last attempt was sent: what its answer says is as old.
	Sent *time.Time
	// MaxBody bounds the body of a success, in bytes; 0 for [MaxBody].
	MaxBody int64
	Accepts MediaTypes
	// Immutable is set when the address alone says what the answer must be, as the digest
	// of a blob does: it may then come from a cache.
	Immutable bool
	// NoRedirect refuses redirects that stay on the host, too. Requests that show a secret
	// to the registry or to /jwt/auth are not known to be redirected, but those for blobs:
	// to a store that wants no token and is not configured.
	NoRedirect bool
}

type requestKey struct{}

// With returns a context for requests that are like this.
func With(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// requestOf returns what is known of a request.
func requestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	if r.MaxBody == 0 {
		r.MaxBody = MaxBody
	}
	return r
}

// A Server is what a request is sent to.
type Server int

// The servers.
const (
	Instance Server = iota // GitLab itself
	Registry               // its container registry
)

// setting names the variable that tells where a server is, and what it must be.
func (s Server) setting() (variable, whose string) {
	if s == Registry {
		return "REGISTRY_URL", "the registry"
	}
	return "GITLAB_URL", "the instance"
}

// A Priority says which of the requests that wait is sent first. The evidence for a deletion
// grows old while it waits, and so does what a recheck has read for the one after it.
type Priority int

// The priorities, from the lowest to the highest.
const (
	Ordinary Priority = iota
	Recheck
	Deletion // and what takes one back
)
