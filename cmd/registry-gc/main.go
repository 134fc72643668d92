package main

import (
	"context"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/sethvargo/go-envconfig"
)

func main() {
	heedMemoryLimit(memlimit.FromCgroup)
	ctx := stopOnSignals(context.Background())
	os.Exit(run(ctx, os.Args[1:], envconfig.OsLookuper(), variableNames(os.Environ()), os.Stdout, os.Stderr))
}
