package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// A screen is what the program writes on a terminal: lines of the log, which stay, and
// below them a frame, which is drawn again and again and is removed in the end.
//
// Between two writes the cursor rests at the beginning of the frame and not behind it.
// A terminal that becomes narrower may fold the frame's rows, and the program cannot tell
// how many there are then; but the cursor stays where it is in the text, and all below it
// can be cleared. The cursor is not hidden, so that nothing has to be restored, however
// the program ends.
//
// Each write is complete: it clears the frame that is there first. So one that is dropped,
// as a terminal that is paused may cause, spoils nothing.
type screen struct {
	out  io.Writer
	size func() (width, height int)
	busy func() bool // reports whether the terminal has not taken all yet; nil: it has

	mu    sync.Mutex
	frame []byte // on the terminal; empty if there is none
}

// Control sequences that every terminal knows since the VT100.
const (
	clearBelow = "\r\x1b[J"
	noWrap     = "\x1b[?7l" // a row too long for a window that has just shrunk is cut
	wrap       = "\x1b[?7h"
	upBy       = "\x1b[%dA"
)

// newScreen returns the screen of a terminal, which is written to by way of an outlet.
func newScreen(terminal *os.File, out *outlet) *screen {
	return &screen{out: out, busy: out.busy, size: func() (int, int) {
		width, height, err := term.GetSize(int(terminal.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}}
}

// Write writes lines of the log above the frame.
func (s *screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frame) == 0 {
		return s.out.Write(lines)
	}
	return len(lines), s.replaceFrame(lines, s.frame)
}

// replaceFrame writes lines and a frame in the place of the frame that is there, all in
// one piece, so that nothing flickers. The lock is held.
func (s *screen) replaceFrame(lines, frame []byte) error {
	s.frame = frame
	_, err := s.out.Write(bytes.Join([][]byte{[]byte(clearBelow), lines, frame}, nil))
	return err
}

// room returns how large a frame may be. A line stays free for the log, and a column, for
// terminals differ in what they do after writing to the last one.
func (s *screen) room() (width, height int) {
	width, height = s.size()
	return max(width-1, 1), max(height-1, 1)
}

// draw shows the rows of a frame. A terminal that has not taken the last one is not given
// another.
func (s *screen) draw(rows []string) {
	if s.busy != nil && s.busy() {
		return
	}
	frame := noWrap + strings.Join(rows, "\r\n") + wrap + "\r"
	if up := len(rows) - 1; up > 0 {
		frame += fmt.Sprintf(upBy, up)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.replaceFrame(nil, []byte(frame)) // a terminal that fails cannot show that either
}

// clear takes the frame off.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frame) > 0 {
		_ = s.replaceFrame(nil, nil) // as in draw
	}
}
