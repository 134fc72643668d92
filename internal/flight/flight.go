// Package flight fetches what is costly to get once for all who need it: of those who ask
// at the same time one fetches, the others wait for the answer.
package flight

import (
	"context"
	"errors"
	"sync"
)

// A Cache keeps values by key. It forgets a failed fetch, so that the next caller tries
// again; a caller for whom a failure is an answer puts it into the value. The cache holds
// the values that were used last, up to a number of them. It is safe for concurrent use.
type Cache[T any] struct {
	most int

	mu   sync.Mutex
	kept map[string]*call[T]
	used int64 // uses so far: the order in which values are dropped
}

// A call is one fetch, on its way or ended.
type call[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
	used  int64
}

// NewCache returns a cache for so many values.
func NewCache[T any](most int) *Cache[T] {
	return &Cache[T]{most: most, kept: make(map[string]*call[T])}
}

// Get returns the value of a key. It is fetched when there is none, or when stale returns
// true for the one that is there. The first caller fetches under its own context; the
// others wait for it or for the end of theirs. When the first caller's context ends, one
// of the others fetches.
func (c *Cache[T]) Get(ctx context.Context, key string, stale func(T) bool, fetch func(context.Context) (T, error)) (T, error) {
	for {
		current, mine := c.join(key, stale)
		if mine {
			c.run(ctx, key, current, fetch)
			return current.value, current.err
		}
		select {
		case <-current.done:
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
		if !isCancellation(current.err) || ctx.Err() != nil {
			return current.value, current.err
		}
	}
}

// join returns the call to wait for or, with true, one that the caller has to run.
func (c *Cache[T]) join(key string, stale func(T) bool) (*call[T], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used++
	current := c.kept[key]
	if current != nil && (!current.ended() || !stale(current.value)) {
		current.used = c.used
		return current, false
	}
	if current == nil && len(c.kept) >= c.most {
		c.dropOldest()
	}
	current = &call[T]{done: make(chan struct{}), used: c.used}
	c.kept[key] = current
	return current, true
}

// run fetches the value and wakes those who wait for it.
func (c *Cache[T]) run(ctx context.Context, key string, current *call[T], fetch func(context.Context) (T, error)) {
	current.err = errors.New("the fetch did not return") // holds if it panics
	defer close(current.done)
	current.value, current.err = fetch(ctx)
	if current.err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] == current {
		delete(c.kept, key)
	}
}

// dropOldest drops the value that has not been used for longest. Callers that wait for it
// still get it.
func (c *Cache[T]) dropOldest() {
	var oldest string
	for key, call := range c.kept {
		if kept := c.kept[oldest]; kept == nil || call.used < kept.used {
			oldest = key
		}
	}
	delete(c.kept, oldest)
}

func (c *call[T]) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func isCancellation(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Never is the stale function of values that do not change.
func Never[T any](T) bool { return false }
