package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decodeRows reads rows as the page's script does.
func decodeRows(t testing.TB, written string) (rows [][]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(written), &rows); err != nil {
		t.Fatal(err)
	}
	var names []any
	for _, row := range rows {
		for _, i := range []int{0, 2, 3, 4, 7} {
			if number, ok := row[i].(float64); ok {
				row[i] = names[int(number)]
			} else {
				names = append(names, row[i])
			}
		}
	}
	return rows
}

// TestRows: what is read from the decisions comes back from the page, and what is none
// of them is skipped and counted.
func TestRows(t *testing.T) {
	lines := []string{
		`{"project":"g/p","repository":"g/p/a","repository_id":7,"tag":"one","action":"delete","outcome":"deleted","reason":"details-missing","digest":"sha256:0123456789abcdef","kind":"cache-index","bytes":7,"made":"2025-12-20T23:59:59.5Z","rests_on":"asked twice"}`,
		`not JSON`,
		`{"project":"g/p","repository":"g/p/a","repository_id":7,"tag":"two","action":"delete","outcome":"deleted","reason":"details-missing","kind":"cache-index","detail":"why"}`,
		`{}`,
		`["a"]`,
		`{"tag":"` + strings.Repeat("x", longestLine) + `"}`,
		`{"tag":` + strings.Repeat(" ", 3*longestLine) + `"far"}`,
		`{"project":"../p","repository":"g/p/b","tag":"th\u202eree","action":"undecided","outcome":"undecided","reason":"details-unknown","digest":"\u202e","detail":"a\u202eb"}`,
		`{"project":"g/p","repository":"g/p/b","ta`,
	}
	text := strings.Join(lines, "\n")
	unread, err := eachDecision(strings.NewReader(text), func(*decisionLine) error { return nil })
	if err != nil || unread != 6 {
		t.Errorf("%d lines unread, error %v; want 6", unread, err)
	}
	var written bytes.Buffer
	if err := writeRows(&written, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	one, other := []any{"g/p/a", "g/p", "/g/p/container_registry/7"}, []any{"g/p/b", "../p", ""}
	want := [][]any{
		{one, "one", "deleted", "details-missing", "cache-index", 7.0, "0123456789ab", "asked twice", 1766275199.0},
		{one, "two", "deleted", "details-missing", "cache-index", 0.0, "", "why", 0.0},
		{other, `th\u{202e}ree`, "undecided", "details-unknown", "", 0.0, `\u{202e}`, `a\u{202e}b`, 0.0},
	}
	if diff := cmp.Diff(want, decodeRows(t, written.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestManyNames: a table of names that is full begins anew, and every row still has its
// own.
func TestManyNames(t *testing.T) {
	const n = 2*mostNames + 100
	var lines, written bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, `{"repository":"r%d","tag":"t","outcome":"deleted"}`+"\n", i%(n/2))
	}
	if err := writeRows(&written, &lines); err != nil {
		t.Fatal(err)
	}
	for i, row := range decodeRows(t, written.String()) {
		if want := fmt.Sprintf("r%d", i%(n/2)); row[0].([]any)[0] != want || row[2] != "deleted" {
			t.Fatalf("row %d is %v, want repository %s", i, row, want)
		}
	}
	table := &nameTable{numbers: make(map[string]int)}
	for i := range n {
		table.put(fmt.Sprint(i))
	}
	if len(table.numbers) > mostNames {
		t.Errorf("the table holds %d names", len(table.numbers))
	}
}
