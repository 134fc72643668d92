package main

import (
	"fmt"
	"os"
	"strings"
)

// screen is where the demo is shown.
type screen struct {
	*os.File
	steps      int
	bold, dim  string
	plainAgain string
	unread     func() // called when nobody reads what is written; nil does nothing
}

// newScreen uses colours on a terminal that wants them, and nowhere else.
func newScreen(file *os.File) *screen {
	s := &screen{File: file}
	info, err := file.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		s.bold, s.dim, s.plainAgain = "\x1b[1m", "\x1b[2m", "\x1b[0m"
	}
	return s
}

// Write implements [io.Writer].
func (s *screen) Write(text []byte) (int, error) {
	n, err := s.File.Write(text)
	if err != nil && s.unread != nil {
		s.unread()
	}
	return n, err
}

func (s *screen) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// heading starts a step.
func (s *screen) heading(text string) {
	if s.steps++; s.steps > 1 {
		s.printf("\n")
	}
	s.printf("%s%d. %s%s\n", s.bold, s.steps, text, s.plainAgain)
}

// command shows a command the way one would type it, a variable a line.
func (s *screen) command(variables []string, program string, args ...string) {
	line := append([]string{program}, args...)
	if len(variables) > 1 {
		line = append([]string{strings.Join(variables, " \\\n  ") + " \\\n ", program}, args...)
	} else {
		line = append(variables, line...)
	}
	s.printf("%s$ %s%s\n", s.dim, strings.Join(line, " "), s.plainAgain)
}
