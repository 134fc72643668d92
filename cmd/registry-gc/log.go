package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/sethvargo/go-envconfig"
	"golang.org/x/term"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
)

// A logFormat is the form of the log, which depends on its reader.
type logFormat struct {
	level    slog.Level
	json     bool
	color    bool
	sections bool // of a GitLab job
	display  bool // progress is drawn below the log
	terminal bool
	// discarded says that the log goes to the null device.
	discarded bool
}

// formatFor returns the form for a destination: JSON lines for programs, and text for
// people at a terminal or at the log of a GitLab job. A file gets no escape sequence.
// https://no-color.org is obeyed, and a terminal without a cursor that moves has no display.
func formatFor(w io.Writer, config *Config, environment envconfig.Lookuper) logFormat {
	value := func(name string) string { value, _ := environment.Lookup(name); return value }
	inJob := value("GITLAB_CI") == "true"
	terminal, regular, discarded := false, false, false
	if file, ok := w.(*os.File); ok {
		terminal = term.IsTerminal(int(file.Fd()))
		info, err := file.Stat()
		regular = err == nil && info.Mode().IsRegular()
		null, nullErr := os.Stat(os.DevNull)
		discarded = err == nil && nullErr == nil && os.SameFile(info, null)
	}
	format := logFormat{level: config.LogLevel, terminal: terminal, discarded: discarded}
	format.json = config.LogFormat == "json" || config.LogFormat == "auto" && !terminal && !inJob
	escapes := !format.json && (terminal || inJob && !regular)
	format.color = escapes && wantsColours(environment)
	format.sections = escapes && inJob
	format.display = terminal && !format.json && value("TERM") != "dumb"
	return format
}

// wantsColours reports whether the environment says nothing against colours on a terminal.
func wantsColours(environment envconfig.Lookuper) bool {
	value := func(name string) string { value, _ := environment.Lookup(name); return value }
	return value("NO_COLOR") == "" && value("TERM") != "dumb"
}

// handler returns a handler that writes in this form, and in it nothing that a server chose
// to steer a terminal with.
func (f logFormat) handler(w io.Writer) slog.Handler {
	if f.json {
		return slog.NewJSONHandler(printableJSON{w}, &slog.HandlerOptions{Level: f.level})
	}
	return tint.NewTextHandler(w, &tint.Options{
		Level: f.level, TimeFormat: time.TimeOnly, NoColor: !f.color, ReplaceAttr: printableAttr,
	})
}

// A printableJSON passes JSON lines on in which no character hides.
type printableJSON struct{ w io.Writer }

// Write implements [io.Writer].
func (p printableJSON) Write(line []byte) (int, error) {
	_, err := p.w.Write(printable.JSON(line))
	return len(line), err
}

// printableAttr makes texts and errors printable. Other values are the program's own. tint
// passes escape sequences on to a terminal with colours, and makes some out of the text
// \x1b, so that this has to happen before it sees a value.
func printableAttr(_ []string, attr slog.Attr) slog.Attr {
	var text string
	switch value := attr.Value.Any().(type) {
	case string:
		text = value
	case error:
		text = value.Error()
	default:
		return attr
	}
	return slog.String(attr.Key, strings.ReplaceAll(printable.Replace(text, '?'), `\x1b`, `\u001b`))
}

// A logOutput is standard error as the log is written to it: lines go through a redactor,
// above the display if there is one, into a queue that its reader empties.
type logOutput struct {
	outlet   *outlet
	screen   *screen // nil where there is no display
	color    bool
	redacted *redact.Writer
}

func newLogOutput(stderr io.Writer, format logFormat, redactor *redact.Redactor) *logOutput {
	out := &logOutput{outlet: newOutlet(stderr), color: format.color}
	lines := io.Writer(out.outlet)
	if format.display {
		out.screen = newScreen(stderr.(*os.File), out.outlet)
		lines = out.screen
	}
	out.outlet.dropNotice = func(writes int) []byte {
		var notice bytes.Buffer
		if format.display {
			notice.WriteString(clearBelow)
		}
		slog.New(format.handler(&notice)).Warn("lines of the log were dropped, as nothing read them", "lines", writes)
		return notice.Bytes()
	}
	out.redacted = redactor.Writer(lines)
	return out
}

// flush waits for the reader of what was written, within the limits of [outlet.flush].
// Before that it takes the display off.
func (l *logOutput) flush(ctx context.Context) {
	if l.screen != nil {
		l.screen.clear()
	}
	_ = l.outlet.flush(ctx, logPatience) // a log that cannot be written has no other place to say so
}

// close ends the output after a last flush.
func (l *logOutput) close(ctx context.Context) {
	l.flush(ctx)
	l.outlet.close()
}
