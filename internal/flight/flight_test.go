package flight_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/internal/flight"
)

// TestCancelOfTheFetcher: callers that wait for another's fetch get a value when that
// other gives up.
func TestCancelOfTheFetcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := flight.NewCache[int](4)
		fetched := 0
		fetch := func(ctx context.Context) (int, error) {
			fetched++
			select {
			case <-time.After(time.Minute):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		first, cancel := context.WithCancel(t.Context())
		impatient, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		errs := make([]error, 4)
		var all sync.WaitGroup
		for i, ctx := range []context.Context{first, t.Context(), t.Context(), impatient} {
			all.Go(func() { _, errs[i] = c.Get(ctx, "key", flight.Never, fetch) })
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		cancel()
		all.Wait()
		if !errors.Is(errs[0], context.Canceled) || errs[1] != nil || errs[2] != nil || !errors.Is(errs[3], context.DeadlineExceeded) {
			t.Errorf("errors %v", errs)
		}
		if fetched != 2 {
			t.Errorf("fetched %d times", fetched)
		}
	})
}

// TestBounded: the values used last stay, others are fetched again, failures at once.
func TestBounded(t *testing.T) {
	c := flight.NewCache[string](2)
	fetched := make(map[string]int)
	get := func(key string) {
		t.Helper()
		value, err := c.Get(t.Context(), key, flight.Never, func(context.Context) (string, error) {
			if fetched[key]++; key == "bad" {
				return "", errors.New("no")
			}
			return "value of " + key, nil
		})
		if key != "bad" && (err != nil || value != "value of "+key) {
			t.Errorf("%s: got %q, %v", key, value, err)
		}
	}
	for i := range 10 {
		get("busy")
		get(strconv.Itoa(i))
	}
	get("0")
	get("bad")
	get("bad")
	if fetched["busy"] != 1 || fetched["0"] != 2 || fetched["bad"] != 2 {
		t.Errorf("fetched %v", fetched)
	}
}
