package gitlabapi

import (
	"context"
	"errors"
	"sync"
)

// flights keeps values that are costly to get: of those who ask for one at the same
// time, one fetches it and the others wait. Failures are forgotten. It holds the values
// that were used last, up to a number of them.
type flights[T any] struct {
	most int

	mu   sync.Mutex
	kept map[string]*flight[T]
	used int64 // uses so far, the order in which values are given up
}

// flight is a value, or somebody on the way to it.
type flight[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
	used  int64
}

func newFlights[T any](most int) *flights[T] {
	return &flights[T]{most: most, kept: make(map[string]*flight[T])}
}

// get returns the value kept under a key, unless it is stale or there is none: then it
// is fetched. The context ends the wait for somebody else's fetch; when it is that
// somebody's context which ended, whoever waited fetches in turn.
func (f *flights[T]) get(ctx context.Context, key string, stale func(T) bool, fetch func(context.Context) (T, error)) (T, error) {
	for {
		current, mine := f.join(key, stale)
		if mine {
			f.fly(ctx, key, current, fetch)
			return current.value, current.err
		}
		select {
		case <-current.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if !isCancellation(current.err) || ctx.Err() != nil {
			return current.value, current.err
		}
	}
}

// join returns the flight to wait for or, with true, one that the caller has to fly.
func (f *flights[T]) join(key string, stale func(T) bool) (*flight[T], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used++
	current := f.kept[key]
	if current != nil && (!current.landed() || !stale(current.value)) {
		current.used = f.used
		return current, false
	}
	if current == nil && len(f.kept) >= f.most {
		f.giveUpOldest()
	}
	current = &flight[T]{done: make(chan struct{}), used: f.used}
	f.kept[key] = current
	return current, true
}

// fly fetches the value and tells those who wait.
func (f *flights[T]) fly(ctx context.Context, key string, current *flight[T], fetch func(context.Context) (T, error)) {
	current.err = errors.New("the fetch did not end") // unless it does
	defer close(current.done)
	current.value, current.err = fetch(ctx)
	if current.err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept[key] == current {
		delete(f.kept, key)
	}
}

// giveUpOldest drops the value that has not been used for longest. Whoever waits for it
// still gets it.
func (f *flights[T]) giveUpOldest() {
	var oldest string
	for key, flight := range f.kept {
		if kept := f.kept[oldest]; kept == nil || flight.used < kept.used {
			oldest = key
		}
	}
	delete(f.kept, oldest)
}

func (f *flight[T]) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

func isCancellation(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
