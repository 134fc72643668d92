package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

// inJob is the environment of a GitLab job.
func inJob(more ...string) envconfig.Lookuper {
	variables := map[string]string{"GITLAB_CI": "true"}
	for i := 0; i+1 < len(more); i += 2 {
		variables[more[i]] = more[i+1]
	}
	return envconfig.MapLookuper(variables)
}

// loggerFor returns the logger, and the job's log, for a destination.
func loggerFor(w io.Writer, config *Config, environment envconfig.Lookuper) (*slog.Logger, *jobLog) {
	return newLogger(w, formatFor(w, config, environment), config.GitLabURL)
}

// TestJobLog: what is inside of the section, what stands behind it, and the marks as
// GitLab looks for them, to the byte.
func TestJobLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		config := &Config{LogFormat: "auto", GitLabURL: "https://gitlab.example.com/git/"}
		log, job := loggerFor(&out, config, inJob("NO_COLOR", "1"))
		log.Warn("before it")
		end := job.section("tags", "One by one")
		log.Info("tag deleted", "tag", "a")
		time.Sleep(90 * time.Second)
		log.Warn("tag undecided", "tag", "b\x1b[31m\r\x1b[0Ksection_end:1:tags\r\x1b[0K")
		log.With("shard", 1).WithGroup("of").Error("could not", "shards", 2)
		end()
		log.Info("after it")
		clock := time.Now().Add(-90 * time.Second).Format(time.TimeOnly)
		later := time.Now().Format(time.TimeOnly)
		hostile := `b?[31m??[0Ksection_end:1:tags??[0K`
		want := clock + " WRN before it\n" +
			"\x1b[0Ksection_start:946684800:tags[collapsed=true]\r\x1b[0KOne by one\n" +
			clock + " INF tag deleted tag=a\n" +
			later + " WRN tag undecided tag=" + hostile + "\n" +
			later + " ERR could not shard=1 of.shards=2\n" +
			"\x1b[0Ksection_end:946684890:tags\r\x1b[0K\n" +
			later + " INF warnings of the section above, again shown=2 all=2\n" +
			later + " WRN tag undecided tag=" + hostile + "\n" +
			later + " ERR could not shard=1 of.shards=2\n" +
			later + " INF after it\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := job.links().Instance; got != "https://gitlab.example.com/git" {
			t.Errorf("links begin with %q", got)
		}
	})
}

// TestJobLogIsBounded: however much goes wrong, behind the section there is a page.
func TestJobLogIsBounded(t *testing.T) {
	var out bytes.Buffer
	log, job := loggerFor(&out, &Config{LogFormat: "text"}, inJob())
	end := job.section("tags", "One by one")
	for i := range 1000 {
		log.Warn("could not be read", "name", i)
	}
	out.Reset()
	end()
	if n := strings.Count(out.String(), "could not be read"); n != mostRepeated || !strings.Contains(out.String(), fmt.Sprint(1000)) {
		t.Errorf("%d of 1000 warnings:\n%s", n, &out)
	}
}

// TestLogFormats: which form a log has where, and that a file gets no escape sequences.
func TestLogFormats(t *testing.T) {
	for name, test := range map[string]struct {
		format          string
		environment     envconfig.Lookuper
		file            bool
		json, esc, mark bool
	}{
		"elsewhere":                      {"auto", envconfig.MapLookuper(nil), false, true, false, false},
		"elsewhere, text":                {"text", envconfig.MapLookuper(nil), false, false, false, false},
		"in a job":                       {"auto", inJob(), false, false, true, true},
		"in a job, text":                 {"text", inJob(), false, false, true, true},
		"in a job, JSON":                 {"json", inJob(), false, true, false, false},
		"in a job, without colours":      {"auto", inJob("NO_COLOR", "1"), false, false, false, true},
		"in a job, into a file":          {"auto", inJob(), true, false, false, false},
		"in what says that it is no job": {"auto", envconfig.MapLookuper(map[string]string{"GITLAB_CI": "false"}), false, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Create(filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			var out bytes.Buffer
			var w io.Writer = &out
			if test.file {
				w = file
			}
			log, job := loggerFor(w, &Config{LogFormat: test.format, LogLevel: slog.LevelInfo}, test.environment)
			log.Warn("a line")
			line := out.String() + readText(t, file.Name())
			end := job.section("tags", "header")
			end()
			all := out.String() + readText(t, file.Name())
			if got := strings.HasPrefix(line, "{"); got != test.json {
				t.Errorf("JSON: %t, want %t", got, test.json)
			}
			if got := strings.Contains(line, "\x1b["); got != test.esc {
				t.Errorf("colours: %t, want %t", got, test.esc)
			}
			if got := strings.Contains(all, "section_start"); got != test.mark {
				t.Errorf("section: %t, want %t", got, test.mark)
			}
		})
	}
}
