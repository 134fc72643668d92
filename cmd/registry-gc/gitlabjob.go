package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// mostRepeated is how many warnings are printed again behind a section.
const mostRepeated = 20

// A jobLog is what the log of a GitLab job has beside its lines: a section that is
// folded, so that whoever opens the log sees how the run ended, and links. The
// warnings of the section are printed again behind it, the first few at least.
//
// On a nil jobLog nothing happens: the log is that of no job, or for machines.
type jobLog struct {
	w        io.Writer
	instance string
	lines    slog.Handler // without memory
	warnings warnings
}

// newJobLog returns the job's log and the handler that lines go through.
func newJobLog(w io.Writer, config *Config, lines slog.Handler) (*jobLog, slog.Handler) {
	l := &jobLog{w: w, lines: lines}
	if u, err := throttle.ParseURL(config.GitLabURL); err == nil {
		l.instance = u.String()
	}
	return l, remembering{lines, &l.warnings}
}

// links returns what makes links.
func (l *jobLog) links() report.Links {
	if l == nil {
		return report.Links{}
	}
	return report.Links{Instance: l.instance}
}

// section begins a section, and returns what ends it.
func (l *jobLog) section(name, header string) (end func()) {
	if l == nil {
		return func() {}
	}
	l.warnings.take()
	l.mark("start", name+"[collapsed=true]", header)
	return func() {
		l.mark("end", name, "")
		l.repeat()
	}
}

// mark writes a section's beginning or end, as GitLab looks for them.
func (l *jobLog) mark(which, name, text string) {
	fmt.Fprintf(l.w, "\x1b[0Ksection_%s:%d:%s\r\x1b[0K%s\n", which, time.Now().Unix(), name, text)
}

// repeat prints the warnings that were remembered.
func (l *jobLog) repeat() {
	first, total := l.warnings.take()
	if total == 0 {
		return
	}
	slog.New(l.lines).Info("warnings of the section above, again", "shown", len(first), "all", total)
	for _, warning := range first {
		_ = warning.lines.Handle(context.Background(), warning.record) // a log that cannot be written has no other place to say so
	}
}

// warnings are the first few of a log, and how many there were.
type warnings struct {
	mu    sync.Mutex
	first []warning
	total int
}

// A warning is a line of the log, and the handler that knows what else stands in it.
type warning struct {
	lines  slog.Handler
	record slog.Record
}

func (w *warnings) add(lines slog.Handler, record slog.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total++; len(w.first) < mostRepeated {
		w.first = append(w.first, warning{lines, record.Clone()})
	}
}

// take returns them and forgets them.
func (w *warnings) take() (first []warning, total int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first, total = w.first, w.total
	w.first, w.total = nil, 0
	return first, total
}

// remembering is a handler that remembers warnings, as do those that are made of it.
type remembering struct {
	slog.Handler
	warnings *warnings
}

// Handle implements [slog.Handler].
func (h remembering) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelWarn {
		h.warnings.add(h.Handler, record)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (h remembering) WithAttrs(attrs []slog.Attr) slog.Handler {
	return remembering{h.Handler.WithAttrs(attrs), h.warnings}
}

// WithGroup implements [slog.Handler].
func (h remembering) WithGroup(name string) slog.Handler {
	return remembering{h.Handler.WithGroup(name), h.warnings}
}

// inGitLabJob reports whether the program runs in a job of GitLab.
func inGitLabJob(environment envconfig.Lookuper) bool {
	value, _ := environment.Lookup("GITLAB_CI")
	return value == "true"
}

// isRegularFile reports whether what is written stays in a file, where escape sequences
// are in the way.
func isRegularFile(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}
