package report

import "testing"

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
