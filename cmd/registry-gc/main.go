package main

import (
	"context"
	"os"

	"github.com/sethvargo/go-envconfig"
)

func main() {
	ctx := stopOnSignals(context.Background())
	os.Exit(run(ctx, os.Args[1:], envconfig.OsLookuper(), os.Stdout, os.Stderr))
}
