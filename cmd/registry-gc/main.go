package main

import (
	"context"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/sethvargo/go-envconfig"
)

func main() {
	limitMemory(memlimit.FromCgroup)
	ctx := stopOnSignals(context.Background())
	os.Exit(run(ctx, os.Args[1:], envconfig.OsLookuper(), variableNames(os.Environ()), os.Stdin, os.Stdout, os.Stderr))
}

// limitMemory makes the garbage collector work harder before the process grows beyond the
// limit of its container, where it would be killed in the middle of a run: GOMEMLIMIT
// becomes nine tenths of that limit, unless it is set. Where no limit can be read none is
// set.
func limitMemory(container memlimit.Provider) {
	_, _ = memlimit.Set(memlimit.WithProvider(container))
}
