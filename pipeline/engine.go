package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// errCutOff ends what is still going on when the grace after a stop is over.
var errCutOff = errors.New("the time to finish after a stop is over")

// An engine runs the stages of one pipeline: it starts their goroutines, joins them by
// channels, and closes each channel when all its senders have returned.
//
// It has two contexts. The soft one ends with a stop; work is called with it, so that
// reading fails at once and the pipe drains. The hard one ends a grace after the stop;
// it ends sends, receives and deletions, so that nothing outlives a run.
type engine struct {
	group errgroup.Group
	soft  context.Context
	hard  context.Context
	stop  context.CancelCauseFunc
}

// newEngine returns an engine that stops with its parent. The returned function
// releases what it holds and is called when all stages have ended.
func newEngine(parent context.Context, grace time.Duration) (*engine, func()) {
	soft, stop := context.WithCancelCause(parent)
	hard, cut := context.WithCancelCause(context.WithoutCancel(parent))
	unwatch := context.AfterFunc(soft, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut(errCutOff)
		case <-hard.Done():
		}
	})
	return &engine{soft: soft, hard: hard, stop: stop}, func() {
		unwatch()
		stop(nil)
		cut(nil)
	}
}

// An emit function hands an item to the next stage. It waits while that one is busy
// and returns false when the run has been cut off, so that nobody needs the item.
type emit[T any] func(T) bool

// A stage describes a pool of goroutines that turn items of one kind into items of
// another.
type stage[In, Out any] struct {
	// workers bounds the pool, and with it the items in its hands.
	workers int
	// room is how many items of its output may wait, where that is to be more than
	// there are workers.
	room int
	// work handles one item. Its context ends with a stop. An error stops the run;
	// what belongs to the item alone is an item's error and no error of work.
	work func(context.Context, In, emit[Out]) error
	// end, when not nil, is called once, after the last item and before the output
	// is closed.
	end func(context.Context, emit[Out]) error
}

// start starts the pool of a stage on its input and returns its output. The last worker
// to return closes it.
func start[In, Out any](e *engine, s stage[In, Out], in <-chan In) <-chan Out {
	return pool(e, s, func() (In, bool) { return receive(e, in) })
}

// startBulk is start for a stage whose items are slices: a worker waits for one item
// and takes with it what is waiting already, until full says that this is enough.
func startBulk[In, Out any](e *engine, s stage[[]In, Out], full func([]In) bool, in <-chan In) <-chan Out {
	return pool(e, s, func() ([]In, bool) {
		first, ok := receive(e, in)
		if !ok {
			return nil, false
		}
		items := []In{first}
		for !full(items) {
			select {
			case item, open := <-in:
				if !open {
					return items, true
				}
				items = append(items, item)
			default:
				return items, true
			}
		}
		return items, true
	})
}

// pool starts the workers of a stage, who take their items by next until there are no
// more.
func pool[In, Out any](e *engine, s stage[In, Out], next func() (In, bool)) <-chan Out {
	out, send := output[Out](e, max(s.workers, s.room))
	var left atomic.Int64
	left.Store(int64(s.workers))
	for range s.workers {
		e.group.Go(func() error {
			err := drain(e, next, func(item In) error { return s.work(e.soft, item, send) })
			if left.Add(-1) == 0 {
				defer close(out)
				if s.end != nil {
					err = errors.Join(err, e.note(s.end(e.soft, send)))
				}
			}
			return err
		})
	}
	return out
}

// drain handles items until there are no more or the run is cut off. It goes on after
// an error, which stops the run: the rest of the pipe has to be accounted for.
func drain[In any](e *engine, next func() (In, bool), handle func(In) error) error {
	var first error
	for {
		item, ok := next()
		if !ok {
			return first
		}
		if err := e.note(handle(item)); err != nil && first == nil {
			first = err
		}
	}
}

// receive waits for an item. It returns false when there are no more or the run has been
// cut off.
func receive[In any](e *engine, in <-chan In) (In, bool) {
	select {
	case item, open := <-in:
		return item, open
	case <-e.hard.Done():
		var none In
		return none, false
	}
}

// each calls a function with the items of a slice, so many at a time, and returns when
// all calls have returned, with the first error. None is begun after an error.
func each[T any](items []T, atOnce int, do func(T) error) error {
	var group errgroup.Group
	var failed atomic.Bool
	group.SetLimit(atOnce)
	for _, item := range items {
		group.Go(func() error {
			if failed.Load() {
				return nil
			}
			err := do(item)
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	return group.Wait()
}

// note stops the run for an error, and returns it.
func (e *engine) note(err error) error {
	if err != nil {
		e.stop(err)
	}
	return err
}

// once returns the input of a first stage: a single item.
func once[T any](item T) <-chan T {
	in := make(chan T, 1)
	in <- item
	close(in)
	return in
}

// output returns a channel and the function that sends to it until the run is cut off.
func output[T any](e *engine, size int) (chan T, emit[T]) {
	out := make(chan T, size)
	return out, func(item T) bool {
		select {
		case out <- item:
			return true
		case <-e.hard.Done():
			return false
		}
	}
}

// closeAfterStages closes an output when all stages have ended. It is called after the
// last of them was started.
func closeAfterStages[T any](e *engine, out chan T) {
	go func() {
		_ = e.group.Wait() // what an error stops is stopped already
		close(out)
	}()
}
