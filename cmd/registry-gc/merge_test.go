package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

// TestSignalEndsMerge: a signal ends merge as it ends a run, with what there is by then.
func TestSignalEndsMerge(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"summary.json": `{"schema":1}`, "decisions.jsonl": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&signalError{syscall.SIGTERM})
	var out, log bytes.Buffer
	code := run(ctx, []string{"merge", dir}, envconfig.MapLookuper(nil), nil, nil, &out, &log)
	if code != 143 || !strings.HasPrefix(out.String(), "Run, interrupted,") || !strings.Contains(log.String(), "interrupted by SIGTERM") {
		t.Errorf("exit code %d\n%s%s", code, &out, &log)
	}
}
