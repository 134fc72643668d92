package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"feature/ünïcode-漢字":    "feature/ünïcode-漢字",
		"a\x1b[31mb\n":          `a\u{1b}[31mb\u{a}`,
		"gnp.\u202etxt":         `gnp.\u{202e}txt`,
		"a\u200bb\u2028c\u0085": `a\u{200b}b\u{2028}c\u{85}`,
		"a\xffb":                `a\u{fffd}b`,
		"a\u3164b\ufe0fc":       `a\u{3164}b\u{fe0f}c`,
	} {
		if got := Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestReplace(t *testing.T) {
	for text, want := range map[string]string{
		"feature/ünïcode-漢字 x":     "feature/ünïcode-漢字 x",
		"a\x1b[31m\r\nb\x00":       "a?[31m??b?",
		"a\u202eb\u2066c\u00a0d":   "a?b?c?d",
		"a\xffb\U000e0041c\u009b1": "a?b?c?1",
	} {
		if got := Replace(text, '?'); got != want {
			t.Errorf("Replace(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestJSON: what is escaped means the same, and no character in it hides.
func TestJSON(t *testing.T) {
	for _, text := range []string{"plain", "a\x7fb\u0085\u009b31m", "gnp.\u202etxt", "\u200b\u200d\ufeff", "tag\U000e0041\U000e007f", "a\n\x1b", "ünï漢"} {
		encoded, err := json.MarshalIndent(map[string]string{"tag": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := JSON(encoded)
		if strings.ContainsFunc(strings.ReplaceAll(string(got), "\n", ""), Hidden) {
			t.Errorf("something hides in %q", got)
		}
		var decoded map[string]string
		if err := json.Unmarshal(got, &decoded); err != nil || decoded["tag"] != text {
			t.Errorf("%q became %q, error %v", text, decoded["tag"], err)
		}
	}
}

func TestBound(t *testing.T) {
	for n := range 9 {
		got := Bound("a語語", n)
		if len(got) > n || !utf8.ValidString(got) || !strings.HasPrefix("a語語", got) {
			t.Errorf("Bound to %d: %q", n, got)
		}
	}
	if got := Bound("a語語", 7); got != "a語語" {
		t.Errorf("a text that fits became %q", got)
	}
}

func TestPath(t *testing.T) {
	long := Path("acme/"+strings.Repeat("x", 300)+"/web.cache", 64)
	if len(long) != 64 || !strings.HasPrefix(long, "acme/") || !strings.HasSuffix(long, "/web.cache") {
		t.Errorf("%q", long)
	}
	if got := Path("a b\u202e/c", 64); got != "a?b?/c" {
		t.Errorf("%q", got)
	}
}
