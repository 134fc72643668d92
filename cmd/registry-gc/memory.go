package main

import "github.com/KimMachineGun/automemlimit/memlimit"

// heedMemoryLimit makes the garbage collector work harder before the process grows beyond
// the limit of its container, where it would be killed in the middle of a run: GOMEMLIMIT
// becomes nine tenths of that limit, unless it is set. Where no limit can be read none is
// set.
func heedMemoryLimit(container memlimit.Provider) {
	_, _ = memlimit.Set(memlimit.WithProvider(container))
}
