package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A screen is what the program writes on a terminal: lines of the log, which stay, and
// below them a frame, which is drawn anew again and again and is gone in the end. It is
// the console of the progress library, and the writer of the log.
//
// Between two writes the cursor rests at the beginning of the frame and not behind it.
// When a terminal becomes narrower it may fold the frame's rows, and nobody can tell how
// many there are then; but the cursor stays where it is in the text, and all below it can
// be cleared. The cursor is not hidden, so that nothing has to be restored, however the
// program ends.
type screen struct {
	out  io.Writer
	size func() (width, height int)
	// color says that the terminal's user wants colours.
	color bool

	mu    sync.Mutex
	next  bytes.Buffer // rows of the frame that is being put together
	frame []byte       // on the terminal; empty if there is none
}

// Control sequences that every terminal knows since the VT100.
const (
	clearBelow = "\r\x1b[J"
	noWrap     = "\x1b[?7l" // a row too long for a window that has just shrunk is cut
	wrap       = "\x1b[?7h"
	upBy       = "\x1b[%dA"
)

// newScreen returns the screen of a terminal.
func newScreen(terminal *os.File, color bool) *screen {
	return &screen{out: terminal, color: color, size: func() (int, int) {
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
	return len(lines), s.draw(lines, s.frame)
}

// draw writes lines and a frame in the place of the frame that is there, all in one
// piece, so that nothing flickers.
func (s *screen) draw(lines, frame []byte) error {
	s.frame = frame
	_, err := s.out.Write(bytes.Join([][]byte{[]byte(clearBelow), lines, frame}, nil))
	return err
}

// clear takes the frame off.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frame) > 0 {
		_ = s.draw(nil, nil) // who cannot be shown the end cannot be told so either
	}
}

// ReadFrom takes a part of the next frame.
func (s *screen) ReadFrom(r io.Reader) (int64, error) { return s.next.ReadFrom(r) }

// Flush shows the next frame.
func (s *screen) Flush(int) error {
	rows := bytes.Split(bytes.TrimSuffix(s.next.Bytes(), []byte("\n")), []byte("\n"))
	frame := bytes.Join(rows, []byte("\r\n"))
	frame = append([]byte(noWrap), frame...)
	frame = append(frame, wrap+"\r"...)
	if up := len(rows) - 1; up > 0 {
		frame = fmt.Appendf(frame, upBy, up)
	}
	s.next.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draw(nil, frame)
}

// IsTerminal says that frames are wanted.
func (s *screen) IsTerminal() bool { return true }

// GetTermSize returns the room for a frame. A line stays free for the log, and a column,
// since terminals differ in what they do after writing to the last one.
func (s *screen) GetTermSize() (width, height int, err error) {
	width, height = s.size()
	return max(width-1, 1), max(height-1, 1), nil
}
