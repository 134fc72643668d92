package main

import (
	"strings"
	"testing"
)

const table = `REPOSITORY  TAG   KIND            TRUTH
a/b         main  image           stays: protected
a/b         1.0   image           stays: healthy
a/b.cache   old   cache-manifest  dead: counterpart-tag-missing
`

// without drops the lines of a table that contain a word.
func without(word string) world {
	var lines []string
	for line := range strings.SplitSeq(table, "\n") {
		if !strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return parseWorld(strings.Join(lines, "\n"))
}

func TestCheckLeft(t *testing.T) {
	for name, test := range map[string]struct {
		before, after world
		want          string
	}{
		"as it has to be":    {parseWorld(table), without("dead:"), ""},
		"a dead tag is left": {parseWorld(table), parseWorld(table), "a/b.cache:old is dead and still there"},
		"a live tag is gone": {parseWorld(table), without("b "), "a/b:1.0 had to stay and is gone"},
		"nothing was dead":   {without("dead:"), without("dead:"), "shows nothing"},
		"an empty world":     {world{}, world{}, "shows nothing"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkLeft(test.before, test.after), test.want) })
	}
}

func TestCheckSame(t *testing.T) {
	whole := parseWorld(table)
	if len(whole) != 3 {
		t.Fatalf("three tags were read as %v", whole)
	}
	expect(t, checkSame(whole, whole), "")
	expect(t, checkSame(whole, without("dead:")), "a/b.cache:old is gone")
	expect(t, checkSame(without("dead:"), whole), "a/b.cache:old is new")
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q in it", err, want)
	}
}
