package throttle

import (
	"context"
	"errors"
	"fmt"
)

// smallBody is what the answer of a list has at most that need not wait for others, in bytes: some
// fifty thousand tags or branches.
const smallBody = 1 << 20

// A SizeError is an answer that is larger than may be read. It is also a [FormatError].
type SizeError struct{ Limit int64 } // in bytes

// Error implements error.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d MiB", e.Limit>>20)
}

// Unwrap returns the error as one of form.
func (e *SizeError) Unwrap() error { return &FormatError{e.Error()} }

// GetLarge gets a list that comes in one answer, of whatever length. What may be 64 MiB for each of the
// requests in flight does not fit into memory: get is called with a small bound for the answer first,
// which nearly all lists keep, and for one that does not again with the large one, while no other
// such list is being got. What get returns must be all that it keeps of the answer.
func GetLarge[T any](ctx context.Context, c *Client, most int64, get func(maxBody int64) (T, error)) (T, error) {
	got, err := get(min(smallBody, most))
	if size, ok := errors.AsType[*SizeError](err); !ok || size.Limit >= most {
		return got, err
	}
	select {
	case c.large <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
	defer func() { <-c.large }()
	return get(most)
}
