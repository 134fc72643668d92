package pipeline

import (
	"context"
	"sync"
)

// A flight is a value that is fetched once and shared by all who ask for it, at the
// same time or later. A fetch that fails is forgotten: whoever asks next tries again.
// The zero flight has not been asked for yet.
type flight[T any] struct {
	mu   sync.Mutex
	call *call[T] // the one that is on its way or has arrived
}

type call[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

// get returns the value. The first to ask fetches it, under its own context; the
// others wait for that, or for the end of theirs.
func (f *flight[T]) get(ctx context.Context, fetch func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	c, first := f.call, f.call == nil
	if first {
		c = &call[T]{done: make(chan struct{})}
		f.call = c
	}
	f.mu.Unlock()
	if first {
		f.land(ctx, c, fetch)
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func (f *flight[T]) land(ctx context.Context, c *call[T], fetch func(context.Context) (T, error)) {
	defer close(c.done)
	c.value, c.err = fetch(ctx)
	if c.err != nil {
		f.mu.Lock()
		f.call = nil
		f.mu.Unlock()
	}
}
