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
	names := map[syscall.Signal]string{
		syscall.SIGHUP:  "SIGHUP (the terminal or the connection is gone)",
		syscall.SIGINT:  "SIGINT (Ctrl-C)",
		syscall.SIGTERM: "SIGTERM",
	}
	if name, ok := names[e.signal]; ok {
		return "interrupted by " + name
	}
	return fmt.Sprintf("interrupted by signal %d", e.signal)
}

// beforeExit is called before a second signal ends the program; nil does nothing. The
// terminal belongs to the whole process, so this does too.
var beforeExit atomic.Pointer[func()]

// stopOnSignals returns a context that SIGINT, SIGTERM or SIGHUP ends. The second signal
// ends the program, whatever it is doing. SIGHUP stays ignored where nohup ignores it.
func stopOnSignals(parent context.Context) context.Context {
	// A log whose reader has ended is no reason to end without a summary.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		cancel(&signalError{(<-signals).(syscall.Signal)})
		second := (<-signals).(syscall.Signal)
		if tidyUp := beforeExit.Load(); tidyUp != nil {
			(*tidyUp)()
		}
		os.Exit(exitSignal + int(second))
	}()
	return ctx
}

// withMaxRuntime bounds a context by MAX_RUNTIME, 0 being no bound.
func withMaxRuntime(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, errMaxRuntime)
}
