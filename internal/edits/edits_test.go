package edits

import "testing"

func TestBetween(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "AB", 2}, {"AB", "", 2}, {"DRYRUN", "DRYRUN", 0},
		{"DYRRUN", "DRYRUN", 1}, {"DRYRN", "DRYRUN", 1}, {"DRYRUNS", "DRYRUN", 1}, {"TRYRUN", "DRYRUN", 1},
		{"MAXAGE", "MINAGE", 2}, {"PROTECTED", "PROTECTEDTAGS", 4}, {"AB", "BA", 1}, {"ABAB", "BABA", 2},
	} {
		if got := Between(test.a, test.b); got != test.want {
			t.Errorf("Between(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
