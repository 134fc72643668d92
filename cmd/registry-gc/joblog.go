package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// mostRepeated is how many warnings are printed again behind a section.
const mostRepeated = 20

// A jobLog is what the log of a GitLab job has beside its lines: a section that is
// folded, so that a reader of the log sees first how the run ended, and links. The
// warnings of the section are printed again behind it, the first few at least.
//
// A nil jobLog does nothing: the log is not that of a job, or is for machines.
type jobLog struct {
	w        io.Writer
	instance string
	plain    slog.Handler // does not remember warnings

	mu       sync.Mutex
	warnings []warning // the first few since the section began
	total    int
}

// A warning is a line of the log, and the handler that has the line's attributes.
type warning struct {
	handler slog.Handler
	record  slog.Record
}

// newLogger returns a logger in a form and, if that has sections, the log of the job.
func newLogger(w io.Writer, format logFormat, gitlabURL string) (*slog.Logger, *jobLog) {
	handler := format.handler(w)
	if !format.sections {
		return slog.New(handler), nil
	}
	l := &jobLog{w: w, plain: handler}
	if u, err := throttle.ParseURL(gitlabURL); err == nil {
		l.instance = u.String()
	}
	return slog.New(warningRecorder{handler, l}), l
}

// links returns what makes links.
func (l *jobLog) links() report.Links {
	if l == nil {
		return report.Links{}
	}
	return report.Links{Instance: l.instance}
}

// section begins a section, and returns what ends it and prints its warnings again.
func (l *jobLog) section(name, header string) (end func()) {
	if l == nil {
		return func() {}
	}
	marker := func(which, name, text string) { // as GitLab looks for it
		fmt.Fprintf(l.w, "\x1b[0Ksection_%s:%d:%s\r\x1b[0K%s\n", which, time.Now().Unix(), name, text)
	}
	l.takeWarnings()
	marker("start", name+"[collapsed=true]", header)
	return func() {
		marker("end", name, "")
		first, total := l.takeWarnings()
		if total == 0 {
			return
		}
		slog.New(l.plain).Info("warnings of the section above, again", "shown", len(first), "all", total)
		for _, warning := range first {
			_ = warning.handler.Handle(context.Background(), warning.record) // a log that cannot be written has no other place to say so
		}
	}
}

// takeWarnings returns the first warnings, and how many there were, and forgets them.
func (l *jobLog) takeWarnings() (first []warning, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, total = l.warnings, l.total
	l.warnings, l.total = nil, 0
	return first, total
}

// A warningRecorder is a handler that remembers warnings, as do handlers made of it.
type warningRecorder struct {
	slog.Handler
	log *jobLog
}

// Handle implements [slog.Handler].
func (h warningRecorder) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelWarn {
		h.log.mu.Lock()
		if h.log.total++; len(h.log.warnings) < mostRepeated {
			h.log.warnings = append(h.log.warnings, warning{h.Handler, record.Clone()})
		}
		h.log.mu.Unlock()
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (h warningRecorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warningRecorder{h.Handler.WithAttrs(attrs), h.log}
}

// WithGroup implements [slog.Handler].
func (h warningRecorder) WithGroup(name string) slog.Handler {
	return warningRecorder{h.Handler.WithGroup(name), h.log}
}
