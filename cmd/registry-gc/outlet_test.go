package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// A pausedWriter takes nothing until it is resumed.
type pausedWriter struct {
	resume chan struct{}
	bytes.Buffer
}

func (w *pausedWriter) Write(text []byte) (int, error) {
	<-w.resume
	return w.Buffer.Write(text)
}

// TestOutletNeverWaits: writing to an outlet that nothing reads takes no time, what waits
// is bounded, and a reader that comes back is told how much is missing.
func TestOutletNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 3 * maxQueued / 1000
		paused := &pausedWriter{resume: make(chan struct{})}
		o := newOutlet(paused)
		o.dropNotice = func(writes int) []byte { return fmt.Appendf(nil, "%d dropped\n", writes) }
		start := time.Now()
		for i := range lines {
			fmt.Fprintf(o, "%6d %s\n", i, strings.Repeat("x", 992))
		}
		if passed := time.Since(start); passed > 0 {
			t.Errorf("writing took %v", passed)
		}
		if o.queued > maxQueued {
			t.Errorf("%d bytes wait", o.queued)
		}
		close(paused.resume)
		if err := o.flush(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
		o.close()
		kept, dropped := 0, 0
		for line := range strings.Lines(paused.String()) {
			var writes int
			if strings.HasSuffix(line, "x\n") {
				kept++
			} else if _, err := fmt.Sscanf(line, "%d dropped\n", &writes); err != nil {
				t.Errorf("a line is torn: %.80q", line)
			}
			dropped += writes // each time that room was made anew
		}
		if dropped == 0 || kept+dropped != lines {
			t.Errorf("%d lines were written, %d kept and %d dropped", lines, kept, dropped)
		}
	})
}

// TestOutletFlush: how long the end waits for a reader that takes nothing.
func TestOutletFlush(t *testing.T) {
	for name, test := range map[string]struct {
		stopped  bool
		patience time.Duration
		want     time.Duration
	}{
		"a run that came to its end": {false, logPatience, logPatience},
		"after a signal":             {true, logPatience, stopTimeout},
		"no patience said":           {true, 0, stopTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			paused := &pausedWriter{resume: make(chan struct{})}
			o := newOutlet(paused)
			fmt.Fprintln(o, "a line")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.stopped {
				cancel()
			}
			start := time.Now()
			if err := o.flush(ctx, test.patience); !errors.Is(err, errUnread) || time.Since(start) != test.want {
				t.Errorf("%s: error %v after %v, want %v", name, err, time.Since(start), test.want)
			}
			start = time.Now()
			if err := o.flush(ctx, test.patience); !errors.Is(err, errUnread) || time.Since(start) != 0 {
				t.Errorf("%s, again: error %v after %v", name, err, time.Since(start))
			}
			o.close()
			close(paused.resume)
		})
	}
}

// TestOutletReportsErrors: an error of the first write is not lost in the goroutine.
func TestOutletReportsErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	o := newOutlet(writerFunc(func([]byte) (int, error) { return 0, broken }))
	defer o.close()
	fmt.Fprintln(o, "a line")
	if err := o.flush(t.Context(), 0); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(text []byte) (int, error) { return f(text) }

// ownCommand returns the program as a command.
func ownCommand(t *testing.T, address string, environment ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Args = []string{"registry-gc"} // which is what TestMain goes by
	command.Env = append([]string{"GITLAB_URL=" + address, "GITLAB_TOKEN=" + gitlabtest.DefaultToken, "RATE_LIMIT=0", shortExit}, environment...)
	return command
}

// TestUnreadLog: a log that nobody reads holds up neither the run, nor the records, nor the
// end after a signal.
func TestUnreadLog(t *testing.T) {
	t.Parallel()
	writer := fullPipe(t)
	command := ownCommand(t, "", "CONCURRENCY=2", "LOG_LEVEL=debug")
	var stdout bytes.Buffer
	command.Stdout, command.Stderr = &stdout, writer
	checkStop(t, command)
	if !strings.HasPrefix(stdout.String(), "Run, interrupted, ") {
		t.Errorf("the summary is %q", &stdout)
	}
}

