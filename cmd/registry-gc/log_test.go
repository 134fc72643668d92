package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// TestHostileValues: what comes from a server reaches a terminal without the
// characters that would steer it, and stays on its line.
func TestHostileValues(t *testing.T) {
	for _, hostile := range []string{"a\x1b[2Jb", "a b\\x1b[2Jc", "a\nb", "a\r\tb", "a\u009b2J", "a\u202eb"} {
		for _, color := range []bool{true, false} {
			var out bytes.Buffer
			log := slog.New(logFormat{color: color}.handler(&out))
			log.Info("tag kept "+hostile, "tag", hostile, "error", errors.New(hostile))
			line := strings.ReplaceAll(strings.ReplaceAll(out.String(), "\x1b[2m", ""), "\x1b[0m", "")
			line = strings.NewReplacer("\x1b[22m", "", "\x1b[92m", "").Replace(line) // tint's own
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\n\r\t\u009b\u202e") {
				t.Errorf("%q with colour %t is shown as %q", hostile, color, line)
			}
		}
	}
}

// TestHostileJSON: in JSON, too, nothing steers the terminal that a line is printed on, and
// a line means what it meant.
func TestHostileJSON(t *testing.T) {
	for _, hostile := range []string{"a\x1b[2Jb", "a\nb", "a\u009b2J", "a\u202eb\u200b", "tag\U000e0041", "a\x7f"} {
		var out bytes.Buffer
		slog.New(logFormat{json: true}.handler(&out)).Info(hostile, "tag", hostile, "error", errors.New(hostile))
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsFunc(line, printable.Hidden) {
			t.Errorf("%q is shown as %q", hostile, line)
		}
		var decoded struct{ Msg, Tag, Error string }
		if err := json.Unmarshal([]byte(line), &decoded); err != nil || decoded.Tag != hostile || decoded.Msg != hostile {
			t.Errorf("%q was read back as %+v, error %v", hostile, decoded, err)
		}
	}
}
