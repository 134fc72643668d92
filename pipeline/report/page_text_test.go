package report

import "testing"

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"feature/ünïcode-漢字":    "feature/ünïcode-漢字",
		"a\x1b[31mb\n":          `a\u{1b}[31mb\u{a}`,
		"gnp.\u202etxt":         `gnp.\u{202e}txt`,
		"a\u200bb\u2028c\u0085": `a\u{200b}b\u{2028}c\u{85}`,
		"a\xffb":                `a\u{fffd}b`,
	} {
		if got := visible(text); got != want {
			t.Errorf("visible(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	for path, want := range map[string]string{"short": "short", "exactly-ten": "…actly-ten", "group/sub/project": "…b/project"} {
		if got := ending(path, 10); got != want {
			t.Errorf("ending(%q) = %q, want %q", path, got, want)
		}
	}
}
