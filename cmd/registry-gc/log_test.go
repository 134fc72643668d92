package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestHostileValues: what comes from a server reaches a terminal without the
// characters that would steer it, and stays on its line.
func TestHostileValues(t *testing.T) {
	for _, hostile := range []string{"a\x1b[2Jb", "a b\\x1b[2Jc", "a\nb", "a\r\tb", "a\u009b2J", "a\u202eb"} {
		for _, color := range []bool{true, false} {
			var out bytes.Buffer
			log := slog.New(logFormat{color: color}.handler(&out))
			log.Info("tag kept", "tag", hostile, "error", errors.New(hostile))
			line := strings.ReplaceAll(strings.ReplaceAll(out.String(), "\x1b[2m", ""), "\x1b[0m", "")
			line = strings.NewReplacer("\x1b[22m", "", "\x1b[92m", "").Replace(line) // tint's own
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\n\r\t\u009b\u202e") {
				t.Errorf("%q with colour %t is shown as %q", hostile, color, line)
			}
		}
	}
}
