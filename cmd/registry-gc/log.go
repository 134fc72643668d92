package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/lmittmann/tint"
	"github.com/sethvargo/go-envconfig"
	"golang.org/x/term"
)

// newLogger returns the logger of a run and, if people will read it in a GitLab job, the
// log of that job.
func newLogger(w io.Writer, config *Config, environment envconfig.Lookuper) (*slog.Logger, *jobLog) {
	terminal, job := isTerminal(w), inGitLabJob(environment)
	if config.LogFormat == "json" || config.LogFormat == "auto" && !terminal && !job {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: config.LogLevel})), nil
	}
	steered := terminal || job && !isRegularFile(w)
	handler := textHandler(w, config.LogLevel, steered && wantsColor(environment))
	if !job || !steered {
		return slog.New(handler), nil
	}
	inJob, handler := newJobLog(w, config, handler)
	return slog.New(handler), inJob
}

// textHandler returns the handler for people. tint passes escape sequences in values on
// to a terminal with colours, and makes some out of the text \x1b, so that values are
// made harmless before it sees them.
func textHandler(w io.Writer, level slog.Level, color bool) slog.Handler {
	return tint.NewTextHandler(w, &tint.Options{
		Level:       level,
		TimeFormat:  time.TimeOnly,
		NoColor:     !color,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr { return harmless(attr) },
	})
}

// harmless replaces in texts and errors what is not printable. Other values are the
// program's own.
func harmless(attr slog.Attr) slog.Attr {
	var text string
	switch value := attr.Value.Any().(type) {
	case string:
		text = value
	case error:
		text = value.Error()
	default:
		return attr
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	return slog.String(attr.Key, strings.ReplaceAll(text, `\x1b`, `\u001b`))
}

// wantsColor obeys https://no-color.org and terminals that cannot.
func wantsColor(environment envconfig.Lookuper) bool {
	noColor, _ := environment.Lookup("NO_COLOR")
	kind, _ := environment.Lookup("TERM")
	return noColor == "" && kind != "dumb"
}

func isTerminal(w io.Writer) bool {
	if _, ok := w.(*screen); ok {
		return true
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// screenFor returns the screen of a run that is to have a display, and nil for any other:
// where nobody looks on, where a program reads, and where the cursor cannot be moved.
func screenFor(w io.Writer, config *Config, environment envconfig.Lookuper) *screen {
	kind, _ := environment.Lookup("TERM")
	if !isTerminal(w) || config.LogFormat == "json" || kind == "dumb" {
		return nil
	}
	return newScreen(w.(*os.File), wantsColor(environment))
}
