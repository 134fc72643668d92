package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// midway is a run that is well on its way.
var midway = status{
	Counts: pipeline.Counts{
		Projects:     pipeline.Stage{Found: 2000, InFlight: 16, Done: 1204},
		Repositories: pipeline.Stage{Found: 412, InFlight: 4, Done: 400},
		Tags:         pipeline.Stage{Found: 1031200, InFlight: 16, Done: 1030100},
		Dead:         pipeline.Stage{Found: 812, InFlight: 12, Done: 780},
		AllProjects:  true, Undecided: 3, Deleted: 778, Failed: 2,
	},
	Requests: 4300, RequestRate: 19.84, TagRate: 410.2, Elapsed: 192600 * time.Millisecond, Share: 0.6, TimeLeft: 130 * time.Second,
}

// undoing is how far an undo has come.
var undoing = status{
	Counts:   pipeline.Counts{Tags: pipeline.Stage{Found: 1000, InFlight: 16, Done: 600}, Restored: 580, Failed: 20},
	Requests: 4300, RequestRate: 19.84, Elapsed: 192600 * time.Millisecond, Share: 0.6,
}

// early is a run that has just begun.
var early = status{
	Counts:   pipeline.Counts{Projects: pipeline.Stage{Found: 200, InFlight: 100}},
	Requests: 3, RequestRate: 30, Elapsed: 300 * time.Millisecond, Throttled: true,
}

// TestDisplay: what a status looks like on terminals of several sizes.
func TestDisplay(t *testing.T) {
	for _, test := range []struct {
		name          string
		status        status
		display       display
		width, height int
		want          string
	}{
		{"midway", midway, display{rateLimit: 20}, 100, 24, `
projects          1,204 of 2,000      16 in flight
repositories        400 of 412         4 in flight
tags          1,030,100 of 1,031,200  16 in flight  410.2/s, 3 undecided
to delete           780 of 812        12 in flight  778 deleted, 2 failed
requests          4,300 19.8 of 20/s
[================>-----------] 3m12s, about 2 min left
`},
		{"early, dry run, no limit", early, display{dryRun: true}, 100, 24, `
projects      0 of 200 so far  100 in flight
repositories  0 of 0
tags          0 of 0                          0.0/s
to delete     0 of 0
requests      3 30.0/s                        GitLab asks to wait
0s
`},
		{"undo", undoing, display{rateLimit: 20, undo: true}, 100, 24, `
tags        600 of 1,000      16 in flight  580 restored, 20 not restored
requests  4,300 19.8 of 20/s
[================>-----------] 3m12s
`},
		{"narrow", midway, display{rateLimit: 20}, 45, 24, `
projects          1,204 of 2,000
repositories        400 of 412
tags          1,030,100 of 1,031,200
to delete           780 of 812
requests          4,300 19.8 of 20/s
[==========>-------] 3m12s, about 2 min left
`},
		{"too narrow for anything", midway, display{}, 5, 24, "\n\n\n\n\n\n3m1…\n"},
		{"low", midway, display{rateLimit: 20}, 100, 3, `
requests          4,300 19.8 of 20/s
[================>-----------] 3m12s, about 2 min left
`},
		{"one row", midway, display{rateLimit: 20}, 100, 1, `
[================>-----------] 3m12s, about 2 min left
`},
	} {
		tm := newTerminal(test.width, test.height)
		screen := screenOn(tm)
		width, height := screen.room()
		screen.draw(test.display.rows(test.status, width, height))
		if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), tm.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// slow returns a stand-in for which every request takes a while.
func slow(latency time.Duration, faults ...gitlabtest.Fault) *gitlabtest.Server {
	return faulty(append(faults, gitlabtest.Fault{Effect: gitlabtest.Latency(latency)})...)
}

// busy is slow with so many dead tags that they make several requests. Some names are those of
// images, without which nothing would be known of any.
func busy(latency time.Duration) *gitlabtest.Server {
	world := gitlabtest.EvenWorld{Projects: 4, Repositories: 16, Tags: 600, Dead: 0.3, Protected: 0.05}.World()
	return gitlabtest.New(world, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.Latency(latency)}))
}

// listen serves a stand-in and returns its address.
func listen(t *testing.T, server *gitlabtest.Server) string {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return listener.URL
}

// displayed finds the display's rows.
var displayed = regexp.MustCompile(`(?m)^(?:projects  |repositories  |tags  |to delete  |requests  ).*$`)

// TestOnTerminal: the whole program on terminals of several sizes. While it runs the
// display is the last on the screen; in the end it is gone, above the summary is the
// log, whole and in order, and the cursor has never been hidden.
func TestOnTerminal(t *testing.T) {
	for name, width := range map[string]int{"wide": 160, "narrow": 42} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, width, 12, busy(20*time.Millisecond), "DRY_RUN=true")
			s.until("a display", func() bool { return strings.Contains(s.String(), "\nto delete  ") && s.marked() > 3 })
			s.keep("running.txt")
			if code := s.wait(); code != exitDone {
				t.Errorf("exit code %d", code)
			}
			s.keep("final.txt")
			s.checkLog()
			s.checkGone("Plan for ")
		})
	}
}