// TestUnreadJournal: where the log is all that says what was deleted, and nobody reads it, nothing is.
func TestUnreadJournal(t *testing.T) {
	t.Parallel()
	writer := fullPipe(t)
	server := gitlabtest.New(gitlabtest.DemoWorld())
	command := ownCommand(t, listen(t, server), "LOG_FORMAT=json")
	command.Stderr = writer
	_ = command.Run() // the code says it
	if code := command.ProcessState.ExitCode(); code != exitError || len(server.Deleted()) > 0 {
		t.Errorf("exit code %d, %d tags deleted without a record", code, len(server.Deleted()))
	}
}

// TestPausedTerminal: the same of a terminal that takes nothing, with the display on it.
func TestPausedTerminal(t *testing.T) {
	t.Parallel()
	terminal, device := openTerminal(t)
	if err := pty.Setsize(terminal, &pty.Winsize{Cols: 100, Rows: 20}); err != nil {
		t.Fatal(err)
	}
	fill(t, device)
	command := ownCommand(t, "", "CONCURRENCY=2", "TERM=xterm")
	command.Args = append(command.Args, "--yes")
	command.Stdout, command.Stderr = device, device
	checkStop(t, command)
}

// TestNobodyToAsk: on a terminal that is not the program's own nobody can be asked, and so nothing is deleted.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	_, device := openTerminal(t)
	server := gitlabtest.New(gitlabtest.DemoWorld())
	command := ownCommand(t, listen(t, server))
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // so that no terminal is its own
	var stderr bytes.Buffer
	command.Stdout, command.Stderr = device, &stderr
	_ = command.Run() // the code says it
	if code := command.ProcessState.ExitCode(); code != exitUsage || len(server.Deleted()) > 0 || !strings.Contains(stderr.String(), "--yes deletes without asking") {
		t.Errorf("exit code %d, %d tags deleted: %s", code, len(server.Deleted()), &stderr)
	}
}

// fullPipe returns the end of a pipe that nobody reads and that takes no more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(reader.Close(), writer.Close()) })
	fill(t, writer)
	return writer
}

// openTerminal returns both ends of a terminal.
func openTerminal(t *testing.T) (terminal, device *os.File) {
	t.Helper()
	terminal, device, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(terminal.Close(), device.Close()) })
	return terminal, device
}

// fill writes to a pipe or a terminal that nothing reads until it takes no more.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<21)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it still takes something: %v", err)
	}
}

// checkStop starts a program whose deletions are slow, sends it SIGTERM when some are done,
// and checks that it ends in time and that all deletions are recorded.
func checkStop(t *testing.T, command *exec.Cmd) {
	t.Helper()
	server := scenarios["slow-deletions"]()
	reports := t.TempDir()
	command.Env = append(command.Env, "GITLAB_URL="+listen(t, server), "REPORT_DIR="+reports)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); len(server.Deleted()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was deleted within a minute: the log holds the run up")
		}
	}
	signalled := time.Now()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // the code says it
	if took, code := time.Since(signalled), command.ProcessState.ExitCode(); code != 143 || took > 10*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
	recorded := readText(t, filepath.Join(reports, "decisions.jsonl"))
	for _, tag := range server.Deleted() {
		if !strings.Contains(recorded, `"tag":"`+tag.Tag+`"`) {
			t.Errorf("%s was deleted and is not recorded", tag)
		}
	}
	readText(t, filepath.Join(reports, "summary.json"))
}

// TestUnsolicitedResponse: net/http prints what a server sends on an idle connection
// through package log. The token in it is not shown, and the line is one of the log's.
func TestUnsolicitedResponse(t *testing.T) {
	t.Parallel()
	const token = gitlabtest.DefaultToken
	server := httptest.NewUnstartedServer(gitlabtest.New(gitlabtest.DemoWorld()))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nX-Echo: %s \x1b[31m\r\n\r\n", token)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	command := ownCommand(t, server.URL, "DRY_RUN=true", "VERIFY=api", "CONCURRENCY=1", "MAX_RETRIES=1")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run() // its connections break again and again, so that it may end in any way
	if strings.Contains(stdout.String()+stderr.String(), token) {
		t.Errorf("the token is shown:\n%s%s", &stdout, &stderr)
	}
	if !strings.Contains(stderr.String(), `"level":"WARN","msg":"Unsolicited response received on idle HTTP channel`) ||
		!strings.Contains(stderr.String(), "X-Echo: [redacted]") {
		t.Errorf("no such response was logged:\n%s", &stderr)
	}
}
