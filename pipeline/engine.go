package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// errCutOff ends the requests that are still in flight when the grace after a stop is over.
var errCutOff = errors.New("the time to finish after a stop is over")

// An engine starts the goroutines of a run and joins its stages by channels. It is the only
// place that does either.
//
// It has two contexts. The soft one ends with a stop: stages work under it, so that reading
// fails at once. The hard one ends a grace after the stop: deletions that were sent run
// under it, and nothing outlives it.
//
// A stop does not take items out of the channels. Every stage goes on reading its input to
// the end and accounts for what it reads, which costs no request any more. After the hard
// context has ended a stage need not be able to send; its item is then accounted for by the
// stage itself.
type engine struct {
	group errgroup.Group
	soft  context.Context
	hard  context.Context
	stop  context.CancelCauseFunc
}

// newEngine returns an engine that stops with its parent. The returned function releases
// what it holds; it is called when all stages have ended.
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

// failed stops the run for an error that is more than one item's.
func (e *engine) failed(err error) {
	if err != nil {
		e.stop(err)
	}
}

// An emit function hands an item to the next stage. It waits while that one is busy. It
// returns false when the run has been cut off: the item was not sent.
type emit[T any] func(T) bool

// A stage describes a pool of goroutines that turn items of one kind into items of another.
type stage[In, Out any] struct {
	// workers bounds the pool, and with it the items that are worked on. As many items
	// again wait in the channel behind it.
	workers int
	// work handles one item. Its context ends with a stop. An error stops the run; what
	// concerns the item alone is reported and no error of work.
	work func(context.Context, In, emit[Out]) error
	// finish, when not nil, is called once, after the last item and before the output is
	// closed. A stage with a finish has one worker.
	finish func(context.Context, emit[Out]) error
}

// start starts the pool of a stage on its input and returns its output, which is closed when
// the last worker has returned.
func start[In, Out any](e *engine, s stage[In, Out], in <-chan In) <-chan Out {
	out := make(chan Out, s.workers)
	send := sender(e, out)
	var running atomic.Int64
	running.Store(int64(s.workers))
	for range s.workers {
		e.group.Go(func() error {
			for item := range in {
				e.failed(s.work(e.soft, item, send))
			}
			if running.Add(-1) > 0 {
				return nil
			}
			if s.finish != nil {
				e.failed(s.finish(e.soft, send))
			}
			close(out)
			return nil
		})
	}
	return out
}

// sender returns the function that sends to a channel until the run is cut off.
func sender[T any](e *engine, out chan<- T) emit[T] {
	return func(item T) bool {
		select {
		case out <- item:
			return true
		case <-e.hard.Done():
			return false
		}
	}
}

// An addressed item is for one of several workers, or for any of them.
type addressed[T any] struct {
	worker int // or anyWorker
	item   T
}

const anyWorker = -1

// startAddressed starts workers of which each gets the items that are addressed to it, in their
// order, and shares those that are for any. In each channel one item waits; workers that are busy hold
// back the sender. work returns what stops the run.
func startAddressed[T any](e *engine, workers int, in <-chan addressed[T], work func(ctx context.Context, worker int, item T) error) {
	shared := make(chan T, 1)
	own := make([]chan T, workers)
	for i := range own {
		own[i] = make(chan T, 1)
		e.group.Go(func() error {
			mine, others := own[i], shared
			for mine != nil || others != nil {
				var item T
				var open bool
				select {
				case item, open = <-mine:
					if !open {
						mine = nil
					}
				case item, open = <-others:
					if !open {
						others = nil
					}
				}
				if open {
					e.failed(work(e.soft, i, item))
				}
			}
			return nil
		})
	}
	e.group.Go(func() error {
		for a := range in { // workers read on until the channels are closed
			if a.worker == anyWorker {
				shared <- a.item
			} else {
				own[a.worker] <- a.item
			}
		}
		close(shared)
		for _, channel := range own {
			close(channel)
		}
		return nil
	})
}

// closeWhenDone closes a channel to which all stages send when all of them have ended. It is
// called after the last of them was started. What is to be done then comes first, one after the other;
// it may start further stages.
func closeWhenDone[T any](e *engine, out chan T, then ...func(context.Context)) {
	go func() {
		_ = e.group.Wait() // stages return no errors: failed has stopped the run already
		for _, do := range then {
			do(e.soft)
			_ = e.group.Wait()
		}
		close(out)
	}()
}

// first returns the input of a first stage: a single item.
func first[T any](item T) <-chan T { return each([]T{item}) }

// each returns the input of a first stage.
func each[T any](items []T) <-chan T {
	in := make(chan T, len(items))
	for _, item := range items {
		in <- item
	}
	close(in)
	return in
}

// parallel calls a function with the index of each of n items, at most limit at a time, and
// returns when all calls have returned. The calls end early when their requests do, which
// those under a context that has ended do at once.
func parallel(n, limit int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = group.Wait() // no call returns an error
}
