package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// screenOn returns a screen of the given terminal.
func screenOn(tm *terminal) *screen {
	return &screen{out: tm, size: func() (int, int) { return tm.emulator.Width(), tm.emulator.Height() }}
}

// TestLogAboveFrame: lines of any length and width appear above the frame, whole and in
// order, also when the terminal scrolls, and the frame is gone in the end.
func TestLogAboveFrame(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {20, 24}, {20, 4}, {7, 3}} {
		tm := newTerminal(size[0], size[1])
		s := screenOn(tm)
		fmt.Fprintln(s, "before")
		want := []string{"before"}
		for i := range 30 {
			s.draw([]string{"first row", "second"})
			line := fmt.Sprintf("%d %s 日本語%s|", i, strings.Repeat("long-", i%7), strings.Repeat("語", i%5))
			fmt.Fprintln(s, line)
			want = append(want, line)
		}
		s.clear()
		fmt.Fprintln(s, "after")

		plain := newTerminal(size[0], size[1])
		fmt.Fprintln(plain, strings.Join(append(want, "after"), "\n"))
		if diff := cmp.Diff(plain.String(), tm.String()); diff != "" {
			t.Errorf("%v: the log is not what it is without a frame (-want +got):\n%s", size, diff)
		}
	}
}

// TestFrameIsRedrawn: a frame replaces the one before, whatever their sizes, and rows
// too long for the terminal are cut and not wrapped.
func TestFrameIsRedrawn(t *testing.T) {
	tm := newTerminal(12, 6)
	s := screenOn(tm)
	fmt.Fprintln(s, "log")
	s.draw([]string{"one", "two", "three"})
	s.draw([]string{"a row that is much too long", "2"})
	if diff := cmp.Diff("log\na row that g\n2\n", tm.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tm.resize(6, 6)
	fmt.Fprintln(s, "more")
	if diff := cmp.Diff("log\nmore\na rowg\n2\n", tm.String()); diff != "" {
		t.Errorf("after the terminal became narrower (-want +got):\n%s", diff)
	}
}
