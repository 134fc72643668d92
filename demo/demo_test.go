package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const table = `REPOSITORY  TAG   KIND            TRUTH
a/b         main  image           stays: protected
a/b         1.0   image           stays: no-rule
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

// TestWriteWorld: a name that is too long for a terminal is cut, and kinds and reasons are in the program's words.
func TestWriteWorld(t *testing.T) {
	var out strings.Builder
	writeWorld(&out, "REPOSITORY  TAG  KIND  TRUTH\na/b  sha256-0123456789abcdef0123456789  image  stays: referrer\na/b  main  docker-image  stays: protected\na/b  1  docker-list  stays: no-rule\na/b  2  image  stays: no-rule\na/b  3  cache-list  dead: undatable\n")
	want := "REPOSITORY  TAG                       KIND         WHY IT STAYS\n" +
		"a/b         sha256-0123456789abcdef…  image        referrer\n" +
		"a/b         main                      image        protected\n" +
		"a/b         1                         multi-arch   multi-arch\n" +
		"a/b         2                         image        no-rule\n" +
		"a/b         3                         cache-index  dead: undatable\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

// TestOutOfReach: only what a run passes over is left out of its count.
func TestOutOfReach(t *testing.T) {
	if n := parseWorld(table + "a/c  old  image  stays: out-of-reach\n").outOfReach(); n != 1 {
		t.Errorf("%d tags of four are out of reach, want 1", n)
	}
}

// TestRemoveReports: an earlier demo's reports go, and nothing else in the folder, which may be somebody's home.
func TestRemoveReports(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"plan/report.html", "explain/x", "apply/journal/x.jsonl", "undo/x", "mine/plan/x", "planned"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, removeReports(folder), "")
	expect(t, removeReports(filepath.Join(folder, "none")), "")
	var left []string
	entries, err := os.ReadDir(folder)
	expect(t, err, "")
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if !slices.Equal(left, []string{"mine", "planned"}) {
		t.Errorf("left in the folder: %v", left)
	}
	_, err = os.Stat(filepath.Join(folder, "mine/plan/x"))
	expect(t, err, "")
}

// TestUnread: when nobody reads on, as in make demo | head, nothing is left of the demo.
func TestUnread(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	command := exec.Command(self)
	command.Dir = ".."
	command.Env = append(os.Environ(), "TMPDIR="+temporary, asDemo+"="+t.TempDir())
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		_, address, _ = strings.Cut(lines.Text(), "It serves http://")
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if code := command.ProcessState.ExitCode(); code != 141 {
		t.Errorf("exit code %d", code)
	}
	address, _, _ = strings.Cut(address, ",")
	if connection, err := net.Dial("tcp", address); err == nil || address == "" {
		connection.Close()
		t.Errorf("the stand-in still listens at %q", address)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// asDemo makes the program of the tests the demo, with the folder of its reports.
const asDemo = "DEMO_REPORTS"

func TestMain(m *testing.M) {
	if reports := os.Getenv(asDemo); reports != "" {
		os.Exit(run(reports))
	}
	os.Exit(m.Run())
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
