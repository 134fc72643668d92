package gitlabapi

import (
	"context"
	"errors"
	"sync"
)

// maxLogins is how many tokens are asked for at once. GitLab bans an address for an
// hour after 30 refused passwords in 3 minutes (its Rack Attack settings): even if all
// of these are refused together, that is half of it.
const maxLogins = 15

// login guards the door where the access token is shown as a password. Until it has
// been accepted once, one at a time may try, and a refusal is remembered: nobody tries
// again.
type login struct {
	first chan struct{} // the place of who tries before the password is known to be good
	all   chan struct{} // the places of the others

	mu    sync.Mutex
	known bool  // the password has been accepted
	err   error // or has been refused
}

func newLogin() *login {
	return &login{first: make(chan struct{}, 1), all: make(chan struct{}, maxLogins)}
}

// enter waits for a place, which the returned function gives back. It returns the error
// of an earlier refusal, or the context's.
func (l *login) enter(ctx context.Context) (leave func(), err error) {
	for {
		known, err := l.state()
		if err != nil {
			return nil, err
		}
		places := l.first
		if known {
			places = l.all
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now, err := l.state()
		if now == known && err == nil {
			return func() { <-places }, nil
		}
		<-places
	}
}

func (l *login) state() (known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known, l.err
}

// accepted notes that the password is good.
func (l *login) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = true
}

// refused notes an error if it says that the password is not good.
func (l *login) refused(err error) {
	if !errors.Is(err, ErrRegistryDenied) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}
