package main

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestLimitMemory(t *testing.T) {
	unreadable := func() (uint64, error) { return 0, errors.New("no cgroup") }
	for name, test := range map[string]struct {
		container memlimit.Provider
		set       bool // GOMEMLIMIT
		want      int64
	}{
		"a container's limit":        {memlimit.Limit(100 << 20), false, 90 << 20},
		"GOMEMLIMIT is stronger":     {memlimit.Limit(100 << 20), true, 7 << 30},
		"a limit that is unreadable": {unreadable, false, 7 << 30},
		"no limit":                   {func() (uint64, error) { return 0, memlimit.ErrNoLimit }, false, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", "7GiB") // so that it is put back afterwards
			if !test.set {
				os.Unsetenv("GOMEMLIMIT")
			}
			before := debug.SetMemoryLimit(7 << 30)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			limitMemory(test.container)
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the limit is %d, want %d", got, test.want)
			}
		})
	}
}