// marked returns how many lines of the log say that a tag is marked.
func (s *session) marked() int { return strings.Count(s.String(), "tag would be deleted") }

// checkLog checks that every decision that was recorded has a line, in the same order, but for those of a
// repository that has many.
func (s *session) checkLog() {
	s.t.Helper()
	rest := strings.Join(s.rows(), "")
	recorded, err := os.ReadFile(filepath.Join(s.reports, "decisions.jsonl"))
	if err != nil || len(recorded) == 0 {
		s.t.Fatalf("no decisions were recorded: %v", err)
	}
	told := make(map[string]int)
	for line := range strings.Lines(string(recorded)) {
		var d report.Decision
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			s.t.Fatal(err)
		}
		if told[d.Repository]++; told[d.Repository] > mostLines {
			continue
		}
		want := "tag would be deleted repository=" + d.Repository + " tag=" + d.Tag + " why="
		_, after, found := strings.Cut(rest, want)
		if !found {
			s.t.Fatalf("no line %q where it should be:\n%s", want, s)
		}
		rest = after
	}
}

// checkGone checks that nothing of the display is left, and that the summary follows the
// log.
func (s *session) checkGone(title string) {
	s.t.Helper()
	log, _, found := strings.Cut(s.String(), title)
	if left := displayed.FindAllString(log, -1); len(left) > 0 || !found || strings.Contains(log, "--]") {
		s.t.Errorf("left of the display: %q, summary %t:\n%s", left, found, s)
	}
	if strings.Contains(s.raw.String(), "\x1b[?25") {
		s.t.Errorf("the cursor was hidden or shown")
	}
}

// TestResized: a terminal that changes its size while the program runs has one display,
// which fits.
func TestResized(t *testing.T) {
	t.Parallel()
	s := play(t, 100, 20, scenarios["endless"](), "DRY_RUN=true", "LOG_LEVEL=error")
	for _, size := range [][2]int{{34, 20}, {120, 20}, {60, 8}, {100, 20}} {
		s.resize(size[0], size[1])
		s.until("a display that fits", func() bool {
			text := s.String()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(displayed.FindAllString(text, -1)) == 5 && s.emulator.CursorPosition().X == 0 &&
				strings.Contains(text, "in flight") == (size[0] > 34)
		})
	}
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 143 {
		t.Errorf("exit code %d, want 143", code)
	}
	s.checkGone("Plan, interrupted, for ")
}

// TestStoppedOnTerminal: signals take the display off, too.
func TestStoppedOnTerminal(t *testing.T) {
	stuck := gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.Latency(time.Minute)}
	for _, test := range []struct {
		name    string
		signals []syscall.Signal
		code    int
	}{
		{"once", []syscall.Signal{syscall.SIGINT}, 130},
		{"twice", []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}, 143},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := play(t, 100, 20, slow(20*time.Millisecond, stuck))
			s.until("deletions", func() bool { return strings.Contains(s.String(), "\nto delete  ") && s.server.Stats().Changing > 0 })
			for _, signal := range test.signals {
				if err := s.command.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if signal != test.signals[len(test.signals)-1] {
					s.until("a sign of stopping", func() bool { return strings.Contains(s.String(), "stopping") })
				}
			}
			if code := s.wait(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if left := displayed.FindAllString(s.String(), -1); len(left) > 0 {
				t.Errorf("left of the display: %q:\n%s", left, s)
			}
		})
	}
}

// TestTerminalsThatCannot: TERM=dumb has no display and no sequence at all, JSON neither,
// NO_COLOR a display without colours.
func TestTerminalsThatCannot(t *testing.T) {
	color := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for _, test := range []struct {
		name, variable  string
		display, colors bool
	}{
		{"ordinary", "TERM=xterm", true, true},
		{"no colour", "NO_COLOR=1", true, false},
		{"dumb", "TERM=dumb", false, false},
		{"JSON", "LOG_FORMAT=json", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := play(t, 100, 20, slow(10*time.Millisecond), "DRY_RUN=true", test.variable)
			s.wait()
			raw := s.raw.String()
			if got := strings.Contains(raw, "\nto delete") || strings.Contains(raw, "mto delete"); got != test.display {
				t.Errorf("display %t, want %t", got, test.display)
			}
			if got := color.MatchString(raw); got != test.colors {
				t.Errorf("colours %t, want %t", got, test.colors)
			}
			if !test.display && strings.Contains(raw, "\x1b") {
				t.Errorf("control sequences in %q", raw)
			}
		})
	}
}
