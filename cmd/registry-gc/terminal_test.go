package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A terminal shows what was written to it as a person would see it.
type terminal struct {
	mu       sync.Mutex
	emulator *vt.Emulator
	raw      bytes.Buffer
	changed  chan struct{}
}

func newTerminal(width, height int) *terminal {
	return &terminal{emulator: vt.NewEmulator(width, height), changed: make(chan struct{}, 1)}
}

// Write implements io.Writer. Like a terminal's driver it begins every line at the left.
func (tm *terminal) Write(text []byte) (int, error) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.raw.Write(text)
	_, err := tm.emulator.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	select {
	case tm.changed <- struct{}{}:
	default:
	}
	return len(text), err
}

// rows returns all rows from the first one on, those that have scrolled away included.
func (tm *terminal) rows() []string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	away := tm.emulator.ScrollbackLen()
	var rows []string
	for y := range away + tm.emulator.Height() {
		var row strings.Builder
		for x := range tm.emulator.Width() {
			cell := tm.emulator.CellAt(x, y-away)
			if y < away {
				cell = tm.emulator.ScrollbackCellAt(x, y)
			}
			switch {
			case cell == nil:
				row.WriteByte(' ')
			default:
				row.WriteString(cell.Content) // nothing for the right half of a wide one
			}
		}
		rows = append(rows, row.String())
	}
	return rows
}

// String returns the rows without the blanks at their ends.
func (tm *terminal) String() string {
	var text strings.Builder
	for _, row := range tm.rows() {
		text.WriteString(strings.TrimRight(row, " ") + "\n")
	}
	return strings.TrimRight(text.String(), "\n") + "\n"
}

// resize changes the size. What no longer fits is cut off: this terminal folds nothing.
func (tm *terminal) resize(width, height int) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.emulator.Resize(width, height)
}

// A session is the program running on a terminal.
type session struct {
	*terminal
	t       *testing.T
	server  *gitlabtest.Server
	device  *os.File // the terminal's other end
	command *exec.Cmd
	read    chan struct{} // closed when the program has ended and all it wrote is there
	reports string
}

// play starts the program on a terminal, over a stand-in in which everything takes a
// while.
func play(t *testing.T, width, height int, server *gitlabtest.Server, environment ...string) *session {
	t.Helper()
	return playCommand(t, []string{"--yes"}, width, height, server, environment...)
}

// playCommand starts it with arguments.
func playCommand(t *testing.T, args []string, width, height int, server *gitlabtest.Server, environment ...string) *session {
	t.Helper()
	return playArgs(t, func(self string) *exec.Cmd {
		command := exec.Command(self)
		command.Args = append([]string{"registry-gc"}, args...) // of which TestMain goes by the first
		return command
	}, width, height, server, environment...)
}

// playShell has a shell start it, as $0.
func playShell(t *testing.T, script string, width, height int, server *gitlabtest.Server) *session {
	t.Helper()
	return playArgs(t, func(self string) *exec.Cmd {
		link := filepath.Join(t.TempDir(), "registry-gc") // TestMain goes by the name
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		return exec.Command("/bin/sh", "-c", script, link)
	}, width, height, server)
}

func playArgs(t *testing.T, commandOf func(self string) *exec.Cmd, width, height int, server *gitlabtest.Server, environment ...string) *session {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{terminal: newTerminal(width, height), t: t, server: server, read: make(chan struct{}), reports: t.TempDir()}
	s.command = commandOf(self)
	s.command.Env = append([]string{"GITLAB_URL=" + listen(t, server), "GITLAB_TOKEN=" + gitlabtest.DefaultToken,
		"REPORT_DIR=" + s.reports, "RATE_LIMIT=0", "CONCURRENCY=2", "TERM=xterm", shortExit}, environment...)
	s.device, err = pty.StartWithSize(s.command, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.command.Process.Kill() // in case it still runs
		_ = s.command.Wait()
		_ = s.device.Close()
	})
	go func() {
		defer close(s.read)
		chunk := make([]byte, 4096)
		for {
			n, err := s.device.Read(chunk)
			if err != nil {
				return
			}
			_, _ = s.terminal.Write(bytes.ReplaceAll(chunk[:n], []byte("\r\n"), []byte("\n")))
		}
	}()
	return s
}

// until waits until the terminal shows something.
func (s *session) until(what string, shown func() bool) {
	s.t.Helper()
	for deadline := time.After(time.Minute); !shown(); {
		select {
		case <-s.changed:
		case <-s.read:
			if !shown() {
				s.t.Fatalf("the program ended without %s:\n%s", what, s)
			}
		case <-deadline:
			s.t.Fatalf("no %s after a minute:\n%s", what, s)
		}
	}
}

// wait waits for the program's end and returns its exit code.
func (s *session) wait() int {
	s.t.Helper()
	select {
	case <-s.read:
	case <-time.After(time.Minute):
		s.t.Fatalf("no end after a minute:\n%s", s)
	}
	_ = s.command.Wait() // the code says it
	return s.command.ProcessState.ExitCode()
}

// resize resizes the terminal, of which the program is told.
func (s *session) resize(width, height int) {
	s.t.Helper()
	s.terminal.resize(width, height)
	if err := pty.Setsize(s.device, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		s.t.Fatal(err)
	}
}

