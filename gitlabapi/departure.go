package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrNotSent says that a request was given up before it was sent for the first time.
var ErrNotSent = errors.New("the request was not sent")

// A departure is how long a request may wait to be sent, which may be shorter than how
// long it may take altogether, and whether it has been.
type departure struct {
	before context.Context
	sent   atomic.Bool
}

type departureKey struct{}

// SentBefore returns a context, for one request, under which that is sent before the
// second context ends or not at all, which is an error of class [ErrNotSent]. Once
// sent, it may take until the first one ends.
func SentBefore(ctx, before context.Context) context.Context {
	return context.WithValue(ctx, departureKey{}, &departure{before: before})
}

// departureOf returns the departure of a request, which ordinarily may wait as long as
// it may take.
func departureOf(ctx context.Context) *departure {
	if d, ok := ctx.Value(departureKey{}).(*departure); ok {
		return d
	}
	return &departure{before: ctx}
}

// missed returns the error of a request that has waited too long.
func (d *departure) missed() error {
	if d.sent.Load() {
		return d.before.Err()
	}
	return fmt.Errorf("%w: %w", ErrNotSent, d.before.Err())
}
