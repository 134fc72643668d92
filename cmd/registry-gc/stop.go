package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// errMaxRuntime ends a run whose time is over.
var errMaxRuntime = errors.New("MAX_RUNTIME is over")

// A signalError ends a run that was interrupted.
type signalError struct{ signal syscall.Signal }

// Error implements error.
func (e *signalError) Error() string {
	switch e.signal {
	case syscall.SIGINT:
		return "interrupted by SIGINT (Ctrl-C)"
	case syscall.SIGTERM:
		return "interrupted by SIGTERM"
	default:
		return fmt.Sprintf("interrupted by signal %d", e.signal)
	}
}

// stopOnSignals returns a context that SIGINT or SIGTERM ends. The second signal ends
// the program, whatever it is doing.
func stopOnSignals(parent context.Context) context.Context {
	// Nobody reading the log any more is no reason to end without a summary.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(&signalError{(<-signals).(syscall.Signal)})
		second := (<-signals).(syscall.Signal)
		tidyUp()
		os.Exit(128 + int(second))
	}()
	return ctx
}

// onScreen is the screen that has a display on it just now. It is known to the whole
// program, as the terminal is, for whoever ends it from outside the run.
var onScreen atomic.Pointer[screen]

// tidyUp takes the display off, unless the terminal takes nothing just now: that must not
// keep the program from ending.
func tidyUp() {
	cleared := make(chan struct{})
	go func() {
		defer close(cleared)
		if screen := onScreen.Load(); screen != nil {
			screen.clear()
		}
	}()
	select {
	case <-cleared:
	case <-time.After(100 * time.Millisecond):
	}
}

// withMaxRuntime bounds a context by MAX_RUNTIME, 0 being no bound.
func withMaxRuntime(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, errMaxRuntime)
}