// keep keeps what the terminal shows.
func (s *session) keep(name string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.t.ArtifactDir(), name), []byte(s.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// TestAskedOnTerminal: on a terminal a run plans, shows what would go and asks, also where one of its
// streams is a file. Yes deletes exactly that, and anything else nothing; what was typed before the question
// is no answer.
func TestAskedOnTerminal(t *testing.T) {
	for name, test := range map[string]struct {
		before, answer string
		environment    []string
		deleted, code  int
	}{
		"yes":              {"", "y\n", nil, 15, exitDone},
		"no":               {"", "n\n", nil, 0, exitDone},
		"nothing":          {"", "\n", nil, 0, exitDone},
		"yes, too early":   {"y\n", "\n", nil, 0, exitDone},
		"begun too early":  {"y", "\n", nil, 0, exitDone},
		"the end":          {"", "\x04", nil, 0, exitDone},
		"Ctrl-C":           {"", "\x03", nil, 0, exitSignal + 2},
		"without a folder": {"", "y\n", []string{"REPORT_DIR="}, 15, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := gitlabtest.New(gitlabtest.DemoWorld())
			home := t.TempDir()
			s := playCommand(t, nil, 100, 60, server, append(test.environment, "XDG_STATE_HOME="+home)...)
			if _, err := s.device.WriteString(test.before); err != nil {
				t.Fatal(err)
			}
			s.until("question", func() bool { return strings.Contains(s.String(), "[y/N]") })
			if n := len(server.Deleted()); n > 0 {
				t.Errorf("%d tags are gone before anybody has answered", n)
			}
			s.keep("question.txt")
			if _, err := s.device.WriteString(test.answer); err != nil {
				t.Fatal(err)
			}
			if code := s.wait(); code != test.code || len(server.Deleted()) != test.deleted {
				t.Errorf("code %d, %d deleted; want %d and %d\n%s", code, len(server.Deleted()), test.code, test.deleted, s)
			}
			screen := strings.Join(strings.Fields(s.String()), " ")
			if want := "Delete 15 tags in 4 projects of 127.0.0.1:"; !strings.Contains(screen, want) || !strings.Contains(screen, "This can be undone until the next registry-garbage-collect -m. [y/N]") {
				t.Errorf("the question is not there:\n%s", s)
			}
			if said := strings.Contains(screen, "Nothing was deleted."); said != (test.code == exitDone && test.deleted == 0) {
				t.Errorf("that nothing was deleted is said: %t\n%s", said, s)
			}
			journals, err := filepath.Glob(filepath.Join(home, "registry-gc", "journal", "*.jsonl"))
			if err != nil || (len(journals) == 1) != (test.environment != nil) {
				t.Errorf("journals in the user's own folder: %q, %v", journals, err)
			}
		})
	}
}

// TestAskedBesideAFile: a stream that is a file takes the question from nobody.
func TestAskedBesideAFile(t *testing.T) {
	t.Parallel()
	server := gitlabtest.New(gitlabtest.DemoWorld())
	s := playShell(t, `exec "$0" 2>"$REPORT_DIR/log" </dev/null`, 100, 60, server)
	s.until("question", func() bool { return strings.Contains(s.String(), "[y/N]") })
	if _, err := s.device.WriteString("n\n"); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != exitDone || len(server.Deleted()) > 0 {
		t.Errorf("code %d, %d deleted\n%s", code, len(server.Deleted()), s)
	}
}

// TestJournalOfADiscardedLog: who is asked gets a journal, also where the log goes to the null device.
func TestJournalOfADiscardedLog(t *testing.T) {
	t.Parallel()
	server := gitlabtest.New(gitlabtest.DemoWorld())
	s := playShell(t, `export XDG_STATE_HOME="$REPORT_DIR"; export REPORT_DIR=; exec "$0" 2>/dev/null`, 100, 60, server)
	s.until("question", func() bool { return strings.Contains(s.String(), "[y/N]") })
	if _, err := s.device.WriteString("y\n"); err != nil {
		t.Fatal(err)
	}
	code := s.wait()
	journals, err := filepath.Glob(filepath.Join(s.reports, "registry-gc", "journal", "*.jsonl"))
	if code != exitDone || len(server.Deleted()) != 15 || err != nil || len(journals) != 1 {
		t.Errorf("code %d, %d deleted, journals %q, %v\n%s", code, len(server.Deleted()), journals, err, s)
	}
}

// TestOutputOnTerminal: who asks for JSON is still asked before anything is deleted, by the summary for people, and
// standard output is one document. What is quiet draws no progress.
func TestOutputOnTerminal(t *testing.T) {
	t.Parallel()
	server := gitlabtest.New(gitlabtest.DemoWorld())
	s := playShell(t, `exec "$0" --output json --quiet >"$REPORT_DIR/out"`, 100, 60, server)
	s.until("question", func() bool { return strings.Contains(s.String(), "[y/N]") })
	if !strings.Contains(s.String(), "Plan for ") {
		t.Errorf("the question comes without the summary:\n%s", s)
	}
	if _, err := s.device.WriteString("y\n"); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != exitDone || len(server.Deleted()) != 15 {
		t.Errorf("code %d, %d deleted\n%s", code, len(server.Deleted()), s)
	}
	var summary struct{ Deleted int }
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(s.reports, "out"))), &summary); err != nil || summary.Deleted != 15 {
		t.Errorf("standard output: %v, %+v", err, summary)
	}
	if strings.Contains(s.raw.String(), "in flight") {
		t.Error("progress was drawn")
	}
}
